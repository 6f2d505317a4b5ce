/*
 * cli/topics.c - what "lodge help TOPIC" and the manual page say beyond the options.
 */
#include "cli/cli.h"

static const struct topic_line boot_lines[] = {
	{LINE_TEXT,
	 "The kernel is recognised by what is in the file, never by its name: a Linux bzImage (the "
	 "kernel in it is unpacked by Lodge and entered directly), an ELF vmlinux with or without "
	 "a PVH note, either of them compressed as a whole with gzip, bzip2, lzma, xz, lzo, lz4 or "
	 "zstd, or a multiboot 1 kernel with its modules.",
	 NULL},
	{LINE_TEXT, "A Linux kernel prints on the first serial port if it is told to:", NULL},
	{LINE_EXAMPLE, "lodge run vmlinuz --initrd initrd.img --append \"console=ttyS0 quiet\"",
	 NULL},
	{LINE_TEXT, "A flat binary of the real-mode kind, such as a boot sector:", NULL},
	{LINE_EXAMPLE, "lodge run --raw hello.bin", NULL},
	{LINE_EXAMPLE, "lodge run --raw hello.bin@0x1000", NULL},
	{LINE_END, NULL, NULL},
};

static const struct topic_line serial_lines[] = {
	{LINE_TEXT,
	 "Each --serial connects the next port, COM1 to COM4; without any COM1 is stdio. What a "
	 "slow reader has not read yet is kept, up to 1 MiB, and then the guest waits: no byte is "
	 "lost. While nobody is connected to a pty or a socket the last 256 KiB are kept.",
	 NULL},
	{LINE_TERM, "stdio", "stdin and stdout; a terminal turns raw and has the keys below"},
	{LINE_TERM, "pty", "a new pseudo-terminal; its path is printed"},
	{LINE_TERM, "file:PATH", "output only; the file is created or emptied"},
	{LINE_TERM, "unix:PATH[,server]",
	 "a Unix socket that Lodge listens on, for one client at a time, mode 0600"},
	{LINE_TERM, "null", "a port whose output is dropped"},
	{LINE_TERM, "none", "no port"},
	{LINE_END, NULL, NULL},
};

static const struct topic_line keys_lines[] = {
	{LINE_TEXT, "On a terminal, C-a (control and a) begins a command:", NULL},
	{LINE_TERM, "C-a x", "leave: the VM ends at once, with exit code 5"},
	{LINE_TERM, "C-a b", "send a break to the guest"},
	{LINE_TERM, "C-a C-a", "send C-a to the guest"},
	{LINE_TERM, "C-a h", "list these keys"},
	{LINE_TEXT, "There are no others. When stdin is not a terminal all bytes go to the guest.",
	 NULL},
	{LINE_END, NULL, NULL},
};

static const struct topic_line exit_lines[] = {
	{LINE_TERM, "0", "the guest powered off, or halted for good"},
	{LINE_TERM, "1", "Lodge could not go on: a host error while running"},
	{LINE_TERM, "2", "the command line is wrong"},
	{LINE_TERM, "3", "this host cannot run it: no KVM, no permission, no memory"},
	{LINE_TERM, "4", "a file, image or value cannot be used"},
	{LINE_TERM, "5", "the user left with C-a x"},
	{LINE_TERM, "32", "the guest reset and --no-reboot was given"},
	{LINE_TERM, "33", "the guest crashed: triple fault"},
	{LINE_TERM, "34", "the guest kernel panicked"},
	{LINE_TERM, "35", "the accelerator could not run the guest further"},
	{LINE_TERM, "36", "--timeout ran out"},
	{LINE_TERM, "128+N", "ended by signal N"},
	{LINE_TEXT,
	 "SIGPWR ends nothing: it presses the guest's power button, and the guest decides.", NULL},
	{LINE_TEXT,
	 "A guest that writes V to the debug-exit port ends Lodge with (V << 1 | 1) & 255.", NULL},
	{LINE_END, NULL, NULL},
};

static const struct topic_line config_lines[] = {
	{LINE_TEXT,
	 "A configuration file has one \"name = value\" a line; the names are those of the long "
	 "options, flags are on or off. Blank lines and lines that begin with # are left out. The "
	 "value runs to the end of the line; there is no quoting. What is not understood is an "
	 "error. An option on the command line replaces all that the file says about it.",
	 NULL},
	{LINE_EXAMPLE, "kernel = /boot/vmlinuz", NULL},
	{LINE_EXAMPLE, "append = console=ttyS0 quiet", NULL},
	{LINE_EXAMPLE, "memory = 1G", NULL},
	{LINE_EXAMPLE, "cpus   = 2", NULL},
	{LINE_TEXT, "--dump-config prints such a file for any command line.", NULL},
	{LINE_END, NULL, NULL},
};

static const struct topic_line accel_lines[] = {
	{LINE_TERM, "kvm", "the host's Linux kernel runs the guest on the host's CPUs"},
	{LINE_TERM, "bt", "a CPU in software, for x86-64 guests on x86-64 hosts only"},
	{LINE_TERM, "script",
	 "no guest code runs; a text file or socket (--script) drives ports and memory: for tests"},
	{LINE_TERM, "auto",
	 "tries, by running guest code, what this host can do; one line says the choice and why"},
	{LINE_TEXT, "Keys of kvm:", NULL},
	{LINE_TERM, "dirty-ring=N",
	 "logs written pages in a ring of N entries a CPU, a power of two from 1024 to 65536, and "
	 "not in bitmaps [0: bitmaps]"},
	{LINE_TERM, "node=PATH", "the device to use [/dev/kvm]"},
	{LINE_TEXT, "\"lodge info\" says what each can run here and, if not, exactly why.", NULL},
	{LINE_END, NULL, NULL},
};

static const struct topic_line cpu_lines[] = {
	{LINE_TEXT,
	 "What the guest is shown of the processor: a base, then features to add (+NAME) or to "
	 "hide "
	 "(-NAME), in this order, with commas. Names are those of Linux's /proc/cpuinfo. What "
	 "needs "
	 "a hidden feature is hidden with it.",
	 NULL},
	{LINE_TERM, "host", "all that host and accelerator have"},
	{LINE_TERM, "v1 v2 v3 v4",
	 "levels of the x86-64 psABI: v2 has SSE4.2, v3 AVX2, v4 AVX-512; instructions for "
	 "programs "
	 "beyond the level are hidden, what only kernels see stays"},
	{LINE_TEXT,
	 "The software CPU hides smap, umip and la57 unless they are asked for: they only cost "
	 "time "
	 "there.",
	 NULL},
	{LINE_EXAMPLE, "lodge run --cpu v3 vmlinuz", NULL},
	{LINE_EXAMPLE, "lodge run --cpu host,-avx512f vmlinuz", NULL},
	{LINE_END, NULL, NULL},
};

const struct topic topic_list[] = {
	{"boot", "What can be booted", boot_lines},
	{"serial", "Serial ports", serial_lines},
	{"keys", "Keys on the terminal", keys_lines},
	{"exit", "Exit codes", exit_lines},
	{"config", "Configuration files", config_lines},
	{"accel", "Accelerators", accel_lines},
	{"cpu", "What a guest is shown of the processor", cpu_lines},
	{NULL, NULL, NULL},
};
