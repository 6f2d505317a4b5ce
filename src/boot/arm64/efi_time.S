/*
 * boot/arm64/efi_time.S - the one EFI runtime service that works.  It runs in the guest, so it is
 * not compiled with Lodge: its bytes are in efi_time.h, and tests/golden/efi compares the two.
 *
 * EFI_STATUS GetTime (x0: EFI_TIME *, x1: EFI_TIME_CAPABILITIES * or NULL): the PL031's seconds
 * since 1970 as a date.  Years are counted from March, so that the leap day is the last of a year;
 * 719468 days are from 1 March 0000 to 1 January 1970, 146097 days are 400 years.
 */
	cbz	x0, 9f
	ldr	x2, rtc
	ldr	w2, [x2]		/* seconds */
	movz	w3, #0x5180
	movk	w3, #1, lsl #16		/* 86400 */
	udiv	w4, w2, w3		/* days */
	msub	w2, w4, w3, w2		/* seconds of the day */
	movz	w3, #3600
	udiv	w5, w2, w3
	msub	w2, w5, w3, w2
	strb	w5, [x0, #4]		/* hour */
	movz	w3, #60
	udiv	w5, w2, w3
	msub	w2, w5, w3, w2
	strb	w5, [x0, #5]		/* minute */
	strb	w2, [x0, #6]		/* second */
	strb	wzr, [x0, #7]
	str	wzr, [x0, #8]		/* nanosecond */
	str	wzr, [x0, #12]		/* UTC, no daylight saving */
	movz	w3, #0xfa6c
	movk	w3, #0xa, lsl #16	/* 719468 */
	add	w4, w4, w3
	movz	w3, #0x3ab1
	movk	w3, #2, lsl #16		/* 146097 */
	udiv	w5, w4, w3		/* 400 years */
	msub	w4, w5, w3, w4		/* day of them */
	movz	w3, #1460
	udiv	w6, w4, w3
	sub	w6, w4, w6
	movz	w3, #36524
	udiv	w7, w4, w3
	add	w6, w6, w7
	movz	w3, #0x3ab0
	movk	w3, #2, lsl #16		/* 146096 */
	udiv	w7, w4, w3
	sub	w6, w6, w7
	movz	w3, #365
	udiv	w6, w6, w3		/* year of them */
	msub	w4, w6, w3, w4
	sub	w4, w4, w6, lsr #2
	movz	w3, #100
	udiv	w7, w6, w3
	add	w4, w4, w7		/* day of the year */
	movz	w3, #400
	madd	w6, w5, w3, w6		/* year */
	add	w7, w4, w4, lsl #2
	add	w7, w7, #2
	movz	w3, #153
	udiv	w7, w7, w3		/* month, from March as 0 */
	mul	w5, w7, w3
	add	w5, w5, #2
	movz	w3, #5
	udiv	w5, w5, w3
	sub	w4, w4, w5
	add	w4, w4, #1
	strb	w4, [x0, #3]		/* day */
	sub	w5, w7, #9
	add	w7, w7, #3
	cmp	w7, #12
	csel	w7, w7, w5, ls
	cinc	w6, w6, hi		/* January and February are the next year's */
	strb	w7, [x0, #2]		/* month */
	strh	w6, [x0]		/* year */
	cbz	x1, 8f
	movz	w3, #1
	str	w3, [x1]		/* resolution: 1 Hz */
	str	wzr, [x1, #4]		/* accuracy: not said */
	str	wzr, [x1, #8]		/* setting the time is no matter of it */
8:	mov	x0, #0			/* EFI_SUCCESS */
	ret
9:	movz	x0, #2
	movk	x0, #0x8000, lsl #48	/* EFI_INVALID_PARAMETER */
	ret
	.balign 8
rtc:	.quad	0			/* the PL031, in the guest's view; filled in */
