"""What differs between the architectures for the nested bed: one `Arch` each, in ARCHES.

A bed's host is written MODEL[,gic=2|3][,mode=nvhe|protected]: QEMU's CPU model, the version of the
interrupt controller, and what kvm-arm.mode= is to be on L1's command line (arm64 only).
"""

import collections
import os
import platform
import shutil
import subprocess

import build
import initramfs

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

Arch = collections.namedtuple(
    "Arch",
    "name debian machine qemu package machines hosts memory modules console report channel "
    "questions images data jobs baseline limit",
)

X86 = Arch(
    name="x86",
    debian="amd64",
    machine="x86_64",
    qemu="qemu-system-x86_64",
    package="qemu-system-x86",
    machines=lambda gic: ["-M", "pc"],
    hosts=("EPYC",),
    memory="2G",
    modules=("irqbypass", "kvm", "kvm-amd"),
    console="ttyS0",
    report="/dev/ttyS1",
    channel=("-serial", "stdio"),
    questions=("info registers", "info pic", "info lapic"),
    images={"bzImage": "vmlinuz", "vmlinux": "vmlinux"},
    data=("bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin"),
    jobs="jobs",
    baseline="baseline",
    limit=240,
)

# KVM is part of Debian's arm64 kernels, so the modules here are those of the report channel: the
# virt machine has one serial port, and the kernel's messages go there.
ARM64 = Arch(
    name="arm64",
    debian="arm64",
    machine="aarch64",
    qemu="qemu-system-aarch64",
    package="qemu-system-arm",
    machines=lambda gic: ["-M", f"virt,virtualization=on,gic-version={gic}"],
    hosts=("cortex-a57", "neoverse-n1"),
    memory="1G",
    modules=("virtio_ring", "virtio", "virtio_mmio", "virtio_console"),
    console="ttyAMA0",
    report="/dev/vport0p1",
    channel=(
        "-chardev", "stdio,id=report,signal=off", "-device", "virtio-serial-device",
        "-device", "virtserialport,chardev=report",
    ),
    questions=("info registers",),
    images={"Image": "vmlinuz"},
    data=(),
    jobs="jobs.arm64",
    baseline="baseline.arm64",
    limit=400,
)

# 32-bit guests of x86 machines; the nested bed has none, tests/bt has.
I386 = X86._replace(name="i386", debian="i386", machine="i686")

ARCHES = {arch.name: arch for arch in (X86, ARM64)}
FIRMWARE = "/usr/share/firmware.fd"
HOST = {"x86_64": "x86", "aarch64": "arm64"}.get(platform.machine(), "x86")


def parse_host(text):
    """(model, GIC version, more kernel parameters) of a host; ValueError says what is wrong."""
    model, *words = text.split(",")
    gic, append = "3", ""
    for word in words:
        key, _, value = word.partition("=")
        if key == "gic" and value in ("2", "3"):
            gic = value
        elif key == "mode" and value in ("nvhe", "protected"):
            append = f" kvm-arm.mode={value}"
        else:
            raise ValueError(f"{text}: {word} is neither gic=2|3 nor mode=nvhe|protected")
    return model, gic, append


def fetch(arch, name):
    """The folder of a set of programs for an architecture, by way of tools/guest/fetch-programs."""
    tool = os.path.join(TOP, "tools", "guest", "fetch-programs")
    done = subprocess.run(
        [tool, "--arch", arch.debian, name], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise initramfs.Missing(f"{name} for {arch.name} is not to be had")
    return done.stdout.strip()


def find_busybox(arch):
    """A statically linked busybox that runs on an architecture."""
    if arch.name == HOST:
        return initramfs.find_busybox()
    return os.path.join(fetch(arch, "busybox"), "bin", "busybox")


def library_folders(arch):
    """Where libraries of programs for another architecture are; none for this machine's own."""
    if arch.name == HOST:
        return []
    triple = f"{arch.machine}-linux-gnu"
    sysroot = os.path.join(TOP, "build", f"sysroot-{arch.name}")
    if not os.path.exists(os.path.join(sysroot, ".done")):
        tool = os.path.join(TOP, "tools", "cross-sysroot")
        if subprocess.run([tool, arch.name, sysroot], check=False).returncode:
            raise initramfs.Missing(f"the libraries for {arch.name} are not to be had")
    return [
        os.path.join(sysroot, "usr", "lib", triple), os.path.join(sysroot, "lib", triple),
        f"/usr/{triple}/lib",
    ]


def emulator(arch):
    """The words that run a program of another architecture on this machine."""
    if arch.name == HOST:
        return []
    program = shutil.which(f"qemu-{arch.machine}-static")
    if not program:
        raise initramfs.Missing(
            f"qemu-{arch.machine}-static: not found (Debian: qemu-user-static)"
        )
    return [program]


def clock_parameters(arch):
    """What L1's kernel must be told about the host's clocks."""
    if arch is not X86 or platform.machine() != "x86_64":
        return ""
    done = subprocess.run([build.program("tsc-khz")], stdout=subprocess.PIPE, text=True, check=True)
    # no_timer_check: on a busy host the test of the timer fails by chance, and the kernel panics.
    return f" tsc_early_khz={done.stdout.strip()} no_timer_check"


def add_qemu(archive, arch, target):
    """Put QEMU with its libraries and the small parts of its data into an archive."""
    if arch.name == HOST:
        archive.file(shutil.which(arch.qemu), target)
        data = ("/usr/share/qemu", "/usr/share/seabios")
    else:
        root = fetch(arch, "qemu")
        triple = f"{arch.machine}-linux-gnu"
        more = [os.path.join(root, "usr", "lib", triple), os.path.join(root, "lib", triple)]
        archive.folders = more + library_folders(arch)
        archive.file(os.path.join(root, "usr", "bin", arch.qemu), target)
        archive.folders = library_folders(arch)
        data = (os.path.join(root, "usr", "share", "qemu"),)
    for name in arch.data:
        for folder in data:
            if os.path.exists(os.path.join(folder, name)):
                archive.file(os.path.join(folder, name), f"/usr/share/qemu/{name}")
                break


def add_firmware(archive, arch):
    """Put EDK2 for QEMU's virt machine into an archive, as FIRMWARE."""
    root = fetch(arch, "firmware")
    archive.file(os.path.join(root, "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"), FIRMWARE)
