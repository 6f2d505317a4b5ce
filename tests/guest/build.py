"""Compile the programs of tests/guest and the bed's own, statically, into build/guest."""

import os
import platform
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

CHECKER = ("check.c", "clock.c", "console.c", "end.c", "kmsg.c", "system.c")
FLAGS = (
    "-std=c17 -D_GNU_SOURCE -O2 -g -static -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes "
    "-Wmissing-prototypes -Wimplicit-fallthrough -Wvla -Wundef -Wwrite-strings -Wformat=2 "
    "-Wconversion -Werror"
).split()
COMPILERS = {
    "x86": "x86_64-linux-gnu-gcc", "i386": "i686-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc",
}
FOLDERS = {"i386": "x86"}  # with the sources of another architecture


class BuildError(Exception):
    """The compiler refuses; the text is what it says."""


def program(name, arch="x86"):
    """Build one program if it is older than its sources; returns its path."""
    sources = {
        "check": CHECKER + (f"{FOLDERS.get(arch, arch)}/counter.c",),
        "drive": ("drive.c",),
        "tsc-khz": ("../nested/tsc-khz.c",),
    }[name]
    paths = [os.path.join(HERE, source) for source in sources]
    folder = os.path.join(TOP, "build", "guest", arch)
    target = os.path.join(folder, name)
    parts = paths + [os.path.join(HERE, header) for header in ("check.h", "stream.h")]
    if not os.path.exists(target) or any(
        os.path.getmtime(part) > os.path.getmtime(target) for part in parts
    ):
        os.makedirs(folder, exist_ok=True)
        if COMPILERS[arch].startswith(platform.machine()):
            compiler = os.environ.get("CC", "gcc")
        else:
            compiler = COMPILERS[arch]
        scratch = f"{target}.{os.getpid()}"
        done = subprocess.run(
            [compiler, *FLAGS, "-o", scratch, *paths],
            stderr=subprocess.PIPE, text=True, check=False,
        )
        if done.returncode:
            raise BuildError(done.stderr)
        os.replace(scratch, target)
    return target
