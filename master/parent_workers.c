/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/wait.h>

#include <signal.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "parent.h"

/*
 * Workers outlive their spawner: after a crash of one of them it is replaced
 * by a new one with another address layout, and the others' relays go on.
 * They are then children of the parent (the subreaper), in the process group
 * that their spawner began.
 */

#define LEAVE_MS	3000	/* for a spawner that was told to retire */

static int64_t	 retire_at = INT64_MAX;	/* when to tell the spawner */
static int64_t	 leave_by = INT64_MAX;	/* it was told */

/* Is there a child of ours, dead or alive, in the workers' group? */
static int
any_in_group(void)
{
	siginfo_t	 si;

	return (parent.group > 0 && waitid(P_PGID, (id_t)parent.group, &si,
	    WEXITED | WNOHANG | WNOWAIT) == 0);
}

pid_t
workers_group(void)
{
	return (any_in_group() ? parent.group : 0);
}

void
workers_join(pid_t group)
{
	/* The last of the group may have gone a moment ago. */
	if (setpgid(0, group) == -1 && setpgid(0, 0) == -1)
		_exit(1);
}

void
workers_replace(void)
{
	struct proc	*p = &parent.proc[PROC_SPAWNER];
	int64_t		 delay;

	if (p->state != PROC_RUNNING || retire_at != INT64_MAX ||
	    leave_by != INT64_MAX || parent.stop_at != INT64_MAX)
		return;
	delay = proc_backoff(p, 0);
	retire_at = mono_ms() + delay;
	log_info("spawner pid=%d replaced in=%lldms", (int)p->pid,
	    (long long)delay);
}

int64_t
workers_planned(void)
{
	return (retire_at);
}

int
workers_retired(void)
{
	int	 retired = leave_by != INT64_MAX;

	retire_at = leave_by = INT64_MAX;
	return (retired);
}

int64_t
workers_due(void)
{
	return (retire_at < leave_by ? retire_at : leave_by);
}

void
workers_turn(int64_t now)
{
	struct msg_hdr	 m;

	if (now >= retire_at) {
		retire_at = INT64_MAX;
		leave_by = now + LEAVE_MS;
		msg_init(&m, sizeof(m), MSG_RETIRE, 0);
		(void)proc_send(PROC_SPAWNER, &m, sizeof(m), -1);
	}
	if (now >= leave_by) {
		leave_by = now + LEAVE_MS;
		(void)kill(parent.proc[PROC_SPAWNER].pid, SIGKILL);
	}
}

void
workers_kill(pid_t pid)
{
	enum proc_role	 role;
	siginfo_t	 si;

	for (role = 0; role < PROC_ROLES; role++) {
		if (parent.proc[role].pid == pid)
			return;
	}
	/*
	 * A child of ours and none of the above: a worker.  As nobody but us
	 * can wait for it, the number is still its own.
	 */
	if (pid > 1 && waitid(P_PID, (id_t)pid, &si,
	    WEXITED | WNOHANG | WNOWAIT) == 0)
		(void)kill(pid, SIGKILL);
}

void
workers_ended(pid_t pid, int status)
{
	struct msg_orphan	 m;

	msg_init(&m, sizeof(m), MSG_ORPHAN, 0);
	m.pid = (int32_t)pid;
	m.status = status;
	/* If control does not read: it sees the end of their channel. */
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), -1);
}

int
workers_end(void)
{
	if (!any_in_group())
		return (0);
	(void)kill(-parent.group, SIGKILL);
	return (1);
}
