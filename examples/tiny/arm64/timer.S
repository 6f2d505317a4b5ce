/*
 * timer: the CPU's own virtual timer, private interrupt 27, and WFI, which waits for it.
 * [Arm DDI0487, D11 "The Generic Timer in AArch64 state"]
 */
	.include "say.inc"
	.include "gic.inc"
	.set	INTERRUPT, 27

	.globl	_start
_start:
	gic_start
	gic_enable_private INTERRUPT
	mov	x20, #0			// how many came
	mrs	x22, cntfrq_el0
	cbz	x22, fail
	mov	x4, #100
	udiv	x22, x22, x4		// counts in 10 ms
	say	"timer: 1. the GIC passes interrupt 27, the virtual timer's, and nothing else"

	mrs	x23, cntvct_el0
	msr	cntv_tval_el0, x22
	mov	x4, #1
	msr	cntv_ctl_el0, x4
	isb
	say	"timer: 2. it is due in 10 ms; interrupts are off"

	mov	w6, #'1'
1:	wfi				// ends when one is pending, also when it is not taken
	msr	daifclr, #2
	isb				// here it is taken
	msr	daifset, #2
	sub	w5, w6, #'0'
	cmp	w20, w5
	b.lo	1b
	adr	x1, number
	strb	w6, [x1]
	adr	x1, line
	bl	puts
	add	w6, w6, #1
	cmp	w6, #'5'
	b.ls	1b

	mrs	x24, cntvct_el0
	sub	x24, x24, x23
	mov	x4, #5
	mul	x4, x4, x22
	cmp	x24, x4
	b.lo	fail
	msr	cntv_ctl_el0, xzr
	say	"timer: 4. the counter says that five times 10 ms have passed, or more"
	say	"timer: 5. asking PSCI to switch the machine off"
	b	off
	print_routines
	.ltorg
line:	.ascii	"timer: 3. WFI was ended by tick "
number:	.asciz	"0\n"

/* The handler: sets the timer anew, which also takes its request back. x16 is its own. */
	.balign	4
handler:
	gic_acknowledge x16
	cmp	x16, #INTERRUPT
	b.ne	fail
	msr	cntv_tval_el0, x22
	isb
	add	x20, x20, #1
	gic_end	x16
	eret
	vectors_to handler
