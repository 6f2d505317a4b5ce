/*
 * protected: from real mode into 32-bit protected mode, paging off.
 * [Intel SDM vol. 3, "Switching to Protected Mode"]
 */
	.include "say.inc"

	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld
	say16	"protected: 1. in real mode, about to load a descriptor table"

	lgdt	gdt_pointer
	mov	%cr0, %eax
	or	$1, %al			# PE
	mov	%eax, %cr0
	ljmpl	$0x08, $in_32		# until CS is loaded the code is still 16 bits wide
	print_routines 16

	.code32
in_32:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$_start, %esp
	smsw	%ax
	test	$1, %al
	jz	fail32
	say32	"protected: 2. CR0.PE is set and CS comes from the table"

	mov	%esp, %ebx
	push	$0
	sub	%esp, %ebx
	cmp	$4, %ebx
	jne	fail32
	pop	%eax
	say32	"protected: 3. a push moves the stack by 4 bytes: code is 32 bits wide"

	movl	$0x600df00d, 0x00207c00
	cmpl	$0x600df00d, 0x00207c00
	jne	fail32
	cmpl	$0x600df00d, 0x00007c00
	je	fail32
	say32	"protected: 4. memory above 1 MiB is there and is not an echo of the memory below"

	mov	$0x18, %eax		# a segment that begins at 0x7c00
	mov	%eax, %fs
	mov	%fs:0, %eax
	cmp	_start, %eax
	jne	fail32
	say32	"protected: 5. offset 0 of a segment with base 0x7c00 is this program"

	say32	"protected: 6. halting with interrupts off"
	jmp	stop32
	print_routines 32

/* Descriptors: limit 15:0, base 15:0, base 23:16, access, flags and limit 19:16, base 31:24. */
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	# 08: code, 0 to 4 GiB, 32 bits
	.quad	0x00cf92000000ffff	# 10: data, 0 to 4 GiB
	.quad	0x004092007c0000ff	# 18: data, 256 bytes at 0x7c00
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
