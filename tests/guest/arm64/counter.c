/* The generic timer's virtual counter. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../check.h"

/*
 * No device of the virt machines (QEMU's and Lodge's) answers at this address; a load from it
 * leaves the guest, and a tracer of the host's KVM sees the address.
 */
enum { MARK_ADDRESS = 0x0b000000 };

uint64_t counter_read(void)
{
	uint64_t value;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
}

uint64_t counter_hz(void)
{
	uint64_t value;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
}

void counter_mark_init(void)
{
	static const char node[] = "/mem";

	if (mknod(node, S_IFCHR | 0600, makedev(1, 1)))
		return;
	int fd = open(node, O_RDWR | O_SYNC | O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, MARK_ADDRESS);

	if (page != MAP_FAILED) {
		(void)*(volatile uint32_t *)page;
		munmap(page, 4096);
	}
	close(fd);
	unlink(node);
}
