/*
 * pio: ROUNDS times 16 writes to the scratch register of the serial port, then the end.
 */
	.code16
	.globl	_start
_start:
	cli
	mov	$ROUNDS, %ecx
	mov	$0x3ff, %dx
1:	.rept	16
	out	%al, %dx
	.endr
	dec	%ecx
	jnz	1b
	xor	%al, %al
	mov	$0xf4, %dx
	out	%al, %dx
2:	hlt
	jmp	2b
