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
 * priv_lock(nproc):
 * What needs no privilege and every process but the parent does: no new
 * privileges by exec, not dumpable (no ptrace, no core), no core file; with
 * ${nproc} 0 no new process either.  Return as priv_drop().
 */
const char *priv_lock(int);

/*
 * priv_files():
 * Raise the soft limit of open descriptors to the hard one, as root to what
 * the system allows at most.  Return the limit in force.
 */
rlim_t	priv_files(void);

#endif
