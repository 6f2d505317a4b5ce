/*
 * core/ram.c - blocks of host memory that are guest memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sys.h"
#include "core/mem.h"
#include "core/vm.h"

#define HUGE_2M MIB(2)

/*
 * Anonymous memory, aligned to a huge page so that the whole of it can be backed by huge pages.
 * The first 2 MiB stay with small pages: they hold boot data and real-mode code, and a VM that only
 * ever touches those should not pay for clearing a huge page before its first instruction.
 */
static int ram_map_anon(struct ram *r, struct err *e)
{
	uint64_t align = r->size >= 2 * HUGE_2M ? HUGE_2M : 0;
	uint8_t *p = sys_mmap(NULL, r->size + align, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return err_errno(e, -errno, "cannot map %s", r->name);
	r->host = p;
	r->host_page = GUEST_PAGE;
	if (!align)
		return 0;
	uint8_t *start = (uint8_t *)ALIGN_UP((uintptr_t)p, HUGE_2M);
	if (start != p)
		munmap(p, (size_t)(start - p));
	if (start + r->size != p + r->size + align)
		munmap(start + r->size, (size_t)(p + align - start));
	r->host = start;
	/* Without huge pages on the host this fails and changes nothing. */
	(void)madvise(start + HUGE_2M, r->size - HUGE_2M, MADV_HUGEPAGE);
	return 0;
}

/* "HugePages_Free" of /proc/meminfo, or -1. */
static long hugepages_free(void)
{
	static const char key[] = "HugePages_Free:";
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			n = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static int ram_map_fd(struct ram *r, bool huge, struct err *e)
{
	unsigned flags = MFD_CLOEXEC | (huge ? MFD_HUGETLB : MFD_ALLOW_SEALING);
	char size[32];

	if (huge && r->size % HUGE_2M)
		return err_set(e, -EINVAL, "%s of %s is not a multiple of the 2 MiB huge page",
			       r->name, str_size(r->size, size, sizeof(size)));
	r->fd = fault_hit("memfd_create") ? (errno = ENOMEM, -1) : memfd_create(r->name, flags);
	if (r->fd < 0)
		return err_errno(e, -errno, "cannot make a memfd for %s", r->name);
	if (ftruncate(r->fd, (off_t)r->size))
		return err_errno(e, -errno, "cannot size the memfd for %s", r->name);
	r->host = sys_mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->host == MAP_FAILED) {
		r->host = NULL;
		if (!huge)
			return err_errno(e, -errno, "cannot map %s", r->name);
		err_errno(e, -errno,
			  "cannot map %s: it needs %llu huge pages of 2 MiB, %ld are free", r->name,
			  (unsigned long long)(r->size / HUGE_2M), hugepages_free());
		return err_hint(e, "reserve some: sysctl vm.nr_hugepages=N");
	}
	r->host_page = huge ? HUGE_2M : GUEST_PAGE;
	return 0;
}

int ram_new(struct vm *vm, const char *name, uint64_t size, enum ram_backing backing,
	    struct ram **out, struct err *e)
{
	struct ram *r = sys_alloc(sizeof(*r));
	int rc;

	*out = NULL;
	if (!r)
		return err_nomem(e, sizeof(*r), "a memory block");
	r->fd = -1;
	r->size = size;
	str_copy(r->name, sizeof(r->name), name);
	if (!size || size % GUEST_PAGE || size > (UINT64_C(1) << 52)) {
		rc = err_set(e, -EINVAL, "%s of %llu bytes is not a whole number of pages", name,
			     (unsigned long long)size);
		goto out_free;
	}
	size_t words = (size / GUEST_PAGE + 63) / 64;
	r->dirty = sys_alloc_array(words, sizeof(*r->dirty));
	if (!r->dirty) {
		rc = err_nomem(e, words * sizeof(*r->dirty), "a dirty bitmap");
		goto out_free;
	}
	rc = backing == RAM_ANON ? ram_map_anon(r, e) : ram_map_fd(r, backing == RAM_HUGETLB, e);
	if (rc) {
		err_kind(e, ERR_HOST);
		goto out_free;
	}
	r->next = vm->rams;
	vm->rams = r;
	*out = r;
	return 0;
out_free:
	ram_free(r);
	return rc;
}

void ram_free(struct ram *r)
{
	if (!r)
		return;
	if (r->host)
		munmap(r->host, r->size);
	if (r->fd >= 0)
		close(r->fd);
	free((uint64_t *)(uintptr_t)r->dirty);
	free(r);
}

void ram_log_dirty(struct ram *r, uint64_t off, uint64_t n)
{
	if (!atomic_load_explicit(&r->logging, memory_order_relaxed) || !n)
		return;
	for (uint64_t page = off / GUEST_PAGE; page <= (off + n - 1) / GUEST_PAGE; page++)
		atomic_fetch_or_explicit(&r->dirty[page / 64], UINT64_C(1) << (page % 64),
					 memory_order_release);
}

void ram_mark_dirty(struct ram *r, uint64_t off, uint64_t n)
{
	ram_log_dirty(r, off, n);
	if (r->written && n)
		r->written(r, off, n);
}
