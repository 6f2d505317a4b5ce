"""The nested test bed: a Debian kernel under QEMU's software CPU that offers a real /dev/kvm.

Levels: the host runs QEMU without KVM (TCG) with a CPU that has AMD's SVM, or arm64's EL2; in it
runs the outer guest, L1, a Debian cloud kernel with KVM; in that run the programs under test,
which may start guests of their own, L2.  L1 gets all its files in one initramfs and reports over a
channel of its own (the protocol is at the head of tests/nested/init), so that kernel messages,
which go to the first serial port, never mix with what the programs print.  What differs between the
architectures is in arches.py.

With QEMU 7.2, L1 stood still in one of seven runs of 20 s: its timer interrupt was pending in the
local APIC, but L2 kept the software CPU, until L1's next interrupt from elsewhere.  So the host
supplies such interrupts: a byte on the report channel every tenth of a second, which nobody reads.
On arm64, where L1's driver has room for 128 of them, nothing of the kind was seen before or after.

What is known to matter in this set-up: L1 must be -M pc or q35 (-M microvm may hang in the
calibration of the TSC on a loaded host) with one CPU and nested paging; an initramfs must be an
uncompressed archive (unpacking costs seconds under TCG); on a host with a TSC, which TCG's guests
read as it is, L1 must be told its rate (what it would measure is off by half on a busy host).
"""

import os
import secrets
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tools", "guest"), os.path.join(TOP, "tests", "guest")]

import build  # these two are found through the line above
import initramfs

import arches

HEARTBEAT = 0.1
X86 = arches.X86


class BedError(Exception):
    """The bed itself cannot do its work; the text says why."""


def kernel_file(what, flavour="cloud", arch=X86):
    """The path of a file of the Debian kernel, by way of tools/guest/fetch-kernel."""
    tool = os.path.join(TOP, "tools", "guest", "fetch-kernel")
    done = subprocess.run(
        [tool, "--arch", arch.debian, "--flavour", flavour, "--print", what],
        stdout=subprocess.PIPE, text=True, check=False,
    )
    if done.returncode:
        raise BedError(f"the {flavour} kernel for {arch.name} is not to be had")
    return done.stdout.strip()


def qemu_program(arch=X86):
    """The QEMU that carries L1."""
    program = shutil.which(arch.qemu)
    if not program:
        raise BedError(f"{arch.qemu}: not found (Debian: {arch.package})")
    return program


_running = set()


def stop_all():
    """Kill the machines that are still running; for the end of the program."""
    for machine in list(_running):
        machine.kill()


def lodge_program(arch=X86):
    """The Lodge under test."""
    own = "lodge" if arch.name == arches.HOST else f"{arch.name}-release/lodge"
    return os.environ.get("LODGE") or os.path.join(TOP, "build", own)


def build_folder(arch=X86):
    """The folder of the build under test, from the top of the tree if it is in it."""
    program = os.path.realpath(lodge_program(arch))
    folder = os.path.abspath(os.environ.get("LODGE_BUILD") or os.path.dirname(program))
    return os.path.relpath(folder, TOP) if folder.startswith(TOP + os.sep) else folder


def host_patience():
    """How many programs want each CPU of this host: what a limit should be multiplied by."""
    return min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), 5.0)


class Job:
    """One command for L1 and, afterwards, what became of it."""

    def __init__(self, name, script, limit=120):
        self.name = name
        self.script = script
        self.limit = limit
        self.output = b""
        self.started = self.ended = None
        self.code = None

    @property
    def seconds(self):
        """How long it took on the host's clock."""
        return self.ended - self.started


class Bed:
    """One L1 machine: fill it with files and jobs, then run it once.

    All limits are in seconds of an idle host; `patience` is what they are multiplied by.
    """

    def __init__(self, arch=X86, host=None, memory=None, limit=240, patience=1.0):
        self.arch = arch
        try:
            self.cpu, self.gic, self.append = arches.parse_host(host or arch.hosts[0])
        except ValueError as error:
            raise BedError(str(error)) from error
        self.directory = "/root"
        self.memory = memory or arch.memory
        self.limit = round(limit * patience)
        self.patience = patience
        self.jobs = []
        self.word = "@@" + secrets.token_hex(6)
        self.archive = initramfs.Archive(arches.library_folders(arch), arches.emulator(arch))
        self.archive.skeleton()
        self.archive.busybox(arches.find_busybox(arch))
        self.archive.directory(self.directory)
        self.archive.directory("/jobs")
        self.archive.file(os.path.join(HERE, "init"), "/init", 0o755)
        modules = kernel_file("modules", arch=arch)
        for module in arch.modules:
            self.archive.file(os.path.join(modules, module + ".ko"), f"/modules/{module}.ko")

    def add_file(self, source, path=None):
        """Put a file or a folder of the host into L1, by default under the name it is given by."""
        self.archive.file(source, os.path.join(self.directory, source if path is None else path))

    def has(self, path):
        """Is there already a file of that name in L1?"""
        return path.lstrip("/") in self.archive.entries

    def add_qemu(self, firmware=False):
        """Put QEMU with its libraries and firmware into L1, to compare with."""
        target = f"/usr/bin/{self.arch.qemu}"
        if not self.has(target):
            arches.add_qemu(self.archive, self.arch, target)
        if firmware and not self.has(arches.FIRMWARE):
            arches.add_firmware(self.archive, self.arch)

    def add_job(self, name, script, limit=120):
        """Append a job: a shell script, under a limit of seconds."""
        limit = round(limit * self.patience)
        job = Job(name, script, limit)
        place = f"/jobs/{len(self.jobs):03}"
        self.archive.data(f"{place}/name", name.encode() + b"\n")
        self.archive.data(f"{place}/limit", b"%d\n" % limit)
        self.archive.data(f"{place}/script", script.encode() + b"\n")
        self.jobs.append(job)
        return job

    def _build(self, folder, mode, text=""):
        settings = {
            "BED_MODE": mode,
            "BED_WORD": self.word,
            "BED_DIRECTORY": self.directory,
            "BED_HELP": text,
            "BED_MODULES": " ".join(self.arch.modules),
            "BED_REPORT": self.arch.report,
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        self.archive.data("/bed.env", "".join(lines).encode())
        path = os.path.join(folder, "l1.cpio")
        self.archive.write(path)
        return path

    def _command(self, cpio):
        return [
            qemu_program(self.arch), *self.arch.machines(self.gic), "-accel", "tcg",
            "-cpu", self.cpu, "-m", self.memory,
            "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", kernel_file("vmlinuz", arch=self.arch), "-initrd", cpio,
            "-append", f"console={self.arch.console} quiet panic=-1" + self.append
            + arches.clock_parameters(self.arch),
        ]

    def shell(self, folder, text):
        """An interactive L1 on this terminal; returns when it is switched off."""
        command = self._command(self._build(folder, "shell", text))
        return subprocess.run(command + ["-serial", "mon:stdio"], check=False).returncode

    def run(self, folder, on_event=None, on_output=None):
        """Run all jobs; returns "" or what went wrong with the bed itself.

        on_event(kind, job) is called when a job begins or ends, on_output(job, bytes) with what it
        prints.  Console and program output stay in `folder`.
        """
        cpio = self._build(folder, "jobs")
        console = os.path.join(folder, "console.log")
        monitor = os.path.join(folder, "monitor")
        command = self._command(cpio) + ["-serial", f"file:{console}", *self.arch.channel]
        command += ["-monitor", f"unix:{monitor},server=on,wait=off"]
        reader = _Reader(self, on_event, on_output)
        with open(os.path.join(folder, "qemu.log"), "wb") as log:
            machine = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        _running.add(machine)
        try:
            late = self._pump(machine, reader)
            if late:
                _look_inside(self.arch, monitor, os.path.join(folder, "state.log"))
        finally:
            machine.kill()
            machine.wait()
            machine.stdin.close()
            machine.stdout.close()
            _running.discard(machine)
        if late:
            return f"the bed did not end within {self.limit} s"
        if reader.refusal:
            return f"L1 has no /dev/kvm: {reader.refusal}"
        if not reader.ready:
            return "L1 did not start: " + _last_line(folder)
        if not reader.done:
            return "L1 ended early: " + _last_line(folder)
        return ""

    def _pump(self, machine, reader):
        """Feed the reader until the machine ends (returns False) or the limit passes (True)."""
        begin = beat = time.monotonic()
        os.set_blocking(machine.stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(machine.stdout, selectors.EVENT_READ)
            while time.monotonic() < begin + self.limit:
                if reader.ready and time.monotonic() > beat + HEARTBEAT:
                    beat = time.monotonic()
                    _send_byte(machine.stdin.fileno())
                if selector.select(HEARTBEAT):
                    data = os.read(machine.stdout.fileno(), 65536)
                    if not data:
                        return False
                    reader.feed(data)
        return True


def _send_byte(pipe):
    """A heartbeat; it does not matter if the pipe is full or QEMU is gone."""
    try:
        os.write(pipe, b"\0")
    except OSError:
        pass


class _Reader:
    """Takes the report channel apart: the bed's own lines from what the jobs print."""

    def __init__(self, bed, on_event, on_output):
        self.mark = b"\n" + bed.word.encode() + b" "
        self.jobs = iter(bed.jobs)
        self.current = None
        self.on_event = on_event or (lambda kind, job: None)
        self.on_output = on_output or (lambda job, data: None)
        self.pending = b""
        self.ready = self.done = False
        self.refusal = ""

    def feed(self, data):
        """Take the next bytes of the channel."""
        self.pending += data
        while True:
            at = self.pending.find(self.mark)
            if at < 0:
                break
            end = self.pending.find(b"\n", at + len(self.mark))
            self._output(self.pending[:at])
            if end < 0:
                self.pending = self.pending[at:]
                return
            line = self.pending[at + len(self.mark) : end].decode(errors="replace")
            self.pending = self.pending[end + 1 :]
            self._line(line)
        keep = self._overlap()
        self._output(self.pending[: len(self.pending) - keep])
        self.pending = self.pending[len(self.pending) - keep :]

    def _overlap(self):
        """How many bytes at the end could be the beginning of a mark."""
        for size in range(min(len(self.mark) - 1, len(self.pending)), 0, -1):
            if self.pending.endswith(self.mark[:size]):
                return size
        return 0

    def _output(self, data):
        if data and self.current:
            self.current.output += data
            self.on_output(self.current, data)

    def _line(self, line):
        kind, _, rest = line.partition(" ")
        if kind == "ready":
            self.ready = True
        elif kind == "no-kvm:":
            self.ready, self.refusal = True, rest
        elif kind == "begin":
            self.current = next(self.jobs)
            self.current.started = time.monotonic()
            self.on_event("begin", self.current)
        elif kind == "end":
            self.current.ended = time.monotonic()
            self.current.code = int(rest.rsplit(" ", 1)[1])
            self.on_event("end", self.current)
            self.current = None
        elif kind == "done":
            self.done = True


def _look_inside(arch, monitor, target):
    """Ask QEMU for the state of an L1 that does not end."""
    with open(target, "wb") as log, socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(2)
        try:
            talk.connect(monitor)
            for question in arch.questions:
                talk.sendall(question.encode() + b"\n")
                time.sleep(0.5)
                log.write(talk.recv(65536))
        except OSError as error:
            log.write(f"the monitor does not answer: {error}\n".encode())


def _last_line(folder):
    """What L1's console or QEMU said last."""
    for name in ("console.log", "qemu.log"):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            continue
        lines = [line.strip() for line in lines if line.strip()]
        if lines:
            return lines[-1]
    return "without a word"


def scratch_folder():
    """A new folder below build/ for one run."""
    base = os.path.join(TOP, "build", "nested")
    os.makedirs(base, exist_ok=True)
    return tempfile.mkdtemp(prefix="run.", dir=base)
