/*
 * accel/kvm/report.c - what `lodge info` says about KVM on any architecture.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "base/str.h"

static void failed(struct accel_report *r, const struct err *e, const char *summary)
{
	str_copy(r->summary, sizeof(r->summary), summary);
	str_copy(r->why, sizeof(r->why), e->msg);
	str_copy(r->hint, sizeof(r->hint), e->hint);
}

static void fact_caps(struct accel_report *r, int node, const struct kvm_cap_name *c)
{
	for (; c->name; c++) {
		int v = kvm_cap(node, c->cap);
		char key[48];

		snprintf(key, sizeof(key), "%s", c->name);
		if (v > 1)
			accel_fact(r, key, "%d", v);
		else
			accel_fact(r, key, "%s", v ? "yes" : "no");
	}
}

bool kvm_report_start(struct accel_report *r, int *node)
{
	struct err e = ERR_INIT;
	struct utsname u;
	struct stat st;

	accel_fact(r, "node", "%s", KVM_NODE);
	r->present = !stat(KVM_NODE, &st);
	if (r->present)
		accel_fact(r, "node-mode", "%04o, owner %u, group %u",
			   (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
			   (unsigned)st.st_gid);
	accel_fact(r, "module", "%s", *kvm_module() ? kvm_module() : "none found");
	if (!uname(&u))
		accel_fact(r, "host-kernel", "%s", u.release);
	*node = kvm_open(KVM_NODE, &e);
	if (*node < 0) {
		failed(r, &e, r->present ? "present but cannot be opened" : "not there");
		return false;
	}
	accel_fact(r, "api-version", "%d", KVM_API_VERSION);
	fact_caps(r, *node, kvm_cap_names);
	fact_caps(r, *node, kvm_arch_cap_names);
	kvm_debug_fact(r, *node);
	if (kvm_check_caps(*node, &e)) {
		failed(r, &e, "present but too old");
		close(*node);
		*node = -1;
		return false;
	}
	return true;
}
