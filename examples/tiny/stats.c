/*
 * KVM's counters of a vCPU, through KVM_GET_STATS_FD (Linux 5.14 and later).
 *
 * The descriptor reads like a file: a header; an array of descriptors, each with its name behind
 * it in name_size bytes; and the values, which a descriptor finds by its offset into their block.
 * [Linux Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD]
 */
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "stats.h"

static long long find(int fd, const char *name)
{
	struct kvm_stats_header h;
	union { /* a descriptor ends in its name, which has no fixed size */
		struct kvm_stats_desc d;
		char bytes[sizeof(struct kvm_stats_desc) + 256];
	} u;
	uint64_t value;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.name_size > 255)
		return -1;
	size_t step = sizeof(struct kvm_stats_desc) + h.name_size;
	for (uint32_t i = 0; i < h.num_desc; i++) {
		memset(&u, 0, sizeof(u));
		if (pread(fd, &u, step, (off_t)(h.desc_offset + i * step)) != (ssize_t)step)
			return -1;
		if (strcmp(u.bytes + sizeof(struct kvm_stats_desc), name) != 0)
			continue;
		if (pread(fd, &value, sizeof(value), (off_t)(h.data_offset + u.d.offset)) !=
		    (ssize_t)sizeof(value))
			return -1;
		return (long long)value;
	}
	return -1;
}

long long vcpu_stat(int vcpu, const char *name)
{
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, 0);

	if (fd < 0)
		return -1;
	long long value = find(fd, name);
	close(fd);
	return value;
}
