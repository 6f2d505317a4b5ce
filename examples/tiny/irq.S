/*
 * irq: the interrupt controller (8259), the timer (8254) and a handler, in real mode.
 *
 * Real mode's vectors are the first 1024 bytes of memory, a far pointer each.  Timer, channel 0
 * -> controller, input 0 -> vector 0x20 -> tick.
 */
	.include "say.inc"
	.set	VECTOR, 0x20

	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld

	movw	$tick, VECTOR * 4
	movw	$0, VECTOR * 4 + 2
	say16	"irq: 1. vector 0x20 points at the handler"

	mov	$0x11, %al		# the controller's four words: begin; ...
	out	%al, $0x20
	mov	$VECTOR, %al		# ... vector of input 0; ...
	out	%al, $0x21
	mov	$0x04, %al		# ... the second controller is on input 2; ...
	out	%al, $0x21
	mov	$0x01, %al		# ... 8086 mode
	out	%al, $0x21
	mov	$0xfe, %al		# all inputs masked but 0
	out	%al, $0x21
	say16	"irq: 2. the interrupt controller takes input 0 and nothing else"

	mov	$0x34, %al		# channel 0, both bytes, mode 2: a pulse every so often
	out	%al, $0x43
	mov	$11932 & 0xff, %al	# 1193182 Hz / 11932 = 100 Hz
	out	%al, $0x40
	mov	$11932 >> 8, %al
	out	%al, $0x40
	cmpw	$0, ticks		# interrupts are still off
	jne	fail16
	say16	"irq: 3. the timer runs at 100 Hz; interrupts are still off"

	mov	$'1', %bl		# the tick that is waited for
wait:	mov	%bl, %bh
	sub	$'0', %bh
	cmp	%bh, ticks
	jae	2f
	sti				# takes effect after the next instruction: no tick ...
	hlt				# ... can slip in between and be slept through
	cli
	jmp	wait
2:	mov	%bl, number
	mov	$line, %si
	call	puts16
	inc	%bl
	cmp	$'5', %bl
	jbe	wait

	mov	$0xff, %al		# all inputs masked
	out	%al, $0x21
	say16	"irq: 5. halting with interrupts off"
	jmp	stop16
	print_routines 16

/* The handler: counts, and tells the controller that it has seen the interrupt. */
tick:	push	%ax
	incb	%cs:ticks
	mov	$0x20, %al
	out	%al, $0x20
	pop	%ax
	iret

ticks:	.word	0
line:	.ascii	"irq: 4. HLT was ended by tick "
number:	.asciz	"0\n"
