/*
 * rom: a firmware image of 64 KiB that copies the flat binary PAYLOAD to 0x7c00 and goes there, for
 * a monitor that starts a machine only at its reset vector.
 */
	.code16
	.globl	_start
_start:
	.org	0xf000
enter:	xor	%ax, %ax
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	$0xf000, %ax
	mov	%ax, %ds
	cld
	mov	$payload, %si
	mov	$0x7c00, %di
	mov	$(payload_end - payload + 3) / 4, %cx
	rep movsl
	ljmp	$0, $0x7c00
	.balign	4
payload:
	.incbin	PAYLOAD
payload_end:
	.org	0xfff0
	ljmp	$0xf000, $enter
	.org	0x10000
