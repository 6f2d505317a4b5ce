/*
 * long: 64-bit mode with paging, two addresses for one page, and a page fault that is mended.
 * [Intel SDM vol. 3, "Initializing IA-32e Mode" and "4-Level Paging"]
 *
 * The tables, a page each: PML4 at 0x10000, PDPT at 0x11000, PD at 0x12000, all with one purpose:
 * entry 0 of each maps the first 2 MiB one to one.  Entry 256 of the PML4 is the same PDPT again,
 * so that 0xffff800000000000, where kernels live, is the same memory.
 */
	.include "say.inc"
	.set	PML4, 0x10000
	.set	PDPT, 0x11000
	.set	PD, 0x12000
	.set	HIGH, 0xffff800000000000

	.code16
	.globl	_start
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld
	say16	"long: 1. in real mode, about to build page tables"

	mov	$PML4 >> 4, %ax
	mov	%ax, %es
	xor	%eax, %eax
	xor	%di, %di
	mov	$0x3000 / 4, %cx
	rep stosl
	movl	$PDPT + 3, %es:0	# 3: present, writable
	movl	$PDPT + 3, %es:256 * 8
	movl	$PD + 3, %es:PDPT - PML4
	movl	$0x83, %es:PD - PML4	# 0x80: not a table but a page of 2 MiB

	mov	%cr4, %eax
	or	$0x20, %al		# PAE: entries are 8 bytes wide
	mov	%eax, %cr4
	mov	$PML4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	# EFER
	rdmsr
	or	$0x100, %ax		# LME: paging, when it comes, is long mode
	wrmsr
	lgdt	gdt_pointer
	mov	%cr0, %eax
	or	$0x80000001, %eax	# PG and PE in one step
	mov	%eax, %cr0
	ljmpl	$0x08, $in_64
	print_routines 16

	.code64
in_64:	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$_start, %esp
	mov	$0xc0000080, %ecx
	rdmsr
	test	$0x400, %eax		# LMA
	jz	fail64
	say64	"long: 2. EFER.LMA is set: long mode is active"

	mov	$1, %eax
	shl	$40, %rax
	mov	%rax, %rbx
	shr	$40, %rbx
	cmp	$1, %rbx
	jne	fail64
	say64	"long: 3. a bit shifted left by 40 comes back: registers are 64 bits wide"

	movabs	$HIGH + 0x9000, %rbx
	movabs	$0x0123456789abcdef, %rax
	mov	%rax, (%rbx)
	cmp	%rax, 0x9000
	jne	fail64
	say64	"long: 4. 0xffff800000009000 and 0x9000 are the same byte: paging is on"

	lidt	idt_pointer
	mov	$page_fault, %eax	# gate 14; the rest of it is assembled below
	mov	%ax, idt + 14 * 16
	shr	$16, %eax
	mov	%ax, idt + 14 * 16 + 6
	mov	$0x00345678, %ebx	# 3.2 MiB: not mapped
	movl	$0x600df00d, (%rbx)	# faults, and is done again when the handler returns
	cmpl	$0x600df00d, (%rbx)
	jne	fail64
	cmp	%rbx, fault_address
	jne	fail64
	say64	"long: 5. a store to 0x345678 faulted with that address in CR2"
	say64	"long: 6. the handler mapped the page, and the store was done"
	say64	"long: 7. halting with interrupts off"
	jmp	stop64
	print_routines 64

/* Page fault: notes the address, maps the second 2 MiB and has the instruction done again. */
page_fault:
	push	%rax
	mov	%cr2, %rax
	mov	%rax, fault_address
	movl	$0x00200083, PD + 8
	pop	%rax
	add	$8, %rsp		# the error code
	iretq

	.balign	8
fault_address:
	.quad	0
gdt:	.quad	0
	.quad	0x00209a0000000000	# 08: code, 64 bits
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt

	.balign	16
idt:	.fill	14 * 16, 1, 0
	.word	0, 0x08, 0x8e00, 0	# 14: offset 15:0, selector, interrupt gate, offset 31:16
	.quad	0
idt_pointer:
	.word	idt_pointer - idt - 1
	.quad	idt
