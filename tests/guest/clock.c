/*
 * Do the guest's clocks run like the host's?
 *
 * No assertion here depends on how fast anything is.  An exchange with the host gives three values:
 * the guest's clock before and after it, and the host's clock somewhere between.  Two exchanges
 * give the host's elapsed time exactly and the guest's between two bounds, and so bounds for the
 * ratio of the rates.  They narrow as time passes: the measurement goes on until both bounds lie
 * within one per cent of 1, or one of them excludes that, and only a clock that is really wrong can
 * fail.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum {
	EXCHANGES = 5,	  /* the quickest of so many is used */
	PAUSE_MS = 1500,  /* between two measurements */
	MOST_PAUSES = 40, /* then it is given up: undecided is failed */
	RTC_POLL_MS = 5,
	RTC_POLLS = 400, /* a second passes within these, or the RTC stands still */
	RTC_MOST_SECONDS = 45,
};

static const double tolerance = 0.01;

/* One exchange. Guest clocks before and after; host clocks between. */
struct sample {
	int64_t before, after;
	uint64_t count_before, count_after;
	int64_t host, host_date;
};

/* Bounds of a ratio guest/host. */
struct bounds {
	double low, high;
};

enum verdict { UNDECIDED, GOOD, BAD };

static enum verdict judge(struct bounds b)
{
	if (b.low > 1 - tolerance && b.high < 1 + tolerance)
		return GOOD;
	return b.high < 1 - tolerance || b.low > 1 + tolerance ? BAD : UNDECIDED;
}

static bool exchange(struct sample *s)
{
	char answer[128];

	s->before = check_now();
	s->count_before = counter_read();
	if (!console_ask("time", answer, sizeof(answer)))
		return false;
	s->count_after = counter_read();
	s->after = check_now();
	return sscanf(answer, "time %" SCNd64 " %" SCNd64, &s->host_date, &s->host) == 2;
}

static bool best_exchange(struct sample *best)
{
	for (int i = 0; i < EXCHANGES; i++) {
		struct sample s;

		if (!exchange(&s))
			return false;
		if (i == 0 || s.after - s.before < best->after - best->before)
			*best = s;
	}
	return true;
}

static struct bounds clock_bounds(const struct sample *a, const struct sample *b)
{
	double host = (double)(b->host - a->host);

	return (struct bounds){(double)(b->before - a->after) / host,
			       (double)(b->after - a->before) / host};
}

static struct bounds counter_bounds(const struct sample *a, const struct sample *b, uint64_t hz)
{
	double host = (double)(b->host - a->host) * 1e-9 * (double)hz;

	return (struct bounds){(double)(b->count_before - a->count_after) / host,
			       (double)(b->count_after - a->count_before) / host};
}

static void report_bounds(const char *name, struct bounds b, double seconds)
{
	enum verdict v = judge(b);

	check_report(name, v == GOOD, "runs at %.5f to %.5f of the host's, over %.1f s%s", b.low,
		     b.high, seconds, v == UNDECIDED ? ": too uncertain" : "");
}

static void check_rates(const struct sample *first)
{
	uint64_t hz = counter_hz();
	struct bounds clock = {0}, counter = {0};
	struct sample last = *first;

	for (int i = 0; i < MOST_PAUSES; i++) {
		check_sleep_ms(PAUSE_MS);
		if (!best_exchange(&last)) {
			check_report("clock-monotonic", false, "the host does not answer");
			return;
		}
		clock = clock_bounds(first, &last);
		counter = hz ? counter_bounds(first, &last, hz) : clock;
		if (judge(clock) != UNDECIDED && judge(counter) != UNDECIDED)
			break;
	}
	double seconds = (double)(last.host - first->host) * 1e-9;

	report_bounds("clock-monotonic", clock, seconds);
	if (hz)
		report_bounds("clock-counter", counter, seconds);
	else
		check_report("clock-counter", false, "the kernel does not say its frequency");
}

static bool read_rtc(int fd, int64_t *seconds)
{
	struct rtc_time t;

	if (ioctl(fd, RTC_RD_TIME, &t))
		return false;
	struct tm tm = {.tm_sec = t.tm_sec,
			.tm_min = t.tm_min,
			.tm_hour = t.tm_hour,
			.tm_mday = t.tm_mday,
			.tm_mon = t.tm_mon,
			.tm_year = t.tm_year};

	*seconds = timegm(&tm);
	return true;
}

/* The RTC at the moment when its second changes: between `before` and `after`. */
struct edge {
	int64_t seconds, before, after;
};

static bool rtc_edge(int fd, struct edge *e)
{
	int64_t first, now;

	if (!read_rtc(fd, &first))
		return false;
	e->before = check_now();
	for (int i = 0; i < RTC_POLLS; i++) {
		check_sleep_ms(RTC_POLL_MS);
		int64_t start = check_now();

		if (!read_rtc(fd, &now))
			return false;
		e->after = check_now();
		if (now != first) {
			e->seconds = now;
			return true;
		}
		e->before = start;
	}
	return false;
}

static void check_rtc_rate(int fd, const struct edge *first)
{
	struct bounds b = {0};
	struct edge last = *first;

	do {
		if (!rtc_edge(fd, &last)) {
			check_report("clock-rtc", false, "the RTC stands still");
			return;
		}
		double elapsed = (double)(last.seconds - first->seconds) * 1e9;

		b.low = elapsed / (double)(last.after - first->before);
		b.high = elapsed / (double)(last.before - first->after);
	} while (judge(b) == UNDECIDED && last.seconds - first->seconds < RTC_MOST_SECONDS);
	check_report("clock-rtc", judge(b) == GOOD,
		     "runs at %.5f to %.5f of CLOCK_MONOTONIC, over %lld s", b.low, b.high,
		     (long long)(last.seconds - first->seconds));
}

/* The date: the RTC and CLOCK_REALTIME may be two seconds off, beyond what the exchange took. */
static void check_date(const char *name, double guest, const struct sample *s)
{
	double off = guest - (double)s->host_date * 1e-9;
	double uncertain = (double)(s->after - s->before) * 1e-9;

	check_report(name, off < 2 + uncertain && off > -2 - uncertain,
		     "%+.2f s from the host's date, known to %.2f s", off, uncertain);
}

static void check_source(void)
{
	static const char *const good[] = {"kvm-clock", "tsc", "arch_sys_counter"};
	char now[64], all[256];
	bool ok = false;

	if (check_read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", now,
			    sizeof(now)) < 0 ||
	    check_read_file("/sys/devices/system/clocksource/clocksource0/available_clocksource",
			    all, sizeof(all)) < 0) {
		check_report("clocksource", false, "cannot be read");
		return;
	}
	now[strcspn(now, "\n")] = '\0';
	all[strcspn(all, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok |= strcmp(now, good[i]) == 0;
	check_report("clocksource", ok, "%s (of: %s)", now, all);
}

void check_clocks(void)
{
	struct sample first;
	struct timespec now;
	struct edge edge;
	int fd;

	check_source();
	if (!best_exchange(&first)) {
		check_report("clock-monotonic", false, "the host does not answer");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	double age = (double)(check_now() - first.after) * 1e-9;

	check_date("date-realtime", (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - age, &first);

	fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	bool have_rtc = fd >= 0 && rtc_edge(fd, &edge);

	if (have_rtc) {
		age = (double)(edge.after - first.after) * 1e-9;
		check_date("date-rtc", (double)edge.seconds - age, &first);
	} else {
		check_report("date-rtc", false, "/dev/rtc0 %s",
			     fd < 0 ? "is not there" : "stands still or cannot be read");
	}
	check_rates(&first);
	if (have_rtc)
		check_rtc_rate(fd, &edge);
	if (fd >= 0)
		close(fd);
}
