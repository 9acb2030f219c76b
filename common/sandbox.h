/* SPDX-License-Identifier: ISC */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "layers.h"

/*
 * What the platform offers to lock a process in; one file a platform, and
 * no #ifdef anywhere else.  Each of these returns NULL, or the name of the
 * step that failed, with errno: the process must then end.  A layer that the
 * running kernel does not have is left out; layers.h remembers both.
 */

/*
 * sandbox_lock():
 * Close the ways that are closed for every process but the parent: no
 * privileges by exec, no ptrace and no core by a process of the same user.
 */
const char *sandbox_lock(void);

/*
 * sandbox_empty_net():
 * Spawner, as root and before it drops its privileges: leave the network;
 * listeners that are received later work all the same.
 */
const char *sandbox_empty_net(void);

/*
 * sandbox_spawner(filter):
 * Install the filter of system calls that is in the file ${filter} (-1:
 * none was built), for this process and for every worker that it forks: one
 * filter for all, since a kernel can deadlock when thousands go at once.
 * No file can be opened from here on.
 */
const char *sandbox_spawner(int);

/*
 * sandbox_memory(size):
 * Return ${size} bytes of zeroes for the spawner alone, for good: its workers
 * do not have them, where the platform can do that.  NULL with errno.
 */
void	*sandbox_memory(size_t);

/*
 * sandbox_fork(handle):
 * Spawner: fork(2).  In the spawner ${handle} gets what sandbox_kill() wants:
 * a pidfd where there are such, since a filter that allowed kill(2) would
 * allow it to every worker.
 */
pid_t	sandbox_fork(int *);

/*
 * sandbox_kill(handle, pid):
 * Kill the child ${pid}, which has not been waited for.  Return 0 or -1.
 */
int	sandbox_kill(int, pid_t);

/*
 * sandbox_worker():
 * A layer of the worker's own, after the fork: it can signal nobody.
 */
const char *sandbox_worker(void);

/*
 * sandbox_of_workers():
 * Spawner: return what will hold every worker that it forks: a worker that
 * cannot have it does not start.
 */
struct layers sandbox_of_workers(void);

/* The TCP ports that control needs; 0 in lo: none. */
struct sandbox_net {
	uint16_t	 connect[1];	/* of the XMPP server */
	uint16_t	 bind_lo[2];	/* ranges it may listen in */
	uint16_t	 bind_hi[2];
};

/*
 * sandbox_control(net):
 * Control, configured: no file, no program, no process; connections to and
 * listeners on the ports of ${net} only, where the kernel can tell.
 */
const char *sandbox_control(const struct sandbox_net *);

/*
 * sandbox_resolver():
 * The resolver: it reads the files that name servers and hosts are told in
 * and asks name servers; it writes no file and starts nothing.
 */
const char *sandbox_resolver(void);

/*
 * sandbox_subreaper():
 * Parent: adopt the processes that a dying child leaves behind, so that
 * none escapes the reaper.  Where the platform has no such thing, nothing.
 */
void	sandbox_subreaper(void);

#endif
