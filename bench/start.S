/*
 * start: a byte out of the serial port as soon as there is an instruction, then the end.
 */
	.code16
	.globl	_start
_start:
	mov	$0x3f8, %dx
	mov	$'x', %al
	out	%al, %dx
	xor	%al, %al
	mov	$0xf4, %dx
	out	%al, %dx
1:	hlt
	jmp	1b
