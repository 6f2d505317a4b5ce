/*
 * The init of tests/boot/arm64: says what it sees, as lines "init: NAME=VALUE", and turns the
 * machine off.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The first line of a file, or "". */
static void say_file(const char *name, const char *path)
{
	char text[2100] = "";
	FILE *f = fopen(path, "re");

	if (f && fgets(text, sizeof(text), f))
		text[strcspn(text, "\n")] = 0;
	if (f)
		fclose(f);
	printf("init: %s=%s\n", name, text);
}

static void say_entries(const char *name, const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	printf("init: %s=%u\n", name, n > 2 ? n - 2 : 0);
}

/* The unit of the power key, under either name. */
static void say_interrupt(const char *name, const char *wanted)
{
	FILE *f = fopen("/proc/interrupts", "re");
	char line[400];
	int found = 0;

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, wanted) != NULL;
	if (f)
		fclose(f);
	printf("init: %s=%d\n", name, found);
}

int main(void)
{
	struct utsname u;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	uname(&u);
	printf("init: release=%s\n", u.release);
	printf("init: time=%lld\n", (long long)time(NULL));
	say_file("cmdline", "/proc/cmdline");
	say_file("second", "/second");
	say_file("cpus", "/sys/devices/system/cpu/online");
	say_file("core1", "/sys/devices/system/cpu/cpu1/topology/core_id");
	say_file("nodes", "/sys/devices/system/node/online");
	say_file("vendor", "/sys/class/dmi/id/sys_vendor");
	say_file("rtc", "/sys/class/rtc/rtc0/name");
	say_file("memory", "/proc/meminfo");
	say_entries("acpi", "/sys/firmware/acpi/tables");
	say_entries("tree", "/sys/firmware/devicetree/base/cpus");
	say_interrupt("uart", "uart-pl011");
	say_interrupt("event", "ACPI:Event");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
