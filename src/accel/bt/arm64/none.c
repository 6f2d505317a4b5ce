/*
 * accel/bt/arm64/none.c - the software CPU on arm64 hosts: there is none, and this says so.
 */
#include <errno.h>

#include "accel/list.h"
#include "base/str.h"
#include "core/vm.h"

static const char why[] = "the software CPU runs x86-64 guests on x86-64 hosts only";

static void probe(struct accel_report *r)
{
	str_copy(r->why, sizeof(r->why), why);
}

static int vm_init(struct vm *vm, struct err *e)
{
	(void)vm;
	err_set(e, -ENOTSUP, "%s", why);
	return err_kind(e, ERR_HOST);
}

static void vm_exit(struct vm *vm)
{
	(void)vm;
}

const struct accel_ops accel_bt = {
	.name = "bt",
	.help = BT_HELP,
	.probe = probe,
	.vm_init = vm_init,
	.vm_exit = vm_exit,
};
