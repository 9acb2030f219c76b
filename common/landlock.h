/* SPDX-License-Identifier: ISC */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include <stdint.h>

#include "layers.h"

/*
 * Landlock, by its system calls: libc has no wrappers.  Complements the
 * filters of system calls, which cannot tell paths and ports apart.
 */

#define CAGE_FILES	0x1	/* no file, whatever is to be done with it */
#define CAGE_READ	0x2	/* the files allowed, to be read */
#define CAGE_NET	0x4	/* TCP: the ports allowed, and no others */
#define CAGE_SCOPE	0x8	/* no signal, no abstract socket outside */

/*
 * landlock_abi():
 * Return the ABI of the running kernel; 0 if it has no Landlock.
 */
int	landlock_abi(void);

/*
 * landlock_layers(what):
 * Return which of ${what} (CAGE_*) the running kernel has, and which not.
 */
struct layers landlock_layers(unsigned int);

/*
 * landlock_begin(what):
 * Begin a rule set that takes away ${what} (CAGE_*), as far as the running
 * kernel can.  Return its descriptor; -1 with errno, ENOSYS or EOPNOTSUPP
 * meaning that there is no Landlock, which layers.h then knows.
 */
int	landlock_begin(unsigned int);

/* landlock_connect(fd, port), landlock_bind(fd, lo, hi): allow these TCP
 * ports again.  Return 0, or -1 with errno; 0 where the kernel cannot. */
int	landlock_connect(int, uint16_t);
int	landlock_bind(int, uint16_t, uint16_t);

/*
 * landlock_read(fd, path):
 * With CAGE_READ: allow to read the file ${path}, or all below it if it is a
 * directory; it is open with O_PATH.  Return 0, or -1 with errno.
 */
int	landlock_read(int, int);

/*
 * landlock_write(fd, dir):
 * With CAGE_FILES or CAGE_READ: allow whatever reads, makes, changes and
 * removes files and directories below ${dir}, open with O_PATH, but no
 * devices, sockets or programs.  Return as landlock_read().
 */
int	landlock_write(int, int);

/*
 * landlock_enter(fd, what):
 * Lock the process into the rule set, begun with ${what}, for good, and close
 * ${fd}.  Needs no_new_privs.  What the kernel could do goes to layers.h.
 * Return 0, or -1 with errno.
 */
int	landlock_enter(int, unsigned int);

#endif
