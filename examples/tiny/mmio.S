/*
 * mmio: a device whose registers are memory addresses.  Nothing is mapped at 0xd0000000, so each
 * access leaves the guest, and the monitor plays the device:
 *
 *	0	read only	identity, "LGDE"
 *	4	read and write	a scratch register
 *	8	write only	prints a byte
 *	12	read only	number of accesses before this one
 *
 * The guest needs an address beyond real mode's reach, hence 32-bit protected mode.
 */
	.include "say.inc"
	.set	DEV, 0xd0000000

	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld
	lgdt	gdt_pointer
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $in_32

	.code32
in_32:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$_start, %esp
	mov	$DEV, %ebx

	cmpl	$0x4544474c, (%ebx)
	jne	fail32
	say32	"mmio: 1. a load from 0xd0000000 brought the device's identity"

	movl	$0x600df00d, 4(%ebx)
	cmpl	$0x600df00d, 4(%ebx)
	jne	fail32
	movl	$0x12345678, 4(%ebx)
	cmpl	$0x12345678, 4(%ebx)
	jne	fail32
	say32	"mmio: 2. its scratch register keeps what is stored in it"

	mov	12(%ebx), %ecx
	mov	(%ebx), %eax
	mov	(%ebx), %eax
	mov	12(%ebx), %eax
	sub	%ecx, %eax
	cmp	$3, %eax		# the earlier look, and two loads
	jne	fail32
	say32	"mmio: 3. it counts: every access left the guest once, and only once"

	mov	$letters, %esi
1:	lodsb
	movzx	%al, %eax
	test	%eax, %eax
	jz	2f
	mov	%eax, 8(%ebx)
	jmp	1b
2:	say32	"mmio: 5. halting with interrupts off"
	jmp	stop32
	print_routines 32

letters: .asciz	"mmio: 4. these letters left through the device\n"

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	# 08: code, 0 to 4 GiB, 32 bits
	.quad	0x00cf92000000ffff	# 10: data, 0 to 4 GiB
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
