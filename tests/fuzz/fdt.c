/*
 * Device trees of the user: whatever passes the check can be completed without harm, and what comes
 * out is well-formed.
 */
#include <libfdt.h>

#include "base/compiler.h"
#include "boot/fdt.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct acpi_node_memory memory[] = {{0x40000000, 0x20000000, 0}};
	struct fdt_chosen c = {.cmdline = "quiet",
			       .initrd = 0x48000000,
			       .initrd_len = 4096,
			       .kaslr_seed = 1,
			       .rng_seed_len = 8};
	struct fdt_blob in = {malloc(size + 1), size}, out;
	struct err e = ERR_INIT;

	BUG_ON(!in.data);
	memcpy(in.data, data, size);
	if (fdt_check(in.data, size, &e)) {
		BUG_ON(e.code >= 0 || e.msg[0] == '\0');
	} else if (!fdt_patch(&in, memory, 1, &c, &out, &e)) {
		BUG_ON(fdt_check_full(out.data, out.len));
		fdt_blob_exit(&out);
	} else {
		BUG_ON(e.code >= 0 || e.msg[0] == '\0');
	}
	fdt_blob_exit(&in);
	return 0;
}
