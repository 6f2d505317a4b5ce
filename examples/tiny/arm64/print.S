/*
 * print: the least that a guest can do. It starts at EL1 with the MMU off, prints by storing bytes
 * to where there is no memory, and switches its machine off.
 */
	.include "say.inc"

	.globl	_start
_start:
	say	"print: 1. these letters left the guest through 0x09000000"

	mrs	x4, CurrentEL
	mov	x5, #1 << 2
	expect_eq x4, x5
	say	"print: 2. CurrentEL says 1: a kernel's level, and KVM is at level 2"

	mrs	x4, sctlr_el1
	tbnz	x4, #0, fail
	say	"print: 3. SCTLR_EL1.M is clear: addresses are physical"

	adr	x4, _start
	ldr	x5, =0x40080000
	expect_eq x4, x5
	say	"print: 4. the program runs at 0x40080000, 512 KiB above the start of memory"
	say	"print: 5. asking PSCI to switch the machine off"
	b	off
	print_routines
