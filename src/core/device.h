/*
 * core/device.h - the whole contract of a device: one const class, plus one line in
 * device/devices.def.
 *
 * From the class follow command-line and monitor properties, `info`, reset, save and load with
 * range checks, MMIO trace by name, and membership in the generic fuzz, round-trip and reset tests.
 *
 * Locking: every callback below runs with dev->lock held, except init and exit, which run while no
 * other thread knows the device.  Device code never locks, and a device never calls a device:
 * outward it calls irq_set, as_read/as_write on vm->mem, timer_arm, chardev writes and
 * vm_request_*: leaves, all of them.
 */
#ifndef LODGE_CORE_DEVICE_H
#define LODGE_CORE_DEVICE_H

#include <pthread.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "core/irq.h"
#include "core/mem.h"
#include "core/state.h"

#define DEVICE_IO_MAX  6
#define DEVICE_IRQ_MAX 4
#define DEVICE_NO_ADDR UINT64_MAX

/*
 * A window of registers.  read and write get an offset inside the window and one of the sizes in
 * .sizes (bits 1|2|4|8); the bus splits a larger access into the largest declared size and refuses
 * (reads all ones, counts) a smaller one.  Values are host integers.
 */
struct io_ops {
	uint64_t (*read)(struct device *d, uint64_t off, unsigned size);
	void (*write)(struct device *d, uint64_t off, unsigned size, uint64_t val);
	uint8_t sizes;
	enum as_kind space;
	uint64_t len;  /* 0 ends the class's list of windows */
	uint64_t base; /* where it sits unless the board or the user says; 0: nowhere */
	/*
	 * Offset and length of the part, if any, where a write has no effect that can be seen
	 * before the next access to the device: an accelerator may hold such writes back until a
	 * vCPU leaves the guest.  An index register, say, that another one shows the effect of.
	 */
	uint64_t held_off, held_len;
};

enum prop_kind { PROP_U8, PROP_U16, PROP_U32, PROP_U64, PROP_BOOL, PROP_STRING, PROP_BACKEND };

/* A property: set before init, by board or user, as text. */
struct prop {
	const char *name, *help;
	uint32_t off;
	enum prop_kind kind;
	uint64_t max;	     /* numbers: largest accepted, 0: whatever fits */
	const char *dflt;    /* text form of the default; NULL: zero */
	const char *backend; /* PROP_BACKEND: "chardev", ... */
};
#define PROP_KIND_(x) \
	_Generic((x), bool: PROP_BOOL, uint8_t: PROP_U8, uint16_t: PROP_U16, uint32_t: PROP_U32,   \
		 uint64_t: PROP_U64, char *: PROP_STRING)
#define PROP(type, member, help_text, ...)                                           \
	{                                                                            \
		.name = #member, .help = (help_text), .off = offsetof(type, member), \
		.kind = PROP_KIND_(((type *)0)->member), __VA_ARGS__                 \
	}
#define PROP_BACK(type, member, backend_kind, help_text)                             \
	{                                                                            \
		.name = #member, .help = (help_text), .off = offsetof(type, member), \
		.kind = PROP_BACKEND, .backend = (backend_kind)                      \
	}

struct device_class {
	const char *name; /* on the command line and in saved states */
	const char *help; /* one line */
	size_t size;	  /* of the struct that begins with struct device */
	const struct prop *props;
	unsigned n_props;
	const struct state_table *state; /* NULL only with .stateless */
	bool stateless;			 /* has nothing to save */
	const char *unmigratable;	 /* NULL, or why its state cannot be saved */
	bool user;			 /* may be added with --device */
	struct io_ops io[DEVICE_IO_MAX];
	unsigned n_irqs;
	int (*init)(struct device *d, struct err *e);	/* host side: timers, back ends */
	void (*reset)(struct device *d);		/* after state_reset; optional */
	int (*loaded)(struct device *d, struct err *e); /* after a load: checks what spans fields */
	void (*quiesce)(struct device *d); /* stop producing work: the world is being stopped */
	void (*resume)(struct device *d);  /* the world goes on: take up what quiesce put down */
	/* A word from the user or the monitor, such as "power-button"; optional.  -EOPNOTSUPP. */
	int (*command)(struct device *d, const char *word, struct err *e);
	void (*exit)(struct device *d);
};

struct device {
	const struct device_class *class;
	struct vm *vm;
	char id[32]; /* unique in the VM: class name and number, or the user's id= */
	pthread_mutex_t lock;
	struct list link; /* vm->devices */
	struct irq irq[DEVICE_IRQ_MAX];
	uint64_t io_base[DEVICE_IO_MAX]; /* DEVICE_NO_ADDR: not mapped */
	bool inited;
	_Atomic uint64_t reads, writes; /* vCPU accesses */
	_Atomic uint64_t guest_errors;	/* see guest_err */
	struct ratelimit guest_err_limit;
};

/*
 * Makes a device of @class in @vm with its defaults; the board then sets properties, addresses and
 * wires, and device_init makes it live.  @id may be NULL.
 */
int device_new(struct vm *vm, const struct device_class *class, const char *id, struct device **out,
	       struct err *e) MUST_CHECK;
/* Sets a property by text; also "addr" (window 0) and "irq" (wire 0), which every class has. */
int device_set(struct device *d, const char *name, const char *value, struct err *e) MUST_CHECK;
/* Connects wire @n to pin @pin of the VM's irqchip. */
int device_wire(struct device *d, unsigned n, unsigned pin, struct err *e) MUST_CHECK;
/* Places window @io at @base (before init). */
void device_place(struct device *d, unsigned io, uint64_t base);
/* init, map the windows, reset.  On error the device is freed. */
int device_init(struct device *d, struct err *e) MUST_CHECK;
/* Unmaps, exits and frees.  World stopped. */
void device_free(struct device *d);
void device_reset(struct device *d);
struct device *device_find(struct vm *vm, const char *id);
/* Gives @d a word under its lock; -EOPNOTSUPP with the device named if it knows none. */
int device_command(struct device *d, const char *word, struct err *e) MUST_CHECK;

/* Takes and drops the device's mutex around a callback from a loop or back end. */
void device_lock(struct device *d);
void device_unlock(struct device *d);

/*
 * One access of a vCPU or the script to window @io, at @off, of 1 to 8 bytes.  Splits by .sizes and
 * takes the lock.  The value of a read is zero-extended.
 */
enum io_result device_read(struct device *d, unsigned io, uint64_t off, unsigned size,
			   uint64_t *val);
enum io_result device_write(struct device *d, unsigned io, uint64_t off, unsigned size,
			    uint64_t val);

/* The guest did what no correct guest does: counted, traced, logged at most once a second. */
void guest_err(struct device *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
