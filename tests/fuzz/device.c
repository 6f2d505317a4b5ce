/*
 * All devices of this build at once.  The bytes are a list of operations: what a vCPU, the clock, a
 * terminal, the monitor and a saved state from anywhere can do to them, in any order.
 *
 * Beyond not crashing: an access that the class does not allow is refused, a load either fails or
 * leaves a state that saves and loads to itself, and after a reset no wire is up.
 */
#include "../device/world.h"
#include "base/endian.h"
#include "fuzz.h"

#define OPS_MAX	 2000u
#define TIME_MAX (INT64_MAX / 2) /* what a saved state may say, see core/vmstate.c */

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static uint64_t bytes(struct input *in, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | byte(in);
	return v;
}

static uint64_t next64(void *arg)
{
	return bytes(arg, 8);
}

static void vcpu_access(struct world *w, struct input *in, bool write)
{
	unsigned k = byte(in) % (w->n_windows + 1), size = byte(in) % 8 + 1;
	struct as *as = k < w->n_windows ? w->window[k].as : &w->vm->mem;
	uint64_t base = k < w->n_windows ? w->window[k].base : 0;
	uint64_t len = k < w->n_windows ? w->window[k].len : 0x1000;
	uint64_t addr = base + (len > 256 ? bytes(in, 4) : byte(in)) % (len + 2);
	uint8_t data[8];

	if (write) {
		le64_store(data, bytes(in, size));
		(void)as_vcpu_write(as, addr, data, size);
	} else {
		(void)as_vcpu_read(as, addr, data, size);
	}
}

static struct device *pick(struct world *w, struct input *in)
{
	return w->dev[byte(in) % w->n_devs];
}

static void chardev_traffic(struct world *w, struct input *in)
{
	struct chardev *c = w->chardev[byte(in) % w->n_devs];
	uint8_t buf[64], n = byte(in) % 64;

	if (!c)
		return;
	for (unsigned i = 0; i < n; i++)
		buf[i] = byte(in);
	if (n)
		(void)chardev_buffer_put(c, buf, n);
	else
		while (chardev_buffer_take(c, buf, sizeof(buf)) == sizeof(buf))
			;
}

static void reset_all(struct world *w)
{
	for (unsigned i = 0; i < w->n_devs; i++)
		device_reset(w->dev[i]);
	for (unsigned pin = 0; pin < IRQ_PINS; pin++)
		BUG_ON(w->level[pin]);
}

/* A load that was accepted must give a state that saves and loads to itself. */
static void check_stable(struct device *d)
{
	struct strbuf a = {0}, b = {0};
	struct err e = ERR_INIT;

	world_save(d, &a);
	BUG_ON(d->class->state && world_load(d, d->class->state->version, a.s, a.len, &e));
	world_save(d, &b);
	BUG_ON(a.len != b.len || memcmp(strbuf_str(&a), strbuf_str(&b), a.len) != 0);
	strbuf_exit(&a);
	strbuf_exit(&b);
}

/* The device's own saved state with some bytes changed, or cut off. */
static void load_mutated(struct world *w, struct input *in)
{
	struct device *d = pick(w, in);
	struct strbuf s = {0};
	struct err e = ERR_INIT;
	unsigned n = byte(in) % 8;
	uint64_t cut = bytes(in, 2);

	world_save(d, &s);
	for (unsigned i = 0; i < n && s.len; i++)
		s.s[bytes(in, 2) % s.len] ^= (char)byte(in);
	if (cut < s.len)
		s.len = cut;
	if (world_load(d, byte(in) % 4, strbuf_str(&s), s.len, &e) == 0)
		check_stable(d);
	else
		BUG_ON(!e.msg[0]);
	strbuf_exit(&s);
}

/* Any state that the table allows, as a hostile file would hold it. */
static void load_random(struct world *w, struct input *in)
{
	struct device *d = pick(w, in);
	struct err e = ERR_INIT;

	device_lock(d);
	if (d->class->state)
		state_random(d->class->state, d, next64, in);
	device_unlock(d);
	struct strbuf s = {0};
	world_save(d, &s);
	if (!d->class->state || !world_load(d, d->class->state->version, s.s, s.len, &e))
		check_stable(d);
	else
		device_reset(d);
	strbuf_exit(&s);
}

static void command(struct world *w, struct input *in)
{
	static const char *const words[] = {"power-button", "",		 "sleep-button",
					    "pin 3 high",   "pin 3 low", "pin 8 high"};
	struct device *d = pick(w, in);

	(void)!device_command(d, words[byte(in) % ARRAY_LEN(words)], NULL);
}

static void quiet(struct world *w, bool on)
{
	for (unsigned i = 0; i < w->n_devs; i++) {
		struct device *d = w->dev[i];
		void (*fn)(struct device *) = on ? d->class->quiesce : d->class->resume;

		device_lock(d);
		if (fn)
			fn(d);
		device_unlock(d);
	}
}

static void operation(struct world *w, struct input *in)
{
	switch (byte(in) % 24) {
	case 0: clock_step(&w->vm->clock, UINT64_C(1) << byte(in) % 48); break;
	case 1: clock_step(&w->vm->clock, bytes(in, 2)); break;
	case 2: chardev_traffic(w, in); break;
	case 3: (void)loop_step(w->loop, 0); break;
	case 4: reset_all(w); break;
	case 5: load_mutated(w, in); break;
	case 6: load_random(w, in); break;
	case 7: command(w, in); break;
	case 8: quiet(w, true); break;
	case 9: quiet(w, false); break;
	case 10: clock_set(&w->vm->clock, bytes(in, 8) % TIME_MAX); break;
	case 11:
	case 12:
	case 13:
	case 14:
	case 15: vcpu_access(w, in, false); break;
	default: vcpu_access(w, in, true); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct world w;

	log_set_level(LOG_ERROR);
	world_init(&w);
	for (unsigned i = 0; in.left && i < OPS_MAX; i++)
		operation(&w, &in);
	world_exit(&w);
	return 0;
}
