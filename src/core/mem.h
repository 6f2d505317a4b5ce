/*
 * core/mem.h - guest memory: blocks of RAM, address spaces and the dirty log.
 *
 * An address space (guest-physical memory, or the 64 Ki I/O ports of x86) is a set of maps that do
 * not overlap.  Readers see an immutable sorted flat view behind one atomic pointer and take no
 * lock.  A change builds a new view under the space's mutex and publishes it; the old view is kept
 * until as_reclaim(), which the owner calls when no vCPU and no loop thread can still be using one
 * (the world is stopped), or until as_exit().
 *
 * Two kinds of access exist.  as_read/as_write are DMA and loaders: they reach RAM and ROM only, so
 * a device can never reach another device's registers.  as_vcpu_read/as_vcpu_write are a vCPU's:
 * they reach devices too.
 */
#ifndef LODGE_CORE_MEM_H
#define LODGE_CORE_MEM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/err.h"

typedef uint64_t gpa_t;

#define GUEST_PAGE 4096u

struct device;
struct vm;

enum io_result {
	IO_OK,
	IO_UNMAPPED, /* nothing there: reads give all ones, writes are dropped */
	IO_REFUSED,  /* a write to ROM, a size that the device does not take, a device from DMA */
};

/* How the memory of a block is got from the host. */
enum ram_backing {
	RAM_ANON,    /* private anonymous memory, transparent huge pages where the host has them */
	RAM_MEMFD,   /* a memfd, shareable with other processes */
	RAM_HUGETLB, /* huge pages reserved on the host (hugetlbfs); refused if there are too few */
};

/*
 * A block of host memory that is guest memory.  Owned by the struct vm it was made for; freed with
 * it.
 */
struct ram {
	char name[24];
	uint8_t *host;
	uint64_t size;	    /* multiple of GUEST_PAGE */
	uint64_t host_page; /* size of the pages behind it, in bytes */
	int fd;		    /* memfd or hugetlb memfd, -1 for anonymous */
	bool rom;	    /* the guest reads it and cannot write it */
	_Atomic bool logging;
	_Atomic uint64_t *dirty; /* one bit a GUEST_PAGE: written by Lodge itself while logging */
	/*
	 * The accelerator's, or NULL: called by ram_mark_dirty, so after DMA and loaders wrote
	 * [off, off+n) and when as_iov gave it out for writing.  Any thread, perhaps with a
	 * device's lock held: it takes leaf locks only.  Set before the block is mapped.
	 */
	void (*written)(struct ram *r, uint64_t off, uint64_t n);
	void *written_arg;
	struct ram *next;
};

int ram_new(struct vm *vm, const char *name, uint64_t size, enum ram_backing backing,
	    struct ram **out, struct err *e) MUST_CHECK;
/* Unmaps and frees; the block must be in no address space.  NULL does nothing. */
void ram_free(struct ram *r);
/* Marks [off, off+n) of @r as written by Lodge and tells the accelerator.  Any thread. */
void ram_mark_dirty(struct ram *r, uint64_t off, uint64_t n);
/* Only the dirty log's part of it, for accelerators; does nothing when not logging. */
void ram_log_dirty(struct ram *r, uint64_t off, uint64_t n);

enum as_kind { AS_MEMORY, AS_PORTS };

enum map_kind { MAP_RAM, MAP_IO, MAP_NONE };

/* One map of an address space, as the flat view holds it. */
struct as_map {
	gpa_t base;
	uint64_t len;
	enum map_kind kind;
	/* MAP_RAM */
	struct ram *ram;
	uint64_t ram_off;
	unsigned slot; /* number of the accelerator's memory slot */
	/* MAP_IO: window @io of @dev */
	struct device *dev;
	unsigned io;
	const char *name; /* MAP_NONE: what is not there, for messages; borrowed */
};

struct flatview;

struct as {
	struct vm *vm;
	enum as_kind kind;
	pthread_mutex_t lock; /* writers only */
	_Atomic(struct flatview *) view;
	struct flatview *retired;  /* old views, under lock */
	uint64_t slots_used[8];	   /* bitmap of accelerator slots, under lock */
	_Atomic uint64_t unmapped; /* vCPU accesses that reached nothing */
};

int as_init(struct as *as, struct vm *vm, enum as_kind kind, struct err *e) MUST_CHECK;
void as_exit(struct as *as);
/* Frees retired views.  Only while no other thread can be inside an accessor. */
void as_reclaim(struct as *as);

/*
 * Maps [ram_off, ram_off+len) of @ram at @base and gives the accelerator its slot.  -EEXIST with
 * both ranges named if it would overlap; -EINVAL for unaligned; -E2BIG beyond the space.
 */
int as_map_ram(struct as *as, gpa_t base, struct ram *ram, uint64_t ram_off, uint64_t len,
	       struct err *e) MUST_CHECK;
/* Maps I/O window @io of @dev at @base; same errors. */
int as_map_io(struct as *as, gpa_t base, struct device *dev, unsigned io, struct err *e) MUST_CHECK;
/*
 * Declares that at [base, base+len) there is nothing and that nothing is to come there; same
 * errors, with @name for it.  Accesses reach nothing, and are counted so, as where nothing is
 * mapped; but an accelerator may hold writes back.  For what kernels look for often and a machine
 * has not.
 */
int as_map_none(struct as *as, gpa_t base, uint64_t len, const char *name,
		struct err *e) MUST_CHECK;
/* Takes away the map that starts at @base.  -ENOENT. */
int as_unmap(struct as *as, gpa_t base, struct err *e);
/*
 * Calls @fn for every map, lowest first, over one consistent view; stops when it returns non-zero.
 */
int as_for_each(struct as *as, int (*fn)(const struct as_map *m, void *arg), void *arg);

/* DMA and loaders.  All or nothing is not promised: bytes before a hole are transferred. */
enum io_result as_read(struct as *as, gpa_t pa, void *dst, uint64_t n);
enum io_result as_write(struct as *as, gpa_t pa, const void *src, uint64_t n);
enum io_result as_fill(struct as *as, gpa_t pa, uint8_t byte, uint64_t n);
/* Loaders only: as as_write, and ROM can be written too. */
enum io_result as_load(struct as *as, gpa_t pa, const void *src, uint64_t n);

/*
 * The pieces of host memory behind [pa, pa+n), for bulk transfers by the host kernel.  Returns how
 * many of @iov were filled, or -EFAULT if any byte is not RAM (or is ROM and @write), or -E2BIG if
 * @max is too few.  With @write the range is marked dirty now.  The pointers stay good while the
 * device that asked is not quiesced.
 */
int as_iov(struct as *as, gpa_t pa, uint64_t n, bool write, struct iovec *iov, int max);

/* The map that covers @pa now, or false.  For accelerators, which hear of changes by slot_set. */
bool as_map_at(struct as *as, gpa_t pa, struct as_map *out);

/* True if all of [pa, pa+n) is RAM (or ROM). */
bool as_is_ram(struct as *as, gpa_t pa, uint64_t n);

/*
 * A vCPU's access of 1 to 8 bytes at any address, aligned or not, across maps or not.  Values are
 * little-endian in @data (the bus converts).  Takes the device's mutex around its callback, no
 * other lock, and allocates nothing.
 */
enum io_result as_vcpu_read(struct as *as, gpa_t pa, void *data, unsigned size);
enum io_result as_vcpu_write(struct as *as, gpa_t pa, const void *data, unsigned size);

/*
 * Dirty logging over all RAM of the space.  as_dirty_start clears and begins; as_dirty_fetch ORs
 * what was written since the last fetch, by vCPUs and by Lodge, into @bitmap (one bit a GUEST_PAGE
 * of map @m, bit 0 its first page) and clears it.
 */
int as_dirty_start(struct as *as, struct err *e) MUST_CHECK;
void as_dirty_stop(struct as *as);
int as_dirty_fetch(struct as *as, const struct as_map *m, uint64_t *bitmap,
		   struct err *e) MUST_CHECK;

#endif
