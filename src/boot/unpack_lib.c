/*
 * boot/unpack_lib.c - loads a decompressor's library.
 */
#include "boot/unpack_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/sys.h"

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "what dlsym gives is a function, too");

static int absent(const struct unpack_lib *lib, struct err *e)
{
	err_set(e, -ENOSYS, "cannot be unpacked: this host has no usable %s", lib->file);
	err_kind(e, ERR_HOST);
	return err_hint(e, "Debian's package %s has it", lib->package);
}

int unpack_lib_load(struct unpack_lib *lib, struct err *e)
{
	uint8_t *at = lib->functions;
	void *handle, *function;

	if (lib->loaded)
		return 0;
	handle = fault_hit("dlopen") ? NULL : dlopen(lib->file, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return absent(lib, e);
	for (const char *const *name = lib->names; *name; name++, at += sizeof(function)) {
		function = dlsym(handle, *name);
		if (!function) {
			dlclose(handle);
			return absent(lib, e);
		}
		memcpy(at, &function, sizeof(function));
	}
	lib->loaded = true; /* and stays so: a reboot unpacks again */
	return 0;
}
