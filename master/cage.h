/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CAGE_H
#define MASTER_CAGE_H

#include "sandbox.h"

/*
 * Filters of system calls, which are built in the passd program: its
 * library is not linked into passd-worker.  One file a platform, as for
 * sandbox.h, which has the rest of the interface.
 */

enum cage { CAGE_WORKER, CAGE_CONTROL, CAGE_RESOLVER };

/*
 * cage_worker_filter():
 * Parent: return a file that holds the filter of the spawner and all
 * workers, for sandbox_spawner(); -1 with errno 0 where there are no
 * filters, else with the errno of what failed.
 */
int	cage_worker_filter(void);

/*
 * cage_file(label):
 * Return a new file in no directory, or -1 with errno; ${label} is what
 * people see of it, where the system shows one.
 */
int	cage_file(const char *);

/*
 * cage_copy(fd):
 * Return a copy of the file ${fd}, at its start, that whoever gets it cannot
 * change, or -1 with errno (EFBIG beyond CAGE_COPY_MAX bytes).
 */
#define CAGE_COPY_MAX	(1024 * 1024)
int	cage_copy(int);

/*
 * cage_print(cage, fd):
 * Write the filter ${cage} to ${fd} in a form that people can read, for the
 * tests.  Return 0 or -1.
 */
int	cage_print(enum cage, int);

#endif
