/*
 * arch/x86/pm.h - the power-management register block of Lodge's x86 machines: what the device
 * model implements and what the ACPI tables describe must be the same numbers.
 *
 * It is the fixed hardware of a full (not hardware-reduced) ACPI machine [ACPI 6.5 §4.8.3], with
 * the reset register behind it.  One block of I/O ports, offsets from its base:
 *
 *   +0x0  PM1_STS  16 bits, write 1 to clear       +0x8  PM_TMR  32 bits, read-only, 3.579545 MHz
 *   +0x2  PM1_EN   16 bits                         +0xc  RESET    8 bits, write-only
 *   +0x4  PM1_CNT  16 bits                         +0xd … +0xf  reserved, read 0
 *
 * There is no SMI command port, hence no legacy mode: PM1_CNT.SCI_EN always reads 1 and writes do
 * not change it.  The SCI is a level that is high while (PM1_STS & PM1_EN & X86_PM1_EVENTS) != 0.
 */
#ifndef LODGE_ARCH_X86_PM_H
#define LODGE_ARCH_X86_PM_H

#define X86_PM_BASE 0x600u /* where the machines put the block */
#define X86_PM_LEN  0x10u

/* Offsets and access widths in bytes. */
#define X86_PM1_STS	 0x0u
#define X86_PM1_EN	 0x2u
#define X86_PM1_CNT	 0x4u
#define X86_PM_TMR	 0x8u
#define X86_PM_RESET	 0xcu
#define X86_PM1_EVT_LEN	 4u
#define X86_PM1_CNT_LEN	 2u
#define X86_PM_TMR_LEN	 4u
#define X86_PM_RESET_LEN 1u

/* PM1_STS and PM1_EN [ACPI 6.5 §4.8.3.1]. */
#define X86_PM1_TMR    (1u << 0) /* the timer's highest bit changed */
#define X86_PM1_BM     (1u << 4) /* STS only: bus master activity; reads 0 here */
#define X86_PM1_GBL    (1u << 5) /* firmware released the global lock; never set here */
#define X86_PM1_PWRBTN (1u << 8)
#define X86_PM1_SLPBTN (1u << 9)  /* no such button here */
#define X86_PM1_RTC    (1u << 10) /* RTC alarm as a wake event; never comes here */
#define X86_PM1_WAK    (1u << 15) /* STS only: woke from a sleep state; never set here */
/* The events that can raise the SCI on this machine. */
#define X86_PM1_EVENTS (X86_PM1_TMR | X86_PM1_PWRBTN)
/*
 * The bits of PM1_EN that keep what is written.  Linux enables GBL at boot and RTC when its clock
 * driver loads, reads the register back and logs an error if the bit did not take; so bits of
 * events that never come are kept too.
 */
#define X86_PM1_EN_MASK (X86_PM1_TMR | X86_PM1_GBL | X86_PM1_PWRBTN | X86_PM1_SLPBTN | X86_PM1_RTC)

/* PM1_CNT [ACPI 6.5 §4.8.3.2]. */
#define X86_PM1_CNT_SCI_EN	   (1u << 0) /* reads 1 */
#define X86_PM1_CNT_BM_RLD	   (1u << 1)
#define X86_PM1_CNT_GBL_RLS	   (1u << 2) /* write-only, no effect */
#define X86_PM1_CNT_SLP_TYP(v)	   ((unsigned)(v) << 10)
#define X86_PM1_CNT_SLP_TYP_GET(v) (((unsigned)(v) >> 10) & 7u)
#define X86_PM1_CNT_SLP_EN	   (1u << 13) /* write-only: enter the state of SLP_TYP */

/*
 * The value of SLP_TYP that means S5, soft off, in \_S5 and in the device.  Any would do; not 0,
 * so that a guest's stray SLP_EN with nothing else set does not turn the machine off.  The other
 * values mean nothing: the write is a guest mistake and is ignored.
 */
#define X86_PM_SLP_TYP_S5 5u

#define X86_PM_RESET_VALUE 1u /* written to RESET: reset the machine; other values do nothing */

#define X86_PM_TMR_HZ	3579545u
#define X86_PM_TMR_BITS 32u /* FADT TMR_VAL_EXT: all 32 bits count */

#define X86_PM_SCI_IRQ 9u /* ISA number and GSI; level, active high (MADT has the override) */

#endif
