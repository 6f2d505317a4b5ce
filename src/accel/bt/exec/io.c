/*
 * accel/bt/exec/io.c - I/O ports: IN, OUT, and what of it INS and OUTS share.
 */
#include "accel/bt/event.h"
#include "accel/bt/exec/string.h"

/*
 * Above IOPL, and always in virtual-8086 mode, the bits of the ports in the bitmap of a 32- or
 * 64-bit TSS must be 0 (SDM 1 §19.5.2).  Two bytes of the bitmap are read in any case.
 */
static void check_bitmap(struct bt_cpu *c, uint16_t port, unsigned n)
{
	const struct x86_seg *tr = &c->seg[X86_TR];
	unsigned type = X86_SEG_TYPE(tr->attr), bits;
	uint32_t at;

	if (!(tr->attr & X86_SEG_P) || (type != 9 && type != 11) || tr->limit < 103)
		bt_gp0(c);
	at = (uint32_t)bt_ld_sys(c, tr->base + 102, 2) + port / 8;
	if (at + 1 > tr->limit)
		bt_gp0(c);
	bits = (unsigned)bt_ld_sys(c, tr->base + at, 2) >> (port & 7);
	if (bits & ((1u << n) - 1))
		bt_gp0(c);
}

void io_check(struct bt_cpu *c, uint16_t port, unsigned n)
{
	if (c->mode.prot && (c->mode.vm86 || c->mode.cpl > (c->rflags >> 12 & 3)))
		check_bitmap(c, port, n);
}

uint64_t io_read(struct bt_cpu *c, uint16_t port, unsigned n)
{
	uint64_t v = 0;

	if (UNLIKELY(c->mode.step))
		bt_io_breakpoint(c, port, n);
	vcpu_count(c->v, EXIT_STAT_PIO_READ);
	(void)as_vcpu_read(&c->v->vm->ports, port, &v, n);
	return v;
}

void io_write(struct bt_cpu *c, uint16_t port, uint64_t v, unsigned n)
{
	if (UNLIKELY(c->mode.step))
		bt_io_breakpoint(c, port, n);
	vcpu_count(c->v, EXIT_STAT_PIO_WRITE);
	(void)as_vcpu_write(&c->v->vm->ports, port, &v, n);
}

static uint16_t port_of(const struct bt_cpu *c, const struct insn *i, unsigned op)
{
	return i->op[op].kind == OP_IMM ? (uint8_t)i->imm : (uint16_t)c->gpr[X86_RDX];
}

void exec_in(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[0].size;
	uint16_t port = port_of(c, i, 1);

	io_check(c, port, n);
	op_write_reg(c, i, 0, io_read(c, port, n));
}

void exec_out(struct bt_cpu *c, const struct insn *i)
{
	unsigned n = i->op[1].size;
	uint16_t port = port_of(c, i, 0);

	io_check(c, port, n);
	io_write(c, port, op_read_reg(c, i, 1), n);
}
