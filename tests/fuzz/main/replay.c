/*
 * A main for fuzz targets in builds without libFuzzer: runs the target once on each file named.
 */
#include <stdio.h>

#include "../fuzz.h"
#include "base/sys.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct err e = ERR_INIT;
		void *data;
		size_t len;

		if (sys_read_file(argv[i], MIB(64), &data, &len, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			return 2;
		}
		printf("%s\n", argv[i]);
		fflush(stdout); /* the last name is the guilty one */
		LLVMFuzzerTestOneInput(data, len);
		free(data);
	}
	return 0;
}
