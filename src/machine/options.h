/*
 * machine/options.h - the parts of a machine configuration that are little languages of their own.
 */
#ifndef LODGE_MACHINE_OPTIONS_H
#define LODGE_MACHINE_OPTIONS_H

#include "core/vm.h"
#include "machine/machine.h"

/*
 * Where vCPUs may run.  "0-3,5": every vCPU anywhere on these host CPUs; "0=2,1=3-4,6": vCPU 0 on
 * CPU 2, vCPU 1 on CPUs 3, 4 and 6; vCPUs that are not named stay free.  Sets the affinity of
 * @vm's vCPUs, before their threads start.
 */
int machine_pin_vcpus(struct vm *vm, const char *spec, struct err *e) MUST_CHECK;

/* Makes the device of --device: "class[,id=NAME][,addr=N][,irq=N][,property=value]...". */
int machine_add_device(struct vm *vm, const char *spec, struct err *e) MUST_CHECK;

/*
 * Fills in what the user left open so that sockets × cores × threads is the number of CPUs; an
 * error names the product that does not fit.
 */
int machine_topology(const struct machine_config *c, struct vm_topology *t,
		     struct err *e) MUST_CHECK;

#endif
