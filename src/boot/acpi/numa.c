/*
 * boot/acpi/numa.c - SRAT and SLIT [ACPI 6.5 §5.2.16, §5.2.17].
 */
#include "boot/acpi/numa.h"

#include <errno.h>

#define SRAT_REVISION 3
#define SLIT_REVISION 1
#define SRAT_MEMORY   1
#define SRAT_ENABLED  1u
#define SLIT_LOCAL    10u
#define SLIT_REMOTE   20u

uint8_t acpi_numa_distance(const struct acpi_numa *n, unsigned from, unsigned to)
{
	if (n->distance)
		return n->distance[from * n->n_nodes + to];
	return from == to ? SLIT_LOCAL : SLIT_REMOTE;
}

/* A guest throws away a SLIT with a wrong entry; we do not make one. */
int acpi_numa_check(const struct acpi_numa *n, struct err *e)
{
	uint64_t end;

	if (n->n_nodes > ACPI_NODES_MAX)
		return err_set(e, -EINVAL, "%u NUMA nodes (at most %u can be described)",
			       n->n_nodes, ACPI_NODES_MAX);
	for (unsigned i = 0; n->n_nodes && i < n->n_memory; i++) {
		const struct acpi_node_memory *m = &n->memory[i];

		if (m->node >= n->n_nodes || !m->len || ADD_OVERFLOWS(m->base, m->len, &end))
			return err_set(e, -EINVAL, "NUMA memory %u: no such node or range", i);
	}
	for (unsigned i = 0; i < n->n_nodes; i++)
		for (unsigned j = 0; j < n->n_nodes; j++) {
			uint8_t d = acpi_numa_distance(n, i, j);

			if ((i == j) != (d == SLIT_LOCAL) || d < SLIT_LOCAL)
				return err_set(e, -EINVAL,
					       "NUMA distance from %u to %u is %u (%u for the node "
					       "itself, more for any other)",
					       i, j, d, SLIT_LOCAL);
		}
	return 0;
}

void acpi_srat_open(struct acpi_set *s)
{
	acpi_open(s, "SRAT", SRAT_REVISION, true);
	acpi_put32(s, 1); /* reserved, 1 for compatibility */
	acpi_put_zeros(s, 8);
}

void acpi_srat_close(struct acpi_set *s, const struct acpi_numa *n)
{
	for (unsigned i = 0; i < n->n_memory; i++) {
		acpi_put8(s, SRAT_MEMORY);
		acpi_put8(s, 40);
		acpi_put32(s, n->memory[i].node);
		acpi_put16(s, 0);
		acpi_put64(s, n->memory[i].base);
		acpi_put64(s, n->memory[i].len);
		acpi_put32(s, 0);
		acpi_put32(s, SRAT_ENABLED);
		acpi_put_zeros(s, 8);
	}
	acpi_close(s);
}

void acpi_put_slit(struct acpi_set *s, const struct acpi_numa *n)
{
	acpi_open(s, "SLIT", SLIT_REVISION, true);
	acpi_put64(s, n->n_nodes);
	for (unsigned i = 0; i < n->n_nodes; i++)
		for (unsigned j = 0; j < n->n_nodes; j++)
			acpi_put8(s, acpi_numa_distance(n, i, j));
	acpi_close(s);
}
