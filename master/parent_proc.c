/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "parent.h"

#define BACKOFF_MIN_MS	250
#define BACKOFF_MAX_MS	60000
#define LOOP		5	/* failures in a row: it will not be better */
#define STABLE_MS	60000	/* a life this long ends a row of failures */

const char *
proc_name(enum proc_role role)
{
	switch (role) {
	case PROC_CONTROL:
		return ("control");
	case PROC_SPAWNER:
		return ("spawner");
	case PROC_RESOLVER:
		return ("resolver");
	case PROC_ROLES:
		break;
	}
	return ("unknown");
}

static void
look_up_user(const char *name, enum proc_role role)
{
	struct passwd	*pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		fatalx("no user \"%s\": create it, on Linux with \"useradd "
		    "--system --no-create-home --shell /usr/sbin/nologin "
		    "%s\", or name another with -u and -w", name, name);
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("user \"%s\": must be neither root nor in its group",
		    name);
	parent.uid[role] = pw->pw_uid;
	parent.gid[role] = pw->pw_gid;
}

void
proc_users(void)
{
	struct stat	 st;

	if (access(parent.opt.worker, X_OK) == -1)
		fatal("%s", parent.opt.worker);
	parent.root = geteuid() == 0;
	if (!parent.root)
		return;
	look_up_user(parent.opt.user, PROC_CONTROL);
	look_up_user(parent.opt.worker_user, PROC_SPAWNER);
	if (parent.uid[PROC_CONTROL] == parent.uid[PROC_SPAWNER])
		fatalx("-u and -w: a taken worker could reach control if "
		    "both ran as user \"%s\": name two", parent.opt.user);
	parent.uid[PROC_RESOLVER] = parent.uid[PROC_CONTROL];
	parent.gid[PROC_RESOLVER] = parent.gid[PROC_CONTROL];
	if (stat(parent.opt.chroot, &st) == -1)
		fatal("directory \"%s\" to chroot to", parent.opt.chroot);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		fatalx("\"%s\" to chroot to: not a directory that only root "
		    "can write", parent.opt.chroot);
	if (strlen(parent.opt.chroot) >= sizeof(((struct msg_boot *)0)->chroot))
		fatalx("\"%s\" to chroot to: name too long",
		    parent.opt.chroot);
}

/*
 * What a process has to say goes over its channel.  Its stderr would be the
 * journal, a file or a terminal: not for a worker that somebody has taken.
 * Sanitizers know no other place for what they find.
 */
static int
keeps_stderr(void)
{
#ifdef WITH_SANITIZERS
	return (parent.opt.foreground);
#else
	return (0);
#endif
}

/* In the child: a clean set of descriptors, signals and environment. */
static void
execute(enum proc_role role, int fd)
{
	static char	 path[] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
	static char	 tz[] = "TZ=UTC";
	char		*env[3] = { path, tz, NULL };
	char		*argv[4];
	char		 name[] = "passd", option[] = "-R";
	sigset_t	 none;
	int		 null;

	/* Where it was started from is none of its business. */
	if (chdir("/") == -1 || dup2(fd, MSG_CHANNEL_FD) == -1)
		_exit(1);
	if ((null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 ||
	    (!keeps_stderr() && dup2(null, STDERR_FILENO) == -1))
		_exit(1);
	closefrom(MSG_CHANNEL_FD + 1);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	argv[0] = name;
	argv[1] = option;
	argv[2] = strdup(proc_name(role));
	argv[3] = NULL;
	if (role == PROC_SPAWNER) {
		argv[1] = NULL;
		(void)execve(parent.opt.worker, argv, env);
	} else
		(void)execve(parent.opt.self, argv, env);
	_exit(127);
}

static void
send_boot(enum proc_role role)
{
	struct msg_boot	 m;

	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	if (parent.root) {
		m.flags |= BOOT_DROP;
		m.uid = parent.uid[role];
		m.gid = parent.gid[role];
		(void)strlcpy(m.chroot, parent.opt.chroot, sizeof(m.chroot));
	}
	if (parent.opt.foreground)
		m.flags |= BOOT_STDERR;
	m.log_level = (uint32_t)(parent.opt.debug ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_INFO);
	(void)proc_send(role, &m, sizeof(m),
	    role == PROC_SPAWNER ? parent.filter : -1);
}

int64_t
proc_backoff(struct proc *p, int at_once)
{
	int64_t	 delay;

	if (mono_ms() - p->started >= STABLE_MS)
		p->failures = 0;
	delay = p->failures >= LOOP ? BACKOFF_MAX_MS :
	    (int64_t)BACKOFF_MIN_MS << p->failures;
	if (at_once && p->failures < LOOP)
		delay = p->failures == 0 ? 0 : delay / 2;
	if (++p->failures == LOOP + 1)
		log_error("%s fails again and again: tried once a minute "
		    "from now on; relays go on",
		    proc_name((enum proc_role)(p - parent.proc)));
	return (delay);
}

static void
plan_restart(struct proc *p)
{
	p->restart_at = mono_ms() + proc_backoff(p, 1);
}

void
proc_start(enum proc_role role)
{
	struct proc	*p = &parent.proc[role];
	pid_t		 group = role == PROC_SPAWNER ? workers_group() : 0;
	int		 fds[2];

	p->restart_at = INT64_MAX;
	p->started = mono_ms();
	p->unheard = 0;
	if (msg_pair(fds) == -1) {
		log_warn_errno("%s: socketpair", proc_name(role));
		plan_restart(p);
		return;
	}
	switch (p->pid = fork()) {
	case -1:
		log_warn_errno("%s: fork", proc_name(role));
		(void)close(fds[0]);
		(void)close(fds[1]);
		plan_restart(p);
		return;
	case 0:
		if (role == PROC_SPAWNER)
			workers_join(group);
		execute(role, fds[1]);
	default:
		break;
	}
	(void)close(fds[1]);
	p->fd = fds[0];
	p->state = PROC_STARTING;
	send_boot(role);
}

static void
log_end(enum proc_role role, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_error("%s pid=%d killed by signal=%d (%s)%s",
		    proc_name(role), (int)pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)),
		    WTERMSIG(status) == SIGSYS ? ": killed by the filter of "
		    "system calls, please report it, with passd -V" : "");
	else if (WEXITSTATUS(status) == 127)
		log_error("%s pid=%d could not be executed",
		    proc_name(role), (int)pid);
	else
		log_error("%s pid=%d exited status=%d", proc_name(role),
		    (int)pid, WEXITSTATUS(status));
}

void
proc_gone(enum proc_role role)
{
	struct proc	*p = &parent.proc[role];

	p->pid = -1;
	p->state = PROC_NONE;
	if (p->fd != -1)
		(void)close(p->fd);
	p->fd = -1;
}

void
proc_ended(enum proc_role role, int status)
{
	struct proc	*p = &parent.proc[role];
	int64_t		 planned = INT64_MAX;
	int		 retired;

	if (role == PROC_SPAWNER)
		planned = workers_planned();
	retired = role == PROC_SPAWNER && workers_retired();
	if (retired)
		log_info("spawner pid=%d retired", (int)p->pid);
	else if (status != 0 || (parent.stop_at == INT64_MAX &&
	    role != PROC_RESOLVER))
		log_end(role, p->pid, status);
	proc_gone(role);
	if (parent.stop_at != INT64_MAX || role == PROC_RESOLVER)
		return;
	if (retired) {
		p->restart_at = mono_ms();	/* it has waited already */
		return;
	}
	/* It was to be replaced: that is one failure, not two. */
	if (planned != INT64_MAX)
		p->restart_at = planned;
	else
		plan_restart(p);
	log_info("%s restart in=%lldms", proc_name(role),
	    (long long)(p->restart_at - mono_ms()));
}

int
proc_send(enum proc_role role, const void *m, size_t len, int fd)
{
	if (parent.proc[role].fd == -1)
		return (-1);
	return (msg_send(parent.proc[role].fd, m, len, &fd,
	    fd == -1 ? 0 : 1));
}
