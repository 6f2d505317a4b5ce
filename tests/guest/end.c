/* The ways in which the checker ends its guest. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/input.h>
#include <poll.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "check.h"

enum { MAX_INPUTS = 16 };

/* Wait until some input device reports the power key. */
static void wait_for_button(void)
{
	struct pollfd inputs[MAX_INPUTS];
	nfds_t n = 0;
	glob_t found = {0};

	glob("/dev/input/event*", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && n < MAX_INPUTS; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			inputs[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	globfree(&found);
	check_report("button-device", n > 0, "%u input devices", (unsigned)n);
	if (n == 0)
		return;
	check_say("ask", "button");
	for (;;) {
		poll(inputs, n, -1);
		for (nfds_t i = 0; i < n; i++) {
			struct input_event event;

			if (!(inputs[i].revents & POLLIN) ||
			    read(inputs[i].fd, &event, sizeof(event)) != sizeof(event))
				continue;
			if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1) {
				check_report("button", true, "the power button was pressed");
				return;
			}
		}
	}
}

static void crash(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "c", 1) != 1)
		check_report("panic", false, "/proc/sysrq-trigger: %s", strerror(errno));
}

_Noreturn void check_end(void)
{
	const char *end = check_option("end");

	if (!end)
		end = "poweroff";
	if (strcmp(end, "button") == 0)
		wait_for_button();
	if (strcmp(end, "panic") == 0)
		crash();
	if (strcmp(end, "spin") == 0) {
		for (volatile unsigned turns = 0;; turns++)
			;
	}
	if (strcmp(end, "hang") == 0) {
		for (;;)
			pause();
	}
	console_drain();
	reboot(strcmp(end, "reboot") == 0 ? RB_AUTOBOOT : RB_POWER_OFF);
	check_report("end", false, "%s: %s", end, strerror(errno));
	for (;;)
		pause();
}
