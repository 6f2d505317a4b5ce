/*
 * boot/identify.h - names files that are not kernels, for the message that refuses them.
 */
#ifndef LODGE_BOOT_IDENTIFY_H
#define LODGE_BOOT_IDENTIFY_H

#include "boot/boot.h"

/* Bytes of a file's beginning after which nothing more is recognised. */
#define IDENTIFY_HEAD (KIB(64) + 128)

struct identity {
	char what[120];	  /* "a qcow2 disk image"; "" if it is not known */
	const char *hint; /* what the user may have meant, or NULL */
	bool foreign;	  /* it is a kernel or a program, for another machine */
};

/* Looks at the first @n bytes of a file of @size bytes that is no kernel for @arch. */
void identify(const uint8_t *head, size_t n, uint64_t size, enum boot_arch arch,
	      struct identity *id);

#endif
