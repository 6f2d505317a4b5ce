/*
 * device/primecell.h - the identification registers at the end of every Arm PrimeCell's 4 KiB: a
 * PeriphID of 32 bits and a PCellID of 32 bits, a byte in each word [ARM DDI 0183, 0190 and 0224,
 * §3.3].
 */
#ifndef LODGE_DEVICE_PRIMECELL_H
#define LODGE_DEVICE_PRIMECELL_H

#include "base/compiler.h"

#define PRIMECELL_LEN 0x1000u /* of the window */
#define PRIMECELL_ID  0xfe0u  /* PeriphID0; up to the end there is nothing else */
/* The PeriphID of a part by Arm (designer 0x41) without configuration: @part as in 0x011. */
#define PRIMECELL_PERIPH_ID(part, revision) ((part) | 0x41u << 12 | (uint32_t)(revision) << 20)
#define PRIMECELL_PL011			    PRIMECELL_PERIPH_ID(0x011u, 3u)
#define PRIMECELL_PL031			    PRIMECELL_PERIPH_ID(0x031u, 0u)
#define PRIMECELL_PL061			    PRIMECELL_PERIPH_ID(0x061u, 0u)

/* The register at @off, a multiple of 4 from PRIMECELL_ID to the end of the window. */
static inline uint8_t primecell_id(uint32_t periph_id, uint64_t off)
{
	uint64_t ids = UINT64_C(0xb105f00d) << 32 | periph_id;

	return (uint8_t)(ids >> (off - PRIMECELL_ID) / 4 * 8);
}

#endif
