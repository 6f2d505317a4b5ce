/*
 * mmio: ROUNDS times 16 writes of 32 bits to the device register at REGISTER, then the end.
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
	ljmpl	$0x08, $in_32

	.code32
in_32:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	$ROUNDS, %ecx
	mov	$REGISTER, %ebx
1:	.rept	16
	mov	%eax, (%ebx)
	.endr
	dec	%ecx
	jnz	1b
	xor	%al, %al
	mov	$0xf4, %dx
	out	%al, %dx
2:	hlt
	jmp	2b

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	# 08: code, 0 to 4 GiB, 32 bits
	.quad	0x00cf92000000ffff	# 10: data, 0 to 4 GiB
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
