/*
 * mmu: page tables, two addresses for one page, and a page fault that is mended.
 * [Arm DDI0487, D8 "The AArch64 Virtual Memory System Architecture"]
 *
 * Pages are 4 KiB and addresses 39 bits wide, so a table of level 1 is the first: each of its 512
 * entries is 1 GiB, a block or a pointer to a table of level 2 with 512 blocks of 2 MiB.  One such
 * table serves for both halves of the address space, TTBR0's that begins at 0 and TTBR1's that
 * begins at 0xffffff8000000000, where kernels live.
 */
	.include "say.inc"
	.set	LEVEL1, 0x40100000
	.set	LEVEL2, 0x40101000
	.set	NORMAL, 0x701		// a block: access flag, inner shareable, attribute 0
	.set	DEVICE, 0x405		// a block: access flag, attribute 1
	.set	TABLE, 0x003
	.set	TCR, 0xb5193519		// 39 bits in both halves, 4 KiB, tables are write-back
	.set	HIGH, 0xffffff8000000000

	.globl	_start
_start:
	say	"mmu: 1. the MMU is off, about to build page tables"

	ldr	x4, =LEVEL1
	mov	x5, #1024		// both tables, all entries invalid
1:	str	xzr, [x4], #8
	subs	x5, x5, #1
	b.ne	1b
	ldr	x4, =LEVEL1
	mov	x5, #DEVICE		// 0 to 1 GiB: devices
	str	x5, [x4]
	ldr	x5, =LEVEL2 + TABLE	// 1 to 2 GiB: memory, of which ...
	str	x5, [x4, #8]
	ldr	x4, =LEVEL2
	ldr	x5, =0x40000000 + NORMAL	// ... two blocks are mapped
	str	x5, [x4]
	ldr	x5, =0x40200000 + NORMAL
	str	x5, [x4, #8]

	mov	x4, #0x00ff		// attribute 0: write-back memory; 1: device nGnRnE
	msr	mair_el1, x4
	ldr	x4, =TCR
	msr	tcr_el1, x4
	ldr	x4, =LEVEL1
	msr	ttbr0_el1, x4
	msr	ttbr1_el1, x4
	isb
	tlbi	vmalle1
	dsb	nsh
	mrs	x4, sctlr_el1
	orr	x4, x4, #1		// M: translate; the caches stay as they are
	msr	sctlr_el1, x4
	isb
	mrs	x4, sctlr_el1
	tbz	x4, #0, fail
	say	"mmu: 2. SCTLR_EL1.M is set, and the program goes on where it was"

	ldr	x4, =HIGH + 0x40300000
	ldr	x5, =0x40300000
	ldr	x6, =0x0123456789abcdef
	str	x6, [x4]
	ldr	x7, [x5]
	expect_eq x6, x7
	say	"mmu: 3. 0xffffff8040300000 and 0x40300000 are the same byte"

	ldr	x4, =vectors
	msr	vbar_el1, x4
	isb
	ldr	x4, =0x40456780		// 4.3 MiB into memory: not mapped
	ldr	w5, =0x600df00d
	str	w5, [x4]		// faults, and is done again when the handler returns
	ldr	w6, [x4]
	expect_eq w5, w6
	expect_eq x4, x20
	say	"mmu: 4. a store to 0x40456780 faulted with that address in FAR_EL1"
	say	"mmu: 5. the handler mapped the block, and the store was done"
	say	"mmu: 6. asking PSCI to switch the machine off"
	b	off
	print_routines
	.ltorg

/*
 * The handler: notes the address in x20, maps the third block of 2 MiB and has the instruction done
 * again. x16 and x17 are its own.
 */
data_abort:
	mrs	x16, esr_el1
	lsr	x16, x16, #26		// the class of the exception; 0x25: data, from this level
	cmp	x16, #0x25
	b.ne	fail
	mrs	x20, far_el1
	ldr	x16, =LEVEL2
	ldr	x17, =0x40400000 + NORMAL
	str	x17, [x16, #16]
	dsb	ishst			// the walker sees the entry before the next access
	isb
	eret
	.ltorg

/* Sixteen vectors of 128 bytes; the fifth is for exceptions of this level on its own stack. */
	.balign	2048
vectors:
	.rept	4
	b	fail
	.balign	128
	.endr
	b	data_abort
	.balign	128
	.rept	11
	b	fail
	.balign	128
	.endr
