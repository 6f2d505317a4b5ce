/*
 * boot/acpi/numa.h - what SRAT and SLIT say on every architecture; the CPUs' entries are each one's
 * own.
 */
#ifndef LODGE_BOOT_ACPI_NUMA_H
#define LODGE_BOOT_ACPI_NUMA_H

#include "base/err.h"
#include "boot/acpi/tables.h"

#define ACPI_NODES_MAX 64

/* RAM of a node. */
struct acpi_node_memory {
	uint64_t base, len;
	uint32_t node;
};

struct acpi_numa {
	unsigned n_nodes; /* 0: none */
	const struct acpi_node_memory *memory;
	unsigned n_memory;
	const uint8_t *distance; /* n_nodes × n_nodes, row by row; NULL: 10 and 20 */
};

/* Too many nodes, ranges that do not exist, distances that a guest throws away.  -EINVAL. */
int acpi_numa_check(const struct acpi_numa *n, struct err *e) MUST_CHECK;
/* Distance between two nodes: the table's, or the default. */
uint8_t acpi_numa_distance(const struct acpi_numa *n, unsigned from, unsigned to);

/* Opens the SRAT; then come the CPUs, then acpi_srat_close with the memory. */
void acpi_srat_open(struct acpi_set *s);
void acpi_srat_close(struct acpi_set *s, const struct acpi_numa *n);
void acpi_put_slit(struct acpi_set *s, const struct acpi_numa *n);

#endif
