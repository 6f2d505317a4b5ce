/*
 * Pages that a guest dirties, by bitmap and by ring.
 */
#include "kvm_rig.h"

#include "base/bitmap.h"

static const uint8_t few_pages[] = {
	0xb8, 0x00, 0x20,		    /* mov $0x2000,%ax */
	0x8e, 0xc0,			    /* mov %ax,%es */
	0x26, 0xc6, 0x06, 0x00, 0x00, 0x01, /* movb $1,%es:0 */
	0x26, 0xc6, 0x06, 0xff, 0x5f, 0x01, /* movb $1,%es:0x5fff */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0x80, 0x3e, 0x00, 0x20, 0x00,	    /* 1: cmpb $0,0x2000 */
	0x74, 0xf9,			    /* je 1b */
	0x26, 0xc6, 0x06, 0x00, 0xf0, 0x01, /* movb $1,%es:0xf000 */
	0xe6, 0x10,			    /* out %al,$0x10 */
	0xf4,				    /* hlt */
};

/*
 * It leaves the guest after each page: kvm_pvm emulates up to a thousand instructions in one go and
 * overruns the ring meanwhile.
 */
static const uint8_t many_pages[] = {
	0x66, 0xbf, 0x00, 0x00, 0x10, 0x00,	  /* mov $0x100000,%edi */
	0x66, 0xb9, 0xd0, 0x07, 0x00, 0x00,	  /* mov $2000,%ecx */
	0x26, 0x67, 0xc6, 0x07, 0x01,		  /* 1: movb $1,%es:(%edi) */
	0xe6, 0x10,				  /* out %al,$0x10 */
	0x66, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* add $0x1000,%edi */
	0x67, 0xe2, 0xef,			  /* loopl 1b */
	0xf4,					  /* hlt */
};

#define PAGES	   (RIG_RAM / GUEST_PAGE)
#define MANY_BASE  0x100000u
#define MANY_PAGES 2048u

static int find_map(const struct as_map *m, void *arg)
{
	struct as_map *want = arg;

	if (m->kind != MAP_RAM || m->base != want->base)
		return 0;
	*want = *m;
	return 1;
}

static struct as_map map_at(struct rig *r, gpa_t base)
{
	struct as_map m = {.base = base};

	assert_int_equal(as_for_each(&r->vm->mem, find_map, &m), 1);
	return m;
}

/*
 * Pages 1 and 2, which the guest only reads, may be named as well: KVM may map what is read for
 * writing too and then calls it dirty.
 */
static void expect_dirty(struct rig *r, const unsigned *pages, size_t n)
{
	uint64_t map[BITMAP_WORDS(PAGES)] = {0}, want[BITMAP_WORDS(PAGES)] = {0};
	struct as_map m = map_at(r, 0);
	struct err e = ERR_INIT;

	rig_check(as_dirty_fetch(&r->vm->mem, &m, map, &e), &e);
	for (size_t i = 0; i < n; i++)
		bitmap_set(want, pages[i]);
	for (unsigned page = 1; page <= 2; page++)
		if (!bitmap_test(want, page))
			bitmap_clear(map, page);
	assert_memory_equal(map, want, sizeof(map));
}

static void exactly_the_pages_that_were_written_are_dirty(const char *arg)
{
	static const unsigned first[] = {0x20, 0x25}, second[] = {0x02, 0x2f};
	struct err e = ERR_INIT;
	uint8_t go = 1;
	struct rig r;

	rig_init(&r,
		 &(struct rig_options){.code = few_pages, .len = sizeof(few_pages), .arg = arg});
	rig_check(as_dirty_start(&r.vm->mem, &e), &e);
	vm_run(r.vm);
	rig_wait_seen(&r, 1);
	expect_dirty(&r, first, ARRAY_LEN(first));
	expect_dirty(&r, NULL, 0);
	assert_int_equal(as_write(&r.vm->mem, 0x2000, &go, 1),
			 IO_OK); /* Lodge's own write counts too */
	assert_int_equal(rig_wait(&r), VM_EVENT_OFF);
	expect_dirty(&r, second, ARRAY_LEN(second));
	as_dirty_stop(&r.vm->mem);
	/* Logging begins anew, with nothing from before. */
	vm_pause(r.vm);
	rig_check(as_dirty_start(&r.vm->mem, &e), &e);
	expect_dirty(&r, NULL, 0);
	as_dirty_stop(&r.vm->mem);
	rig_exit(&r);
}

static void the_bitmap_names_exactly_the_pages_that_were_written(void **state)
{
	(void)state;
	exactly_the_pages_that_were_written_are_dirty(NULL);
}

static void the_ring_names_exactly_the_pages_that_were_written(void **state)
{
	(void)state;
	exactly_the_pages_that_were_written_are_dirty("dirty-ring=1024");
}

/* Real mode with a data segment of 4 GiB, as a firmware has it. */
static void big_segment(struct rig *r, struct x86_vcpu *s, unsigned index)
{
	(void)r;
	(void)index;
	s->seg[X86_ES].limit = 0xffffffff;
	s->seg[X86_ES].attr |= X86_SEG_G;
}

static uint64_t many_dirty(const char *arg, uint64_t *full)
{
	uint64_t map[BITMAP_WORDS(MANY_PAGES)] = {0};
	struct err e = ERR_INIT;
	struct ram *ram;
	struct as_map m;
	struct rig r;

	rig_init(&r, &(struct rig_options){.code = many_pages,
					   .len = sizeof(many_pages),
					   .arg = arg,
					   .tweak = big_segment});
	rig_check(ram_new(r.vm, "more", MANY_PAGES * GUEST_PAGE, RAM_ANON, &ram, &e), &e);
	rig_check(as_map_ram(&r.vm->mem, MANY_BASE, ram, 0, MANY_PAGES * GUEST_PAGE, &e), &e);
	rig_check(as_dirty_start(&r.vm->mem, &e), &e);
	vm_run(r.vm);
	assert_int_equal(rig_wait(&r), VM_EVENT_OFF);
	m = map_at(&r, MANY_BASE);
	rig_check(as_dirty_fetch(&r.vm->mem, &m, map, &e), &e);
	*full = vm_exits(r.vm, EXIT_STAT_DIRTY);
	for (unsigned i = 0; i < MANY_PAGES; i++)
		if (bitmap_test(map, i) != (i < 2000))
			fail_msg("page %u is %sdirty with \"%s\"", i, i < 2000 ? "not " : "",
				 arg ? arg : "");
	rig_exit(&r);
	return bitmap_count(map, MANY_PAGES);
}

static void more_pages_than_the_ring_holds_are_all_named(void **state)
{
	uint64_t full;

	(void)state;
	assert_int_equal(many_dirty("dirty-ring=1024", &full), 2000);
	assert_true(full > 0);
	assert_int_equal(many_dirty(NULL, &full), 2000);
	assert_int_equal(full, 0);
}

static void wrong_options_are_refused_with_their_names(void **state)
{
	static const struct {
		const char *arg, *msg;
	} bad[] = {
		{"dirty-ring=1000",
		 "kvm: dirty-ring: 1000 is not a power of two from 1024 to 65536"},
		{"dirty-ring=512", "kvm: dirty-ring: 512 is not a power of two from 1024 to 65536"},
		{"dirty-rin=1024", "kvm: 'dirty-rin' is not known (did you mean dirty-ring?)"},
		{"node=", "kvm: node: \"\" is not a path of 1 to 63 bytes"},
		{"node=/nonexistent/kvm", "/nonexistent/kvm does not exist"},
		{"node=/dev/null", "/dev/null is not a KVM device"},
	};
	struct loop *loop;
	struct err e = ERR_INIT;

	(void)state;
	loop = loop_new(&e);
	assert_non_null(loop);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct vm_options o = {.arch = &arch_x86,
				       .accel = accel_find("kvm"),
				       .loop = loop,
				       .n_vcpus = 1,
				       .accel_arg = bad[i].arg};
		struct vm *vm;

		e = ERR_INIT;
		assert_int_not_equal(vm_new(&o, &vm, &e), 0);
		assert_string_equal(e.msg, bad[i].msg);
	}
	loop_free(loop);
}

static struct CMUnitTest tests[] = {
	cmocka_unit_test(the_bitmap_names_exactly_the_pages_that_were_written),
	cmocka_unit_test(the_ring_names_exactly_the_pages_that_were_written),
	cmocka_unit_test(more_pages_than_the_ring_holds_are_all_named),
	cmocka_unit_test(wrong_options_are_refused_with_their_names),
};

RIG_MAIN(tests)
