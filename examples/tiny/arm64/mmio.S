/*
 * mmio: a device whose registers are memory addresses. Nothing is mapped at 0xd0000000, so each
 * access leaves the guest, and the monitor plays the device (../toy.c):
 *
 *	0	read only	identity, "LGDE"
 *	4	read and write	a scratch register
 *	8	write only	prints a byte
 *	12	read only	number of accesses before this one
 *
 * KVM tells the monitor address, width and data out of the syndrome register ESR_EL2, which has
 * them for plain loads and stores of one register; a pair (ldp) would come with nothing.
 */
	.include "say.inc"
	.set	DEV, 0xd0000000

	.globl	_start
_start:
	mov	x10, #DEV

	ldr	w4, [x10]
	ldr	w5, =0x4544474c
	expect_eq w4, w5
	say	"mmio: 1. a load from 0xd0000000 brought the device's identity"

	ldr	w5, =0x600df00d
	str	w5, [x10, #4]
	ldr	w4, [x10, #4]
	expect_eq w4, w5
	ldr	w5, =0x12345678
	str	w5, [x10, #4]
	ldr	w4, [x10, #4]
	expect_eq w4, w5
	say	"mmio: 2. its scratch register keeps what is stored in it"

	ldr	w6, [x10, #12]
	ldr	w4, [x10]
	ldr	w4, [x10]
	ldr	w4, [x10, #12]
	sub	w4, w4, w6
	mov	w5, #3			// the earlier look, and two loads
	expect_eq w4, w5
	say	"mmio: 3. it counts: every access left the guest once, and only once"

	adr	x1, letters
1:	ldrb	w3, [x1], #1
	cbz	w3, 2f
	str	w3, [x10, #8]
	b	1b
2:	say	"mmio: 5. asking PSCI to switch the machine off"
	b	off
	print_routines
	.ltorg
letters: .asciz	"mmio: 4. these letters left through the device\n"
