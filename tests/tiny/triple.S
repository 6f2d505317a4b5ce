/*
 * A guest that ends in a triple fault: an invalid instruction in 32-bit mode, where the table that
 * should name its handler is empty.
 */
	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdt	gdt_pointer
	lidt	nothing
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $in_32
	.code32
in_32:	ud2

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
nothing: .word	0
	.long	0
