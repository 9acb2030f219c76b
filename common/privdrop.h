/* SPDX-License-Identifier: ISC */
#ifndef COMMON_PRIVDROP_H
#define COMMON_PRIVDROP_H

#include <sys/types.h>
#include <sys/resource.h>

/*
 * priv_drop(dir, uid, gid):
 * As root: change the root directory to ${dir}, give up all groups but
 * ${gid}, become ${uid} for good, and see that the way back is closed.  The
 * order is the only one that works: groups before the user, since only root
 * may change them.  Return NULL, or the name of the step that failed, with
 * errno; the process must then end.
 */
const char *priv_drop(const char *, uid_t, gid_t);

/*
 * priv_lock(forks, data):
 * What needs no privilege and every process but the parent does: no new
 * privileges by exec, not dumpable (no ptrace, no core), and limits of 0 for
 * what it can do without: core files, locked memory, message queues, files
 * that grow; unless ${forks}, new processes.  At most ${data} bytes of
 * private memory; sanitizers get as much as they like, and may write.  All
 * limits are read back.  Return as priv_drop().
 */
const char *priv_lock(int, rlim_t);

/*
 * priv_worker():
 * A worker, just forked from a spawner that has called priv_lock(): no new
 * process (uid 0 is not bound by that, and is never a worker's), and not a
 * page of memory more.  Return as priv_drop().
 */
const char *priv_worker(void);

/*
 * priv_files():
 * Raise the soft limit of open descriptors to the hard one, as root to what
 * the system allows at most.  Return the limit in force.
 */
rlim_t	priv_files(void);

#endif
