/*
 * The toy device.  KVM hands over an access that meets no memory as address, length, direction and
 * up to 8 bytes of data; for a load, the device leaves its answer in the same bytes.
 */
#include <stdio.h>
#include <string.h>
#include "toy.h"

void toy_access(struct toy *toy, struct kvm_run *run)
{
	uint64_t off = run->mmio.phys_addr - TOY_BASE;
	uint32_t val, before;

	if (off > 12 || off % 4 != 0 || run->mmio.len != 4) { /* nobody there: a load finds ones */
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return;
	}
	before = toy->count++;
	memcpy(&val, run->mmio.data, sizeof(val));
	if (run->mmio.is_write) {
		if (off == 4)
			toy->scratch = val;
		else if (off == 8)
			putchar((int)(val & 0xff));
		return;
	}
	const uint32_t regs[] = {0x4544474c, toy->scratch, 0, before};
	memcpy(run->mmio.data, &regs[off / 4], sizeof(val));
}
