/*
 * A guest that jumps to where there is no memory: no KVM can fetch an instruction from there.
 */
	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdt	gdt_pointer
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $0xc0000000

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
