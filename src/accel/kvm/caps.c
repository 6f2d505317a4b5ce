/*
 * accel/kvm/caps.c - opening /dev/kvm, saying exactly why not, and naming capabilities.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/sys.h"

/* clang-format off */
#define C(cap, needed) {KVM_CAP_##cap, "KVM_CAP_" #cap, (needed)}
/* clang-format on */
const struct kvm_cap_name kvm_cap_names[] = {
	C(USER_MEMORY, true),
	C(DESTROY_MEMORY_REGION_WORKS, true),
	C(IMMEDIATE_EXIT, true),
	C(MP_STATE, true),
	C(ONE_REG, false),
	C(NR_VCPUS, false),
	C(MAX_VCPUS, false),
	C(MAX_VCPU_ID, false),
	C(NR_MEMSLOTS, false),
	C(READONLY_MEM, false),
	C(IRQCHIP, false),
	C(IRQFD, false),
	C(IOEVENTFD, false),
	C(IOEVENTFD_ANY_LENGTH, false),
	C(IRQ_ROUTING, false),
	C(SIGNAL_MSI, false),
	C(COALESCED_MMIO, false),
	C(COALESCED_PIO, false),
	C(MANUAL_DIRTY_LOG_PROTECT2, false),
	C(DIRTY_LOG_RING, false),
	C(DIRTY_LOG_RING_ACQ_REL, false),
	C(SYNC_MMU, false),
	C(SET_GUEST_DEBUG, false),
	C(INTERNAL_ERROR_DATA, false),
	C(VCPU_EVENTS, false),
	{0, NULL, false},
};
#undef C

const char *kvm_module(void)
{
	char path[64];

	for (const char *const *name = kvm_arch_words.modules; *name; name++) {
		snprintf(path, sizeof(path), "/sys/module/%s", *name);
		if (!access(path, F_OK))
			return *name;
	}
	return "";
}

static int open_absent(const char *path, struct err *e)
{
	err_set(e, -ENOENT, "%s does not exist", path);
	if (!access("/sys/module/kvm", F_OK) && !*kvm_module())
		return err_hint(e, "%s", kvm_arch_words.unloaded);
	return err_hint(e, "%s", kvm_arch_words.absent);
}

/* Says who may open it, and if a group may, which. */
static int open_denied(const char *path, struct err *e)
{
	struct stat st;
	const struct group *gr;
	const struct passwd *pw;

	err_set(e, -EACCES, "no permission to open %s", path);
	if (stat(path, &st))
		return e ? e->code : -EACCES;
	gr = getgrgid(st.st_gid);
	if ((st.st_mode & 0060) == 0060 && gr) {
		err_set(e, -EACCES, "no permission to open %s: it is for the group \"%s\"", path,
			gr->gr_name);
		return err_hint(
			e, "become a member with \"sudo usermod -aG %s $USER\" and log in again",
			gr->gr_name);
	}
	pw = getpwuid(st.st_uid);
	err_set(e, -EACCES, "no permission to open %s: its mode %04o leaves it to user \"%s\"",
		path, (unsigned)(st.st_mode & 07777), pw ? pw->pw_name : "?");
	return err_hint(e, "Linux distributions give it to the group \"kvm\" with mode 0660; an "
			   "administrator can do so");
}

int kvm_open(const char *path, struct err *e)
{
	int fd = sys_open(path, O_RDWR | O_CLOEXEC, 0), rc, version;

	if (fd < 0) {
		rc = -errno;
		switch (-rc) {
		case ENOENT: rc = open_absent(path, e); break;
		case EACCES:
		case EPERM: rc = open_denied(path, e); break;
		case ENODEV:
		case ENXIO:
			err_set(e, rc, "%s exists but no driver is behind it", path);
			rc = err_hint(e, "%s", kvm_arch_words.no_driver);
			break;
		case EBUSY:
			err_set(e, rc, "%s is in use by something that does not share it", path);
			break;
		default: rc = err_errno(e, rc, "cannot open %s", path); break;
		}
		err_kind(e, ERR_HOST);
		return rc;
	}
	version = sys_ioctl_val(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION)
		return fd;
	rc = version < 0 ? -errno : -ENOTSUP;
	close(fd);
	if (rc == -ENOTTY || rc == -EINVAL)
		rc = err_set(e, -ENODEV, "%s is not a KVM device", path);
	else if (version < 0)
		rc = err_errno(e, rc, "KVM_GET_API_VERSION");
	else
		rc = err_set(e, rc, "%s has KVM API version %d; Lodge needs version %d", path,
			     version, KVM_API_VERSION);
	err_kind(e, ERR_HOST);
	return rc;
}

int kvm_cap(int fd, int cap)
{
	int v = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return v > 0 ? v : 0;
}

int kvm_check_caps(int fd, struct err *e)
{
	for (const struct kvm_cap_name *c = kvm_cap_names; c->name; c++)
		if (c->needed && !kvm_cap(fd, c->cap)) {
			err_set(e, -ENOTSUP, "this host's KVM lacks %s", c->name);
			err_kind(e, ERR_HOST);
			return err_hint(e, "Lodge needs the KVM of Linux 5.10 or later");
		}
	return 0;
}

int kvm_ioctl(int fd, unsigned long req, unsigned long arg)
{
	int rc;

	do
		rc = sys_ioctl_val(fd, req, arg);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

static int call_failed(int code, const char *name, struct err *e)
{
	int rc = err_errno(e, code, "%s", name);

	err_kind(e, ERR_HOST);
	return rc;
}

int kvm_call(int fd, unsigned long req, const char *name, void *arg, struct err *e)
{
	int rc = kvm_ioctl(fd, req, (uintptr_t)arg);

	return rc < 0 ? call_failed(rc, name, e) : rc;
}

int kvm_call_val(int fd, unsigned long req, const char *name, unsigned long val, struct err *e)
{
	int rc = kvm_ioctl(fd, req, val);

	return rc < 0 ? call_failed(rc, name, e) : rc;
}

static const char *cap_name(unsigned cap)
{
	for (const struct kvm_cap_name *c = kvm_cap_names; c->name; c++)
		if ((unsigned)c->cap == cap)
			return c->name;
	for (const struct kvm_cap_name *c = kvm_arch_cap_names; c->name; c++)
		if ((unsigned)c->cap == cap)
			return c->name;
	return "a capability";
}

int kvm_enable_cap(int fd, unsigned cap, uint64_t arg0, uint64_t arg1, struct err *e)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {arg0, arg1}};
	int rc = KVM_CALL(fd, KVM_ENABLE_CAP, &c, e);

	return rc < 0 ? err_prefix(e, "%s", cap_name(cap)) : 0;
}
