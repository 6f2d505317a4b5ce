/*
 * The guests of the console tests: real mode, COM1, assembled once for each with one of
 *
 *	ECHO	says "ready" and then sends back what it gets
 *	FLOOD=n	sends n times 64 KiB of the alphabet, over and over, and halts for good
 *	DEAF	says "ready", reads nothing and runs on
 *	OFF	says "bye" and halts for good
 *	FAULT	says "bye" and ends in a triple fault
 *	JUMP	says "bye" and jumps to where no memory is
 *	PANIC	says what Linux says when it panics, and spins
 *	RESET	says "boot" and resets through the keyboard controller
 */
	.code16
	.globl	_start
_start:	cli
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	$0x3fa, %dx		# FIFOs on
	mov	$0x07, %al
	out	%al, %dx

#ifdef ECHO
	mov	$ready, %si
	call	puts
1:	mov	$0x3fd, %dx
	in	%dx, %al
	mov	%al, %bl
	test	$0x10, %bl		# a break: its null character is read and named
	jnz	break
	test	$0x01, %bl
	jz	1b
	mov	$0x3f8, %dx
	in	%dx, %al
	call	putc
	jmp	1b
break:	mov	$0x3f8, %dx
	in	%dx, %al
	mov	$brk, %si
	call	puts
	jmp	1b
brk:	.asciz	"<BREAK>"
#endif

#ifdef FLOOD
	mov	$FLOOD, %bp
	mov	$abc, %si
5:	mov	$4096, %bx		# pieces of 16 bytes, what the FIFO takes
1:	mov	$0x3fd, %dx
2:	in	%dx, %al
	test	$0x20, %al
	jz	2b
	cmp	$abc + 208, %si
	jb	3f
	mov	$abc, %si
3:	mov	$0x3f8, %dx
	mov	$16, %cx
	rep outsb
	dec	%bx
	jnz	1b
	dec	%bp
	jnz	5b
	jmp	stop
abc:	.rept	8			# 13 pieces
	.ascii	"abcdefghijklmnopqrstuvwxyz"
	.endr
#endif

#ifdef DEAF
	mov	$ready, %si
	call	puts
1:	mov	$0x80, %dx
	in	%dx, %al
	jmp	1b
#endif

#ifdef OFF
	mov	$bye, %si
	call	puts
#endif

#if defined(FAULT) || defined(JUMP)
	mov	$bye, %si
	call	puts
	lgdtl	gdtr
	lidtl	idtr
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
#ifdef JUMP
	ljmpl	$8, $0xd0000000		# in the PCI hole
#endif
	ljmpl	$8, $1f			# protected mode without an IDT
	.code32
1:	ud2
	.code16
gdt:	.quad	0, 0x00cf9a000000ffff
gdtr:	.word	15
	.long	gdt
idtr:	.word	0
	.long	0
#endif

#ifdef PANIC
	mov	$panic, %si
	call	puts
1:	jmp	1b
panic:	.ascii	"[    1.000000] Kernel panic - not syncing: no root\r\n"
	.ascii	"[    1.000001] CPU: 0 PID: 1 Comm: swapper\r\n"
	.asciz	"[    1.000002] ---[ end Kernel panic - not syncing: no root ]---\r\n"
#endif

#ifdef RESET
	mov	$boot, %si
	call	puts
	mov	$0xfe, %al
	out	%al, $0x64
1:	jmp	1b
boot:	.asciz	"boot\r\n"
#endif

stop:	cli
	hlt
	jmp	stop

putc:	push	%ax
	mov	$0x3fd, %dx
1:	in	%dx, %al
	test	$0x20, %al
	jz	1b
	pop	%ax
	mov	$0x3f8, %dx
	out	%al, %dx
	ret

puts:	lodsb
	test	%al, %al
	jz	1f
	call	putc
	jmp	puts
1:	ret

ready:	.asciz	"ready\r\n"
bye:	.asciz	"bye\r\n"
