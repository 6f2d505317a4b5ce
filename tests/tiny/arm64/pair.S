/*
 * A guest that loads a pair of registers from a device: the CPU tells KVM nothing about such an
 * access, and KVM cannot emulate it.
 */
	.globl	_start
_start:
	mov	x10, #0xd0000000
	ldp	x4, x5, [x10]
	b	_start
