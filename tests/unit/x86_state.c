/*
 * The state of an x86 vCPU: its power-on values, its table, its words; and page walks.
 */
#include "fake_vm.h"

#include "arch/arch.h"
#include "arch/x86/chips.h"
#include "arch/x86/defs.h"
#include "arch/x86/vcpu.h"
#include "base/endian.h"

static struct x86_vcpu *new_state(unsigned index)
{
	struct x86_vcpu *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	x86_vcpu_reset(v, index);
	return v;
}

/* SDM 3A table 10-1. */
static void power_on_values_are_the_manuals(void **state)
{
	struct x86_vcpu *v = new_state(0);

	(void)state;
	assert_int_equal(v->rip, 0xfff0);
	assert_int_equal(v->rflags, 2);
	assert_int_equal(v->cr0, 0x60000010);
	assert_int_equal(v->seg[X86_CS].sel, 0xf000);
	assert_int_equal(v->seg[X86_CS].base, 0xffff0000);
	assert_int_equal(v->seg[X86_CS].limit, 0xffff);
	assert_int_equal(v->seg[X86_CS].attr, 0x9b);
	assert_int_equal(v->seg[X86_DS].attr, 0x93);
	assert_int_equal(v->seg[X86_LDTR].attr, 0x82);
	assert_int_equal(v->seg[X86_TR].attr, 0x8b);
	assert_int_equal(v->idt.limit, 0xffff);
	assert_int_equal(v->dr6, 0xffff0ff0);
	assert_int_equal(v->dr7, 0x400);
	assert_int_equal(v->xcr0, 1);
	assert_int_equal(v->apic_base, 0xfee00900);
	assert_int_equal(v->xsave[0], 0x40);
	assert_int_equal(v->lapic[X86_LAPIC_SVR], 0xff);
	assert_int_equal(v->mp_state, X86_MP_RUNNING);
	assert_int_equal(arch_x86.pc(v), 0xfffffff0);
	free(v);
	v = new_state(1);
	assert_int_equal(v->apic_base, 0xfee00800);
	assert_int_equal(v->mp_state, X86_MP_WAIT_INIT);
	free(v);
}

static void a_reset_keeps_what_belongs_to_the_processor(void **state)
{
	struct x86_vcpu *v = new_state(3);

	(void)state;
	v->apic_id = 5;
	v->tsc_khz = 2000000;
	v->gpr[X86_RAX] = 1;
	v->n_msrs = 1;
	x86_vcpu_reset(v, 3);
	assert_int_equal(v->apic_id, 5);
	assert_int_equal(v->lapic[X86_LAPIC_ID], 5u << 24);
	assert_int_equal(v->tsc_khz, 2000000);
	assert_int_equal(v->gpr[X86_RAX], 0);
	assert_int_equal(v->n_msrs, 0);
	free(v);
}

static uint64_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void any_state_is_saved_and_loaded_bit_for_bit(void **state)
{
	uint64_t seed = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct x86_vcpu *a = new_state(0), *b = new_state(0);
		struct strbuf saved = {0}, diff = {0};
		struct err e = ERR_INIT;

		state_random(&x86_vcpu_table, a, next_random, &seed);
		state_save(&x86_vcpu_table, a, &saved);
		assert_int_equal(state_load(&x86_vcpu_table, 1, b, saved.s, saved.len, &e), 0);
		/* What lies beyond the counts is nobody's. */
		memset(a->xsave + a->xsave_size, 0, X86_XSAVE_MAX - a->xsave_size);
		memset(b->xsave + b->xsave_size, 0, X86_XSAVE_MAX - b->xsave_size);
		if (state_diff(&x86_vcpu_table, a, b, &diff))
			fail_msg("%s", strbuf_str(&diff));
		strbuf_exit(&saved);
		strbuf_exit(&diff);
		free(a);
		free(b);
	}
}

static void msrs_are_found_by_their_number(void **state)
{
	struct x86_vcpu *v = new_state(0);

	(void)state;
	assert_null(x86_vcpu_msr(v, 0x10));
	for (unsigned i = 0; i < 5; i++)
		v->msr[i] = (struct x86_msr){.index = 0x10 + i * 3, .value = i};
	v->n_msrs = 5;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(*x86_vcpu_msr(v, 0x10 + i * 3), i);
	assert_null(x86_vcpu_msr(v, 0x11));
	assert_null(x86_vcpu_msr(v, 0xf));
	assert_null(x86_vcpu_msr(v, 0x1d));
	free(v);
}

static void what_a_cpu_does_is_said_in_words(void **state)
{
	struct x86_vcpu *v = new_state(0);
	struct strbuf text = {0};

	(void)state;
	assert_string_equal(arch_x86.doing(v), "in real mode with interrupts off");
	v->cr0 |= X86_CR0_PE;
	assert_string_equal(arch_x86.doing(v), "in kernel mode with interrupts off");
	v->rflags |= X86_FLAGS_IF;
	assert_string_equal(arch_x86.doing(v), "in kernel mode");
	v->seg[X86_SS].attr |= 3 << 5;
	assert_string_equal(arch_x86.doing(v), "in user mode");
	v->mp_state = X86_MP_HALTED;
	assert_string_equal(arch_x86.doing(v), "halted, waiting for an interrupt");
	assert_false(arch_x86.activity(v) == ARCH_STUCK);
	v->rflags &= ~(uint64_t)X86_FLAGS_IF;
	assert_string_equal(arch_x86.doing(v), "halted with interrupts off");
	assert_true(arch_x86.activity(v) == ARCH_STUCK);
	v->events.nmi_pending = true;
	assert_false(arch_x86.activity(v) == ARCH_STUCK);
	arch_x86.show(v, &text);
	assert_non_null(strstr(strbuf_str(&text), "16-bit protected mode, cpl 3"));
	assert_non_null(
		strstr(strbuf_str(&text), "cs   f000 base 00000000ffff0000 limit 0000ffff"));
	strbuf_exit(&text);
	free(v);
}

/* Guest memory with page tables in it. */
struct walk {
	struct vm *vm;
	struct x86_vcpu *v;
};

static void walk_init(struct walk *w)
{
	struct err e = ERR_INIT;
	struct ram *ram;

	w->vm = fake_vm_new(1);
	assert_int_equal(ram_new(w->vm, "ram", 0x100000, RAM_ANON, &ram, &e), 0);
	assert_int_equal(as_map_ram(&w->vm->mem, 0, ram, 0, 0x100000, &e), 0);
	w->v = new_state(0);
	w->v->cr0 |= X86_CR0_PE | X86_CR0_PG;
}

static void walk_exit(struct walk *w)
{
	free(w->v);
	fake_vm_free(w->vm);
}

static void entry64(struct walk *w, gpa_t table, unsigned index, uint64_t value)
{
	le64 raw = le64_of(value);

	assert_int_equal(as_write(&w->vm->mem, table + index * 8, &raw, 8), IO_OK);
}

static void entry32(struct walk *w, gpa_t table, unsigned index, uint32_t value)
{
	le32 raw = le32_of(value);

	assert_int_equal(as_write(&w->vm->mem, table + index * 4, &raw, 4), IO_OK);
}

static void expect_at(struct walk *w, uint64_t va, gpa_t want)
{
	gpa_t pa = 0;

	assert_true(x86_translate(w->v, &w->vm->mem, va, &pa));
	assert_int_equal(pa, want);
}

static void expect_unmapped(struct walk *w, uint64_t va)
{
	gpa_t pa;

	assert_false(x86_translate(w->v, &w->vm->mem, va, &pa));
}

static void without_paging_addresses_are_physical_and_32_bits(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w);
	w.v->cr0 &= ~(uint64_t)X86_CR0_PG;
	expect_at(&w, 0x123456, 0x123456);
	expect_at(&w, UINT64_C(0x1ffffffff), 0xffffffff);
	walk_exit(&w);
}

static void paging_of_32_bits_has_pages_of_4_kib_and_4_mib(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w);
	w.v->cr3 = 0x1018; /* low bits are flags */
	entry32(&w, 0x1000, 1, 0x2000 | X86_PTE_P);
	entry32(&w, 0x2000, 3, 0x55000 | X86_PTE_P);
	entry32(&w, 0x1000, 2, 0x00c00000 | 3u << 13 | X86_PTE_PS | X86_PTE_P);
	expect_at(&w, 0x403abc, 0x55abc);
	expect_unmapped(&w, 0x404000);
	expect_unmapped(&w, 0xc00000);
	w.v->cr4 = X86_CR4_PSE;
	expect_at(&w, 0x812345, UINT64_C(0x300c12345));
	w.v->cr3 = 0xfffff000; /* the table is not RAM */
	expect_unmapped(&w, 0);
	walk_exit(&w);
}

static void pae_takes_its_four_pointers_from_registers_or_memory(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w);
	w.v->cr4 = X86_CR4_PAE;
	w.v->cr3 = 0x1020;
	entry64(&w, 0x1020, 1, 0x2000 | X86_PTE_P);
	entry64(&w, 0x2000, 0, 0x3000 | X86_PTE_P);
	entry64(&w, 0x3000, 7, UINT64_C(0x8000000123456000) | X86_PTE_P);
	entry64(&w, 0x2000, 1, 0x40600000 | X86_PTE_PS | X86_PTE_P);
	expect_at(&w, 0x40007fff, 0x123456fff);
	expect_at(&w, 0x40212345, 0x40612345);
	expect_unmapped(&w, 0x12345);
	w.v->pdptrs_valid = true;
	w.v->pdptr[0] = 0x2000 | X86_PTE_P;
	expect_at(&w, 0x7fff, 0x123456fff);
	expect_unmapped(&w, 0x40007fff);
	walk_exit(&w);
}

static void long_mode_walks_four_or_five_levels(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w);
	w.v->cr4 = X86_CR4_PAE;
	w.v->efer = X86_EFER_LME | X86_EFER_LMA;
	w.v->cr3 = 0x1000;
	entry64(&w, 0x1000, 511, 0x2000 | X86_PTE_P);
	entry64(&w, 0x2000, 510, 0x3000 | X86_PTE_P);
	entry64(&w, 0x2000, 511, UINT64_C(0x100000000) | X86_PTE_PS | X86_PTE_P);
	entry64(&w, 0x3000, 8, 0x200000 | X86_PTE_PS | X86_PTE_P);
	entry64(&w, 0x3000, 9, 0x4000 | X86_PTE_P);
	entry64(&w, 0x4000, 1, 0x77000 | X86_PTE_P);
	expect_at(&w, 0xffffffff81012345, 0x212345);
	expect_at(&w, 0xffffffff81201fff, 0x77fff);
	expect_at(&w, 0xffffffffc0000001, 0x100000001);
	expect_unmapped(&w, 0xffffffff81202000);
	expect_unmapped(&w, 0x7fffffffffff);
	expect_unmapped(&w, 0x0000ffffff812345); /* not canonical */
	w.v->cr4 |= X86_CR4_LA57;
	w.v->cr3 = 0x5000;
	entry64(&w, 0x5000, 511, 0x1000 | X86_PTE_P);
	expect_at(&w, 0xffffffff81012345, 0x212345);
	expect_unmapped(&w, 0xfeffffff81012345);
	walk_exit(&w);
}

static void a_page_table_that_points_at_itself_ends(void **state)
{
	struct walk w;

	(void)state;
	walk_init(&w);
	w.v->cr4 = X86_CR4_PAE;
	w.v->efer = X86_EFER_LMA;
	w.v->cr3 = 0x1000;
	entry64(&w, 0x1000, 0, 0x1000 | X86_PTE_P);
	expect_at(&w, 0, 0x1000);
	walk_exit(&w);
}

static void chips_reset_to_power_on_and_pass_through_their_table(void **state)
{
	struct strbuf saved = {0}, diff = {0};
	struct x86_chips a, b;
	struct err e = ERR_INIT;
	uint64_t seed = 42;

	(void)state;
	memset(&a, 0, sizeof(a));
	x86_chips_reset(&a);
	assert_int_equal(a.ioapic.rte[23], X86_RTE_MASKED);
	assert_int_equal(a.pit.channel[0].mode, 0xff);
	assert_true(a.pit.channel[0].gate);
	assert_false(a.pit.channel[2].gate);
	assert_false(a.has_clock);
	memset(&b, 0, sizeof(b));
	state_random(&x86_chips_table, &a, next_random, &seed);
	state_save(&x86_chips_table, &a, &saved);
	assert_int_equal(state_load(&x86_chips_table, 2, &b, saved.s, saved.len, &e), 0);
	assert_int_equal(state_diff(&x86_chips_table, &a, &b, &diff), 0);
	strbuf_exit(&saved);
	strbuf_exit(&diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_on_values_are_the_manuals),
		cmocka_unit_test(a_reset_keeps_what_belongs_to_the_processor),
		cmocka_unit_test(any_state_is_saved_and_loaded_bit_for_bit),
		cmocka_unit_test(msrs_are_found_by_their_number),
		cmocka_unit_test(what_a_cpu_does_is_said_in_words),
		cmocka_unit_test(without_paging_addresses_are_physical_and_32_bits),
		cmocka_unit_test(paging_of_32_bits_has_pages_of_4_kib_and_4_mib),
		cmocka_unit_test(pae_takes_its_four_pointers_from_registers_or_memory),
		cmocka_unit_test(long_mode_walks_four_or_five_levels),
		cmocka_unit_test(a_page_table_that_points_at_itself_ends),
		cmocka_unit_test(chips_reset_to_power_on_and_pass_through_their_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
