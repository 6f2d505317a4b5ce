/*
 * idle: a byte out of the serial port, then a wait for interrupts that never come.
 */
	.code16
	.globl	_start
_start:
	mov	$0x3f8, %dx
	mov	$'x', %al
	out	%al, %dx
1:	sti
	hlt
	jmp	1b
