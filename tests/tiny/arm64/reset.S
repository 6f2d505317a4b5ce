/* A guest that asks PSCI for a reset, which tiny-kvm does not do. */
	.globl	_start
_start:
	mov	w0, #0x0009
	movk	w0, #0x8400, lsl #16
	hvc	#0
	b	_start
