/*
 * boot/x86/linux.c - Linux's own entries: the zero page [Documentation/arch/x86/zero-page.rst] and
 * the 64- and 32-bit boot protocols [Documentation/arch/x86/boot.rst].
 */
#include <errno.h>
#include <string.h>

#include "base/endian.h"
#include "boot/x86/load_impl.h"

/* struct boot_params */
#define ZP_SIZE		4096u
#define ZP_RSDP		0x070
#define ZP_E820_ENTRIES 0x1e8
#define ZP_HEADER	0x1f1
#define ZP_E820		0x2d0
#define ZP_E820_MAX	128

/* struct setup_header, which is a part of it */
#define ZP_VID_MODE	0x1fa
#define ZP_BOOT_FLAG	0x1fe
#define ZP_MAGIC	0x202
#define ZP_VERSION	0x206
#define ZP_LOADER	0x210
#define ZP_LOADFLAGS	0x211
#define ZP_CODE32_START 0x214
#define ZP_RAMDISK	0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMDLINE	0x228
#define ZP_ALIGNMENT	0x230

#define LOADED_HIGH	0x01u
#define KASLR_FLAG	0x02u
#define LOADER_UNKNOWN	0xff
#define VID_MODE_NORMAL 0xffff
#define VERSION_OF_ELF	0x020f

_Static_assert(MEMMAP_ENTRIES_MAX <= ZP_E820_MAX, "every memory map fits in the zero page");

/* An ELF file comes without a header; these are what the kernel itself looks at. */
static void synthetic_header(uint8_t *zp)
{
	le16_store(zp + ZP_BOOT_FLAG, 0xaa55);
	memcpy(zp + ZP_MAGIC, "HdrS", 4);
	le16_store(zp + ZP_VERSION, VERSION_OF_ELF);
	le32_store(zp + ZP_ALIGNMENT, (uint32_t)MIB(2));
}

static void put_e820(uint8_t *zp, const struct memmap *m)
{
	zp[ZP_E820_ENTRIES] = (uint8_t)m->n;
	for (unsigned i = 0; i < m->n; i++) {
		uint8_t *entry = zp + ZP_E820 + 20 * (size_t)i;

		le64_store(entry, m->e[i].addr);
		le64_store(entry + 8, m->e[i].len);
		le32_store(entry + 16, m->e[i].type);
	}
}

static void fill_zero_page(const struct boot_load *l, gpa_t cmdline, uint8_t *zp)
{
	const struct boot_bzimage *bz = &l->img->bz;

	memset(zp, 0, ZP_SIZE);
	if (bz->setup_header_len)
		memcpy(zp + ZP_HEADER, bz->setup_header, bz->setup_header_len);
	else
		synthetic_header(zp);
	zp[ZP_LOADER] = LOADER_UNKNOWN;
	zp[ZP_LOADFLAGS] |= LOADED_HIGH;
	if (l->virt_delta)
		zp[ZP_LOADFLAGS] |= KASLR_FLAG;
	else
		zp[ZP_LOADFLAGS] &= (uint8_t)~KASLR_FLAG;
	le16_store(zp + ZP_VID_MODE, VID_MODE_NORMAL);
	le32_store(zp + ZP_CODE32_START, (uint32_t)l->base);
	le32_store(zp + ZP_CMDLINE, (uint32_t)cmdline);
	if (l->n_mods) {
		/* Below 4 GiB: initrd_addr_max has 32 bits. */
		le32_store(zp + ZP_RAMDISK, (uint32_t)l->mod[0].addr);
		le32_store(zp + ZP_RAMDISK_SIZE, (uint32_t)l->mod[0].len);
	}
	le64_store(zp + ZP_RSDP, l->p->rsdp);
	put_e820(zp, l->p->map);
}

int boot_enter_linux(struct boot_load *l, struct x86_vcpu *v, struct err *e)
{
	uint8_t zp[ZP_SIZE];
	gpa_t cmdline;
	int r;

	r = boot_room(l, sizeof(zp), GUEST_PAGE, &l->start_info, e);
	if (!r)
		r = boot_put_string(l, l->p->cmdline ? l->p->cmdline : "", &cmdline, e);
	if (r)
		return r;
	fill_zero_page(l, cmdline, zp);
	r = boot_put(l, l->start_info, zp, sizeof(zp), e);
	if (r)
		return r;
	v->gpr[X86_RSI] = l->start_info;
	if (l->way == WAY_LINUX64)
		return boot_state_long(l, v, e);
	/* "%ebp, %edi, %ebx must be zero." */
	v->gpr[X86_RBP] = v->gpr[X86_RDI] = v->gpr[X86_RBX] = 0;
	boot_state_flat32(l, v);
	return 0;
}
