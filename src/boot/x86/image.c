/*
 * boot/x86/image.c - the kernel's bytes into guest memory.
 *
 * The kernel inside a bzImage is unpacked straight into guest memory, so that neither a buffer nor
 * a copy of 50 MB is needed.  An ELF file's segments do not lie in memory as they do in the file:
 * gaps between them are smaller there.  So the file is unpacked at the highest address at which no
 * segment has to move up (for Linux: 2 MiB, the size of its headers' page, below the kernel), and
 * then each segment moves down, lowest first.  That is safe where file offsets and addresses rise
 * together: a segment's new place ends before the old place of the next begins.  Then everything
 * between and behind them is zeroed.  A kernel that is built otherwise, or whose packed form does
 * not fit where it runs, goes through a buffer.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "base/trace.h"
#include "boot/copy.h"
#include "boot/x86/kaslr.h"
#include "boot/x86/load_impl.h"

/* Where the file must be unpacked so that all segments move down or not at all; 0: there is no such
 * place. */
static gpa_t unpack_place(const struct elf *elf, uint64_t shift)
{
	int64_t most = INT64_MIN;

	for (unsigned i = 0; i < elf->n_segs; i++) {
		const struct elf_segment *s = &elf->seg[i];

		if (i && s->off < elf->seg[i - 1].off + elf->seg[i - 1].len)
			return 0;
		most = MAX(most, (int64_t)(s->addr + shift) - (int64_t)s->off);
	}
	return most < (int64_t)MIB(1) ? 0 : (gpa_t)most;
}

/* Unpacks the payload and checks that it is what its head promised when the file was opened. */
static int unpack_payload(struct boot_load *l, uint8_t *to, struct elf *elf, struct err *e)
{
	const struct boot_bzimage *bz = &l->img->bz;
	const struct elf *planned = &l->img->elf;
	size_t n;
	int r;

	r = unpack(&l->src, bz->payload_off, bz->payload_len, bz->pack, to, bz->unpacked_len, &n,
		   e);
	if (boot_err_is_content(r))
		err_prefix(e, "is a Linux bzImage that is damaged");
	if (r)
		return r;
	if (n != bz->unpacked_len)
		return err_set(e, -EINVAL,
			       "is a Linux bzImage that is damaged: its kernel unpacks to %zu "
			       "bytes, it says %llu",
			       n, (unsigned long long)bz->unpacked_len);
	r = elf_parse(elf, to, MIN(n, ELF_HEAD_MAX), n, e);
	if (r)
		return boot_err_about(e, "is a Linux bzImage that is damaged: the kernel in it");
	if (elf->n_segs != planned->n_segs || elf->entry != planned->entry ||
	    elf->end != planned->end ||
	    memcmp(elf->seg, planned->seg, elf->n_segs * sizeof(elf->seg[0])) != 0)
		return err_set(e, -ESTALE, "was changed while it was read");
	return 0;
}

/* What can be known of the unpacked file only: its PVH entry, and its relocation. */
static int finish_payload(struct boot_load *l, uint8_t *image, const struct elf *elf, struct err *e)
{
	uint64_t len = l->img->bz.unpacked_len;
	struct boot_src src = boot_src_mem(image, len);
	int r;

	if (l->way == WAY_PVH) {
		r = elf_find_pvh(elf, &src, &l->entry, e);
		if (!r && !l->entry)
			r = err_set(e, -EINVAL, "has no PVH entry (no CONFIG_PVH)");
		return r;
	}
	return l->virt_delta ? kaslr_relocate(image, len, elf, l->virt_delta, e) : 0;
}

/* @host is the memory at @place; the segments and the file lie in it. */
static void move_segments(uint8_t *host, gpa_t place, const struct elf *elf, uint64_t shift,
			  uint64_t len, gpa_t at)
{
	uint64_t done = at - place; /* offsets from @place: everything below is final */

	for (unsigned i = 0; i < elf->n_segs; i++) {
		const struct elf_segment *s = &elf->seg[i];
		uint64_t to = s->addr + shift - place;

		if (to != at - place + s->off)
			memmove(host + to, host + (at - place) + s->off, s->len);
	}
	for (unsigned i = 0; i < elf->n_segs; i++) {
		const struct elf_segment *s = &elf->seg[i];
		uint64_t to = s->addr + shift - place;

		if (to > done)
			memset(host + done, 0, to - done);
		memset(host + to + s->len, 0, s->mem_len - s->len);
		done = MAX(done, to + s->mem_len);
	}
	if (at - place + len > done)
		memset(host + done, 0, at - place + len - done);
}

/* 1 if it was done, 0 if it cannot be done this way. */
static int put_in_place(struct boot_load *l, uint64_t shift, struct err *e)
{
	const struct elf *planned = &l->img->elf;
	uint64_t len = l->img->bz.unpacked_len;
	gpa_t at = unpack_place(planned, shift), place, end;
	struct iovec iov;
	struct elf elf;
	int r;

	if (!at)
		return 0;
	place = MIN(at, planned->lowest + shift);
	end = MAX(at + len, planned->highest + shift);
	/* Initrds are not there yet, but no table of the machine may be overwritten. */
	if (!memmap_is_ram(l->p->map, place, end - place) ||
	    as_iov(l->mem, place, end - place, true, &iov, 1) != 1)
		return 0;
	r = unpack_payload(l, (uint8_t *)iov.iov_base + (at - place), &elf, e);
	if (!r)
		r = finish_payload(l, (uint8_t *)iov.iov_base + (at - place), &elf, e);
	if (r)
		return r;
	move_segments(iov.iov_base, place, &elf, shift, len, at);
	return 1;
}

static int put_by_buffer(struct boot_load *l, uint64_t shift, struct err *e)
{
	size_t len = (size_t)l->img->bz.unpacked_len;
	struct boot_src file = l->src;
	struct elf elf;
	uint8_t *buf;
	int r;

	buf = sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return err_nomem(e, len, "the unpacked kernel");
	r = unpack_payload(l, buf, &elf, e);
	if (!r)
		r = finish_payload(l, buf, &elf, e);
	if (!r) {
		l->src = boot_src_mem(buf, len);
		r = boot_copy_segments(l->mem, &l->src, &elf, shift, e);
		l->src = file;
	}
	munmap(buf, len);
	return r;
}

static int put_payload(struct boot_load *l, struct err *e)
{
	uint64_t shift = l->base - l->img->bz.pref_address, start = sys_now_ns();
	int r = put_in_place(l, shift, e);
	bool in_place = r > 0;

	if (r == 0)
		r = put_by_buffer(l, shift, e);
	TRACE(boot_unpack, "%llu bytes of %s %s to %#llx in %llu us",
	      (unsigned long long)l->img->bz.unpacked_len, pack_name(l->img->bz.pack),
	      in_place ? "in place" : "by a buffer", (unsigned long long)l->base,
	      (unsigned long long)(sys_now_ns() - start) / 1000);
	return r < 0 ? r : 0;
}

int boot_put_image(struct boot_load *l, struct err *e)
{
	const struct boot_image *img = l->img;

	switch (img->format) {
	case BOOT_FORMAT_BZIMAGE:
		if (l->direct)
			return put_payload(l, e);
		return boot_copy(l->mem, l->base, &l->src, img->bz.pm_off, img->bz.pm_len, e);
	case BOOT_FORMAT_RAW:
		return boot_copy(l->mem, img->raw_addr, &l->src, 0, img->file.size, e);
	case BOOT_FORMAT_ELF64:
	case BOOT_FORMAT_ELF32:
	case BOOT_FORMAT_MULTIBOOT: return boot_copy_segments(l->mem, &l->src, &img->elf, 0, e);
	case BOOT_FORMAT_IMAGE:
	case BOOT_FORMAT_ZBOOT: break;
	}
	return err_set(e, -EINVAL, "is of a format that cannot be loaded");
}
