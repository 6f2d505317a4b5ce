/* Page walks of the software CPU. */
#include "bt_rig.h"

#define P    X86_PTE_P
#define RW   X86_PTE_RW
#define US   X86_PTE_US
#define PS   X86_PTE_PS
#define ADDR UINT64_C(0xffffffffff000)

enum mode { M32, MPAE, M4, M5, MODES };

static void set_mode(struct bt_cpu *c, enum mode m)
{
	c->cr0 = X86_CR0_PE | X86_CR0_PG;
	c->cr4 = m == M32 ? X86_CR4_PSE : X86_CR4_PAE;
	c->efer = m >= M4 ? X86_EFER_LME | X86_EFER_LMA : 0;
	c->mode.code = m >= M4 ? 8 : 4;
	if (m == M5)
		c->cr4 |= X86_CR4_LA57;
	rig_mode(c);
}

static void every_mode_and_page_size_translates(void **state)
{
	static const struct {
		enum mode mode;
		uint64_t la;
		uint64_t entry[5]; /* from the root; each table is the page behind the last */
		uint64_t pa;
	} t[] = {
		{M32, 0x12345678, {0, 0x5000}, 0x5678},
		{M32, 0x12345678, {0x00400000 | PS}, 0x00745678},
		{M32, 0x12345678, {0x00400000 | PS | 0xa5 << 13}, 0xa500745678},
		{MPAE, 0xc0605678, {0, 0, 0x123456000}, 0x123456678},
		{MPAE, 0xc0605678, {0, 0x123400000 | PS}, 0x123405678},
		{M4, 0x7fffdeadbeef, {0, 0, 0, 0x345678000}, 0x345678eef},
		{M4, 0xffff8000deadbeef, {0, 0, 0x345600000 | PS}, 0x3456dbeef},
		{M4, 0xffff8000deadbeef, {0, 0x340000000 | PS}, 0x35eadbeef},
		{M5, 0xff123456deadbeef, {0, 0, 0, 0, 0x345678000}, 0x345678eef},
		{M5, 0x00a23456deadbeef, {0, 0, 0, 0x345600000 | PS}, 0x3456dbeef},
	};
	static const unsigned shift[MODES][5] = {
		{22, 12}, {30, 21, 12}, {39, 30, 21, 12}, {48, 39, 30, 21, 12}};
	struct bt_cpu *c = rig_new(1);

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		gpa_t table = 0x10000, pa = 0;

		set_mode(c, t[i].mode);
		memset(rig.ram->host + table, 0, 0x8000);
		c->cr3 = table;
		for (unsigned k = 0; !k || t[i].entry[k - 1] == 0; k++, table += GUEST_PAGE) {
			bool small = t[i].mode == M32, pdpte = t[i].mode == MPAE && !k;
			uint64_t n = t[i].la >> shift[t[i].mode][k] & (small ? 0x3ff : 0x1ff);
			uint64_t e = t[i].entry[k] ? t[i].entry[k] : table + GUEST_PAGE;

			e |= P | (pdpte ? 0 : RW | US);
			if (small)
				rig_u32(table)[n] = (uint32_t)e;
			else
				rig_u64(table)[n] = e;
		}
		assert_true(mmu_peek(c, t[i].la, &pa));
		assert_int_equal(pa, t[i].pa);
		assert_false(mmu_peek(c, t[i].la ^ 1u << 31, &pa));
	}
	rig_free();
}

/* Rows from SDM 3A §4.6 and §4.7, one fact each. */
static void what_is_forbidden_has_the_right_error_code(void **state)
{
	enum { WP = 1, SMEP = 2, SMAP = 4, NXE = 8, PKE = 16 };
	static const struct {
		uint64_t upper, leaf;
		unsigned on;
		enum mmu_class cls;
		enum bt_access access;
		uint32_t error; /* 0: allowed */
	} t[] = {
		{RW | US, RW | US, 0, MMU_USER, BT_WRITE, 0},
		{RW | US, US, 0, MMU_USER, BT_WRITE, PF_P | PF_W | PF_U},
		{US, RW | US, 0, MMU_USER, BT_RMW, PF_P | PF_W | PF_U},
		{RW, RW | US, 0, MMU_USER, BT_READ, PF_P | PF_U},
		{RW | US, RW, 0, MMU_USER, BT_EXEC, PF_P | PF_U},
		{RW | US, RW, NXE, MMU_USER, BT_EXEC, PF_P | PF_U | PF_I},
		{RW, 0, 0, MMU_SUP, BT_WRITE, 0},
		{RW, 0, WP, MMU_SUP, BT_WRITE, PF_P | PF_W},
		{RW | US, US, WP, MMU_SUP, BT_WRITE, PF_P | PF_W},
		{RW | US, RW | US, WP | SMAP, MMU_SUP, BT_READ, PF_P},
		{RW | US, RW | US, WP | SMAP, MMU_SUP_AC, BT_READ, 0},
		{RW | US, US, WP | SMAP, MMU_SUP_AC, BT_WRITE, PF_P | PF_W},
		{RW | US, RW | US, SMAP, MMU_USER, BT_READ, 0},
		{RW | US, RW | US, SMAP, MMU_SUP, BT_EXEC, 0},
		{RW | US, RW | US, SMEP, MMU_SUP, BT_EXEC, PF_P | PF_I},
		{RW, RW | US, SMEP, MMU_SUP, BT_EXEC, 0},
		{RW | US, RW | US, SMEP, MMU_USER, BT_EXEC, 0},
		{RW | US, RW | US | PTE_NX, NXE, MMU_USER, BT_EXEC, PF_P | PF_U | PF_I},
		{RW | US | PTE_NX, RW | US, NXE, MMU_SUP, BT_EXEC, PF_P | PF_I},
		{RW | US, RW | US | PTE_NX, NXE, MMU_USER, BT_WRITE, 0},
		{RW | US, RW | US | PTE_NX, 0, MMU_USER, BT_READ, PF_P | PF_U | PF_RSVD},
		{RW | US | UINT64_C(1) << 46, RW, 0, MMU_SUP, BT_WRITE, PF_P | PF_W | PF_RSVD},
		{RW | US | UINT64_C(1) << 52, RW, 0, MMU_SUP, BT_WRITE, 0},
		/* Keys: 1 forbids all, 2 forbids writes. */
		{RW | US, RW | US | UINT64_C(1) << 59, PKE, MMU_USER, BT_READ, PF_P | PF_U | PF_PK},
		{RW | US, RW | US | UINT64_C(1) << 59, PKE, MMU_SUP, BT_READ, PF_P | PF_PK},
		{RW | US, RW | US | UINT64_C(1) << 59, PKE, MMU_USER, BT_EXEC, 0},
		{RW, RW | US | UINT64_C(1) << 59, PKE, MMU_SUP, BT_READ, 0},
		{RW | US, RW | US | UINT64_C(2) << 59, PKE, MMU_USER, BT_READ, 0},
		{RW | US, RW | US | UINT64_C(2) << 59, PKE, MMU_USER, BT_WRITE,
		 PF_P | PF_W | PF_U | PF_PK},
		{RW | US, RW | US | UINT64_C(2) << 59, PKE, MMU_SUP, BT_WRITE, 0},
		{RW | US, RW | US | UINT64_C(2) << 59, PKE | WP, MMU_SUP, BT_WRITE,
		 PF_P | PF_W | PF_PK},
	};
	struct bt_cpu *c = rig_new(1);

	(void)state;
	set_mode(c, M4);
	c->cr3 = rig_page();
	c->ext.pkru = 1u << 2 | 2u << 4;
	uint64_t *leaf = rig_entry(c->cr3, 39, 0x400000, 12);
	uint64_t *upper = rig_entry(c->cr3, 39, 0x400000, 30), next = *upper & ADDR;
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct mmu_walk w;
		uint32_t error = 0;

		c->cr0 = X86_CR0_PE | X86_CR0_PG | (t[i].on & WP ? X86_CR0_WP : 0);
		c->cr4 = X86_CR4_PAE | (t[i].on & SMEP ? CR4_SMEP : 0) |
			 (t[i].on & SMAP ? CR4_SMAP : 0) | (t[i].on & PKE ? CR4_PKE : 0);
		c->efer = X86_EFER_LMA | (t[i].on & NXE ? X86_EFER_NXE : 0);
		*upper = next | P | t[i].upper;
		*leaf = 0x123000 | P | t[i].leaf;
		bool ok = mmu_walk(c, 0x400000, t[i].access, t[i].cls, &w, &error);
		if (ok != !t[i].error || (!ok && error != t[i].error))
			fail_msg("row %u: error 0x%x instead of 0x%x", i, error, t[i].error);
		/* A walk that faults leaves no trace. */
		assert_int_equal(*leaf & PTE_A, ok ? PTE_A : 0);
		assert_int_equal(*upper & PTE_A, ok ? PTE_A : 0);
		assert_int_equal(*leaf & PTE_D, ok && (t[i].access & BT_WRITE) ? PTE_D : 0);
		assert_int_equal(*upper & PTE_D, 0);
	}
	*leaf = 0;
	struct mmu_walk w;
	uint32_t error = 0;
	assert_false(mmu_walk(c, 0x400000, BT_WRITE, MMU_USER, &w, &error));
	assert_int_equal(error, PF_W | PF_U);
	rig_free();
}

static void tables_in_rom_stay_and_outside_of_memory_are_not_present(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct mmu_walk w;
	uint32_t error = 0;

	(void)state;
	set_mode(c, M4);
	c->cr3 = rig_page();
	*rig_entry(c->cr3, 39, 0x400000, 21) = RIG_ROM | P | RW;
	*rig_entry(c->cr3, 39, 0x600000, 21) = RIG_HOLE | P | RW;
	*rig_entry(c->cr3, 39, 0x800000, 21) = RIG_DEV | P | RW;
	*(uint64_t *)(void *)rig.rom->host = 0x5000 | P | RW;
	assert_true(mmu_walk(c, 0x400000, BT_WRITE, MMU_SUP, &w, &error));
	assert_int_equal(w.pa, 0x5000);
	assert_int_equal(*(uint64_t *)(void *)rig.rom->host, 0x5000 | P | RW);
	assert_false(mmu_walk(c, 0x600000, BT_READ, MMU_SUP, &w, &error));
	assert_int_equal(error, 0);
	assert_false(mmu_walk(c, 0x800000, BT_READ, MMU_SUP, &w, &error));
	assert_int_equal(error, 0);
	assert_int_equal(rig.regs->dev.reads, 0);
	rig_free();
}

static void accessed_bits_are_writes_to_the_dirty_log_and_to_code(void **state)
{
	struct as_map m = {.base = 0, .len = RIG_RAM, .kind = MAP_RAM};
	uint64_t map[RIG_RAM / GUEST_PAGE / 64] = {0};
	struct bt_cpu *c = rig_new(1);
	struct bt_code_page *code;
	struct err e = ERR_INIT;
	uint32_t version;
	bool settled;
	gpa_t table;

	(void)state;
	rig_long(c);
	rig_put(c, 0x400000, 12, 0x100000 | RW);
	table = (gpa_t)((uint8_t *)rig_entry(c->cr3, 39, 0x400000, 12) - rig.ram->host);
	code = bt_code_mark(c, table, 8, &version, &settled);
	assert_int_equal(as_dirty_start(&rig.vm->mem, &e), 0);
	(void)bt_ld64(c, 0x400000);
	assert_int_not_equal(atomic_load(&code->version), version);
	m.ram = rig.ram;
	assert_int_equal(as_dirty_fetch(&rig.vm->mem, &m, map, &e), 0);
	assert_true(map[0] >> (table / GUEST_PAGE) & 1);
	as_dirty_stop(&rig.vm->mem);
	rig_free();
}

/* Random tables. ----------------------------------------------------------------------------- */

#define TABLES 12u /* pages of RAM from 0 that are tables */

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static bool chance(unsigned in)
{
	return rnd() % in == 0;
}

/* What the tables should look like: RAM's, then ROM's. */
static uint8_t model[(TABLES + 1) * GUEST_PAGE];

static uint8_t *model_at(gpa_t pa)
{
	if (pa < TABLES * GUEST_PAGE)
		return model + pa;
	if (pa >= RIG_ROM && pa < RIG_ROM + GUEST_PAGE)
		return model + TABLES * GUEST_PAGE + (pa - RIG_ROM);
	return NULL;
}

/* A plain walk: level by level, as the manual's figures have it.  Error code or -1 in *fault. */
struct plain {
	gpa_t pa;
	int fault;
	bool reserved;
};

struct visit {
	uint8_t *entry;
	unsigned bytes;
	bool rom;
};

static bool fits_bits(uint64_t v, unsigned hi, unsigned lo)
{
	for (unsigned b = lo; b <= hi; b++)
		if (v >> b & 1)
			return false;
	return true;
}

static bool plain_reserved(const struct bt_cpu *c, enum mode m, unsigned level, bool leaf,
			   uint64_t e)
{
	if (m == M32)
		return level == 2 && leaf && (e >> 21 & 1);
	if (!fits_bits(e, 51, 46))
		return true;
	if (!(c->efer & X86_EFER_NXE) && e >> 63)
		return true;
	if (m == MPAE && !fits_bits(e, 62, 52))
		return true;
	if (m == MPAE && level == 3)
		return !fits_bits(e, 2, 1) || !fits_bits(e, 8, 5) || e >> 63;
	if (level >= 4)
		return e >> 7 & 1;
	if (leaf && level == 3)
		return !c->mmu->pages_1g || !fits_bits(e, 29, 13);
	return leaf && level == 2 && !fits_bits(e, 20, 13);
}

static int plain_rights(const struct bt_cpu *c, enum mode m, bool us, bool rw, bool nx,
			uint64_t leaf, enum bt_access access, enum mmu_class cls)
{
	bool user = cls == MMU_USER, write = access & BT_WRITE, wp = user || (c->cr0 & X86_CR0_WP);
	int bits = 0;

	if (access == BT_EXEC) {
		if (nx || (user && !us) || (!user && us && (c->cr4 & CR4_SMEP)))
			bits = PF_P;
		return bits;
	}
	if (user && !us)
		bits = PF_P;
	if (!user && us && (c->cr4 & CR4_SMAP) && cls == MMU_SUP)
		bits = PF_P;
	if (write && !rw && wp)
		bits = PF_P;
	if (m >= M4 && (c->cr4 & CR4_PKE) && us) {
		unsigned key = leaf >> 59 & 15;

		if (c->ext.pkru >> (2 * key) & 1)
			bits |= PF_P | PF_PK;
		if (write && wp && (c->ext.pkru >> (2 * key + 1) & 1))
			bits |= PF_P | PF_PK;
	}
	return bits;
}

static struct plain plain_walk(const struct bt_cpu *c, enum mode m, uint64_t la,
			       enum bt_access access, enum mmu_class cls)
{
	unsigned level = m == M32 ? 2 : m == MPAE ? 3 : m == M4 ? 4 : 5, n = 0, size;
	int side = (access & BT_WRITE ? PF_W : 0) | (cls == MMU_USER ? PF_U : 0), bits;
	gpa_t table = m == MPAE ? c->cr3 & 0xffffffe0 : c->cr3 & ADDR;
	bool us = true, rw = true, nx = false, leaf;
	struct visit v[5];
	uint64_t e;

	if (access == BT_EXEC && ((c->cr4 & CR4_SMEP) || (m != M32 && (c->efer & X86_EFER_NXE))))
		side |= PF_I;
	for (;; level--) {
		unsigned width = m == M32 ? 10 : 9, low = 12 + width * (level - 1);
		uint64_t index = la >> low & ((1u << width) - 1);
		gpa_t at = table + index * (m == M32 ? 4 : 8);
		uint8_t *p = model_at(at);

		if (!p)
			return (struct plain){.fault = side};
		e = 0;
		memcpy(&e, p, m == M32 ? 4 : 8);
		if (!(e & P))
			return (struct plain){.fault = side};
		leaf = level == 1;
		if (e & PS)
			leaf = leaf || (m == M32 ? level == 2 && (c->cr4 & X86_CR4_PSE) : true);
		if (m == MPAE && level == 3)
			leaf = false;
		if (plain_reserved(c, m, level, leaf, e))
			return (struct plain){.fault = side | PF_P | PF_RSVD, .reserved = true};
		size = low;
		if (!(m == MPAE && level == 3)) {
			v[n++] = (struct visit){p, m == M32 ? 4 : 8, at >= RIG_ROM};
			us = us && (e & US);
			rw = rw && (e & RW);
			nx = nx || (m != M32 && e >> 63);
		}
		if (leaf)
			break;
		table = m == M32 ? e & 0xfffff000 : e & ADDR;
	}
	bits = plain_rights(c, m, us, rw, nx, e, access, cls);
	if (bits)
		return (struct plain){.fault = side | bits};
	for (unsigned i = 0; i < n; i++)
		if (!v[i].rom)
			v[i].entry[0] |= 0x20 | (i == n - 1 && (access & BT_WRITE) ? 0x40 : 0);
	gpa_t base = m == M32 ? e & 0xfffff000 : e & ADDR;
	if (m == M32 && size == 22)
		base = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
	uint64_t mask = (UINT64_C(1) << size) - 1;
	return (struct plain){.pa = (base & ~mask) | (la & mask), .fault = -1};
}

static uint64_t random_entry(enum mode m, bool pdpte)
{
	uint64_t e = rnd() % TABLES * GUEST_PAGE;

	if (chance(16))
		e = RIG_ROM;
	if (chance(64))
		e = chance(2) ? RIG_HOLE : RIG_DEV;
	e |= chance(16) ? 0 : P;
	if (pdpte)
		return e | (chance(16) ? UINT64_C(1) << rnd() % 64 : 0);
	e |= (chance(6) ? 0 : RW) | (chance(4) ? 0 : US) | (rnd() & (PTE_A | PTE_D | PTE_G));
	if (chance(8)) {
		e |= PS;
		if (chance(2))
			e &= ~UINT64_C(0x3fffe000);
		if (m != M32 && chance(2))
			e |= rnd() & UINT64_C(0x3ffffc0000000);
	}
	if (m != M32 && chance(8))
		e |= PTE_NX;
	if (m >= M4 && chance(8))
		e |= rnd() & UINT64_C(0x7ff0000000000000);
	if (chance(32))
		e |= UINT64_C(1) << rnd() % 64;
	return e;
}

static void random_tables(enum mode m)
{
	for (unsigned i = 0; i < sizeof(model); i += m == M32 ? 4 : 8) {
		uint64_t e = random_entry(m, m == MPAE && i < 32);

		memcpy(model + i, &e, m == M32 ? 4 : 8);
	}
	memcpy(rig.ram->host, model, TABLES * GUEST_PAGE);
	memcpy(rig.rom->host, model + TABLES * GUEST_PAGE, GUEST_PAGE);
}

static void random_control(struct bt_cpu *c, enum mode m)
{
	static const uint64_t cr4[] = {CR4_SMEP, CR4_SMAP, CR4_PKE, X86_CR4_PGE};

	set_mode(c, m);
	c->cr3 = m == MPAE ? 0 : rnd() % TABLES * GUEST_PAGE;
	c->cr0 |= chance(2) ? X86_CR0_WP : 0;
	c->efer |= chance(3) ? 0 : X86_EFER_NXE;
	for (unsigned i = 0; i < ARRAY_LEN(cr4); i++)
		c->cr4 |= chance(2) ? cr4[i] : 0;
	if (m == M32 && chance(4))
		c->cr4 &= ~(uint64_t)X86_CR4_PSE;
	c->ext.pkru = (uint32_t)rnd() & 0x0fff000f;
	c->mmu->pages_1g = !chance(4);
}

/* Where x86_translate, which knows no reserved bits, says no, there is nothing; else it agrees. */
static void check_peek(struct bt_cpu *c, uint64_t la, const struct plain *want)
{
	static struct x86_vcpu v;
	gpa_t pa = 0, other = 0;
	bool found = mmu_peek(c, la, &pa);

	v.cr0 = c->cr0;
	v.cr3 = c->cr3;
	v.cr4 = c->cr4;
	v.efer = c->efer;
	if (found) {
		assert_true(x86_translate(&v, &rig.vm->mem, la, &other));
		assert_int_equal(pa, other);
	}
	if (want->fault < 0)
		assert_true(found);
	else if (want->reserved || !(want->fault & PF_P))
		assert_false(found);
}

static void random_tables_are_walked_as_by_a_plain_walker(void **state)
{
	static const enum bt_access kinds[] = {BT_READ, BT_WRITE, BT_EXEC, BT_RMW};
	struct bt_cpu *c = rig_new(1);
	unsigned found = 0, rsvd = 0, forbidden = 0, n = 0;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		enum mode m = round % MODES;

		random_tables(m);
		random_control(c, m);
		for (unsigned i = 0; i < 100; i++, n++) {
			unsigned unused = m == M5 ? 7 : 16;
			uint64_t la = (uint64_t)((int64_t)(rnd() << unused) >> unused);
			enum bt_access access = kinds[rnd() % 4];
			enum mmu_class cls = rnd() % 3;
			struct mmu_walk w;
			uint32_t error = 0;

			if (m < M4)
				la = (uint32_t)la;
			struct plain want = plain_walk(c, m, la, access, cls);
			check_peek(c, la, &want); /* before there are new A and D bits */
			bool ok = mmu_walk(c, la, access, cls, &w, &error);
			if (ok != (want.fault < 0) ||
			    (ok ? w.pa != want.pa : error != (uint32_t)want.fault))
				fail_msg("mode %u la %llx access %u class %u: %llx/%x, not %llx/%x",
					 m, (unsigned long long)la, access, cls,
					 (unsigned long long)w.pa, error,
					 (unsigned long long)want.pa, want.fault);
			found += ok;
			rsvd += want.reserved;
			forbidden += !ok && (error & PF_P) && !want.reserved;
		}
		assert_memory_equal(rig.ram->host, model, TABLES * GUEST_PAGE);
		assert_memory_equal(rig.rom->host, model + TABLES * GUEST_PAGE, GUEST_PAGE);
	}
	print_message("%u walks: %u found a page, %u met reserved bits, %u were forbidden\n", n,
		      found, rsvd, forbidden);
	assert_true(found > n / 20 && rsvd > n / 20 && forbidden > n / 20);
	rig_free();
}

/* Another CPU's stores between reading an entry and setting its bits must not be lost. */
static _Atomic bool stop;

static void *toggle(void *arg)
{
	uint64_t *leaf = arg;

	while (!atomic_load(&stop))
		for (unsigned i = 0; i < 1000; i++) {
			uint64_t want = (i & 1 ? UINT64_C(0x200000) : UINT64_C(0x300000)) | P | RW;

			__atomic_store_n(leaf, want, __ATOMIC_SEQ_CST);
			/* Only A and D may have come since. */
			uint64_t got = __atomic_load_n(leaf, __ATOMIC_SEQ_CST) &
				       ~(uint64_t)(PTE_A | PTE_D);
			if (got != want)
				return (void *)1;
		}
	return NULL;
}

static void accessed_and_dirty_bits_never_undo_another_cpus_store(void **state)
{
	struct bt_cpu *c = rig_new(1);
	struct mmu_walk w;
	uint32_t error;
	pthread_t t;
	void *bad;

	(void)state;
	set_mode(c, M4);
	c->cr3 = rig_page();
	uint64_t *leaf = rig_entry(c->cr3, 39, 0x400000, 12);
	*leaf = 0x200000 | P | RW;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&t, NULL, toggle, leaf), 0);
	for (unsigned i = 0; i < 200000; i++) {
		assert_true(mmu_walk(c, 0x400000, BT_WRITE, MMU_SUP, &w, &error));
		assert_true(w.pa == 0x200000 || w.pa == 0x300000);
	}
	atomic_store(&stop, true);
	pthread_join(t, &bad);
	assert_null(bad);
	rig_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_and_page_size_translates),
		cmocka_unit_test(what_is_forbidden_has_the_right_error_code),
		cmocka_unit_test(tables_in_rom_stay_and_outside_of_memory_are_not_present),
		cmocka_unit_test(accessed_bits_are_writes_to_the_dirty_log_and_to_code),
		cmocka_unit_test(random_tables_are_walked_as_by_a_plain_walker),
		cmocka_unit_test(accessed_and_dirty_bits_never_undo_another_cpus_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
