/*
 * Runs device scripts, tests/device/NAME.script or those named on the command line, each in a VM of
 * its own.  A script's name in the report is its first comment.
 */
#include <glob.h>

#include "script_vm.h"

/* The sentence behind "# " in the script's first line. */
static void sentence(const char *path, char *buf, size_t n)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(buf, (int)n, f) || strncmp(buf, "# ", 2) != 0)
		snprintf(buf, n, "# (no sentence in the first line)\n");
	buf[strcspn(buf, "\n")] = 0;
	if (f)
		fclose(f);
}

static unsigned passed, failed;

static void run(const char *path)
{
	char what[200];
	struct err e = ERR_INIT;
	int rc = script_vm_run(path, &e);

	if (rc < 0)
		log_err(&e);
	sentence(path, what, sizeof(what));
	printf("%s: %s (%s)\n", rc ? "FAILED" : "ok", what + 2, path);
	(void)fflush(stdout);
	if (rc)
		failed++;
	else
		passed++;
}

static void run_all(void)
{
	glob_t g;

	if (glob("tests/device/*.script", 0, NULL, &g)) {
		fprintf(stderr,
			"no tests/device/*.script here: run this from the project's root\n");
		failed++;
		return;
	}
	for (size_t i = 0; i < g.gl_pathc; i++)
		run(g.gl_pathv[i]);
	globfree(&g);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		run_all();
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed > 0;
}
