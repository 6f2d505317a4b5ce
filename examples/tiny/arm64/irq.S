/*
 * irq: a device's interrupt through the GIC. The device is one word at 0xd0001000: a store of 1
 * raises its line, which is shared interrupt 3 (number 35), and a store of 0 lowers it.
 */
	.include "say.inc"
	.include "gic.inc"
	.set	LINE, 0xd0001000
	.set	INTERRUPT, 35

	.globl	_start
_start:
	gic_start
	gic_enable_shared INTERRUPT
	mov	x20, #0			// how many came
	ldr	x21, =LINE
	say	"irq: 1. the GIC passes interrupt 35 and nothing else"

	mov	w4, #1
	str	w4, [x21]
	mrs	x4, isr_el1
	tbz	x4, #7, fail		// I: one is pending
	cbnz	x20, fail
	say	"irq: 2. the device has raised its line; interrupts are still off"

	msr	daifclr, #2		// on
	isb
	mov	w6, #'1'
1:	adr	x1, number
	strb	w6, [x1]
	sub	w5, w6, #'0'
2:	cmp	w20, w5			// the handler counts
	b.lo	2b
	adr	x1, line
	bl	puts
	add	w6, w6, #1
	cmp	w6, #'3'
	b.hi	3f
	mov	w4, #1
	str	w4, [x21]		// once more
	b	1b
3:	msr	daifset, #2
	say	"irq: 4. asking PSCI to switch the machine off"
	b	off
	print_routines
	.ltorg
line:	.ascii	"irq: 3. the handler ran and lowered the line, time "
number:	.asciz	"0\n"

/* The handler: x16 and x17 are its own. */
	.balign	4
handler:
	gic_acknowledge x16
	cmp	x16, #INTERRUPT
	b.ne	fail
	str	wzr, [x21]		// else it would come again at once
	add	x20, x20, #1
	gic_end	x16
	eret
	vectors_to handler
