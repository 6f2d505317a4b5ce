/*
 * machine/machine.h - a machine type builds a VM out of a configuration.
 *
 * struct machine_config is what the command line, a configuration file and later the monitor fill
 * in; the machine only reads it.  Strings are borrowed and live as long as the VM.
 */
#ifndef LODGE_MACHINE_MACHINE_H
#define LODGE_MACHINE_MACHINE_H

#include "boot/boot.h"
#include "core/vm.h"

#define MACHINE_SERIALS	 4
#define MACHINE_INITRDS	 16
#define MACHINE_DEVICES	 64
#define MACHINE_NODES	 8
#define MACHINE_CPUS_MAX 1024
#define MACHINE_RAW_ADDR UINT64_MAX

struct machine_config {
	const char *name;
	const char *machine; /* "microvm" */
	const struct accel_ops *accel;
	unsigned cpus;
	unsigned sockets, cores, threads; /* topology; 0: derived from cpus */
	uint64_t memory;		  /* bytes */
	enum ram_backing backing;
	unsigned numa_nodes; /* 0 or 1: no NUMA */
	enum irqchip_mode irqchip;
	bool hpet; /* x86 */
	const char *kernel;
	const char *raw;   /* flat binary */
	uint64_t raw_addr; /* or MACHINE_RAW_ADDR: where this machine usually has them */
	const char *initrd[MACHINE_INITRDS];
	unsigned n_initrds;
	const char *append;
	enum boot_how boot;
	bool kaslr;
	const char *dtb;      /* arm64: a device tree of the user's; NULL: made from the board */
	bool acpi;	      /* arm64: describe the machine by ACPI tables, not by a device tree */
	unsigned gic_version; /* arm64: 2, 3, or 0 for the host's best */
	const char *serial[MACHINE_SERIALS]; /* chardev specs; NULL: "none" */
	const char *device[MACHINE_DEVICES]; /* "class,key=value,…" */
	unsigned n_devices;
	const char *cpu_pin;   /* "0-3,5", or "0=2,1=3" */
	const char *accel_arg; /* see struct vm_options */
	const char *cpu_model; /* see struct vm_options */
};

struct machine_type {
	const char *name, *help;
	const struct arch *arch;
	/* Builds everything up to READY.  On error the VM is freed. */
	int (*build)(const struct machine_config *c, struct loop *l, struct vm **out,
		     struct err *e);
	/* ACPI power button, or its like; 0 if the guest will be told. */
	int (*power_button)(struct vm *vm, struct err *e);
};

/* NULL-terminated; machines.def. */
extern const struct machine_type *const machine_list[];
const struct machine_type *machine_find(const char *name);
/* The machine for guests that this host's KVM can run; the first one if there is none. */
const struct machine_type *machine_default(void);

#endif
