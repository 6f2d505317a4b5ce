/*
 * boot/fdt_user.c - device trees that the user gives: checked, then completed.
 *
 * libfdt's functions trust the offsets of the header and of each token; fdt_check_full walks all of
 * it once with bounds.  Only what has passed there is looked at any further.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "boot/fdt_impl.h"

#define HEADER_LEN 40u /* of version 17 */
#define VERSION_MIN 16u /* names without paths [Devicetree Specification 0.4 §5.2] */
#define PATCH_ROOM KIB(64)

#define DEPTH_MAX 64

/* Recursion in a guest's kernel, and libfdt's own bound, are this deep; no real tree is. */
static int check_depth(const void *fdt)
{
	int depth = 0, node = 0;

	while (node >= 0 && depth >= 0) {
		if (depth > DEPTH_MAX)
			return -1;
		node = fdt_next_node(fdt, node, &depth);
	}
	return 0;
}

static bool has_cells(const void *fdt, const char *name)
{
	const fdt32_t *p;
	int len;

	p = fdt_getprop(fdt, 0, name, &len);
	return p && len == 4 && (fdt32_to_cpu(*p) == 1 || fdt32_to_cpu(*p) == 2);
}

int fdt_check(const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;
	uint32_t total;
	int r;

	if (len < HEADER_LEN || fdt_magic(data) != FDT_MAGIC)
		return err_set(e, -EINVAL,
			       "is not a device tree blob (it begins with %02x %02x %02x %02x)",
			       len > 0 ? p[0] : 0, len > 1 ? p[1] : 0, len > 2 ? p[2] : 0,
			       len > 3 ? p[3] : 0);
	total = fdt_totalsize(data);
	if (total > len)
		return err_set(e, -EINVAL,
			       "is a device tree blob that is cut short: it has %zu of %u bytes",
			       len, total);
	/* libfdt's full check reads through NULL if the root of an older format has no name. */
	if (fdt_version(data) < VERSION_MIN)
		return err_set(e, -EINVAL,
			       "is a device tree blob of format version %u; %u and later are used",
			       fdt_version(data), VERSION_MIN);
	r = fdt_check_full(data, len);
	if (r)
		return err_set(e, -EINVAL, "is a device tree blob that cannot be used: %s",
			       fdt_error(r));
	if (check_depth(data))
		return err_set(e, -EINVAL,
			       "is a device tree blob with nodes nested more than %d deep",
			       DEPTH_MAX);
	if (!has_cells(data, "#address-cells") || !has_cells(data, "#size-cells"))
		return err_set(e, -EINVAL,
			       "is a device tree blob whose root does not say #address-cells and "
			       "#size-cells of 1 or 2");
	if (fdt_path_offset(data, "/cpus") < 0)
		return err_set(e, -EINVAL, "is a device tree blob without a /cpus node");
	return 0;
}

int fdt_open(const char *path, struct fdt_blob *out, struct err *e)
{
	int r;

	*out = (struct fdt_blob){0};
	r = sys_read_file(path, FDT_BLOB_MAX, &out->data, &out->len, e);
	if (r)
		return r;
	r = fdt_check(out->data, out->len, e);
	if (!r)
		return 0;
	if (!memcmp(out->data, "/dts-v1/", MIN(out->len, 8)))
		err_hint(e, "it is the source of one: dtc -O dtb compiles it");
	fdt_blob_exit(out);
	return err_prefix(e, "%s", path);
}

/* Whatever its name, a node is memory by its device_type. */
static int delete_memory(void *fdt)
{
	int node, r = 0;

	while (!r) {
		node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", 7);
		if (node < 0)
			return node == -FDT_ERR_NOTFOUND ? 0 : node;
		r = node == 0 ? -FDT_ERR_BADSTRUCTURE : fdt_del_node(fdt, node);
	}
	return r;
}

static uint32_t cells(const void *fdt, const char *name)
{
	const fdt32_t *p = fdt_getprop(fdt, 0, name, NULL);

	return p ? fdt32_to_cpu(*p) : 0; /* fdt_check has seen that it is there */
}

/* @n cells with @v at *@p; false if it does not fit. */
static bool put_cells(fdt32_t **p, uint32_t n, uint64_t v)
{
	if (n == 2)
		*(*p)++ = cpu_to_fdt32((uint32_t)(v >> 32));
	else if (v > UINT32_MAX)
		return false;
	*(*p)++ = cpu_to_fdt32((uint32_t)v);
	return true;
}

static int add_memory(void *fdt, const struct acpi_node_memory *m, bool *fits)
{
	fdt32_t reg[4], *p = reg;
	char name[FDT_NAME_LEN];
	int node, r;

	*fits = put_cells(&p, cells(fdt, "#address-cells"), m->base) &&
		put_cells(&p, cells(fdt, "#size-cells"), m->len);
	if (!*fits)
		return 0;
	snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)m->base);
	node = fdt_add_subnode(fdt, 0, name);
	if (node < 0)
		return node;
	r = fdt_setprop_string(fdt, node, "device_type", "memory");
	return r ? r : fdt_setprop(fdt, node, "reg", reg, (int)((char *)p - (char *)reg));
}

/* What an old tree says of a start that is not this one. */
static int clear_chosen(void *fdt, int node)
{
	static const char *const stale[] = {
		"bootargs",
		"linux,initrd-start",
		"linux,initrd-end",
		"kaslr-seed",
		"rng-seed",
		"linux,uefi-system-table",
		"linux,uefi-mmap-start",
		"linux,uefi-mmap-size",
		"linux,uefi-mmap-desc-size",
		"linux,uefi-mmap-desc-ver",
		"linux,uefi-secure-boot",
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(stale) && !r; i++) {
		r = fdt_delprop(fdt, node, stale[i]);
		if (r == -FDT_ERR_NOTFOUND)
			r = 0;
	}
	return r;
}

static int set_efi(void *fdt, int node, const struct fdt_efi *efi)
{
	int r;

	if (!efi->mmap_len)
		return 0;
	r = fdt_setprop_u64(fdt, node, "linux,uefi-system-table", efi->system_table);
	if (!r)
		r = fdt_setprop_u64(fdt, node, "linux,uefi-mmap-start", efi->mmap);
	if (!r)
		r = fdt_setprop_u32(fdt, node, "linux,uefi-mmap-size", efi->mmap_len);
	if (!r)
		r = fdt_setprop_u32(fdt, node, "linux,uefi-mmap-desc-size", efi->desc_len);
	if (!r)
		r = fdt_setprop_u32(fdt, node, "linux,uefi-mmap-desc-ver", efi->desc_version);
	if (!r)
		r = fdt_setprop_u32(fdt, node, "linux,uefi-secure-boot", FDT_SECURE_BOOT_OFF);
	return r;
}

static int set_chosen(void *fdt, const struct fdt_chosen *c)
{
	int node = fdt_path_offset(fdt, "/chosen"), r;

	if (node < 0)
		node = fdt_add_subnode(fdt, 0, "chosen");
	if (node < 0)
		return node;
	r = clear_chosen(fdt, node);
	if (!r)
		r = fdt_setprop_string(fdt, node, "bootargs", c->cmdline ? c->cmdline : "");
	if (!r && c->stdout_path)
		r = fdt_setprop_string(fdt, node, "stdout-path", c->stdout_path);
	if (!r && c->initrd_len)
		r = fdt_setprop_u64(fdt, node, "linux,initrd-start", c->initrd);
	if (!r && c->initrd_len)
		r = fdt_setprop_u64(fdt, node, "linux,initrd-end", c->initrd + c->initrd_len);
	if (!r && c->kaslr_seed)
		r = fdt_setprop_u64(fdt, node, "kaslr-seed", c->kaslr_seed);
	if (!r && c->rng_seed_len)
		r = fdt_setprop(fdt, node, "rng-seed", c->rng_seed,
				(int)MIN(c->rng_seed_len, FDT_SEED_MAX));
	return r ? r : set_efi(fdt, node, &c->efi);
}

int fdt_patch(const struct fdt_blob *in, const struct acpi_node_memory *memory, unsigned n_memory,
	      const struct fdt_chosen *c, struct fdt_blob *out, struct err *e)
{
	size_t room = in->len + PATCH_ROOM;
	void *fdt = sys_alloc(room);
	bool fits = true;
	int r;

	*out = (struct fdt_blob){0};
	if (!fdt)
		return err_nomem(e, room, "a device tree");
	r = fdt_open_into(in->data, fdt, (int)room);
	if (!r)
		r = delete_memory(fdt);
	/* New nodes come first among their siblings: the last range first. */
	for (unsigned i = n_memory; i-- > 0 && !r && fits;)
		r = add_memory(fdt, &memory[i], &fits);
	if (!r)
		r = set_chosen(fdt, c);
	if (!r)
		r = fdt_pack(fdt);
	if (!r && fdt_totalsize(fdt) > FDT_BLOB_MAX)
		r = -FDT_ERR_NOSPACE;
	if (!r && fits) {
		*out = (struct fdt_blob){fdt, fdt_totalsize(fdt)};
		return 0;
	}
	free(fdt);
	if (!fits)
		return err_set(e, -EINVAL,
			       "the device tree has addresses of 32 bits, the machine's memory "
			       "needs more");
	return err_set(e, r == -FDT_ERR_NOSPACE ? -E2BIG : -EINVAL,
		       "the device tree cannot be completed: %s", fdt_error(r));
}
