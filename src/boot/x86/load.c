/*
 * boot/x86/load.c - plans where everything goes, then puts it there.
 *
 * The plan needs no VM: boot_x86_check makes it and throws it away, so that what is refused is
 * refused at once.  boot_x86_load makes it again, with random numbers if they are asked for, and
 * with what only the unpacked file tells.
 */
#include "boot/x86/load.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/trace.h"
#include "boot/copy.h"
#include "boot/x86/kaslr.h"
#include "boot/x86/load_impl.h"

#define BDA_EBDA   0x40e /* segment of the extended BIOS data area */
#define BDA_MEMORY 0x413 /* KiB of RAM below it */

int boot_put(struct boot_load *l, gpa_t addr, const void *data, uint64_t len, struct err *e)
{
	if (as_write(l->mem, addr, data, len) != IO_OK)
		return err_set(e, -EFAULT, "boot data needs memory at %#llx, where the VM has none",
			       (unsigned long long)addr);
	return 0;
}

int boot_room(struct boot_load *l, uint64_t len, uint64_t align, gpa_t *addr, struct err *e)
{
	*addr = layout_low(&l->layout, len, align, GUEST_PAGE, MEMMAP_EBDA);
	if (!*addr)
		return err_set(e, -ENOSPC, "%llu bytes of boot data find no room below 639 KiB",
			       (unsigned long long)len);
	return 0;
}

int boot_put_string(struct boot_load *l, const char *s, gpa_t *addr, struct err *e)
{
	int r = boot_room(l, strlen(s) + 1, 8, addr, e);

	return r ? r : boot_put(l, *addr, s, strlen(s) + 1, e);
}

static int choose_bzimage(struct boot_load *l, struct err *e)
{
	const struct boot_bzimage *bz = &l->img->bz;
	/* What is inside a file that is compressed once more is not known until it is unpacked. */
	bool known = !l->img->outer;

	l->direct = bz->pack != PACK_NONE && l->p->how != BOOT_SETUP;
	if (l->p->how == BOOT_PVH) {
		l->way = WAY_PVH;
		if (known && !l->direct)
			return err_set(e, -EINVAL,
				       "cannot be entered by PVH: the kernel in it is packed in an "
				       "unknown way");
		return 0;
	}
	if (l->direct)
		l->way = l->img->elf.is64 ? WAY_LINUX64 : WAY_LINUX32;
	else
		l->way = bz->entry64 ? WAY_LINUX64 : WAY_LINUX32;
	if (known && l->p->how == BOOT_LINUX && l->way != WAY_LINUX64)
		return err_set(e, -EINVAL, "has no 64-bit entry");
	return 0;
}

static int choose_elf(struct boot_load *l, struct err *e)
{
	const struct boot_image *img = l->img;

	l->way = img->pvh_entry || !img->elf.is64 ? WAY_PVH : WAY_LINUX64;
	switch (l->p->how) {
	case BOOT_AUTO: break;
	case BOOT_PVH:
		if (!img->pvh_entry && !img->pvh_unknown)
			return err_set(e, -EINVAL, "has no PVH entry (no CONFIG_PVH)");
		l->way = WAY_PVH;
		break;
	case BOOT_LINUX:
		if (!img->elf.is64)
			return err_set(e, -EINVAL, "has no 64-bit entry");
		l->way = WAY_LINUX64;
		break;
	case BOOT_SETUP:
		return err_set(e, -EINVAL, "is an ELF file, which has no decompressor of its own");
	}
	l->entry = l->way == WAY_PVH ? img->pvh_entry : img->elf.entry;
	if (l->entry > UINT32_MAX)
		return err_set(e, -EINVAL, "has its entry above 4 GiB");
	return 0;
}

static int choose_way(struct boot_load *l, struct err *e)
{
	switch (l->img->format) {
	case BOOT_FORMAT_BZIMAGE: return choose_bzimage(l, e);
	case BOOT_FORMAT_ELF64:
	case BOOT_FORMAT_ELF32: return choose_elf(l, e);
	case BOOT_FORMAT_MULTIBOOT:
		if (l->p->how != BOOT_AUTO)
			return err_set(e, -EINVAL,
				       "is a multiboot kernel, which has no other entry");
		l->way = WAY_MULTIBOOT;
		l->entry = l->img->elf.entry;
		return 0;
	case BOOT_FORMAT_RAW: l->way = WAY_RAW; return 0;
	case BOOT_FORMAT_IMAGE:
	case BOOT_FORMAT_ZBOOT: break;
	}
	return err_set(e, -EINVAL, "is of a format that cannot be entered");
}

/* --kaslr: the kernel's own decompressor sees to it itself; of the rest, only some can move. */
static int check_kaslr(const struct boot_load *l, struct err *e)
{
	const struct boot_bzimage *bz = &l->img->bz;

	if (!l->p->kaslr ||
	    (l->img->format == BOOT_FORMAT_BZIMAGE && (!l->direct || l->img->outer)))
		return 0;
	if (l->img->format != BOOT_FORMAT_BZIMAGE)
		return err_set(e, -EINVAL,
			       "cannot be placed at random: only a bzImage says how it is moved");
	if (l->way != WAY_LINUX64)
		return err_set(e, -EINVAL,
			       "cannot be placed at random: only the 64-bit Linux entry allows it");
	if (!bz->relocatable || !kaslr_has_table(&l->img->elf, bz->unpacked_len))
		return err_set(e, -EINVAL,
			       "cannot be placed at random: it has no relocation table (no "
			       "CONFIG_RANDOMIZE_BASE)");
	return 0;
}

static uint64_t initrd_bytes(const struct boot_x86_params *p)
{
	return boot_initrds_len(p->initrd, p->n_initrds);
}

/* RAM below the hole that the machine keeps for tables. */
static uint64_t kept_bytes(const struct memmap *m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->n; i++) {
		if (m->e[i].type != MEMMAP_RAM && m->e[i].addr >= MIB(1) && m->e[i].addr < m->low)
			sum += m->e[i].len;
	}
	return sum;
}

static int refuse_memory(const struct boot_load *l, const char *who, struct err *e)
{
	const struct memmap *m = l->p->map;
	uint64_t bytes = l->img->mem_end + initrd_bytes(l->p) + kept_bytes(m);
	uint64_t need = MAX(ALIGN_UP(bytes, MIB(1)) >> 20, (m->ram >> 20) + 1);
	char has[32];

	err_set(e, -ENOMEM, "%s at least %llu MiB of memory, the VM has %s", who,
		(unsigned long long)need, str_size(m->ram, has, sizeof(has)));
	return err_hint(e, "give it more with --memory");
}

static int take(struct boot_load *l, gpa_t addr, uint64_t len, struct err *e)
{
	int r = layout_take(&l->layout, addr, len);

	if (!r)
		return 0;
	if (addr + len > l->p->map->low)
		return refuse_memory(l, "needs", e);
	return err_set(e, r, "wants its %llu bytes at %#llx, which is not free memory on a PC",
		       (unsigned long long)len, (unsigned long long)addr);
}

/* The kernel where it wants to be. */
static int place_kernel(struct boot_load *l, struct err *e)
{
	const struct boot_image *img = l->img;
	int r = 0;

	switch (img->format) {
	case BOOT_FORMAT_BZIMAGE:
		/* A kernel that cannot be moved moves itself, from 1 MiB. */
		l->base = l->direct || img->bz.relocatable ? img->bz.pref_address : MIB(1);
		return take(l, l->base, img->mem_end - l->base, e);
	case BOOT_FORMAT_RAW:
		/* Anywhere in the first megabyte, also where a PC has no RAM to give away. */
		return img->mem_end > l->p->map->low ? refuse_memory(l, "needs", e) : 0;
	default: break;
	}
	for (unsigned i = 0; i < img->elf.n_segs && !r; i++)
		r = take(l, img->elf.seg[i].addr, img->elf.seg[i].mem_len, e);
	return r;
}

/* Linux and PVH: all initrds behind each other, as high as the kernel can reach. */
static int place_initrd(struct boot_load *l)
{
	uint64_t len = initrd_bytes(l->p), end = MIN(l->img->initrd_max, UINT32_MAX) + 1;

	if (len == 0)
		return 0;
	l->mod[0] = (struct boot_module){
		.addr = layout_high(&l->layout, len, GUEST_PAGE, MIB(1),
				    MIN(end, MEMMAP_HOLE_START)),
		.len = len,
	};
	l->n_mods = 1;
	return l->mod[0].addr ? 0 : -ENOSPC;
}

/* Multiboot: each for itself on pages of its own, low, because some kernels map little. */
static int place_modules(struct boot_load *l, struct err *e)
{
	if (l->p->n_initrds > MODULES_MAX)
		return err_set(e, -E2BIG, "cannot have more than %d modules", MODULES_MAX);
	for (unsigned i = 0; i < l->p->n_initrds; i++) {
		uint64_t len = l->p->initrd[i].size;
		gpa_t min = MAX(l->img->mem_end, MIB(1));

		l->mod[i] = (struct boot_module){
			.addr = layout_low(&l->layout, len, GUEST_PAGE, min, MEMMAP_HOLE_START),
			.len = len,
		};
		l->n_mods = i + 1;
		if (!l->mod[i].addr)
			return -ENOSPC;
	}
	return 0;
}

static int place_initrds(struct boot_load *l, struct err *e)
{
	char size[32], limit[32];
	uint64_t len = initrd_bytes(l->p);
	int r;

	r = l->way == WAY_MULTIBOOT ? place_modules(l, e) : place_initrd(l);
	if (r != -ENOSPC)
		return r;
	str_size(len, size, sizeof(size));
	if (l->p->map->low <= l->img->initrd_max && l->p->map->low < MEMMAP_HOLE_START)
		return refuse_memory(l, "needs, with its initrd,", e);
	return err_set(
		e, -ENOMEM, "cannot have an initrd of %s: it finds no room below %s", size,
		str_size(MIN(l->img->initrd_max + 1, MEMMAP_HOLE_START), limit, sizeof(limit)));
}

/* Another place for a kernel that was placed, between its lowest address and the initrd. */
static int place_at_random(struct boot_load *l, struct err *e)
{
	const struct boot_bzimage *bz = &l->img->bz;
	struct kaslr_range range = {
		.align = MAX(bz->alignment, MIB(2)),
		.size = l->img->mem_end - bz->pref_address,
		.min = bz->pref_address,
		.virt_min = bz->pref_address,
	};
	uint64_t seed[2], virt;
	gpa_t base;

	for (unsigned i = 0; i < l->p->map->n; i++) {
		const struct memmap_entry *o = &l->p->map->e[i];

		if (o->type == MEMMAP_RAM && bz->pref_address - o->addr < o->len)
			range.max = o->addr + o->len;
	}
	if (l->n_mods && l->mod[0].addr > bz->pref_address)
		range.max = MIN(range.max, l->mod[0].addr);
	if (fault_hit("getrandom") || getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
		err_errno(e, -EIO, "cannot be placed at random: no random numbers");
		err_kind(e, ERR_HOST);
		return -EIO;
	}
	if (!kaslr_choose(&range, seed, &base, &virt))
		return err_set(e, -EINVAL,
			       "cannot be placed at random: its header asks for impossible room");
	l->base = base;
	l->virt_delta = virt - bz->pref_address;
	TRACE(boot_kaslr, "physical %#llx, virtual offset %#llx", (unsigned long long)base,
	      (unsigned long long)virt);
	return 0;
}

static int plan(struct boot_load *l, struct err *e)
{
	const char *cmdline = l->p->cmdline ? l->p->cmdline : "";
	int r;

	layout_init(&l->layout, l->p->map);
	r = choose_way(l, e);
	if (!r)
		r = check_kaslr(l, e);
	if (!r && l->way != WAY_RAW && strlen(cmdline) > l->img->cmdline_max)
		r = err_set(e, -E2BIG,
			    "takes a command line of at most %u characters, this one has %zu",
			    l->img->cmdline_max, strlen(cmdline));
	if (!r)
		r = place_kernel(l, e);
	if (!r && l->way != WAY_RAW)
		r = place_initrds(l, e);
	return r;
}

int boot_x86_check(const struct boot_x86_params *p, struct err *e)
{
	struct boot_load l = {.p = p, .img = p->image};
	int r = plan(&l, e);

	return r ? err_prefix(e, "%s", p->image->file.path) : 0;
}

static void find_entry(struct boot_load *l)
{
	const struct boot_image *img = l->img;

	if (img->format != BOOT_FORMAT_BZIMAGE || l->way == WAY_PVH)
		return;
	if (l->direct)
		l->entry = img->elf.entry + (l->base - img->bz.pref_address);
	else
		l->entry = l->base + (l->way == WAY_LINUX64 ? 0x200 : 0);
}

/* @inner is used, and l->img points to it from then on, if the file is compressed as a whole. */
static int load_kernel(struct boot_load *l, struct boot_image *inner, struct err *e)
{
	void *buf = NULL;
	int r = 0;

	l->src = boot_src_file(&l->img->file);
	if (l->img->outer) {
		r = boot_unfold(l->img, &l->src, inner, &buf, e);
		l->img = inner;
	}
	if (!r)
		r = plan(l, e);
	if (!r && l->p->kaslr && l->direct)
		r = place_at_random(l, e);
	if (!r)
		r = boot_put_image(l, e);
	if (!r)
		find_entry(l);
	boot_fold(buf);
	return r;
}

static int load_initrds(struct boot_load *l, struct err *e)
{
	int r = 0;

	if (l->way != WAY_MULTIBOOT)
		return l->n_mods ? boot_copy_initrds(l->mem, l->mod[0].addr, l->p->initrd,
						     l->p->n_initrds, e)
				 : 0;
	for (unsigned i = 0; i < l->n_mods && !r; i++)
		r = boot_copy_file(l->mem, l->mod[i].addr, &l->p->initrd[i], e);
	return r;
}

/* The two words that a BIOS leaves about memory; Linux looks here for what it must not touch. */
static int put_bios_data(struct boot_load *l, struct err *e)
{
	uint8_t ebda[2], kib[2];
	int r;

	if (l->p->map->low < MEMMAP_EBDA)
		return 0;
	le16_store(ebda, MEMMAP_EBDA >> 4);
	le16_store(kib, MEMMAP_EBDA / 1024);
	r = boot_put(l, BDA_EBDA, ebda, sizeof(ebda), e);
	return r ? r : boot_put(l, BDA_MEMORY, kib, sizeof(kib), e);
}

static int enter(struct boot_load *l, struct x86_vcpu *bsp, struct err *e)
{
	int r;

	if (l->way == WAY_RAW) {
		boot_enter_raw(l, bsp);
		return 0;
	}
	r = put_bios_data(l, e);
	if (r)
		return r;
	switch (l->way) {
	case WAY_PVH: return boot_enter_pvh(l, bsp, e);
	case WAY_MULTIBOOT: return boot_enter_multiboot(l, bsp, e);
	default: return boot_enter_linux(l, bsp, e);
	}
}

int boot_x86_load(struct as *mem, const struct boot_x86_params *p, struct x86_vcpu *bsp,
		  struct err *e)
{
	struct boot_load l = {.p = p, .img = p->image, .mem = mem};
	const char *path = p->image->file.path;
	struct boot_image inner;
	int r;

	r = boot_files_check(p->image, p->initrd, p->n_initrds, e);
	if (r)
		return r;
	r = load_kernel(&l, &inner, e);
	if (r)
		return err_prefix(e, "%s", path);
	r = load_initrds(&l, e);
	if (!r)
		r = enter(&l, bsp, e);
	return r;
}
