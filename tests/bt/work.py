"""Guests that work: initial RAM file systems with Debian's programs for the scripts in work/."""

import os
import shlex

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


# What each script needs beyond busybox.
NEEDS = {"stress": (_stress,), "trace": (_stress,)}


def archive(words):
    """The initial RAM file system for a line of the key "work"; the path of a file."""
    name = shlex.split(words)[0]
    if name not in NEEDS:
        raise bed.BedError(f"work = {words}: there is no {name} in {SCRIPTS}")
    content = initramfs.Archive()
    content.skeleton()
    content.busybox(initramfs.find_busybox())
    content.file(os.path.join(SCRIPTS, "init"), "/init", 0o755)
    content.file(os.path.join(SCRIPTS, "known"), "/work/known")
    content.file(os.path.join(SCRIPTS, name), f"/work/{name}", 0o755)
    for need in NEEDS[name]:
        need(content)
    path = os.path.join(bed.TOP, "build", "guest", "x86", f"work-{name}.cpio")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    content.write(path)
    return path


def parameter(words):
    """What says it to the guest's /init."""
    return "lodge.work=" + ",".join(shlex.split(words))
