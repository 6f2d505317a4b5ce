/*
 * real: the first guest.  It fits in a boot sector, and boots from one: the same bytes on a floppy
 * start any PC at the same address in the same mode.
 *
 * A string is printed one OUT at a time, and each OUT is an exit from the guest to its monitor.
 */
	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld

	mov	$hello, %si
	call	puts

	smsw	%ax			# the low half of CR0; bit 0 is PE, protection
	test	$1, %al
	jnz	fail
	mov	$mode, %si
	call	puts

	mov	$0x0800, %ax		# an address is segment * 16 + offset ...
	mov	%ax, %es
	movb	$0x5a, %es:0
	cmpb	$0x5a, 0x8000		# ... so this is the same byte
	jne	fail
	mov	$segment, %si
	call	puts

	mov	$bye, %si
	call	puts
	jmp	stop

fail:	mov	$wrong, %si
	call	puts
stop:	cli				# nothing can end a halt with interrupts off ...
	hlt				# ... so the monitor ends the machine here
	jmp	stop

/* puts: the string at SI to the serial port; waits until the port can take each byte. */
puts:	mov	$0x3fd, %dx
1:	in	%dx, %al		# line status
	test	$0x20, %al		# bit 5: the transmitter is free
	jz	1b
	lodsb
	test	%al, %al
	jz	2f
	mov	$0x3f8, %dx
	out	%al, %dx
	jmp	puts
2:	ret

hello:	.asciz	"real: 1. these letters left the guest through port 0x3f8\n"
mode:	.asciz	"real: 2. CR0.PE is clear: this is real mode\n"
segment: .asciz	"real: 3. 0800:0000 and 0000:8000 are the same byte\n"
bye:	.asciz	"real: 4. halting with interrupts off\n"
wrong:	.asciz	"real: FAILED in the step after the last one\n"

	.org	510
	.byte	0x55, 0xaa		# makes it a boot sector
