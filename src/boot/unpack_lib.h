/*
 * boot/unpack_lib.h - the decompressors' libraries, loaded when a kernel needs one; private.
 *
 * Loading six libraries costs a third of a millisecond of every start, and most kernels need one of
 * them or none.  So they are no part of the link: each file that uses one lists its functions,
 *
 *	#define FUNCTIONS(F) F(inflate) F(inflateEnd)
 *	UNPACK_LIB(zlib, "libz.so.1", "zlib1g", FUNCTIONS);
 *
 * calls unpack_lib_load(&zlib_lib, e), and then zlib.inflate(...).  The types are those of the
 * library's own header, so the compiler checks the calls as if they were direct.
 */
#ifndef LODGE_BOOT_UNPACK_LIB_H
#define LODGE_BOOT_UNPACK_LIB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* A library by its file name, which says its ABI; Debian's package is for the hint. */
struct unpack_lib {
	const char *file, *package;
	const char *const *names; /* NULL-terminated */
	void *functions;	  /* a pointer for each name, in the same order */
	bool loaded;
};

/* -ENOSYS if the host has no such library, or one without these functions.  Loop thread only. */
int unpack_lib_load(struct unpack_lib *lib, struct err *e) MUST_CHECK;

/*
 * Tools that make packages and images find such libraries by a note in the program, as they find
 * the others by the dynamic section [UAPI group, ELF dlopen metadata].
 */
#define UNPACK_LIB_NOTE(file_name)                                             \
	"[{\"feature\":\"" file_name "\",\"description\":\"unpacks kernels\"," \
	"\"priority\":\"recommended\",\"soname\":[\"" file_name "\"]}]"

#define UNPACK_LIB_POINTER(function) __typeof__(function) *function;
#define UNPACK_LIB_NAME(function)    #function,
#define UNPACK_LIB(var, file_name, package_name, FUNCTIONS)                         \
	static struct {                                                             \
		FUNCTIONS(UNPACK_LIB_POINTER)                                       \
	} var;                                                                      \
	static const char *const var##_names[] = {FUNCTIONS(UNPACK_LIB_NAME) 0};    \
	static const struct {                                                       \
		uint32_t name_len, len, type;                                       \
		char name[4];                                                       \
		_Alignas(4) char text[sizeof(UNPACK_LIB_NOTE(file_name))];          \
	} var##_note __attribute__((used, section(".note.dlopen"), aligned(4))) = { \
		4, sizeof(UNPACK_LIB_NOTE(file_name)), 0x407c0c0a, "FDO",           \
		UNPACK_LIB_NOTE(file_name)};                                        \
	static struct unpack_lib var##_lib = {.file = (file_name),                  \
					      .package = (package_name),            \
					      .names = var##_names,                 \
					      .functions = &(var)}

#endif
