/*
 * boot/copy.c - files into guest memory.
 */
#include "boot/copy.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "base/trace.h"
#include "boot/recognise.h"

#define IOVS 32

int boot_files_check(const struct boot_image *img, const struct boot_file *initrd, unsigned n,
		     struct err *e)
{
	int r = boot_file_check(&img->file, e);

	for (unsigned i = 0; i < n && !r; i++)
		r = boot_file_check(&initrd[i], e);
	return r;
}

static int no_memory(gpa_t addr, struct err *e)
{
	return err_set(e, -EFAULT, "needs memory at %#llx, where the VM has none",
		       (unsigned long long)addr);
}

int boot_copy(struct as *mem, gpa_t addr, const struct boot_src *src, uint64_t off, uint64_t len,
	      struct err *e)
{
	struct iovec iov[IOVS];
	int n = as_iov(mem, addr, len, true, iov, IOVS), r = 0;

	if (n < 0)
		return no_memory(addr, e);
	for (int i = 0; i < n && !r; i++) {
		r = boot_src_read(src, off, iov[i].iov_base, iov[i].iov_len, e);
		off += iov[i].iov_len;
	}
	return r;
}

int boot_clear(struct as *mem, gpa_t addr, uint64_t len, struct err *e)
{
	return len && as_fill(mem, addr, 0, len) != IO_OK ? no_memory(addr, e) : 0;
}

int boot_copy_segments(struct as *mem, const struct boot_src *src, const struct elf *elf,
		       uint64_t shift, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < elf->n_segs && !r; i++) {
		const struct elf_segment *s = &elf->seg[i];

		TRACE(boot_segment, "%#llx: %llu bytes of the file, %llu in memory",
		      (unsigned long long)(s->addr + shift), (unsigned long long)s->len,
		      (unsigned long long)s->mem_len);
		if (s->len)
			r = boot_copy(mem, s->addr + shift, src, s->off, s->len, e);
		if (!r)
			r = boot_clear(mem, s->addr + shift + s->len, s->mem_len - s->len, e);
	}
	return r;
}

int boot_copy_file(struct as *mem, gpa_t addr, const struct boot_file *f, struct err *e)
{
	struct boot_src src = boot_src_file(f);
	int r = boot_copy(mem, addr, &src, 0, f->size, e);

	return r ? err_prefix(e, "%s", f->path) : 0;
}

uint64_t boot_initrds_len(const struct boot_file *initrd, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = ALIGN_UP(sum, UINT64_C(4)) + initrd[i].size;
	return sum;
}

int boot_copy_initrds(struct as *mem, gpa_t addr, const struct boot_file *initrd, unsigned n,
		      struct err *e)
{
	uint64_t off = 0;
	int r = 0;

	for (unsigned i = 0; i < n && !r; i++) {
		uint64_t gap = ALIGN_UP(off, UINT64_C(4)) - off;

		r = boot_clear(mem, addr + off, gap, e);
		if (!r)
			r = boot_copy_file(mem, addr + off + gap, &initrd[i], e);
		off += gap + initrd[i].size;
	}
	return r;
}

int boot_unfold(const struct boot_image *outer, struct boot_src *src, struct boot_image *inner,
		void **buf, struct err *e)
{
	size_t n;
	int r;

	*buf = sys_mmap(NULL, UNPACK_MAX, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*buf == MAP_FAILED) {
		*buf = NULL;
		return err_nomem(e, UNPACK_MAX, "the unpacked kernel");
	}
	r = unpack(src, 0, src->size, outer->outer, *buf, UNPACK_MAX, &n, e);
	if (r)
		return r;
	*src = boot_src_mem(*buf, n);
	*inner = (struct boot_image){.arch = outer->arch, .file = outer->file};
	return boot_recognise_plain(inner, *buf, n, n, src, e);
}

void boot_fold(void *buf)
{
	if (buf)
		munmap(buf, UNPACK_MAX);
}
