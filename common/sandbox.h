/* SPDX-License-Identifier: ISC */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

/*
 * What the platform offers to lock a process in; one file a platform, and
 * no #ifdef anywhere else.
 */

/*
 * sandbox_lock():
 * Close the ways that are closed for every process but the parent: no
 * privileges by exec, no ptrace and no core by a process of the same user.
 * Return NULL, or the name of the step that failed, with errno.
 */
const char *sandbox_lock(void);

/*
 * sandbox_subreaper():
 * Parent: adopt the processes that a dying child leaves behind, so that
 * none escapes the reaper.  Where the platform has no such thing, nothing.
 */
void	sandbox_subreaper(void);

/* sandbox_name(): the platform layer that was built in, for passd -V. */
const char *sandbox_name(void);

#endif
