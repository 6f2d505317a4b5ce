"""Heads of boot images, as the tests of messages and of faults need them."""

import struct


def elf(machine, bits=64, kind=2):
    """A 64- or 32-bit ELF header for a machine number, with nothing behind it."""
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1, 1]) + bytes(9)
    if bits == 64:
        rest = (kind, machine, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)
        return ident + struct.pack("<HHIQQQIHHHHHH", *rest)
    return ident + struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, 0, 0, 0, 0, 52, 32, 0, 40, 0, 0)


def bzimage(protocol=0x20F, length=0x40A00):
    """A Linux x86 image without a payload of ours to unpack, cut after length bytes."""
    b = bytearray(0x40A00)
    b[0x1F1] = 4  # sectors of setup code
    struct.pack_into("<I", b, 0x1F4, (len(b) - 0xA00) // 16)
    b[0x1FE:0x200] = b"\x55\xaa"
    b[0x200:0x202] = b"\xeb\x66"
    b[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", b, 0x206, protocol)
    b[0x211] = 1  # loaded high
    struct.pack_into("<IIB", b, 0x22C, 0x7FFFFFFF, 0x200000, 1)  # initrd limit, alignment, movable
    struct.pack_into("<HI", b, 0x236, 1, 2047)  # has a 64-bit entry, longest command line
    struct.pack_into("<QI", b, 0x258, 0x1000000, 0x1800000)  # likes to be at 16 MiB, needs 24 MiB
    return bytes(b[:length])


def arm64_image():
    """The head of a Linux arm64 Image [Documentation/arm64/booting.rst]."""
    b = bytearray(4096)
    b[0x38:0x3C] = b"ARM\x64"
    return bytes(b)


def riscv_image():
    """The head of a Linux RISC-V Image [Documentation/riscv/boot-image-header.rst]."""
    b = bytearray(4096)
    b[0x30:0x38] = b"RISCV\0\0\0"
    b[0x38:0x3C] = b"RSC\x05"
    return bytes(b)
