/*
 * boot/arm64/load.c - plans where everything goes, then puts it there.
 *
 * The plan needs no VM: boot_arm64_check makes it and throws it away.  What is inside a file that
 * is compressed as a whole was learned from its first kilobytes when it was opened, so that an
 * Image is unpacked straight into the guest's memory, with the size that its header says as the
 * bound.
 */
#include "boot/arm64/load.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "boot/arm64/efi.h"
#include "boot/copy.h"
#include "boot/recognise.h"

#define KERNEL_ALIGN MIB(2)
#define FDT_ROOM     MIB(2) /* a block of it, so that it is mapped with nothing else */
#define INITRD_ALIGN KIB(64)
#define INITRD_MAX   (UINT64_C(1) << 46)
/* Kernel and initrd are within one window of 32 GiB, and tables near to them [booting.rst]. */
#define TOP_MAX GIB(4)

/* Where everything goes.  tables and initrd are 0 if there are none. */
struct plan {
	gpa_t kernel; /* the Image's first byte; for an ELF file: what is added to its addresses */
	gpa_t kernel_end;
	gpa_t initrd, dtb, tables;
	uint64_t initrd_len, tables_len;
};

/* RAM that is one piece with the first memory of the board. */
static uint64_t ram_len(const struct arm64_board *b)
{
	uint64_t len = b->memory[0].len;

	for (unsigned i = 1; i < b->n_memory && b->memory[i].base == b->memory[0].base + len; i++)
		len += b->memory[i].len;
	return len;
}

/* Where RAM ends at least, if everything is as low as it can be. */
static gpa_t lowest_top(const struct plan *plan)
{
	/* No VM has that much: a bound against an overflow by sparse files. */
	uint64_t initrd_len = MIN(plan->initrd_len, INITRD_MAX);
	gpa_t at = ALIGN_UP(plan->kernel_end, INITRD_ALIGN);

	at = ALIGN_UP(at + initrd_len, FDT_ROOM) + FDT_ROOM;
	return ALIGN_UP(at + plan->tables_len, EFI_ALIGN);
}

static int refuse_memory(const struct boot_arm64_params *p, const struct plan *plan, struct err *e)
{
	uint64_t need = lowest_top(plan) - p->board->memory[0].base;
	char has[32];

	err_set(e, -ENOMEM, "%s at least %llu MiB of memory, the VM has %s",
		plan->initrd_len ? "needs, with its initrd," : "needs",
		(unsigned long long)(ALIGN_UP(need, MIB(1)) >> 20),
		str_size(ram_len(p->board), has, sizeof(has)));
	return err_hint(e, "give it more with --memory");
}

static int place_kernel(const struct boot_arm64_params *p, struct plan *plan, struct err *e)
{
	const struct boot_image *img = p->image;
	gpa_t base = p->board->memory[0].base, start = ALIGN_UP(base, KERNEL_ALIGN);

	if (img->format == BOOT_FORMAT_ELF64 && !img->elf.high) {
		plan->kernel = 0;
		plan->kernel_end = img->elf.highest;
		if (img->elf.lowest < base)
			return err_set(e, -EINVAL,
				       "wants to be at %#llx, RAM of this machine begins at %#llx",
				       (unsigned long long)img->elf.lowest,
				       (unsigned long long)base);
		return 0;
	}
	plan->kernel = start + img->arm64.text_offset;
	plan->kernel_end = start + img->mem_end;
	if (img->format == BOOT_FORMAT_ELF64)
		plan->kernel -= img->elf.lowest;
	return 0;
}

/* From the top: tables, device tree, initrds.  What is left below is the kernel's. */
static int place_rest(const struct boot_arm64_params *p, struct plan *plan, struct err *e)
{
	gpa_t base = p->board->memory[0].base;
	gpa_t end = ALIGN_DOWN(base + MIN(ram_len(p->board), TOP_MAX), EFI_ALIGN);

	if (lowest_top(plan) > end)
		return refuse_memory(p, plan, e);
	end -= plan->tables_len;
	plan->tables = plan->tables_len ? end : 0;
	plan->dtb = end = ALIGN_DOWN(end - FDT_ROOM, FDT_ROOM);
	if (plan->initrd_len)
		plan->initrd = ALIGN_DOWN(end - plan->initrd_len, INITRD_ALIGN);
	return 0;
}

static int tables_len(const struct boot_arm64_params *p, uint64_t *len, struct err *e)
{
	struct efi_image efi;
	int r;

	*len = 0;
	if (!p->acpi)
		return 0;
	if (p->dtb)
		return err_set(e, -EINVAL,
			       "the machine is described by ACPI or by a device tree of the user, "
			       "not by both");
	r = efi_build(p->board, p->smbios, 0, &efi, e);
	if (r)
		return r;
	*len = efi.block.len;
	efi_image_exit(&efi);
	return 0;
}

static int plan_all(const struct boot_arm64_params *p, struct plan *plan, struct err *e)
{
	const struct boot_image *img = p->image;
	size_t n = p->cmdline ? strlen(p->cmdline) : 0;
	int r;

	*plan = (struct plan){.initrd_len = boot_initrds_len(p->initrd, p->n_initrds)};
	r = arm64_board_check(p->board, e);
	if (!r)
		r = tables_len(p, &plan->tables_len, e);
	if (r)
		return r;
	if (n > img->cmdline_max) {
		err_set(e, -E2BIG,
			"takes a command line of at most %u characters, this one has %zu",
			img->cmdline_max, n);
		return err_prefix(e, "%s", img->file.path);
	}
	r = place_kernel(p, plan, e);
	if (!r)
		r = place_rest(p, plan, e);
	return r ? err_prefix(e, "%s", img->file.path) : 0;
}

/* A tree for the check alone: what cannot be written is refused before there is a VM. */
static int check_fdt(const struct boot_arm64_params *p, struct err *e)
{
	struct fdt_chosen c = {.cmdline = p->cmdline};
	struct fdt_blob dtb;
	int r;

	if (p->dtb)
		r = fdt_patch(p->dtb, p->board->memory, p->board->n_memory, &c, &dtb, e);
	else
		r = fdt_build_arm64(p->board, &c, &dtb, e);
	fdt_blob_exit(&dtb);
	return r;
}

int boot_arm64_check(const struct boot_arm64_params *p, struct err *e)
{
	struct plan plan;
	int r = plan_all(p, &plan, e);

	return r ? r : check_fdt(p, e);
}

/* Unpacks an Image to where it runs. */
static int unpack_image(struct as *mem, const struct boot_image *img, struct boot_src *src,
			const struct plan *plan, enum pack pack, struct err *e)
{
	const struct boot_arm64_image *a = &img->arm64;
	uint64_t off = img->format == BOOT_FORMAT_ZBOOT ? a->payload_off : 0;
	uint64_t len = img->format == BOOT_FORMAT_ZBOOT ? a->payload_len : src->size;
	uint64_t room = plan->kernel_end - plan->kernel, start = sys_now_ns();
	struct iovec iov;
	size_t n;
	int r;

	if (as_iov(mem, plan->kernel, room, true, &iov, 1) != 1)
		return err_set(e, -EFAULT, "needs %llu bytes of memory in one piece at %#llx",
			       (unsigned long long)room, (unsigned long long)plan->kernel);
	r = unpack(src, off, len, pack, iov.iov_base, room, &n, e);
	if (r)
		return r;
	TRACE(boot_unpack, "%zu bytes of %s to %#llx in %llu us", n, pack_name(pack),
	      (unsigned long long)plan->kernel, (unsigned long long)(sys_now_ns() - start) / 1000);
	*src = boot_src_mem(iov.iov_base, n);
	return 0;
}

/* What was learned of a packed Image's beginning must be true of the whole. */
static int check_unpacked(const struct boot_image *img, const struct boot_src *src, struct err *e)
{
	struct boot_image now = {.arch = BOOT_ARM64, .outer = img->outer};
	int r = boot_recognise_plain(&now, src->mem, (size_t)MIN(src->size, KIB(64)), src->size,
				     src, e);

	if (r)
		return r;
	if (now.format != BOOT_FORMAT_IMAGE || now.arm64.text_offset != img->arm64.text_offset ||
	    now.arm64.image_size != img->arm64.image_size)
		return err_set(e, -ESTALE, "was changed while it was read");
	return 0;
}

static int load_image(struct as *mem, const struct boot_image *img, const struct plan *plan,
		      struct err *e)
{
	enum pack pack = img->format == BOOT_FORMAT_ZBOOT ? img->arm64.pack : img->outer;
	struct boot_src src = boot_src_file(&img->file);
	uint64_t room = plan->kernel_end - plan->kernel;
	int r;

	if (!pack)
		return boot_copy(mem, plan->kernel, &src, 0, MIN(src.size, room), e);
	r = unpack_image(mem, img, &src, plan, pack, e);
	return r ? r : check_unpacked(img, &src, e);
}

static int load_elf(struct as *mem, const struct boot_image *img, const struct plan *plan,
		    struct err *e)
{
	struct boot_src src = boot_src_file(&img->file);
	struct boot_image inner;
	void *buf = NULL;
	int r;

	if (!img->outer)
		return boot_copy_segments(mem, &src, &img->elf, plan->kernel, e);
	r = boot_unfold(img, &src, &inner, &buf, e);
	if (!r && (inner.format != img->format || inner.mem_end != img->mem_end ||
		   inner.elf.entry != img->elf.entry || inner.elf.high != img->elf.high ||
		   inner.elf.lowest != img->elf.lowest))
		r = err_set(e, -ESTALE, "was changed while it was read");
	if (!r)
		r = boot_copy_segments(mem, &src, &inner.elf, plan->kernel, e);
	boot_fold(buf);
	return r;
}

static int load_kernel(struct as *mem, const struct boot_image *img, const struct plan *plan,
		       struct boot_arm64_entry *entry, struct err *e)
{
	int r;

	switch (img->format) {
	case BOOT_FORMAT_IMAGE:
	case BOOT_FORMAT_ZBOOT:
		r = load_image(mem, img, plan, e);
		entry->pc = plan->kernel;
		break;
	case BOOT_FORMAT_ELF64:
		r = load_elf(mem, img, plan, e);
		entry->pc = plan->kernel + img->elf.entry;
		break;
	default: r = err_set(e, -EINVAL, "is of a format that cannot be entered"); break;
	}
	return r ? err_prefix(e, "%s", img->file.path) : 0;
}

static int load_tables(struct as *mem, const struct boot_arm64_params *p, const struct plan *plan,
		       struct fdt_efi *fdt, struct err *e)
{
	struct efi_image efi;
	int r;

	if (!plan->tables)
		return 0;
	r = efi_build(p->board, p->smbios, plan->tables, &efi, e);
	if (r)
		return r;
	*fdt = efi.fdt;
	if (as_write(mem, plan->tables, efi.block.s, efi.block.len) != IO_OK)
		r = err_set(e, -EFAULT, "ACPI tables need memory at %#llx, where the VM has none",
			    (unsigned long long)plan->tables);
	efi_image_exit(&efi);
	return r;
}

static int fill_seeds(struct fdt_chosen *c, struct err *e)
{
	uint8_t random[sizeof(c->kaslr_seed) + FDT_SEED_MAX];

	if (fault_hit("getrandom") || getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, -EIO, "no random numbers for the guest");
	memcpy(&c->kaslr_seed, random, sizeof(c->kaslr_seed));
	memcpy(c->rng_seed, random + sizeof(c->kaslr_seed), FDT_SEED_MAX);
	c->rng_seed_len = FDT_SEED_MAX;
	return 0;
}

static int load_fdt(struct as *mem, const struct boot_arm64_params *p, const struct plan *plan,
		    struct fdt_chosen *c, struct err *e)
{
	struct fdt_blob dtb;
	int r;

	if (p->acpi)
		r = fdt_build_chosen(c, &dtb, e);
	else if (p->dtb)
		r = fdt_patch(p->dtb, p->board->memory, p->board->n_memory, c, &dtb, e);
	else
		r = fdt_build_arm64(p->board, c, &dtb, e);
	if (r)
		return r;
	if (as_write(mem, plan->dtb, dtb.data, dtb.len) != IO_OK)
		r = err_set(e, -EFAULT,
			    "the device tree needs memory at %#llx, where the VM has none",
			    (unsigned long long)plan->dtb);
	fdt_blob_exit(&dtb);
	return r;
}

int boot_arm64_load(struct as *mem, const struct boot_arm64_params *p,
		    struct boot_arm64_entry *entry, struct err *e)
{
	struct fdt_chosen chosen = {.cmdline = p->cmdline};
	struct plan plan = {0};
	int r = boot_files_check(p->image, p->initrd, p->n_initrds, e);

	if (!r)
		r = plan_all(p, &plan, e);
	if (!r && !p->no_seeds)
		r = fill_seeds(&chosen, e);
	if (!r)
		r = load_kernel(mem, p->image, &plan, entry, e);
	if (!r && plan.initrd_len)
		r = boot_copy_initrds(mem, plan.initrd, p->initrd, p->n_initrds, e);
	if (!r)
		r = load_tables(mem, p, &plan, &chosen.efi, e);
	if (r)
		return r;
	chosen.initrd = plan.initrd;
	chosen.initrd_len = plan.initrd_len;
	entry->dtb = plan.dtb;
	TRACE(boot_arm64, "kernel %#llx, initrd %#llx, device tree %#llx, tables %#llx",
	      (unsigned long long)entry->pc, (unsigned long long)plan.initrd,
	      (unsigned long long)plan.dtb, (unsigned long long)plan.tables);
	return load_fdt(mem, p, &plan, &chosen, e);
}

int boot_arm64_check_raw(const struct boot_image *img, gpa_t base, uint64_t len, struct err *e)
{
	gpa_t at = img->raw_addr;
	char has[32];

	if (at % 4)
		return err_set(e, -EINVAL, "%s: cannot start at %#llx: not a multiple of 4",
			       img->file.path, (unsigned long long)at);
	if (at >= base && img->file.size <= len && at - base <= len - img->file.size)
		return 0;
	return err_set(e, -EINVAL, "%s: cannot be at %#llx: RAM of this machine is %s at %#llx",
		       img->file.path, (unsigned long long)at, str_size(len, has, sizeof(has)),
		       (unsigned long long)base);
}

int boot_arm64_load_raw(struct as *mem, const struct boot_image *img, struct err *e)
{
	struct boot_src src = boot_src_file(&img->file);
	int r = boot_files_check(img, NULL, 0, e);

	if (r)
		return r;
	r = boot_copy(mem, img->raw_addr, &src, 0, img->file.size, e);
	return r ? err_prefix(e, "%s", img->file.path) : 0;
}
