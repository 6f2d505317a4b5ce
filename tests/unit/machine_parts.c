/* What all boards share: NUMA, topology, CPU pinning, --device. */
#include "fake_vm.h"

#include "machine/options.h"
#include "machine/parts.h"

static void memory_is_dealt_out_to_nodes_across_the_hole(void **state)
{
	static const struct machine_ram ram[] = {{0, GIB(3)}, {GIB(4), GIB(2)}};
	struct machine_config c = {.numa_nodes = 2, .cpus = 4};
	struct acpi_node_memory m[3];
	uint64_t dimm[2];

	(void)state;
	assert_int_equal(machine_node_memory(&c, ram, 2, m, dimm), 3);
	assert_int_equal(m[0].len, GIB(5) / 2);
	assert_int_equal(m[1].base, GIB(5) / 2);
	assert_int_equal(m[1].node, 1);
	assert_int_equal(m[2].base, GIB(4));
	assert_int_equal(m[2].len, GIB(2));
	assert_int_equal(dimm[0] + dimm[1], GIB(5));
	assert_int_equal(machine_node_of_cpu(&c, 1), 0);
	assert_int_equal(machine_node_of_cpu(&c, 2), 1);
}

static void memory_without_nodes_is_one_and_loses_no_byte(void **state)
{
	static const struct machine_ram ram[] = {{0, MIB(3)}, {GIB(4), 0}};
	struct machine_config c = {.cpus = 1};
	struct acpi_node_memory m[2];

	(void)state;
	assert_int_equal(machine_node_memory(&c, ram, 2, m, NULL), 1);
	assert_int_equal(m[0].len, MIB(3));
	for (unsigned nodes = 2; nodes <= MACHINE_NODES; nodes++) {
		static const struct machine_ram odd[] = {{0, MIB(17) + 4096}};
		struct acpi_node_memory out[MACHINE_NODES];
		uint64_t sum = 0;

		c.numa_nodes = nodes;
		for (unsigned i = 0, n = machine_node_memory(&c, odd, 1, out, NULL); i < n; i++)
			sum += out[i].len;
		assert_int_equal(sum, MIB(17) + 4096);
	}
}

static void a_topology_is_completed_or_refused(void **state)
{
	struct machine_config c = {.cpus = 8};
	struct vm_topology t;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(machine_topology(&c, &t, &e), 0);
	assert_int_equal(t.sockets * 100 + t.cores * 10 + t.threads, 181);
	c.numa_nodes = 2; /* a node never cuts through a socket */
	assert_int_equal(machine_topology(&c, &t, &e), 0);
	assert_int_equal(t.sockets * 100 + t.cores * 10 + t.threads, 241);
	c.numa_nodes = 0;
	c.threads = 2;
	c.sockets = 2;
	assert_int_equal(machine_topology(&c, &t, &e), 0);
	assert_int_equal(t.cores, 2);
	c.cores = 3;
	assert_int_not_equal(machine_topology(&c, &t, &e), 0);
	assert_string_equal(e.msg, "--cpus 8: 2 sockets x 3 cores x 2 threads are not 8 CPUs");
	assert_int_equal(e.kind, ERR_USAGE);
}

static void vcpus_are_pinned_to_host_cpus_that_exist(void **state)
{
	struct vm *vm = fake_vm_new(3);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(machine_pin_vcpus(vm, "0", &e), 0);
	assert_int_equal(CPU_COUNT(&vm->vcpus[2].affinity), 1);
	CPU_ZERO(&vm->vcpus[1].affinity);
	assert_int_equal(machine_pin_vcpus(vm, "0=0,2=0", &e), 0);
	assert_int_equal(CPU_COUNT(&vm->vcpus[1].affinity), 0);
	assert_int_not_equal(machine_pin_vcpus(vm, "1023", &e), 0);
	assert_non_null(strstr(e.msg, "host CPU 1023 does not exist or is not ours to use"));
	assert_int_not_equal(machine_pin_vcpus(vm, "3=0", &e), 0);
	assert_int_not_equal(machine_pin_vcpus(vm, "5-2", &e), 0);
	assert_int_not_equal(machine_pin_vcpus(vm, "x", &e), 0);
	fake_vm_free(vm);
}

static void a_device_is_made_from_text_or_refused_by_name(void **state)
{
	struct vm *vm = fake_vm_new(1);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(machine_add_device(vm, "example-mmio,addr=0xd0000000,id=toy", &e), 0);
	assert_non_null(device_find(vm, "toy"));
	assert_int_equal(machine_add_device(vm, "example-mmoi", &e), -ENOENT);
	assert_string_equal(e.hint, "did you mean \"example-mmio\"?");
	assert_int_not_equal(machine_add_device(vm, "example-mmio,colour=red", &e), 0);
	assert_int_not_equal(machine_add_device(vm, "example-mmio,addr=0xd0000000", &e), 0);
	assert_non_null(strstr(e.msg, "would overlap toy"));
	fake_vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_dealt_out_to_nodes_across_the_hole),
		cmocka_unit_test(memory_without_nodes_is_one_and_loses_no_byte),
		cmocka_unit_test(a_topology_is_completed_or_refused),
		cmocka_unit_test(vcpus_are_pinned_to_host_cpus_that_exist),
		cmocka_unit_test(a_device_is_made_from_text_or_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
