/*
 * base/bug.c - the end of the process at one of our own mistakes.
 */
#include "base/compiler.h"

#include <stdlib.h>

#include "base/log.h"

void bug_abort(const char *file, int line, const char *cond)
{
	log_error("bug at %s:%d: %s", file, line, cond);
	abort();
}
