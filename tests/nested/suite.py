"""The tables of tests (tests/nested/jobs*): from sections to jobs for a bed, and to verdicts."""

import base64
import collections
import configparser
import gzip
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading

import arches
import bed

build = bed.build

MKINITRAMFS = os.path.join(bed.TOP, "tools", "guest", "mkinitramfs")
KEYS = {
    "kernel", "image", "cpus", "memory", "end", "code", "checks", "append", "paste", "args",
    "smbios", "tables", "limit", "vmm", "program", "files", "console", "describe", "hosts", "make",
}

# How the host presses the guest's power button.
BUTTON = {"qemu": "echo system_powerdown >/tmp/monitor.in", "lodge": 'kill -PWR "$DRIVE_PID"'}

Verdict = collections.namedtuple("Verdict", "state detail")


class Test:
    """One section of the table."""

    def __init__(self, name, section, arch, host=None):
        unknown = set(section) - KEYS
        if unknown:
            raise bed.BedError(f"tests/nested/{arch.jobs}: [{name}]: unknown key {unknown.pop()}")
        self.name = name if len(arch.hosts) == 1 else f"{name} ({host})"
        self.section = section
        self.arch = arch
        self.host = host or arch.hosts[0]
        self.program = section.get("program", "").replace("{build}", bed.build_folder(arch))
        self.job = None

    @classmethod
    def of(cls, arch, **keys):
        """A test that is in no table, from its keys."""
        parser = configparser.ConfigParser(interpolation=None)
        parser["test"] = keys
        return cls("test", parser["test"], arch)

    def __getitem__(self, key):
        return self.section.get(key, "")

    def flag(self, key):
        """Is a yes-or-no key set?"""
        return self.section.getboolean(key, False)

    @property
    def seconds(self):
        """The limit of this test."""
        return int(self["limit"])

    def why_not(self):
        """Why this test cannot run now, or ""."""
        if self.flag("tables") and not shutil.which("iasl"):
            return "iasl is not installed (Debian: acpica-tools)"
        if self.program and not os.path.exists(os.path.join(bed.TOP, shlex.split(self.program)[0])):
            return f"{shlex.split(self.program)[0]} is not built"
        return ""

    def make(self):
        """Build what the test needs beyond the ordinary build."""
        if not self["make"]:
            return
        words = [*shlex.split(self["make"]), self.made]
        own = self.arch.name == arches.HOST
        cross = {} if own else {"CROSS": f"{self.arch.machine}-linux-gnu-"}
        done = subprocess.run(
            words, cwd=bed.TOP, env={**os.environ, **cross}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )
        if done.returncode:
            raise build.BuildError(done.stdout)

    @property
    def made(self):
        """The folder that the key "make" fills."""
        words = shlex.split(self["make"])
        return os.path.join(bed.TOP, "build", "made", self.arch.name, os.path.basename(words[0]))


def load(arch, vmm, pattern="", host=None):
    """The tests of a table that are about a monitor and whose sentence matches a pattern.

    A test appears once for each host that it is for.  With a host given it appears for that one
    only, and not at all if it names hosts of its own and this is none of them.
    """
    path = os.path.join(bed.HERE, arch.jobs)
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",)
    )
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        wanted = re.compile(pattern, re.IGNORECASE)
        tests = [
            Test(name, parser[name], arch, each)
            for name in parser.sections()
            for each in _hosts(parser, name, arch, host)
        ]
        return [t for t in tests if t["vmm"] in ("", vmm) and wanted.search(t.name)]
    except (OSError, configparser.Error, re.error) as error:
        raise bed.BedError(str(error)) from error


def _hosts(parser, name, arch, host):
    """The hosts that a section is run on."""
    usual = parser.defaults().get("hosts", arch.hosts[0])
    own = parser[name].get("hosts", usual)
    if not host:
        return own.split()
    return [host] if own == usual or host in own.split() else []


def kernel_parameters(test):
    """The kernel command line of a boot."""
    words = [f"console={test.arch.console}", "quiet", "panic=-1", f"lodge.cpus={test['cpus']}"]
    words += [f"lodge.mem={test['memory']}", f"lodge.end={test['end']}"]
    if test["checks"] == "quick":
        words.append("lodge.quick")
    if test["paste"]:
        words.append(f"lodge.paste={test['paste']}")
    if test["describe"]:
        words.append(f"lodge.describe={test['describe']}")
        words += ["acpi=force"] if test["describe"] == "acpi" else []
    if test.flag("smbios"):
        words.append("lodge.smbios")
    if test.flag("tables"):
        words.append("lodge.dump")
    return " ".join(words + test["append"].split())


def monitor_command(test, vmm, kernel, initrd, patience=1.0):
    """The command that boots a guest, as words; {N} in the options is N seconds of an idle host."""
    options = re.sub(r"{(\d+)}", lambda match: str(round(int(match[1]) * patience)), test["args"])
    if vmm == "lodge":
        return [
            "lodge", "run", "--accel", "kvm", "--cpus", test["cpus"], "--memory",
            f"{test['memory']}M", "--initrd", initrd, "--append", kernel_parameters(test),
            *(["--acpi"] if test.arch is arches.ARM64 and test["describe"] == "acpi" else []),
            *shlex.split(options), kernel,
        ]
    monitor = ["-monitor", "pipe:/tmp/monitor"] if test["end"] == "button" else []
    if test.arch is arches.ARM64:
        machine = ["-M", "virt,gic-version=host"]
        if test["describe"] == "acpi":
            machine += ["-bios", arches.FIRMWARE]
    else:
        machine = ["-M", "microvm,rtc=on"]
    return [
        test.arch.qemu, *machine, "-accel", "kvm", "-cpu", "host", "-smp", test["cpus"],
        "-m", test["memory"], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-serial", "stdio", *monitor, "-kernel", kernel, "-initrd", initrd,
        "-append", kernel_parameters(test).replace(" lodge.smbios", ""),
    ]


def kernel_image(arch, flavour, image):
    """The file with a kernel, in the form that a test wants."""
    if not image.endswith(".gz"):
        return bed.kernel_file(arch.images[image], flavour, arch)
    plain = kernel_image(arch, flavour, image.removesuffix(".gz"))
    path = os.path.join(bed.TOP, "build", "guest", arch.name, f"{flavour}-{image}")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(plain):
        with open(plain, "rb") as file, open(f"{path}.{os.getpid()}", "wb") as target:
            target.write(gzip.compress(file.read(), 6))
        os.replace(f"{path}.{os.getpid()}", path)
    return path


def checker_archive(flavour, arch=bed.X86):
    """The initial RAM file system with the checker, for one flavour of kernel."""
    path = os.path.join(bed.TOP, "build", "guest", arch.name, f"check-{flavour}.cpio")
    program = build.program("check", arch.name)
    baseline = os.path.join(bed.TOP, "tests", "guest", arch.baseline)
    subprocess.run(
        [MKINITRAMFS, "check", path, "--init", program, "--baseline", baseline,
         "--modules", bed.kernel_file("modules", flavour, arch)],
        check=True,
    )
    return path


class Suite:
    """Tests that share a monitor: fills beds with them and judges what comes back."""

    def __init__(self, arch, tests, vmm, lodge=None):
        self.arch = arch
        self.tests = tests
        self.vmm = vmm
        self.lodge = lodge
        self.archives = {}

    def fill(self, machine, tests):
        """Put what these tests need into a bed, and their jobs."""
        boots = [test for test in tests if not test.program]
        machine.add_file(build.program("drive", self.arch.name), "/bin/drive")
        if self.vmm == "qemu" and boots:
            machine.add_qemu(any(test["describe"] == "acpi" for test in boots))
        elif self.vmm == "lodge" and os.access(self.lodge, os.X_OK):
            machine.add_file(self.lodge, "/bin/lodge")
        for test in tests:
            if test.program:
                self._add_program(machine, test)
            else:
                self._add_boot(machine, test)

    def _add_boot(self, machine, test):
        flavour, image = test["kernel"], test["image"]
        kernel, initrd = f"/guest/{flavour}-{image}", f"/guest/{flavour}.cpio"
        if flavour not in self.archives:
            self.archives[flavour] = checker_archive(flavour, self.arch)
        if not machine.has(initrd):
            machine.add_file(self.archives[flavour], initrd)
        if not machine.has(kernel):
            machine.add_file(kernel_image(self.arch, flavour, image), kernel)
        code = test["code"] if self.vmm == "lodge" else "0"
        limit = round(test.seconds * machine.patience)
        words = ["exec", "drive", "--limit", str(limit), "--code", code]
        if test["console"] == "pipe":
            words.append("--pipe")
        if test["end"] == "button":
            words += ["--button", BUTTON[self.vmm]]
        words += ["--", *monitor_command(test, self.vmm, kernel, initrd, machine.patience)]
        script = shlex.join(words)
        if test["end"] == "button":
            script = f"rm -f /tmp/monitor.*; mkfifo /tmp/monitor.in /tmp/monitor.out\n{script}"
        test.job = machine.add_job(test.name, script, test.seconds + 10)

    def _add_program(self, machine, test):
        words = shlex.split(test.program)
        test.make()
        if test["make"]:
            machine.add_file(test.made, "made")
        for name in [words[0], *shlex.split(test["files"])]:
            machine.add_file(os.path.join(bed.TOP, name), name)
        words[0] = os.path.join(machine.directory, words[0])
        test.job = machine.add_job(test.name, "exec " + shlex.join(words), test.seconds)

    def judge(self, test, trouble):
        """The verdict on one test after its bed has ended."""
        job = test.job
        if job.code is None:
            return Verdict("FAILED", trouble or "the bed never came to it")
        text = job.output.decode(errors="replace")
        if test.program:
            last = text.strip().rsplit("\n", 1)[-1]
            skipped = re.search(r"^SKIP: (.*)", text, re.MULTILINE)
            if skipped:
                return Verdict("FAILED", f"it found no KVM: {skipped[1]}")
            if job.code == 0:
                return Verdict("ok", last)
            return Verdict("FAILED", f"exit code {job.code}: {last}")
        failures = re.findall(r"^check: (.*?): FAIL: (.*)$", text, re.MULTILINE)
        if failures:
            return Verdict("FAILED", "; ".join(f"{name}: {detail}" for name, detail in failures))
        if job.code != 0:
            return Verdict("FAILED", f"the driver's exit code is {job.code}")
        if test.flag("tables"):
            complaint = judge_tables(text)
            if complaint:
                return Verdict("FAILED", complaint)
        return Verdict("ok", f"{len(re.findall(r'^check: .*: ok: ', text, re.MULTILINE))} checks")


def judge_tables(text):
    """Have iasl decompile the tables in a job's output, and compile the DSDT again."""
    tables = collections.defaultdict(str)
    for name, digits in re.findall(r"^table: (\S+) (\S+)$", text, re.MULTILINE):
        tables[name] += digits
    if "DSDT" not in tables:
        return "the guest shows no DSDT"
    with tempfile.TemporaryDirectory() as folder:
        for name, digits in tables.items():
            if name in ("DMI", "smbios_entry_point"):
                continue
            path = os.path.join(folder, f"{name}.dat")
            with open(path, "wb") as file:
                file.write(base64.b64decode(digits))
            complaint = _iasl(folder, "-d", path)
            if complaint:
                return f"iasl on {name}: {complaint}"
        return _iasl(folder, "-ve", os.path.join(folder, "DSDT.dsl"))


def _iasl(folder, option, path):
    done = subprocess.run(
        ["iasl", option, path], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )
    for line in done.stdout.splitlines():
        complains = re.search(r"\b(error|warning|invalid|incorrect|unknown)", line, re.IGNORECASE)
        if complains and "0 Errors, 0 Warnings" not in line:
            return line.strip()
    return "" if done.returncode == 0 else f"exit code {done.returncode}"


def split(tests, count):
    """Deal tests out to beds so that each has about the same to do, in the table's order."""
    shares = [[] for _ in range(count)]
    for test in sorted(tests, key=lambda test: -test.seconds):
        min(shares, key=lambda share: sum(t.seconds for t in share)).append(test)
    order = {id(test): place for place, test in enumerate(tests)}
    return [sorted(share, key=lambda test: order[id(test)]) for share in shares if share]


def run_beds(machines, folders, on_event):
    """Run beds side by side; returns what each had to complain about."""
    troubles = [""] * len(machines)

    def run(place):
        troubles[place] = machines[place].run(folders[place], on_event=on_event)

    places = range(len(machines))
    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return troubles
