/*
 * boot/fdt_write.c - libfdt's sequential writer, with errors that stick.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "boot/fdt_impl.h"

const char *fdt_error(int error)
{
	switch (error) {
	case -FDT_ERR_NOSPACE: return "it is larger than 2 MiB";
	case -FDT_ERR_BADMAGIC: return "it does not begin with a device tree's magic number";
	case -FDT_ERR_BADVERSION: return "it has a version that nobody knows";
	case -FDT_ERR_TRUNCATED: return "it is cut short";
	case -FDT_ERR_BADSTRUCTURE: return "its nodes are damaged";
	case -FDT_ERR_BADLAYOUT: return "its parts are in the wrong order";
	case -FDT_ERR_BADNCELLS: return "it counts addresses in a number of cells that cannot be";
	case -FDT_ERR_BADPATH: return "it has no such node";
	case -FDT_ERR_NOTFOUND: return "something is missing in it";
	case -FDT_ERR_EXISTS: return "it has two nodes of one name";
	default: return "it is damaged";
	}
}

int fdt_writer_begin(struct fdt_writer *w, struct err *e)
{
	*w = (struct fdt_writer){.buf = sys_alloc(FDT_BLOB_MAX)};
	if (!w->buf)
		return err_nomem(e, FDT_BLOB_MAX, "a device tree");
	w->error = fdt_create(w->buf, (int)FDT_BLOB_MAX);
	if (!w->error)
		w->error = fdt_finish_reservemap(w->buf);
	return 0;
}

int fdt_writer_finish(struct fdt_writer *w, struct fdt_blob *out, struct err *e)
{
	void *buf = w->buf, *fit;

	*out = (struct fdt_blob){0};
	w->buf = NULL;
	if (!w->error)
		w->error = fdt_finish(buf);
	if (w->list.failed) {
		strbuf_exit(&w->list);
		free(buf);
		return err_nomem(e, FDT_BLOB_MAX, "a device tree");
	}
	strbuf_exit(&w->list);
	if (w->error) {
		free(buf);
		return err_set(e, w->error == -FDT_ERR_NOSPACE ? -E2BIG : -EINVAL,
			       "cannot make a device tree: %s", fdt_error(w->error));
	}
	out->len = fdt_totalsize(buf);
	fit = sys_realloc_array(buf, out->len, 1);
	out->data = fit ? fit : buf;
	return 0;
}

void fdt_open_node(struct fdt_writer *w, const char *name)
{
	if (!w->error)
		w->error = fdt_begin_node(w->buf, name);
}

void fdt_open_node_at(struct fdt_writer *w, const char *name, uint64_t addr)
{
	char full[FDT_NAME_LEN];

	snprintf(full, sizeof(full), "%.40s@%llx", name, (unsigned long long)addr);
	fdt_open_node(w, full);
}

void fdt_close_node(struct fdt_writer *w)
{
	if (!w->error)
		w->error = fdt_end_node(w->buf);
}

void fdt_put_bytes(struct fdt_writer *w, const char *name, const void *p, size_t n)
{
	if (n > FDT_BLOB_MAX && !w->error)
		w->error = -FDT_ERR_NOSPACE;
	if (!w->error)
		w->error = fdt_property(w->buf, name, p, (int)n);
}

void fdt_put_flag(struct fdt_writer *w, const char *name)
{
	fdt_put_bytes(w, name, "", 0);
}

void fdt_put_string(struct fdt_writer *w, const char *name, const char *s)
{
	fdt_put_bytes(w, name, s, strlen(s) + 1);
}

void fdt_put_strings(struct fdt_writer *w, const char *name, const char *s, size_t n)
{
	fdt_put_bytes(w, name, s, n);
}

void fdt_put_u32(struct fdt_writer *w, const char *name, uint32_t v)
{
	fdt32_t x = cpu_to_fdt32(v);

	fdt_put_bytes(w, name, &x, sizeof(x));
}

void fdt_put_u64(struct fdt_writer *w, const char *name, uint64_t v)
{
	fdt64_t x = cpu_to_fdt64(v);

	fdt_put_bytes(w, name, &x, sizeof(x));
}

void fdt_cell(struct fdt_writer *w, uint32_t v)
{
	fdt32_t x = cpu_to_fdt32(v);

	strbuf_add_bytes(&w->list, &x, sizeof(x));
}

void fdt_cell64(struct fdt_writer *w, uint64_t v)
{
	fdt_cell(w, (uint32_t)(v >> 32));
	fdt_cell(w, (uint32_t)v);
}

void fdt_put_list(struct fdt_writer *w, const char *name)
{
	fdt_put_bytes(w, name, w->list.s, w->list.len);
	w->list.len = 0;
}
