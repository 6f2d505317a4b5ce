/*
 * boot/kernel.c - opens a kernel file and says what it is.
 *
 * Order matters where files have two faces: a bzImage with an EFI stub begins like an EFI program,
 * a boot sector like a disk; an ELF file can have a PVH note and a multiboot header.  Of the two
 * the note wins: it promises that the kernel needs no BIOS.
 */
#include "boot/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/sys.h"
#include "boot/identify.h"
#include "boot/recognise.h"

#define EM_386	  3
#define EM_X86_64 62
#define ET_EXEC	  2
#define ET_DYN	  3

#define FOREIGN_HINT                                                                        \
	"KVM runs guests of the host's own architecture only, and the software CPU x86-64 " \
	"guests on x86-64 hosts only: start it on a host of the guest's"

#define RAW_MAX MIB(1) /* real mode reaches no higher */

/* Where the kernel has no word to say about it (its default since 2.6.22, and its default). */
#define CMDLINE_MAX 2047u
#define INITRD_MAX  0x7fffffffu

const char *boot_accepted(enum boot_arch arch)
{
	return arch == BOOT_X86
		       ? "a kernel is a Linux bzImage, an ELF vmlinux, a PVH or a multiboot "
			 "kernel, each compressed or not"
		       : "a kernel is an arm64 Linux Image, an EFI zboot image or an ELF "
			 "vmlinux, each compressed or not";
}

static const char *this_machine(enum boot_arch arch)
{
	return arch == BOOT_X86 ? "this machine is x86-64" : "this machine is arm64";
}

/* "a gzip-compressed file", "an xz-compressed file". */
static const char *packed_file(enum pack p, char *buf, size_t n)
{
	const char *name = pack_name(p);

	snprintf(buf, n, "%s %s-compressed file", name[0] == 'l' || name[0] == 'x' ? "an" : "a",
		 name);
	return buf;
}

static int refuse(const struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
		  struct err *e)
{
	const char *accepted = boot_accepted(img->arch);
	char packed[48] = "";
	struct identity id;

	if (img->outer)
		packed_file(img->outer, packed, sizeof(packed));
	identify(head, n, size, img->arch, &id);
	if (!id.what[0])
		err_set(e, -EINVAL, "is %s%snot a kernel: %s (it begins with %02x %02x %02x %02x)",
			packed, img->outer ? " but " : "", accepted, head[0], n > 1 ? head[1] : 0,
			n > 2 ? head[2] : 0, n > 3 ? head[3] : 0);
	else
		err_set(e, -EINVAL, "is %s%s%s; %s", packed, img->outer ? " that holds " : "",
			id.what, id.foreign ? this_machine(img->arch) : accepted);
	if (id.foreign)
		err_hint(e, "%s", FOREIGN_HINT);
	if (id.hint)
		err_hint(e, "%s", id.hint);
	return -EINVAL;
}

static void describe_elf(struct boot_image *img)
{
	snprintf(img->what, sizeof(img->what), "%s kernel (ELF%s)",
		 img->elf.is64 ? "x86-64" : "i386", img->pvh_entry ? ", PVH" : "");
}

/*
 * An ELF file for x86.  1: usable, 0: another format may fit better, or -errno.
 */
static int recognise_elf(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e)
{
	uint16_t type, machine;
	int r;

	if (!elf_is(head, n) || head[5] != 1)
		return 0;
	type = (uint16_t)(head[16] | head[17] << 8);
	machine = (uint16_t)(head[18] | head[19] << 8);
	if ((machine != EM_386 && machine != EM_X86_64) || (type != ET_EXEC && type != ET_DYN))
		return 0;
	r = elf_parse(&img->elf, head, MIN(n, ELF_HEAD_MAX), size, e);
	if (r)
		return boot_err_about(e, "is an ELF file for x86 that");
	img->mem_end = img->elf.highest;
	img->format = img->elf.is64 ? BOOT_FORMAT_ELF64 : BOOT_FORMAT_ELF32;
	if (src) {
		r = elf_find_pvh(&img->elf, src, &img->pvh_entry, e);
		if (r)
			return r;
	} else {
		img->pvh_unknown = true;
	}
	describe_elf(img);
	if (img->pvh_entry)
		return 1;
	r = boot_recognise_multiboot(img, head, n, size, e);
	if (r)
		return r;
	if (img->elf.program && !img->pvh_unknown)
		return err_set(e, -EINVAL,
			       "is a program for an operating system (ELF), not a kernel; %s",
			       boot_accepted(BOOT_X86));
	if (img->elf.is64 || img->pvh_unknown)
		return 1;
	return err_set(e, -EINVAL,
		       "is a 32-bit ELF file with neither a PVH note nor a multiboot header; %s",
		       boot_accepted(BOOT_X86));
}

int boot_recognise_plain(struct boot_image *img, const uint8_t *head, size_t n, uint64_t size,
			 const struct boot_src *src, struct err *e)
{
	int r;

	img->cmdline_max = CMDLINE_MAX;
	img->initrd_max = INITRD_MAX;
	if (img->arch == BOOT_ARM64) {
		r = boot_recognise_arm64(img, head, n, size, src, e);
		return r ? MIN(r, 0) : refuse(img, head, n, size, e);
	}
	r = boot_recognise_bzimage(img, head, n, size, src, e);
	if (r == 0)
		r = recognise_elf(img, head, n, size, src, e);
	if (r == 0)
		r = boot_recognise_multiboot(img, head, n, size, e);
	if (r == 0)
		return refuse(img, head, n, size, e);
	return r < 0 ? r : 0;
}

/* Unpacks the beginning of a file that is compressed as a whole and recognises that. */
static int recognise_packed(struct boot_image *img, const struct boot_src *src, uint8_t *head,
			    struct err *e)
{
	char what[sizeof(img->what)];
	size_t n;
	int r;

	r = unpack_head(src, 0, src->size, img->outer, head, IDENTIFY_HEAD, &n, e);
	if (r)
		return r;
	if (n == 0)
		return err_set(e, -EINVAL, "is %s that holds nothing; %s",
			       packed_file(img->outer, what, sizeof(what)),
			       boot_accepted(img->arch));
	if (pack_recognise(head, n))
		return err_set(e, -EINVAL, "is compressed twice (%s inside %s); %s",
			       pack_name(pack_recognise(head, n)), pack_name(img->outer),
			       boot_accepted(img->arch));
	r = boot_recognise_plain(img, head, n, n < IDENTIFY_HEAD ? n : UNPACK_MAX, NULL, e);
	if (r)
		return r;
	str_copy(what, sizeof(what), img->what);
	snprintf(img->what, sizeof(img->what), "%.140s, %s", what, pack_name(img->outer));
	return 0;
}

int boot_recognise(struct boot_image *img, const struct boot_src *src, struct err *e)
{
	size_t n = (size_t)MIN(src->size, IDENTIFY_HEAD);
	uint8_t *head = sys_alloc(IDENTIFY_HEAD);
	int r;

	if (!head)
		return err_nomem(e, IDENTIFY_HEAD, "a kernel's beginning");
	r = boot_src_read(src, 0, head, n, e);
	if (!r) {
		img->outer = pack_recognise(head, n);
		r = img->outer ? recognise_packed(img, src, head, e)
			       : boot_recognise_plain(img, head, n, src->size, src, e);
	}
	free(head);
	return r;
}

static int open_image(const char *path, struct boot_image **out, struct err *e)
{
	int r;

	*out = sys_alloc(sizeof(**out));
	if (!*out)
		return err_nomem(e, sizeof(**out), "a kernel");
	r = boot_file_open(&(*out)->file, path, e);
	if (r) {
		boot_image_close(*out);
		*out = NULL;
	}
	return r;
}

int boot_image_open(const char *path, enum boot_arch arch, struct boot_image **out, struct err *e)
{
	struct boot_src src;
	int r;

	r = open_image(path, out, e);
	if (r)
		return r;
	(*out)->arch = arch;
	src = boot_src_file(&(*out)->file);
	r = boot_recognise(*out, &src, e);
	if (r) {
		err_prefix(e, "%s", path);
		boot_image_close(*out);
		*out = NULL;
	}
	return r;
}

int boot_image_open_raw(const char *path, enum boot_arch arch, gpa_t addr, struct boot_image **out,
			struct err *e)
{
	char size[32];
	int r;

	*out = NULL;
	if (arch == BOOT_X86 && addr >= RAW_MAX)
		return err_set(e, -EINVAL,
			       "%s: cannot start at %#llx: real mode reaches addresses below 1 MiB",
			       path, (unsigned long long)addr);
	r = open_image(path, out, e);
	if (r)
		return r;
	(*out)->arch = arch;
	(*out)->format = BOOT_FORMAT_RAW;
	(*out)->raw_addr = addr;
	(*out)->mem_end = addr + (*out)->file.size;
	snprintf((*out)->what, sizeof((*out)->what), "flat %s binary (%s at %#llx)",
		 arch == BOOT_X86 ? "real-mode" : "arm64",
		 str_size((*out)->file.size, size, sizeof(size)), (unsigned long long)addr);
	return 0;
}

void boot_image_close(struct boot_image *img)
{
	if (!img)
		return;
	boot_file_close(&img->file);
	free(img);
}
