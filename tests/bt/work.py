"""Guests that work: initial RAM file systems with Debian's programs for the scripts in work/."""

import glob
import os
import re
import shlex
import subprocess
import tarfile

import arches
import bed

build, initramfs = bed.build, bed.initramfs
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "work")


def _stress(archive):
    """stress-ng as Debian has it, with its libraries."""
    root = arches.fetch(arches.X86, "stress")
    triple = "x86_64-linux-gnu"
    archive.folders = [
        os.path.join(root, folder, triple) for folder in ("lib", "usr/lib")
    ]
    archive.file(os.path.join(root, "usr/bin/stress-ng"), "/usr/bin/stress-ng")
    archive.folders = []
    archive.symlink("/lib64", "lib")


def _source():
    """The folder with what is needed of the kernel's source, unpacked once."""
    top = os.path.join(bed.TOP, "build", "guest", "selftests")
    if os.path.exists(os.path.join(top, "done")):
        return top
    packed = glob.glob(os.path.join(arches.fetch(arches.X86, "linux"), "usr/src/*.tar.xz"))[0]
    wanted = re.compile(r"[^/]*/(tools/testing/selftests/(x86/.*|[^/]*\.h)"
                        r"|arch/x86/include/asm/desc_defs\.h)$")
    with tarfile.open(packed, "r|xz") as tar:
        for member in tar:
            if member.isfile() and wanted.match(member.name):
                member.name = member.name.partition("/")[2]
                tar.extract(member, top)
    with open(os.path.join(top, "done"), "w", encoding="utf-8"):
        pass
    return top


# What a selftest is linked with beside its own file.
EXTRA = {
    "sysret_ss_attrs_64": ["thunks.S"],
    "ptrace_syscall_32": ["raw_syscall_helper_32.S"],
    "test_syscall_vdso_32": ["thunks_32.S"],
    "check_initial_reg_state_32": ["-Wl,-ereal_start"],
    "check_initial_reg_state_64": ["-Wl,-ereal_start", "-static"],
}
BITS = {"64": ["gcc"], "32": ["i686-linux-gnu-gcc", "-static"]}


def _compile(folder, target, bits):
    """The selftests of one word size, as the kernel's own Makefile lists and makes them."""
    with open(os.path.join(folder, "Makefile"), encoding="utf-8") as file:
        lists = dict(re.findall(r"^(TARGETS_C_\w+) := ([^\n]*)$",
                                file.read().replace("\\\n", " "), re.M))
    parts = ("BOTHBITS", f"{bits}BIT_ONLY", "32BIT_NEEDED")
    names = " ".join(lists[f"TARGETS_C_{part}"] for part in parts).split()
    for name in names:
        full = f"{name}_{bits}"
        words = [*BITS[bits], "-O2", "-g", "-std=gnu99", "-pthread", "-no-pie", "-w",
                 "-DCAN_BUILD_32", "-DCAN_BUILD_64", "-o", os.path.join(target, full),
                 f"{name}.c", *EXTRA.get(full, []), "-lrt", "-ldl", "-lm"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise build.BuildError(done.stderr)
    return [f"{name}_{bits}" for name in names]


def _verdict(program):
    """The exit code of a selftest on this machine's own CPU."""
    try:
        return subprocess.run(
            [program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=120, check=False,
        ).returncode & 255
    except subprocess.TimeoutExpired:
        return 124


def _selftests(archive):
    """Linux's tests of x86, built here, and how each of them ends on this machine's CPU."""
    source = _source()
    target = os.path.join(source, "built")
    os.makedirs(target, exist_ok=True)
    folder = os.path.join(source, "tools", "testing", "selftests", "x86")
    names = [name for bits in BITS for name in _compile(folder, target, bits)]
    with open(os.path.join(SCRIPTS, "selftests.differ"), encoding="utf-8") as file:
        rows = [line.split(None, 2) for line in file if line.strip() and line[0] != "#"]
    differ = {name: int(code) for name, code, _ in rows}
    wanted = ""
    for name in names:
        archive.file(os.path.join(target, name), f"/selftests/{name}", 0o755)
        wanted += f"{name} {differ.get(name, _verdict(os.path.join(target, name)))}\n"
    archive.data("/job/wanted", wanted.encode())


# What each script needs beyond busybox.
NEEDS = {"stress": (_stress,), "trace": (_stress,), "selftests": (_selftests,)}


def archive(words):
    """The initial RAM file system for a line of the key "work"; the path of a file."""
    name = shlex.split(words)[0]
    if name not in NEEDS:
        raise bed.BedError(f"work = {words}: there is no {name} in {SCRIPTS}")
    content = initramfs.Archive()
    content.skeleton()
    content.busybox(initramfs.find_busybox())
    content.file(os.path.join(SCRIPTS, "init"), "/init", 0o755)
    content.file(os.path.join(SCRIPTS, "known"), "/job/known")
    content.file(os.path.join(SCRIPTS, name), f"/job/{name}", 0o755)
    for need in NEEDS[name]:
        need(content)
    path = os.path.join(bed.TOP, "build", "guest", "x86", f"work-{name}.cpio")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    content.write(path)
    return path


def parameter(words):
    """What says it to the guest's /init."""
    return "lodge.work=" + ",".join(shlex.split(words))
