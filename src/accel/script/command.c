/*
 * accel/script/command.c - what each command of a script does.
 *
 * Ports, addresses, masks, values and bytes are hexadecimal, with or without 0x; interrupt pins,
 * counts and exit codes are decimal; durations have a unit.  docs/script.md is the reference.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/script/internal.h"
#include "base/endian.h"
#include "base/sys.h"
#include "chardev/chardev.h"

enum base { HEX = 16, DEC = 10 };

static const char *word(const struct command *c, unsigned i)
{
	return i < c->n ? c->tok[i].s : "";
}

static int number(const struct token *t, enum base base, uint64_t max, uint64_t *out, struct err *e)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(t->s, &end, base);
	if (t->quoted || !t->len || *end || t->s[0] == '-' || t->s[0] == '+' || errno || v > max) {
		err_set(e, -EINVAL, "\"%s\" is not a %s number up to %llx", t->s,
			base == HEX ? "hexadecimal" : "decimal", (unsigned long long)max);
		return err_kind(e, ERR_USAGE);
	}
	*out = v;
	return 0;
}

static int compare(uint64_t got, const char *op, uint64_t want, bool *holds, struct err *e)
{
	if (!strcmp(op, "=="))
		*holds = got == want;
	else if (!strcmp(op, "!="))
		*holds = got != want;
	else if (!strcmp(op, "<"))
		*holds = got < want;
	else if (!strcmp(op, "<="))
		*holds = got <= want;
	else if (!strcmp(op, ">"))
		*holds = got > want;
	else if (!strcmp(op, ">="))
		*holds = got >= want;
	else
		return err_set(e, -EINVAL, "\"%s\" is no comparison", op), err_kind(e, ERR_USAGE);
	return 0;
}

/* The end of a command that found @got: nothing, or from token @i on [& MASK] [OP VALUE]. */
static int check(struct script *s, const struct command *c, unsigned i, enum base base,
		 uint64_t got, struct err *e)
{
	uint64_t mask, want;
	bool holds = false;
	int rc;

	if (i + 1 < c->n && !strcmp(word(c, i), "&")) {
		rc = number(&c->tok[i + 1], HEX, UINT64_MAX, &mask, e);
		if (rc)
			return rc;
		got &= mask;
		i += 2;
	}
	s->value = got;
	s->has_value = true;
	if (i == c->n)
		return 0;
	if (i + 2 != c->n)
		return err_set(e, -EINVAL, "the end is not \"[& MASK] [OP VALUE]\""),
		       err_kind(e, ERR_USAGE);
	rc = number(&c->tok[i + 1], base, UINT64_MAX, &want, e);
	if (!rc)
		rc = compare(got, word(c, i), want, &holds, e);
	if (rc || holds)
		return rc;
	return err_set(e, -EILSEQ,
		       base == HEX ? "expected %s%llx, got %llx" : "expected %s%llu, got %llu",
		       strcmp(word(c, i), "==") ? word(c, i) : "", (unsigned long long)want,
		       (unsigned long long)got);
}

/* --- ports and memory --- */

static unsigned size_of(const char *name)
{
	switch (name[strlen(name) - 1]) {
	case 'b': return 1;
	case 'w': return 2;
	case 'l': return 4;
	default: return 8;
	}
}

static const char *const result_name[] = {"ok", "unmapped", "refused"};

/* True if the command ends in "== unmapped" or "== refused": then that is what is checked. */
static bool result_check(const struct command *c, unsigned i, enum io_result got, int *rc,
			 struct err *e)
{
	if (i + 2 != c->n || strcmp(word(c, i), "==") != 0)
		return false;
	if (strcmp(word(c, i + 1), "unmapped") != 0 && strcmp(word(c, i + 1), "refused") != 0)
		return false;
	*rc = strcmp(word(c, i + 1), result_name[got])
		      ? err_set(e, -EILSEQ, "expected %s, the access was %s", word(c, i + 1),
				result_name[got])
		      : 0;
	return true;
}

static int do_read(struct script *s, const struct command *c, struct err *e)
{
	bool port = word(c, 0)[0] == 'i';
	struct as *as = port ? &s->vm->ports : &s->vm->mem;
	unsigned size = size_of(word(c, 0));
	enum io_result got;
	uint8_t le[8] = {0};
	uint64_t addr;
	int rc = number(&c->tok[1], HEX, port ? 0xffff : UINT64_MAX, &addr, e);

	if (rc)
		return rc;
	vcpu_count(&s->vm->vcpus[0], port ? EXIT_STAT_PIO_READ : EXIT_STAT_MMIO_READ);
	got = as_vcpu_read(as, addr, le, size);
	if (result_check(c, 2, got, &rc, e))
		return rc;
	return check(s, c, 2, HEX, le64_load(le), e);
}

static int do_write(struct script *s, const struct command *c, struct err *e)
{
	bool port = word(c, 0)[0] == 'o';
	struct as *as = port ? &s->vm->ports : &s->vm->mem;
	unsigned size = size_of(word(c, 0));
	enum io_result got;
	uint8_t le[8];
	uint64_t addr, val;
	int rc = number(&c->tok[1], HEX, port ? 0xffff : UINT64_MAX, &addr, e);

	if (!rc)
		rc = number(&c->tok[2], HEX, UINT64_MAX >> (64 - 8 * size), &val, e);
	if (rc)
		return rc;
	vcpu_count(&s->vm->vcpus[0], port ? EXIT_STAT_PIO_WRITE : EXIT_STAT_MMIO_WRITE);
	le64_store(le, val);
	got = as_vcpu_write(as, addr, le, size);
	if (!result_check(c, 3, got, &rc, e) && c->n > 3)
		return err_set(e, -EINVAL, "a write can only be \"== unmapped\" or \"== refused\""),
		       err_kind(e, ERR_USAGE);
	return rc;
}

/* Bytes as hexadecimal text, from token @i on. */
static int bytes(const struct command *c, unsigned i, uint8_t *out, size_t *n, struct err *e)
{
	*n = 0;
	for (; i < c->n; i++) {
		const char *p = c->tok[i].s;

		if (c->tok[i].len % 2 || strspn(p, "0123456789abcdefABCDEF") != c->tok[i].len)
			return err_set(e, -EINVAL, "\"%s\" is not a row of bytes", p),
			       err_kind(e, ERR_USAGE);
		for (; *p; p += 2) {
			char two[3] = {p[0], p[1], 0};

			out[(*n)++] = (uint8_t)strtoul(two, NULL, 16);
		}
	}
	return *n ? 0 : (err_set(e, -EINVAL, "no bytes"), err_kind(e, ERR_USAGE));
}

/* mem ADDR == BYTES  or  mem ADDR = BYTES, as DMA sees it. */
static int do_mem(struct script *s, const struct command *c, struct err *e)
{
	uint8_t want[SCRIPT_LINE_MAX / 2], got[sizeof(want)];
	uint64_t addr;
	size_t n;
	int rc = number(&c->tok[1], HEX, UINT64_MAX, &addr, e);

	if (!rc)
		rc = bytes(c, 3, want, &n, e);
	if (rc)
		return rc;
	if (!strcmp(word(c, 2), "=")) {
		if (as_write(&s->vm->mem, addr, want, n) == IO_OK)
			return 0;
		return err_set(e, -EFAULT, "not all of it is RAM");
	}
	if (strcmp(word(c, 2), "==") != 0)
		return err_set(e, -EINVAL, "mem knows = and =="), err_kind(e, ERR_USAGE);
	if (as_read(&s->vm->mem, addr, got, n) != IO_OK)
		return err_set(e, -EFAULT, "not all of it is memory");
	for (size_t i = 0; i < n; i++)
		if (got[i] != want[i])
			return err_set(e, -EILSEQ, "byte %zu: expected %02x, got %02x", i, want[i],
				       got[i]);
	return 0;
}

/* fill ADDR LENGTH BYTE */
static int do_fill(struct script *s, const struct command *c, struct err *e)
{
	uint64_t addr, len, byte;
	int rc = number(&c->tok[1], HEX, UINT64_MAX, &addr, e);

	if (!rc)
		rc = number(&c->tok[2], HEX, GIB(1), &len, e);
	if (!rc)
		rc = number(&c->tok[3], HEX, 0xff, &byte, e);
	if (rc)
		return rc;
	if (as_fill(&s->vm->mem, addr, (uint8_t)byte, len) != IO_OK)
		return err_set(e, -EFAULT, "not all of it is RAM");
	return 0;
}

/* --- interrupts, events, time --- */

/* irq clear | irq PIN [count] ... */
static int do_irq(struct script *s, const struct command *c, struct err *e)
{
	bool count = !strcmp(word(c, 2), "count");
	uint64_t pin, val;
	int rc;

	if (!strcmp(word(c, 1), "clear")) {
		pthread_mutex_lock(&s->chip->lock);
		memset(s->rises, 0, sizeof(s->rises));
		pthread_mutex_unlock(&s->chip->lock);
		return 0;
	}
	rc = number(&c->tok[1], DEC, IRQ_PINS - 1, &pin, e);
	if (rc)
		return rc;
	pthread_mutex_lock(&s->chip->lock);
	val = count ? s->rises[pin] : s->level[pin];
	pthread_mutex_unlock(&s->chip->lock);
	return check(s, c, count ? 3 : 2, DEC, val, e);
}

/* intr: the output of the 8259s; intack: what the CPU gets when it acknowledges. */
static int do_intr(struct script *s, const struct command *c, struct err *e)
{
	struct x86_userchip *u = x86_userchip_of(s->vm);

	if (!u)
		return err_set(e, -ENODEV, "the machine's 8259s are not in user space");
	if (!strcmp(word(c, 0), "intr"))
		return check(s, c, 1, DEC, x86_userchip_intr(u), e);
	return check(s, c, 1, HEX, x86_userchip_ack(u), e);
}

static int expect_msi(struct script *s, const struct command *c, struct err *e)
{
	bool none = !strcmp(word(c, 2), "none"), have;
	uint64_t addr = 0, data = 0;
	struct msi got = {0};
	int rc = none ? 0 : number(&c->tok[2], HEX, UINT64_MAX, &addr, e);

	if (!rc && !none && c->n < 4)
		return err_set(e, -EINVAL, "expect msi ADDR DATA"), err_kind(e, ERR_USAGE);
	if (!rc && !none)
		rc = number(&c->tok[3], HEX, UINT32_MAX, &data, e);
	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	have = s->n_msis > 0;
	if (have) {
		got = s->msi[s->msi_first];
		s->msi_first = (s->msi_first + 1) % SCRIPT_MSIS;
		s->n_msis--;
	}
	pthread_mutex_unlock(&s->lock);
	if (!have)
		return none ? 0 : err_set(e, -EILSEQ, "no message came");
	if (!none && got.addr == addr && got.data == data)
		return 0;
	return err_set(e, -EILSEQ, "got message %llx %x", (unsigned long long)got.addr, got.data);
}

static void event_text(const struct vm_request *r, char *buf, size_t n)
{
	static const char *const name[] = {"none", "off", "reset", "crash", "panic", "broken"};

	if (r->event == VM_EVENT_EXIT)
		snprintf(buf, n, "exit %d", r->code);
	else
		snprintf(buf, n, "%s", name[r->event]);
}

static bool event_take(struct script *s, struct vm_request *r)
{
	bool have;

	pthread_mutex_lock(&s->lock);
	have = s->n_events > 0;
	*r = s->event[0];
	if (have)
		memmove(s->event, s->event + 1, --s->n_events * sizeof(s->event[0]));
	pthread_mutex_unlock(&s->lock);
	return have;
}

bool script_left_over(struct script *s, char *buf, size_t n)
{
	struct vm_request r;

	if (!event_take(s, &r))
		return false;
	event_text(&r, buf, n);
	return true;
}

static int expect_event(struct script *s, const struct command *c, struct err *e)
{
	char got[32] = "none", want[32];
	struct vm_request r;

	snprintf(want, sizeof(want), "%s%s%s", word(c, 2), c->n > 3 ? " " : "", word(c, 3));
	if (event_take(s, &r))
		event_text(&r, got, sizeof(got));
	return strcmp(got, want) ? err_set(e, -EILSEQ, "got event %s", got) : 0;
}

static int do_expect(struct script *s, const struct command *c, struct err *e)
{
	uint64_t pin, want;
	int rc;

	if (!strcmp(word(c, 1), "msi"))
		return expect_msi(s, c, e);
	if (!strcmp(word(c, 1), "event"))
		return expect_event(s, c, e);
	if (strcmp(word(c, 1), "irq") != 0 || c->n != 4)
		return err_set(e, -EINVAL, "expect irq PIN LEVEL, msi ADDR DATA, or event NAME"),
		       err_kind(e, ERR_USAGE);
	rc = number(&c->tok[2], DEC, IRQ_PINS - 1, &pin, e);
	if (!rc)
		rc = number(&c->tok[3], DEC, 1, &want, e);
	if (rc)
		return rc;
	pthread_mutex_lock(&s->chip->lock);
	bool level = s->level[pin];
	pthread_mutex_unlock(&s->chip->lock);
	return level == want ? 0 : err_set(e, -EILSEQ, "the wire is %s", level ? "high" : "low");
}

static int do_step(struct script *s, const struct command *c, struct err *e)
{
	uint64_t ns;
	int rc = str_parse_duration(word(c, 1), &ns, e);

	if (rc)
		return err_kind(e, ERR_USAGE);
	clock_step(&s->vm->clock, ns);
	return 0;
}

static int do_time(struct script *s, const struct command *c, struct err *e)
{
	return check(s, c, 1, DEC, clock_now(&s->vm->clock), e);
}

/* --- devices and back ends --- */

static int find_device(struct script *s, const struct command *c, struct device **d, struct err *e)
{
	*d = device_find(s->vm, word(c, 1));
	if (*d)
		return 0;
	err_set(e, -ENOENT, "there is no device \"%s\"", word(c, 1));
	return err_kind(e, ERR_USAGE);
}

static int do_show(struct script *s, const struct command *c, struct err *e)
{
	struct strbuf b = {0};
	struct device *d;
	int rc = find_device(s, c, &d, e);

	if (rc)
		return rc;
	device_lock(d);
	if (d->class->state)
		state_show(d->class->state, d, 2, &b);
	device_unlock(d);
	script_print(s, strbuf_str(&b));
	strbuf_exit(&b);
	return 0;
}

static int do_errors(struct script *s, const struct command *c, struct err *e)
{
	struct device *d;
	int rc = find_device(s, c, &d, e);

	return rc ? rc : check(s, c, 2, DEC, atomic_load(&d->guest_errors), e);
}

static int do_command(struct script *s, const struct command *c, struct err *e)
{
	struct device *d;
	int rc = find_device(s, c, &d, e);

	return rc ? rc : device_command(d, word(c, 2), e);
}

static int find_chardev(struct script *s, const struct command *c, struct chardev **out,
			struct err *e)
{
	*out = vm_find_backend(s->vm, "chardev", word(c, 1));
	if (*out)
		return 0;
	err_set(e, -ENOENT, "there is no chardev \"%s\"", word(c, 1));
	return err_kind(e, ERR_USAGE);
}

/* On the loop's thread. */
static void op_send(struct script *s)
{
	const struct token *t = &s->cmd.tok[3];
	struct chardev *ch;
	size_t n;

	if (find_chardev(s, &s->cmd, &ch, &s->op_err))
		return;
	n = chardev_buffer_put(ch, (const uint8_t *)t->s, t->len);
	if (n < t->len)
		err_set(&s->op_err, -ENOSPC, "only %zu of %zu bytes fit", n, t->len);
}

static void add_escaped(struct strbuf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && i < 100; i++)
		strbuf_printf(b, p[i] >= 32 && p[i] < 127 ? "%c" : "\\x%02x", p[i]);
}

static int chardev_expect(struct chardev *ch, const struct token *t, struct err *e)
{
	uint8_t got[SCRIPT_LINE_MAX];
	size_t n = chardev_buffer_take(ch, got, t->len);
	struct strbuf b = {0};

	if (n == t->len && !memcmp(got, t->s, n))
		return 0;
	add_escaped(&b, got, n);
	err_set(e, -EILSEQ, "got \"%s\"", strbuf_str(&b));
	strbuf_exit(&b);
	return -EILSEQ;
}

/* chardev ID send TEXT | expect TEXT | count [OP N] (takes all there is). */
static int do_chardev(struct script *s, const struct command *c, struct err *e)
{
	const char *what = word(c, 2);
	struct chardev *ch;
	uint8_t buf[4096];
	uint64_t total = 0;
	size_t n;
	int rc = find_chardev(s, c, &ch, e);

	if (rc)
		return rc;
	if (!strcmp(what, "send") && c->n == 4) {
		s->op = op_send;
		return SCRIPT_LATER;
	}
	if (!strcmp(what, "expect") && c->n == 4)
		return chardev_expect(ch, &c->tok[3], e);
	if (strcmp(what, "count") != 0)
		return err_set(e, -EINVAL, "chardev ID send TEXT, expect TEXT or count"),
		       err_kind(e, ERR_USAGE);
	while ((n = chardev_buffer_take(ch, buf, sizeof(buf))) > 0)
		total += n;
	return check(s, c, 3, DEC, total, e);
}

/* --- the whole VM, on the loop's thread --- */

static struct saved_state *find_state(struct script *s, const char *name, bool make)
{
	for (unsigned i = 0; i < SCRIPT_STATES; i++)
		if (!strcmp(s->states[i].name, name))
			return &s->states[i];
	for (unsigned i = 0; make && i < SCRIPT_STATES; i++)
		if (!s->states[i].name[0]) {
			str_copy(s->states[i].name, sizeof(s->states[i].name), name);
			return &s->states[i];
		}
	return NULL;
}

static void op_world(struct script *s)
{
	bool was_running = s->vm->phase == VM_RUNNING;
	const char *verb = word(&s->cmd, 0), *name = s->cmd.n > 1 ? word(&s->cmd, 1) : "state";
	struct saved_state *st = find_state(s, name, verb[0] == 's');

	if (was_running)
		vm_pause(s->vm);
	if (!strcmp(verb, "reset")) {
		(void)!vm_reset(s->vm, &s->op_err);
	} else if (!strcmp(verb, "save") && st) {
		strbuf_exit(&st->data);
		(void)!vm_save_state(s->vm, &st->data, &s->op_err);
	} else if (!strcmp(verb, "load") && st) {
		(void)!vm_load_state(s->vm, st->data.s, st->data.len, &s->op_err);
	} else if (strcmp(verb, "pause") != 0) {
		err_set(&s->op_err, -ENOENT, "no state \"%s\", or no room for one more", name);
	}
	if (was_running)
		vm_run(s->vm);
}

static int do_world(struct script *s, const struct command *c, struct err *e)
{
	(void)c, (void)e;
	s->op = op_world;
	return SCRIPT_LATER;
}

/* --- the rest --- */

static int do_echo(struct script *s, const struct command *c, struct err *e)
{
	(void)e;
	for (unsigned i = 1; i < c->n; i++) {
		script_print(s, c->tok[i].s);
		script_print(s, i + 1 < c->n ? " " : "\n");
	}
	return 0;
}

static int do_quit(struct script *s, const struct command *c, struct err *e)
{
	(void)c, (void)e;
	s->src.ended = true;
	s->src.used = 0;
	s->rest = NULL;
	return 0;
}

static int do_repeat(struct script *s, const struct command *c, struct err *e)
{
	struct command inner = {.n = c->n - 2};
	uint64_t n = 0;
	int rc = number(&c->tok[1], DEC, SCRIPT_REPEAT_MAX, &n, e);

	memcpy(inner.tok, c->tok + 2, inner.n * sizeof(inner.tok[0]));
	for (uint64_t i = 0; i < n && !rc; i++) {
		rc = script_command(s, &inner, e);
		if (rc == SCRIPT_LATER) {
			err_set(e, -EINVAL, "%s cannot be repeated", word(&inner, 0));
			rc = err_kind(e, ERR_USAGE);
		} else if (rc) {
			err_prefix(e, "time %llu", (unsigned long long)i + 1);
		}
	}
	return rc;
}

static const struct verb {
	const char *name;
	unsigned min, max; /* words after it */
	int (*fn)(struct script *s, const struct command *c, struct err *e);
	const char *use;
} verbs[] = {
	{"inb", 1, 5, do_read, "PORT [& MASK] [OP VALUE]"},
	{"inw", 1, 5, do_read, "PORT [& MASK] [OP VALUE]"},
	{"inl", 1, 5, do_read, "PORT [& MASK] [OP VALUE]"},
	{"outb", 2, 4, do_write, "PORT VALUE"},
	{"outw", 2, 4, do_write, "PORT VALUE"},
	{"outl", 2, 4, do_write, "PORT VALUE"},
	{"readb", 1, 5, do_read, "ADDRESS [& MASK] [OP VALUE]"},
	{"readw", 1, 5, do_read, "ADDRESS [& MASK] [OP VALUE]"},
	{"readl", 1, 5, do_read, "ADDRESS [& MASK] [OP VALUE]"},
	{"readq", 1, 5, do_read, "ADDRESS [& MASK] [OP VALUE]"},
	{"writeb", 2, 4, do_write, "ADDRESS VALUE"},
	{"writew", 2, 4, do_write, "ADDRESS VALUE"},
	{"writel", 2, 4, do_write, "ADDRESS VALUE"},
	{"writeq", 2, 4, do_write, "ADDRESS VALUE"},
	{"mem", 3, SCRIPT_TOKENS_MAX, do_mem, "ADDRESS ==|= BYTES"},
	{"fill", 3, 3, do_fill, "ADDRESS LENGTH BYTE"},
	{"irq", 1, 6, do_irq, "clear | PIN [count] [OP VALUE]"},
	{"intr", 0, 4, do_intr, "[OP LEVEL]"},
	{"intack", 0, 4, do_intr, "[OP VECTOR]"},
	{"expect", 2, 3, do_expect,
	 "irq PIN LEVEL | msi ADDRESS DATA | msi none | event NAME [CODE]"},
	{"step", 1, 1, do_step, "DURATION"},
	{"time", 0, 4, do_time, "[OP NANOSECONDS]"},
	{"chardev", 2, 6, do_chardev, "ID send TEXT | ID expect TEXT | ID count [OP N]"},
	{"show", 1, 1, do_show, "DEVICE"},
	{"errors", 1, 5, do_errors, "DEVICE [OP N]"},
	{"command", 2, 2, do_command, "DEVICE WORD"},
	{"reset", 0, 0, do_world, ""},
	{"pause", 0, 0, do_world, ""},
	{"save", 0, 1, do_world, "[NAME]"},
	{"load", 0, 1, do_world, "[NAME]"},
	{"repeat", 2, SCRIPT_TOKENS_MAX, do_repeat, "N COMMAND"},
	{"echo", 0, SCRIPT_TOKENS_MAX, do_echo, "TEXT"},
	{"quit", 0, 0, do_quit, ""},
};

int script_command(struct script *s, const struct command *c, struct err *e)
{
	const char *names[ARRAY_LEN(verbs) + 1] = {NULL};
	const char *near;

	s->has_value = false;
	for (unsigned i = 0; i < ARRAY_LEN(verbs); i++) {
		const struct verb *v = &verbs[i];

		names[i] = v->name;
		if (strcmp(v->name, word(c, 0)) != 0)
			continue;
		if (c->n - 1 < v->min || c->n - 1 > v->max) {
			err_set(e, -EINVAL, "usage: %s %s", v->name, v->use);
			return err_kind(e, ERR_USAGE);
		}
		int rc = v->fn(s, c, e);
		clock_step(&s->vm->clock, 0); /* timers armed in the past */
		return rc;
	}
	near = str_nearest(word(c, 0), names);
	err_set(e, -EINVAL, "there is no command \"%s\"%s%s%s", word(c, 0),
		near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	return err_kind(e, ERR_USAGE);
}
