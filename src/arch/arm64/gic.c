/*
 * arch/arm64/gic.c - state tables and power-on values of the interrupt controller.
 */
#include "arch/arm64/gic.h"

#define D(m, ...) FIELD(struct arm64_gicd, m, __VA_ARGS__)
static const struct field dist_fields[] = {
	D(ctlr, ),   D(iidr, ),	 D(statusr, ), D(group, ),    D(enable, ), D(pending, ),
	D(active, ), D(level, ), D(config, ),  D(priority, ), D(target, ), D(route, ),
};
static const struct state_table dist_table = STATE_TABLE("gicd", 1, dist_fields);

#define C(m, ...) FIELD(struct arm64_gic_cpu, m, __VA_ARGS__)
static const struct field cpu_fields[] = {
	C(group, ),	C(enable, ),	C(pending, ),	 C(active, ),	   C(level, ),
	C(config, ),	C(priority, ),	C(sgi_source, ), C(redist_ctlr, ), C(redist_statusr, ),
	C(propbaser, ), C(pendbaser, ), C(ctlr, ),	 C(pmr, ),	   C(bpr0, ),
	C(bpr1, ),	C(igrpen0, ),	C(igrpen1, ),	 C(sre, ),	   C(ap0r, ),
	C(ap1r, ),
};
static const struct state_table cpu_table = STATE_TABLE("gic-cpu", 1, cpu_fields);

#define I(m, ...) FIELD(struct arm64_its, m, __VA_ARGS__)
static const struct field its_fields[] = {
	I(ctlr, ), I(iidr, ), I(cbaser, ), I(cwriter, ), I(creadr, ), I(baser, ),
};
static const struct state_table its_table = STATE_TABLE("its", 1, its_fields);

#define X(m, ...) FIELD(struct arm64_chips, m, __VA_ARGS__)
static const struct field chips_fields[] = {
	X(version, .max = 3),
	X(n_spis, .max = ARM64_SPIS_MAX),
	FIELD_SUB(struct arm64_chips, dist, struct arm64_gicd, &dist_table, ),
	X(n_cpus, .max = ARM64_VCPUS_MAX),
	FIELD_SUB(struct arm64_chips, cpu, struct arm64_gic_cpu, &cpu_table,
		  .count_off = offsetof(struct arm64_chips, n_cpus) + 1),
	X(has_its, ),
	FIELD_SUB(struct arm64_chips, its, struct arm64_its, &its_table, ),
	X(has_counter, ),
	X(counter_ns, ),
};
const struct state_table arm64_chips_table = STATE_TABLE("arm64-chips", 1, chips_fields);

void arm64_chips_reset(void *chips)
{
	state_reset(&arm64_chips_table, chips);
}

#define EDGE_ALL 0xaaaaaaaau	 /* of a configuration register */
#define SGIS	 0xffffu	 /* INTIDs 0 to 15 */
#define BASER_WB UINT64_C(0x580) /* LPI tables: inner shareable, inner write-back */

/*
 * Without a secure world every interrupt of a GICv3 is in group 1 when the GIC is made.  SGIs are
 * enabled and edge-triggered; how SPIs are triggered is left to implementations,
 * and edge is what KVM's has.
 */
void arm64_gic_power_on(struct arm64_chips *c)
{
	uint32_t group = c->version == 3 ? UINT32_MAX : 0;

	c->dist = (struct arm64_gicd){.iidr = c->dist.iidr};
	for (uint32_t i = 0; i < c->n_spis / 32; i++) {
		c->dist.group[i] = group;
		c->dist.config[i * 2] = c->dist.config[i * 2 + 1] = EDGE_ALL;
	}
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		const struct arm64_gic_cpu *old = &c->cpu[i];

		c->cpu[i] = (struct arm64_gic_cpu){
			.group = group,
			.enable = SGIS,
			.config = {EDGE_ALL, 0},
			.propbaser = c->version == 3 ? BASER_WB : 0,
			.pendbaser = c->version == 3 ? BASER_WB : 0,
			.ctlr = c->version == 3 ? old->ctlr & ~ARM64_ICC_CTLR_RW : 0,
			.sre = old->sre};
	}
	c->its = (struct arm64_its){.iidr = c->its.iidr};
}
