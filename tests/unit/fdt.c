/* Device trees: what is written can be read back; what the user gives is not believed. */
#include "unit.h"

#include <errno.h>
#include <libfdt.h>

#include "../golden/boards.h"
#include "base/endian.h"
#include "boot/fdt.h"
#include "boot_build.h"

static struct fdt_blob build(const struct arm64_board *b, const struct fdt_chosen *c)
{
	struct err e = ERR_INIT;
	struct fdt_blob out;

	if (fdt_build_arm64(b, c, &out, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(fdt_check_full(out.data, out.len), 0);
	assert_int_equal(fdt_check(out.data, out.len, &e), 0);
	return out;
}

static struct fdt_blob build_plain(void)
{
	return build(&boards[1].b, &(struct fdt_chosen){0});
}

static const void *prop(const struct fdt_blob *b, const char *path, const char *name, int len)
{
	int node = fdt_path_offset(b->data, path), n = -1;
	const void *p = fdt_getprop(b->data, node, name, &n);

	if (node < 0 || !p || n != len)
		fail_msg("%s %s: %d bytes, not %d", path, name, n, len);
	return p;
}

static uint32_t cell(const struct fdt_blob *b, const char *path, const char *name, unsigned n,
		     unsigned of)
{
	return be32_load((const uint8_t *)prop(b, path, name, (int)(4 * of)) + 4 * (size_t)n);
}

static void every_machine_has_a_tree_that_can_be_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
		struct fdt_blob b = build(&boards[i].b, &(struct fdt_chosen){0});

		fdt_blob_exit(&b);
	}
}

static void the_gic_says_its_version_and_where_it_is(void **state)
{
	struct fdt_blob v3 = build(&boards[0].b, &(struct fdt_chosen){0}), v2 = build_plain();

	(void)state;
	assert_string_equal(prop(&v3, "/intc@8000000", "compatible", 11), "arm,gic-v3");
	assert_int_equal(cell(&v3, "/intc@8000000", "reg", 5, 8), 0x080a0000);
	assert_int_equal(cell(&v3, "/intc@8000000", "reg", 7, 8), 0xf60000);
	assert_int_equal(cell(&v3, "/intc@8000000/its@8080000", "reg", 1, 4), 0x08080000);
	assert_int_equal(cell(&v3, "/timer", "interrupts", 7, 12), 11);
	assert_int_equal(cell(&v3, "/timer", "interrupts", 8, 12), 4);
	assert_string_equal(prop(&v2, "/intc@8000000", "compatible", 19), "arm,cortex-a15-gic");
	assert_int_equal(cell(&v2, "/intc@8000000", "reg", 5, 8), 0x08010000);
	assert_int_equal(cell(&v2, "/timer", "interrupts", 8, 12), 0xf04);
	fdt_blob_exit(&v3);
	fdt_blob_exit(&v2);
}

static void devices_have_their_interrupts_and_what_is_acpis_only_is_left_out(void **state)
{
	struct fdt_blob b = build_plain();

	(void)state;
	assert_int_equal(cell(&b, "/virtio_mmio@a000200", "interrupts", 1, 3), 17);
	assert_int_equal(cell(&b, "/virtio_mmio@a000200", "interrupts", 2, 3), 1);
	assert_int_equal(cell(&b, "/pl011@9000000", "interrupts", 1, 3), 1);
	assert_int_equal(cell(&b, "/gpio-keys/poweroff", "gpios", 1, 3), 3);
	assert_int_equal(cell(&b, "/gpio-keys/poweroff", "linux,code", 0, 1), 116);
	assert_null(fdt_getprop(b.data, fdt_path_offset(b.data, "/flash@0"), "interrupts", NULL));
	assert_true(fdt_path_offset(b.data, "/acpi_only@9020000") < 0);
	fdt_blob_exit(&b);
}

static void five_hundred_cpus_have_a_tree_of_less_than_two_mebibytes(void **state)
{
	struct arm64_cpu *cpu = calloc(ARM64_BOARD_CPUS_MAX, sizeof(*cpu));
	struct arm64_board d = boards[4].b;
	struct fdt_blob b;

	(void)state;
	for (unsigned i = 0; i < ARM64_BOARD_CPUS_MAX; i++)
		cpu[i].mpidr = (i & 15) | (uint64_t)(i >> 4) << 8;
	d.cpu = cpu;
	d.n_cpus = ARM64_BOARD_CPUS_MAX;
	d.gic.redist[0].len = (uint64_t)ARM64_GICR_LEN * ARM64_BOARD_CPUS_MAX;
	b = build(&d, &(struct fdt_chosen){0});
	assert_int_equal(cell(&b, "/cpus/cpu@1f0f", "reg", 0, 1), 0x1f0f);
	assert_true(b.len < KIB(256));
	fdt_blob_exit(&b);
	free(cpu);
}

static void machines_that_cannot_be_are_refused(void **state)
{
	static const struct arm64_cpu twins[] = {{.mpidr = 5}, {.mpidr = 5}};
	static const struct arm64_cpu odd[] = {{.mpidr = 1ull << 31}};
	static const struct acpi_node_memory overlap[] = {{0x40000000, 0x2000, 0},
							  {0x40001000, 0x2000, 0}};
	struct arm64_board d[8];
	static const char *const msg[] = {
		"0 CPUs (1 to 512 can be described)",
		"CPUs 0 and 1 have the same affinity",
		"CPU 0: 0x80000000 is not an affinity",
		"memory 1: 0x2000 bytes at 0x40001000 overlap, wrap, are none or no pages",
		"GIC version 4 (2 or 3 can be described)",
		"redistributors for 1 CPUs, there are 2",
		"UART: SPI 988 or address 0x9000000 does not exist",
		"there is no PPI 16",
	};
	struct err e = ERR_INIT;
	struct fdt_blob b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(d); i++)
		d[i] = boards[0].b;
	d[0].n_cpus = 0;
	d[1].cpu = twins;
	d[1].n_cpus = 2;
	d[2].cpu = odd;
	d[3].memory = overlap;
	d[3].n_memory = 2;
	d[4].gic.version = 4;
	d[5].cpu = board_cpus;
	d[5].n_cpus = 2;
	d[5].gic.redist[0].len = ARM64_GICR_LEN;
	d[6].uart.spi = 988;
	d[7].pmu_ppi = 16;
	for (size_t i = 0; i < ARRAY_LEN(d); i++) {
		assert_int_equal(fdt_build_arm64(&d[i], &(struct fdt_chosen){0}, &b, &e), -EINVAL);
		assert_memory_equal(e.msg, "the machine cannot be described: ", 33);
		assert_string_equal(e.msg + 33, msg[i]);
		assert_null(b.data);
	}
}

static void refused(const void *p, size_t n, const char *wanted)
{
	struct err e = ERR_INIT;

	assert_int_equal(fdt_check(p, n, &e), -EINVAL);
	assert_string_equal(e.msg, wanted);
}

static void files_that_are_no_trees_are_refused_by_name(void **state)
{
	static const char source[] = "/dts-v1/;\n/ { };\n                              ";
	const char *path = build_file("tree", source, sizeof(source));
	char wanted[300];
	struct fdt_blob b;
	struct err e = ERR_INIT;

	(void)state;
	refused("\xd0\x0d", 2, "is not a device tree blob (it begins with d0 0d 00 00)");
	assert_int_equal(fdt_open(path, &b, &e), -EINVAL);
	snprintf(wanted, sizeof(wanted),
		 "%s: is not a device tree blob (it begins with 2f 64 74 73)", path);
	assert_string_equal(e.msg, wanted);
	assert_string_equal(e.hint, "it is the source of one: dtc -O dtb compiles it");
	assert_int_equal(fdt_open("/nonexistent", &b, &e), -ENOENT);
	assert_null(b.data);
}

static void trees_that_lie_are_refused(void **state)
{
	struct fdt_blob good = build_plain();
	uint8_t *p = good.data;
	char wanted[200];

	(void)state;
	snprintf(wanted, sizeof(wanted),
		 "is a device tree blob that is cut short: it has %zu of %zu bytes", good.len - 1,
		 good.len);
	refused(p, good.len - 1, wanted);
	be32_store(p + 8, (uint32_t)good.len + 4096); /* off_dt_struct */
	refused(p, good.len, "is a device tree blob that cannot be used: it is cut short");
	fdt_blob_exit(&good);

	good = build_plain();
	p = good.data;
	be32_store(p + 20, 99); /* version */
	be32_store(p + 24, 99); /* last compatible version */
	refused(p, good.len,
		"is a device tree blob that cannot be used: it has a version that nobody knows");
	fdt_blob_exit(&good);

	good = build_plain();
	p = good.data;
	be32_store(p + 20, 8); /* before version 16, in which libfdt's check trips over the root */
	be32_store(p + 24, 8);
	refused(p, good.len, "is a device tree blob of format version 8; 16 and later are used");
	fdt_blob_exit(&good);

	good = build_plain();
	p = good.data;
	be32_store(p + be32_load(p + 8), 0x77); /* the first token */
	refused(p, good.len, "is a device tree blob that cannot be used: its nodes are damaged");
	fdt_blob_exit(&good);
}

static void every_cut_and_every_flipped_byte_is_refused_or_harmless(void **state)
{
	struct fdt_blob good = build(&boards[4].b, &(struct fdt_chosen){.cmdline = "x"}), copy, out;
	struct err e;

	(void)state;
	for (size_t n = 0; n < good.len; n++) {
		void *cut = malloc(n + 1);

		memcpy(cut, good.data, n);
		assert_int_equal(fdt_check(cut, n, &e), -EINVAL);
		free(cut);
	}
	copy = (struct fdt_blob){malloc(good.len), good.len};
	for (size_t i = 0; i < good.len; i++) {
		memcpy(copy.data, good.data, good.len);
		((uint8_t *)copy.data)[i] ^= 0xff;
		if (fdt_check(copy.data, copy.len, &e))
			continue;
		if (fdt_patch(&copy, board_memory, 1, &(struct fdt_chosen){.cmdline = "y"}, &out,
			      &e))
			continue;
		assert_int_equal(fdt_check_full(out.data, out.len), 0);
		fdt_blob_exit(&out);
	}
	fdt_blob_exit(&copy);
	fdt_blob_exit(&good);
}

static void a_completed_tree_has_our_memory_and_chosen_and_keeps_the_rest(void **state)
{
	struct fdt_chosen old = {
		.cmdline = "old", .initrd = 0x1000, .initrd_len = 1, .kaslr_seed = 9};
	struct fdt_blob in = build(&boards[2].b, &old), out;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
		fdt_patch(&in, board_memory, 1, &(struct fdt_chosen){.cmdline = "new"}, &out, &e),
		0);
	assert_string_equal(prop(&out, "/chosen", "bootargs", 4), "new");
	assert_string_equal(prop(&out, "/chosen", "stdout-path", 15), "/pl011@9000000");
	assert_null(
		fdt_getprop(out.data, fdt_path_offset(out.data, "/chosen"), "kaslr-seed", NULL));
	assert_null(fdt_getprop(out.data, fdt_path_offset(out.data, "/chosen"),
				"linux,initrd-start", NULL));
	assert_int_equal(cell(&out, "/memory@40000000", "reg", 3, 4), 0x20000000);
	assert_true(fdt_path_offset(out.data, "/memory@80000000") < 0);
	assert_true(fdt_path_offset(out.data, "/psci") > 0);
	fdt_blob_exit(&out);
	fdt_blob_exit(&in);
}

/* A tree of the user with @cells cells for root addresses and sizes. */
static struct fdt_blob small_tree(uint32_t cells, bool with_cpus)
{
	struct fdt_blob b = {calloc(1, 4096), 4096};
	void *p = b.data;

	assert_int_equal(fdt_create(p, 4096), 0);
	assert_int_equal(fdt_finish_reservemap(p), 0);
	assert_int_equal(fdt_begin_node(p, ""), 0);
	assert_int_equal(fdt_property_u32(p, "#address-cells", cells), 0);
	assert_int_equal(fdt_property_u32(p, "#size-cells", cells), 0);
	if (with_cpus) {
		assert_int_equal(fdt_begin_node(p, "cpus"), 0);
		assert_int_equal(fdt_end_node(p), 0);
	}
	assert_int_equal(fdt_end_node(p), 0);
	assert_int_equal(fdt_finish(p), 0);
	b.len = fdt_totalsize(p);
	return b;
}

static void a_tree_with_short_addresses_takes_only_memory_that_fits(void **state)
{
	static const struct acpi_node_memory high[] = {{0x40000000, 0x20000000, 0},
						       {0x100000000, 0x40000000, 0}};
	struct fdt_blob in = small_tree(1, true), out;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fdt_check(in.data, in.len, &e), 0);
	assert_int_equal(fdt_patch(&in, high, 1, &(struct fdt_chosen){0}, &out, &e), 0);
	assert_int_equal(cell(&out, "/memory@40000000", "reg", 1, 2), 0x20000000);
	fdt_blob_exit(&out);
	assert_int_equal(fdt_patch(&in, high, 2, &(struct fdt_chosen){0}, &out, &e), -EINVAL);
	assert_string_equal(e.msg, "the device tree has addresses of 32 bits, the machine's memory "
				   "needs more");
	fdt_blob_exit(&in);
	in = small_tree(3, true);
	refused(in.data, in.len,
		"is a device tree blob whose root does not say #address-cells and #size-cells of 1 "
		"or "
		"2");
	fdt_blob_exit(&in);
	in = small_tree(2, false);
	refused(in.data, in.len, "is a device tree blob without a /cpus node");
	fdt_blob_exit(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_machine_has_a_tree_that_can_be_read_back),
		cmocka_unit_test(the_gic_says_its_version_and_where_it_is),
		cmocka_unit_test(devices_have_their_interrupts_and_what_is_acpis_only_is_left_out),
		cmocka_unit_test(five_hundred_cpus_have_a_tree_of_less_than_two_mebibytes),
		cmocka_unit_test(machines_that_cannot_be_are_refused),
		cmocka_unit_test(files_that_are_no_trees_are_refused_by_name),
		cmocka_unit_test(trees_that_lie_are_refused),
		cmocka_unit_test(every_cut_and_every_flipped_byte_is_refused_or_harmless),
		cmocka_unit_test(a_completed_tree_has_our_memory_and_chosen_and_keeps_the_rest),
		cmocka_unit_test(a_tree_with_short_addresses_takes_only_memory_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, build_cleanup);
}
