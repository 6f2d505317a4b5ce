/*
 * boot/identify.c - names files that are not kernels.
 */
#include "boot/identify.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"
#include "boot/elf.h"

#define HINT_INITRD  "an initrd is given with --initrd, beside a kernel"
#define HINT_PACKAGE "take the kernel out of it: dpkg-deb -x FILE DIR, then DIR/boot/vmlinuz-*"

/* What a few bytes at a fixed place tell.  The first match wins. */
static const struct mark {
	uint32_t off;
	uint8_t len;
	const char *bytes;
	const char *what, *hint;
	bool foreign;
} marks[] = {
	{56, 4, "ARM\x64", "an arm64 Linux kernel (Image)", NULL, true},
	{56, 4, "RSC\x05", "a RISC-V Linux kernel (Image)", NULL, true},
	{0x24, 4, "\x18\x28\x6f\x01", "a 32-bit arm Linux kernel (zImage)", NULL, true},
	{0, 6, "070701", "a cpio archive (an initrd)", HINT_INITRD, false},
	{0, 6, "070702", "a cpio archive (an initrd)", HINT_INITRD, false},
	{0, 6, "070707", "a cpio archive (an initrd)", HINT_INITRD, false},
	{0, 4, "QFI\xfb", "a qcow2 disk image", NULL, false},
	{0, 4, "KDMV", "a VMDK disk image", NULL, false},
	{0, 8, "vhdxfile", "a VHDX disk image", NULL, false},
	{0, 8, "conectix", "a VHD disk image", NULL, false},
	{0x40, 4, "\x7f\x10\xda\xbe", "a VDI disk image", NULL, false},
	{0, 6, "LUKS\xba\xbe", "a LUKS encrypted disk", NULL, false},
	{0x8001, 5, "CD001", "an ISO 9660 disk image", NULL, false},
	{512, 8, "EFI PART", "a disk image with a GPT partition table", NULL, false},
	{0, 4, "XFSB", "an XFS file system image", NULL, false},
	{0, 4, "hsqs", "a squashfs file system image", NULL, false},
	{0x400, 4, "\xe2\xe1\xf5\xe0", "an EROFS file system image", NULL, false},
	{0x10040, 8, "_BHRfS_M", "a btrfs file system image", NULL, false},
	{0x36, 5, "FAT12", "a FAT file system image", NULL, false},
	{0x36, 5, "FAT16", "a FAT file system image", NULL, false},
	{0x52, 5, "FAT32", "a FAT file system image", NULL, false},
	{3, 4, "NTFS", "an NTFS file system image", NULL, false},
	{0, 21, "!<arch>\ndebian-binary", "a Debian package", HINT_PACKAGE, false},
	{0, 8, "!<arch>\n", "an ar archive", NULL, false},
	{0, 4, "\xed\xab\xee\xdb", "an RPM package", NULL, false},
	{257, 5, "ustar", "a tar archive", NULL, false},
	{0, 4, "PK\3\4", "a zip archive", NULL, false},
	{0, 4, "\xd0\x0d\xfe\xed", "a device tree or FIT image", NULL, false},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot image (uImage)", NULL, false},
	{0, 8, "ANDROID!", "an Android boot image", NULL, false},
	{40, 4, "_FVH", "a UEFI firmware image", NULL, false},
	{0, 5, "%PDF-", "a PDF document", NULL, false},
};

static bool at(const uint8_t *head, size_t n, size_t off, const char *bytes, size_t len)
{
	return n >= off + len && !memcmp(head + off, bytes, len);
}

static void set(struct identity *id, const char *what, const char *hint)
{
	str_copy(id->what, sizeof(id->what), what);
	id->hint = hint;
}

static const char *pe_machine(uint16_t m)
{
	switch (m) {
	case 0x014c: return "i386";
	case 0x8664: return "x86-64";
	case 0x01c0:
	case 0x01c2:
	case 0x01c4: return "arm";
	case 0xaa64: return "arm64";
	case 0x5064: return "RISC-V";
	case 0x6264: return "LoongArch";
	default: return "an unknown machine";
	}
}

/* Linux for other architectures, by headers that are not at a fixed place or need a second look. */
static bool identify_linux(const uint8_t *head, size_t n, enum boot_arch arch, struct identity *id)
{
	uint32_t pe;

	if (at(head, n, 0, "MZ\0\0zimg", 8)) {
		pe = n >= 64 ? le32_load(head + 60) : UINT32_MAX;
		snprintf(id->what, sizeof(id->what), "an EFI zboot kernel image for %s",
			 pe_machine(pe <= n && n - pe >= 6 ? le16_load(head + pe + 4) : 0));
		id->foreign = true;
		return true;
	}
	/* On x86 it was looked at before, and is something else that happens to look so. */
	if (arch != BOOT_X86 && at(head, n, 0x1fe, "\x55\xaa", 2) &&
	    at(head, n, 0x202, "HdrS", 4)) {
		set(id, "an x86 Linux kernel (bzImage)", NULL);
		id->foreign = true;
		return true;
	}
	return false;
}

/* MZ: an EFI or Windows program says more at the offset in its last header word. */
static bool identify_pe(const uint8_t *head, size_t n, struct identity *id)
{
	uint32_t pe;

	if (!at(head, n, 0, "MZ", 2) || n < 64)
		return false;
	pe = le32_load(head + 60);
	if (pe > n || n - pe < 94 || memcmp(head + pe, "PE\0\0", 4) != 0) {
		set(id, "a DOS program", NULL);
		return true;
	}
	/* Subsystem, in the optional header; 10 to 13 are EFI's [PE format]. */
	snprintf(id->what, sizeof(id->what), "%s for %s (PE)",
		 head[pe + 92] >= 10 && head[pe + 92] <= 13 ? "an EFI program"
							    : "a Windows program",
		 pe_machine(le16_load(head + pe + 4)));
	id->hint = "EFI programs need firmware, which this machine does not have";
	return true;
}

static bool identify_elf(const uint8_t *head, size_t n, enum boot_arch arch, struct identity *id)
{
	static const char *const types[] = {"file", "object file (a kernel module?)", "program",
					    "program or shared library", "core dump"};
	uint16_t type, machine;
	char name[24];

	if (!elf_is(head, n))
		return false;
	type = head[5] == 2 ? be16_load(head + 16) : le16_load(head + 16);
	machine = head[5] == 2 ? be16_load(head + 18) : le16_load(head + 18);
	snprintf(id->what, sizeof(id->what), "an ELF %s for %s",
		 types[type < ARRAY_LEN(types) ? type : 0],
		 elf_machine_name(machine, name, sizeof(name)));
	id->foreign = arch == BOOT_X86 ? machine != 62 && machine != 3 : machine != 183;
	return true;
}

/* The first line, as far as it is printable. */
static bool identify_script(const uint8_t *head, size_t n, struct identity *id)
{
	size_t len = 0;

	if (!at(head, n, 0, "#!", 2))
		return false;
	while (len < n && len < 40 && isprint(head[len]))
		len++;
	snprintf(id->what, sizeof(id->what), "a script (%.*s)", (int)len, (const char *)head);
	return true;
}

/* A boot sector with a partition table: each entry is unused or has a sane active flag. */
static bool identify_mbr(const uint8_t *head, size_t n, struct identity *id)
{
	unsigned used = 0;

	if (!at(head, n, 510, "\x55\xaa", 2))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = head + 446 + 16 * i;

		if (p[0] != 0 && p[0] != 0x80)
			used += 8;
		if (p[4])
			used++;
	}
	set(id,
	    used >= 1 && used <= 4 ? "a disk image with an MBR partition table" : "a boot sector",
	    "a flat real-mode binary is started with --raw FILE");
	return true;
}

static bool identify_text(const uint8_t *head, size_t n, struct identity *id)
{
	for (size_t i = 0; i < n; i++) {
		if (head[i] != '\t' && head[i] != '\n' && head[i] != '\r' && head[i] != 0x1b &&
		    (head[i] < 0x20 || head[i] == 0x7f))
			return false;
	}
	set(id, "a text file", NULL);
	return true;
}

static bool identify_zeros(const uint8_t *head, size_t n, uint64_t size, struct identity *id)
{
	for (size_t i = 0; i < n; i++) {
		if (head[i])
			return false;
	}
	if (n == size)
		set(id, "a file of zeros only", NULL);
	else
		snprintf(id->what, sizeof(id->what), "a file that begins with %zu zeros", n);
	return true;
}

void identify(const uint8_t *head, size_t n, uint64_t size, enum boot_arch arch,
	      struct identity *id)
{
	*id = (struct identity){0};
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		const struct mark *m = &marks[i];

		if (at(head, n, m->off, m->bytes, m->len)) {
			set(id, m->what, m->hint);
			id->foreign = m->foreign;
			return;
		}
	}
	if (at(head, n, 0x438, "\x53\xef", 2)) {
		set(id, "an ext4 file system image", NULL);
		return;
	}
	if (identify_linux(head, n, arch, id) || identify_pe(head, n, id) ||
	    identify_elf(head, n, arch, id) || identify_script(head, n, id) ||
	    identify_zeros(head, n, size, id) || identify_mbr(head, n, id) ||
	    identify_text(head, n, id))
		return;
}
