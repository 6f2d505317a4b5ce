/*
 * The instruction decoder and disassembler: the first byte says which mode and which features, the
 * rest is code.  Shorter and longer pieces of the same code must agree.
 */
#include "base/compiler.h"
#include "fuzz.h"

#ifdef __x86_64__ /* the software CPU is for these hosts only */
#include "accel/bt/insn.h"
#include "base/str.h"

/* Decodes a copy that ends where the bytes end. */
static int decode(const uint8_t *b, size_t n, unsigned mode, const struct insn_features *f,
		  struct insn *i)
{
	uint8_t *copy = malloc(n + !n);
	int r;

	BUG_ON(!copy);
	if (n)
		memcpy(copy, b, n);
	r = insn_decode(copy, (unsigned)n, mode, f, i);
	free(copy);
	return r;
}

static void check_valid(const struct insn *i, unsigned mode, const struct insn_features *f)
{
	const struct insn_row *r;
	struct strbuf text = {0};

	BUG_ON(i->row >= insn_rows || !i->len || i->len > INSN_MAX || i->mode != mode);
	r = &insn_table[i->row];
	BUG_ON(!insn_has(f, r->feature) || i->exec != r->exec);
	for (unsigned k = 0; k < INSN_OPS; k++) {
		BUG_ON((i->op[k].kind == OP_NONE) != (k >= r->n_ops));
		BUG_ON(i->op[k].kind == OP_REG && i->op[k].reg > (mode == 8 ? 15 : 7));
		BUG_ON(i->op[k].kind == OP_VEC && i->op[k].reg > (mode == 8 ? 31 : 7));
		BUG_ON(i->op[k].kind == OP_K && i->op[k].reg > 7);
	}
	insn_show(i, 0x1000, &text);
	BUG_ON(!strbuf_str(&text)[0]);
	strbuf_exit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned modes[] = {8, 4, 2, 8};
	struct insn_features f = {{UINT64_MAX, UINT64_MAX}};
	struct insn whole, part;
	unsigned mode;
	int r;

	if (size < 1)
		return 0;
	mode = modes[data[0] & 3];
	if (data[0] & 4 && size > sizeof(f)) {
		memcpy(&f, data + 1, sizeof(f));
		f.bits[0] |= 1u << F_BASE;
		data += sizeof(f);
		size -= sizeof(f);
	}
	data++;
	size--;
	if (size > 20)
		size = 20;
	r = decode(data, size, mode, &f, &whole);
	BUG_ON(r > 0 || r < INSN_LONG || (r == INSN_SHORT && size >= INSN_MAX));
	if (!r) {
		BUG_ON(whole.len > size);
		check_valid(&whole, mode, &f);
	}
	for (size_t n = 0; n < size; n++) {
		int p = decode(data, n, mode, &f, &part);

		if (!r && n < whole.len)
			BUG_ON(p != INSN_SHORT);
		else if (!r)
			BUG_ON(p || memcmp(&part, &whole, sizeof(part)) != 0);
		else if (p != INSN_SHORT)
			BUG_ON(p != r);
	}
	return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 0;
}

#endif
