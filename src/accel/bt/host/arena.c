/*
 * accel/bt/host/arena.c - where stubs live: one memfd for each vCPU, mapped twice.
 *
 * One mapping is writable, the other executable, so that no address is ever both.  Stubs do not
 * depend on where they are, and the same instruction occurs many times in a guest: equal stubs are
 * stored once, found by a hash of their bytes.  Space is only handed out upward; when it runs low
 * pure_full() asks for a flush, and when it has run out a stub goes to the scratch area at the
 * start, good for one execution.
 *
 * Freshly written bytes are executed through another address than they were written to.  Memory
 * that never held code needs nothing more on x86; memory that is used again (scratch area, after a
 * flush) needs a serializing instruction in between (SDM 3A §8.1.3, §11.6).
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/bt/host/host.h"
#include "base/sys.h"

#define ARENA_SIZE (1u << 20)
#define SCRATCH	   512u
#define SLOTS	   (1u << 15)
#define LOW_WATER  (ARENA_SIZE / 8 * 7)
#define MANY	   (SLOTS / 2)

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

struct bt_pure {
	uint8_t *w, *x; /* the same memory: to write, to execute */
	uint32_t used, stubs;
	uint32_t slot[SLOTS]; /* offsets of stubs by hash; 0: none */
};

_Static_assert(sizeof(struct pure_buf) <= SCRATCH, "a stub fits the scratch area");

static int arena_fd(void)
{
	int fd;

	if (fault_hit("memfd_create")) {
		errno = ENOMEM;
		return -1;
	}
	/* Since Linux 6.3 a host may make memfds not executable by default. */
	fd = memfd_create("lodge-code", MFD_CLOEXEC | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("lodge-code", MFD_CLOEXEC);
	return fd;
}

static int arena_map(struct bt_pure *a, int fd, struct err *e)
{
	void *w, *x;

	if (ftruncate(fd, ARENA_SIZE) != 0)
		return err_errno(e, -errno, "cannot size the code arena of a vCPU");
	w = sys_mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the code arena of a vCPU");
	x = sys_mmap(NULL, ARENA_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (x == MAP_FAILED) {
		int code = -errno;

		munmap(w, ARENA_SIZE);
		err_errno(e, code, "cannot map the code arena of a vCPU for execution");
		return err_hint(e, "the software CPU makes host code; allow executable memfds "
				   "(sysctl vm.memfd_noexec=0, or the security module's rule)");
	}
	a->w = w;
	a->x = x;
	return 0;
}

int pure_init(struct bt_cpu *c, struct err *e)
{
	struct bt_pure *a = sys_alloc(sizeof(*a));
	int fd, ret;

	if (!a)
		return err_nomem(e, sizeof(*a), "the code arena of a vCPU");
	fd = arena_fd();
	if (fd < 0) {
		ret = err_errno(e, -errno, "cannot make a memfd for the code arena of a vCPU");
		goto out_free;
	}
	ret = arena_map(a, fd, e);
	close(fd);
	if (ret)
		goto out_free;
	a->used = SCRATCH;
	c->pure = a;
	return 0;
out_free:
	err_kind(e, ERR_HOST);
	free(a);
	return ret;
}

void pure_exit(struct bt_cpu *c)
{
	struct bt_pure *a = c->pure;

	if (!a)
		return;
	munmap(a->w, ARENA_SIZE);
	munmap(a->x, ARENA_SIZE);
	free(a);
	c->pure = NULL;
}

static void serialize(void)
{
	unsigned a, b, c, d;

	__cpuid(0, a, b, c, d);
	(void)(a + b + c + d);
}

void pure_flush(struct bt_cpu *c)
{
	struct bt_pure *a = c->pure;

	memset(a->slot, 0, sizeof(a->slot));
	a->used = SCRATCH;
	a->stubs = 0;
	serialize();
}

bool pure_full(const struct bt_cpu *c)
{
	return c->pure->used > LOW_WATER || c->pure->stubs > MANY;
}

static uint32_t hash_of(const uint8_t *b, size_t n)
{
	uint64_t h = n, v;

	for (size_t k = 0; k < n; k += sizeof(v)) { /* @n is a multiple of 8 */
		memcpy(&v, b + k, sizeof(v));
		h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32) & (SLOTS - 1);
}

const struct pure_stub *arena_add(struct bt_pure *a, const struct pure_buf *b, bool *keep)
{
	const uint32_t n = (uint32_t)(sizeof(b->head) + ALIGN_UP(b->head.len, 16u));
	uint32_t at = hash_of((const uint8_t *)b, n), off;

	for (; (off = a->slot[at]) != 0; at = (at + 1) & (SLOTS - 1)) {
		if (off + n <= a->used && memcmp(a->w + off, b, n) == 0)
			break;
	}
	*keep = true;
	if (!off) {
		if (a->used + n > ARENA_SIZE || a->stubs > SLOTS / 4 * 3) {
			memcpy(a->w, b, n);
			serialize();
			*keep = false;
			return (const struct pure_stub *)(const void *)a->x;
		}
		off = a->used;
		memcpy(a->w + off, b, n);
		a->slot[at] = off;
		a->used += n;
		a->stubs++;
	}
	return (const struct pure_stub *)(const void *)(a->x + off);
}
