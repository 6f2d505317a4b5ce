/*
 * chardev/terminal.h - the one terminal of this process: raw while the guest has it, and as it was
 * before on every way out.
 */
#ifndef LODGE_CHARDEV_TERMINAL_H
#define LODGE_CHARDEV_TERMINAL_H

#include "base/compiler.h"

/*
 * Remembers the settings of the terminal @fd, which stays the caller's and open until
 * terminal_release, and sees to it that exit(3), every signal that ends the process, and a stop
 * and continue restore and renew them.  0 or -errno.
 */
int terminal_claim(int fd) MUST_CHECK;
/* Raw mode, if this process is in the terminal's foreground.  True if the terminal is raw now. */
bool terminal_raw(void);
/* True if this process may read the terminal without being stopped for it. */
bool terminal_foreground(void);
/* Restores; async-signal-safe. */
void terminal_restore(void);
/* Restores and forgets. */
void terminal_release(void);

#endif
