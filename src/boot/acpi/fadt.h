/*
 * boot/acpi/fadt.h - the FADT's layout [ACPI 6.5 §5.2.9], of revision 6.3, for every architecture.
 */
#ifndef LODGE_BOOT_ACPI_FADT_H
#define LODGE_BOOT_ACPI_FADT_H

#include "boot/acpi/tables.h"

#define FADT_REVISION	    6
#define FADT_MINOR	    3
#define FADT_PROFILE_SERVER 4 /* enterprise server */

/* Feature flags [table 5.10]. */
#define FADT_WBINVD	 (1u << 0)
#define FADT_PROC_C1	 (1u << 2)
#define FADT_SLP_BUTTON	 (1u << 5) /* no fixed sleep button; PWR_BUTTON clear: there is one */
#define FADT_FIX_RTC	 (1u << 6) /* no RTC wake event in PM1 */
#define FADT_TMR_VAL_EXT (1u << 8)
#define FADT_RESET_REG	 (1u << 10)
#define FADT_HEADLESS	 (1u << 12)
#define FADT_HW_REDUCED	 (1u << 20)

/* ARM boot architecture flags [table 5.12]. */
#define FADT_ARM_PSCI	  (1u << 0)
#define FADT_ARM_PSCI_HVC (1u << 1)

/* What comes behind the header. */
struct acpi_fadt_body {
	le32 facs, dsdt;
	uint8_t reserved1, profile;
	le16 sci;
	le32 smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate_cnt;
	le32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	le16 c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	le16 boot_arch;
	uint8_t reserved2;
	le32 flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	le16 arm_boot_arch;
	uint8_t minor;
	le64 x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr;
	struct acpi_gas x_gpe0, x_gpe1, sleep_control, sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(sizeof(struct acpi_fadt_body) == 276 - ACPI_HEADER_LEN, "FADT");

#endif
