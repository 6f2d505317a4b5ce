/*
 * tests/insn/diff.c - the software CPU against the real one: every row of the instruction table,
 * from random states.
 *
 *	diff [--cases N] [--seed S] [--row NAME] [--verbose]
 *
 * Registers, defined flags, memory and faults are compared.  Rows that no trial reached are listed
 * by name, and so are rows that are left out, with the reason.  The last line is that of every
 * runner: a test is a row.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "insn_test.h"

#define BATCH	  256u
#define SHOWN_MAX 3u /* differences of one row that are shown */
#define FLAGS	  0xcd5u

struct run {
	uint64_t cases, seed;
	const char *only;
	bool verbose;
	struct machine machine;
	struct trial *pool;
	struct insn decoded[BATCH];
	unsigned *tried, *differed, *lost;
	uint64_t total;
	int code;
};

static void show_bytes(const char *what, const uint8_t *a, const uint8_t *b, unsigned n)
{
	printf("    %-6s native ", what);
	for (unsigned i = n; i-- > 0;)
		printf("%02x", a[i]);
	printf("\n           lodge  ");
	for (unsigned i = n; i-- > 0;)
		printf("%02x", b[i]);
	printf("\n");
}

static void show_vectors(const struct world *x, const struct world *y)
{
	char name[16];

	for (unsigned n = 0; n < 32; n++) {
		if (!memcmp(x->zmm[n], y->zmm[n], 64))
			continue;
		snprintf(name, sizeof(name), "zmm%u", n);
		show_bytes(name, x->zmm[n], y->zmm[n], 64);
	}
	for (unsigned n = 0; n < 8; n++) {
		if (memcmp(x->st[n], y->st[n], 10)) {
			snprintf(name, sizeof(name), "st%u", n);
			show_bytes(name, x->st[n], y->st[n], 10);
		}
		if (x->k[n] != y->k[n])
			printf("    k%u native %" PRIx64 " lodge %" PRIx64 "\n", n, x->k[n],
			       y->k[n]);
	}
	if (x->mxcsr != y->mxcsr)
		printf("    mxcsr native %x lodge %x\n", x->mxcsr, y->mxcsr);
	if (x->fcw != y->fcw || x->fsw != y->fsw || x->ftw != y->ftw)
		printf("    x87 control, status, tags: native %x %x %x lodge %x %x %x\n", x->fcw,
		       x->fsw, x->ftw, y->fcw, y->fsw, y->ftw);
}

static void show(const struct trial *t, const struct insn *i, const struct outcome *got)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	const struct world *x = &t->native.after, *y = &got->after;
	struct strbuf text = {0};

	insn_show(i, t->before.rip, &text);
	printf("  %s  [", strbuf_str(&text));
	for (unsigned n = 0; n < t->len; n++)
		printf("%s%02x", n ? " " : "", t->code[n]);
	printf("]\n");
	strbuf_exit(&text);
	if (t->repeats)
		printf("    count  before %" PRIx64 " after %" PRIx64 "\n", t->before.gpr[1],
		       x->gpr[1]);
	if (t->native.fault != NO_FAULT || t->native.fault != got->fault ||
	    t->native.error != got->error || t->native.address != got->address)
		printf("    fault  native %d/%x/%" PRIx64 " lodge %d/%x/%" PRIx64 "\n",
		       t->native.fault == NO_FAULT ? -1 : t->native.fault, t->native.error,
		       t->native.address, got->fault == NO_FAULT ? -1 : got->fault, got->error,
		       got->address);
	for (unsigned n = 0; n < 16; n++)
		if (x->gpr[n] != y->gpr[n])
			printf("    %-4s before %" PRIx64 " native %" PRIx64 " lodge %" PRIx64 "\n",
			       names[n], t->before.gpr[n], x->gpr[n], y->gpr[n]);
	if (x->rip != y->rip)
		printf("    rip  native %" PRIx64 " lodge %" PRIx64 "\n", x->rip, y->rip);
	if ((x->rflags ^ y->rflags) & FLAGS)
		printf("    flags before %" PRIx64 " native %" PRIx64 " lodge %" PRIx64 "\n",
		       t->before.rflags & FLAGS, x->rflags & FLAGS, y->rflags & FLAGS);
	show_vectors(x, y);
	for (unsigned n = 0; n < WORLD_DATA_LEN; n += 8)
		if (memcmp(x->data + n, y->data + n, 8)) {
			printf("    at %x\n", WORLD_DATA + n);
			show_bytes("data", x->data + n, y->data + n, 8);
			break;
		}
}

/* What the manuals leave undefined beyond the flags of the row. */
static bool undefined(const struct trial *t, const struct insn *i)
{
	const struct insn_row *row = &insn_table[t->row];

	if (i->osize == 2 && !strcmp(row->name, "bswap"))
		return true;
	if (i->osize == 2 && (!strcmp(row->name, "shld") || !strcmp(row->name, "shrd"))) {
		uint64_t count = i->op[2].kind == OP_IMM ? (uint64_t)i->imm : t->before.gpr[1];

		return (count & 31) > 16;
	}
	return false;
}

/* Does it access its memory element by element, as a mask says? */
static bool by_element(const struct insn *i)
{
	const char *name = insn_table[i->row].name;

	return i->mask || strstr(name, "maskmov") || strstr(name, "compress");
}

/*
 * What CPUs do beside the manuals where an instruction faults, and Lodge does not: the answer says
 * what.
 */
static const char *known(const struct trial *t, const struct insn *i, const struct outcome *got)
{
	const struct insn_row *row = &insn_table[t->row];
	const struct world *x = &t->native.after, *y = &got->after;

	if (t->native.fault == 14 && got->fault == NO_FAULT && strstr(row->name, "maskmov"))
		return "bytes that the mask leaves out may fault (SDM 2 MASKMOVDQU)";
	if (t->native.fault == 19 && got->fault == 14 && !strcmp(row->name, "vcvtps2ph"))
		return "which of two faults comes first";
	if (t->native.fault == NO_FAULT || t->native.fault != got->fault)
		return NULL;
	if (t->native.fault == 14 && (i->op[0].kind == OP_MMX || i->op[1].kind == OP_MMX) &&
	    x->fsw != y->fsw)
		return "a faulting MMX store has made TOP and the tags MMX's already";
	if (t->native.fault == 14 && !strncmp(row->name, "cmps", 4))
		return "which of two operands that both fault is named";
	if (t->native.fault == 14 && by_element(i) && t->native.address - got->address + 64 < 128)
		return "any of the bytes that cannot be accessed may be named";
	if (t->native.fault == 14 && !strcmp(row->name, "vcvtps2ph") && x->mxcsr != y->mxcsr)
		return "the conversion's flags are there when its store faults";
	if (row->ops[0].where == AT_VSIB)
		return "a scatter that faults may have written some elements already";
	if (row->ops[1].where == AT_VSIB)
		return "a gather that faults may have loaded some elements already";
	if (t->native.fault == 14 && i->op[0].kind == OP_MEM && i->op[0].size == 10)
		return "80-bit stores that fault behind a page's end have written its beginning";
	if (t->native.fault == 19 && (x->mxcsr ^ y->mxcsr) == 0x20)
		return "PE of a tiny result: of the number before it is made subnormal";
	return NULL;
}

/* The host's half of the address space has pages that are present, and Lodge's has none. */
static bool same_fault(const struct outcome *want, const struct outcome *got)
{
	uint32_t ignore = want->fault == 14 && want->address >> 63 ? 1 : 0;

	return (want->error | ignore) == (got->error | ignore) &&
	       (want->fault != 14 || want->address == got->address);
}

static bool same(const struct trial *t, const struct outcome *got)
{
	const struct outcome *want = &t->native;
	const struct world *x = &want->after, *y = &got->after;
	uint64_t flags = FLAGS;

	if (want->fault == NO_FAULT)
		flags &= ~(uint64_t)insn_table[t->row].fl_undef;
	if (want->fault != got->fault || memcmp(x->gpr, y->gpr, sizeof(x->gpr)) ||
	    x->rip != y->rip || ((x->rflags ^ y->rflags) & flags))
		return false;
	if (want->fault != NO_FAULT && !same_fault(want, got))
		return false;
	if (memcmp(x->zmm, y->zmm, sizeof(x->zmm)) || memcmp(x->k, y->k, sizeof(x->k)) ||
	    memcmp(x->st, y->st, sizeof(x->st)) || x->mxcsr != y->mxcsr)
		return false;
	if (x->fcw != y->fcw || x->fsw != y->fsw || x->ftw != y->ftw)
		return false;
	return !memcmp(x->data, y->data, sizeof(x->data));
}

static void judge(struct run *r, unsigned n)
{
	static struct outcome got;

	native_run(n);
	for (unsigned k = 0; k < n; k++) {
		const struct trial *t = &r->pool[k];

		r->tried[t->row]++;
		r->total++;
		if (t->native.lost) {
			r->lost[t->row]++;
			continue;
		}
		rig_run(t, &r->decoded[k], &got);
		if (!got.lost && (same(t, &got) || undefined(t, &r->decoded[k]) ||
				  known(t, &r->decoded[k], &got)))
			continue;
		if (r->differed[t->row]++ < SHOWN_MAX || r->verbose)
			show(t, &r->decoded[k], &got);
	}
}

/* Is row @n one that is compared here? */
static bool chosen(const struct run *r, unsigned n)
{
	const struct insn_row *row = &insn_table[n];

	return !gen_left_out(row) && insn_has(&r->machine.features, row->feature) &&
	       (!r->only || !strncmp(row->name, r->only, strlen(r->only)));
}

static void all_rounds(void *arg)
{
	struct run *r = arg;
	struct rng rng = {r->seed};
	unsigned n = 0, barren = 0;

	while (r->total + n < r->cases && barren < 20) {
		uint64_t before = r->total + n;

		for (unsigned row = 0; row < insn_rows; row++) {
			if (!chosen(r, row))
				continue;
			for (unsigned tries = 0; tries < 20; tries++)
				if (gen_trial(&rng, &r->machine, row, &r->pool[n],
					      &r->decoded[n])) {
					n++;
					break;
				}
			if (n == BATCH) {
				judge(r, n);
				n = 0;
			}
		}
		barren = r->total + n == before ? barren + 1 : 0;
	}
	judge(r, n);
}

static void name_row(unsigned n)
{
	const struct insn_row *row = &insn_table[n];

	printf("%s", row->name);
	for (unsigned k = 0; k < row->n_ops; k++)
		printf("%s%s", k ? "," : " ", insn_operand_code(&row->ops[k]));
}

static int report(const struct run *r)
{
	unsigned passed = 0, failed = 0, skipped = 0;

	for (unsigned n = 0; n < insn_rows; n++) {
		const char *why = gen_left_out(&insn_table[n]);

		if (r->only && !chosen(r, n))
			continue;
		if (why || !insn_has(&r->machine.features, insn_table[n].feature)) {
			if (r->verbose) {
				printf("left out: ");
				name_row(n);
				printf(": %s\n", why ? why : "this host has it not");
			}
			continue;
		}
		if (r->differed[n]) {
			printf("FAILED: ");
			name_row(n);
			printf(": %u of %u trials differ\n", r->differed[n], r->tried[n]);
			failed++;
		} else if (r->tried[n] == r->lost[n]) {
			printf("never reached: ");
			name_row(n);
			printf("\n");
			skipped++;
		} else {
			passed++;
		}
	}
	printf("%" PRIu64 " trials, seed %" PRIu64 "\n", r->total, r->seed);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}

static void parse(struct run *r, int argc, char **argv)
{
	for (int n = 1; n < argc; n++) {
		const char *value = n + 1 < argc ? argv[n + 1] : "";

		if (!strcmp(argv[n], "--verbose")) {
			r->verbose = true;
			continue;
		}
		if (!strcmp(argv[n], "--cases"))
			r->cases = strtoull(value, NULL, 0);
		else if (!strcmp(argv[n], "--seed"))
			r->seed = strtoull(value, NULL, 0);
		else if (!strcmp(argv[n], "--row"))
			r->only = value;
		else {
			fprintf(stderr, "usage: diff [--cases N] [--seed S] [--row NAME] "
					"[--verbose]\n");
			exit(2);
		}
		n++;
	}
	if (!r->seed)
		r->seed = 1;
}

int main(int argc, char **argv)
{
	static struct run r = {.cases = 100000, .seed = 20261122};

	parse(&r, argc, argv);
	/* The child is made while this process has one thread. */
	native_layout(&r.machine.avx, &r.machine.avx512);
	r.pool = native_start(BATCH);
	if (!r.pool)
		return 1;
	r.tried = calloc(insn_rows, sizeof(unsigned));
	r.differed = calloc(insn_rows, sizeof(unsigned));
	r.lost = calloc(insn_rows, sizeof(unsigned));
	rig_start(&r.machine);
	rig_features(&r.machine.features);
	rig_do(all_rounds, &r);
	rig_stop();
	native_stop();
	return report(&r);
}
