/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <sys/syscall.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "sandbox.h"

#define FILTER_MAX	4096	/* instructions, BPF_MAXINSNS */

const char *
sandbox_lock(void)
{
	/*
	 * Dumpable is cleared by a change of user already, but not when
	 * passd runs as an ordinary user from the start.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return ("prctl dumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return ("prctl no_new_privs");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return ("verification of no_new_privs");
	layers_held(LAYER_NO_PRIVS);
	return (NULL);
}

const char *
sandbox_empty_net(void)
{
	if (unshare(CLONE_NEWNET) == 0) {
		layers_held(LAYER_NO_NET);
		return (NULL);
	}
	if (errno != EINVAL && errno != EPERM && errno != ENOSYS)
		return ("unshare network");
	/* A kernel without, or a container that forbids it. */
	layers_missing(LAYER_NO_NET);
	return (NULL);
}

/* Whether the errno of landlock_begin() means "not on this kernel". */
static int
no_landlock(void)
{
	return (errno == ENOSYS || errno == EOPNOTSUPP);
}

static const char *
enter(unsigned int what)
{
	int	 fd;

	if ((fd = landlock_begin(what)) == -1)
		return (no_landlock() ? NULL : "landlock_create_ruleset");
	return (landlock_enter(fd, what) == -1 ?
	    "landlock_restrict_self" : NULL);
}

static const char *
install(int file)
{
	static struct sock_filter	 code[FILTER_MAX];
	struct sock_fprog		 prog;
	ssize_t				 n;

	if ((n = pread(file, code, sizeof(code), 0)) == -1)
		return ("read of the filter");
	if (n == 0 || (size_t)n % sizeof(code[0]) != 0) {
		errno = EINVAL;
		return ("filter");
	}
	prog.len = (unsigned short)((size_t)n / sizeof(code[0]));
	prog.filter = code;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == -1)
		return ("seccomp");
	layers_held(LAYER_FILTER);
	return (NULL);
}

const char *
sandbox_spawner(int filter)
{
	const char	*failed;

	/* It kills its own children, which are in domains below this one. */
	if ((failed = enter(CAGE_FILES | CAGE_NET | CAGE_SCOPE)) != NULL ||
	    filter == -1)
		return (failed);
	return (install(filter));
}

/*
 * What the spawner writes to after a fork would be copied, and the copy
 * before it stay with that worker: a page for each.
 */
void *
sandbox_memory(size_t size)
{
	void	*p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return (NULL);
	if (madvise(p, size, MADV_DONTFORK) == -1) {
		(void)munmap(p, size);
		return (NULL);
	}
	return (p);
}

/*
 * Not fork(3), which has no room for CLONE_PIDFD.  What it does besides, for
 * threads and their locks, a process with one thread can do without.
 */
pid_t
sandbox_fork(int *handle)
{
	long	 pid;

	*handle = -1;
	pid = syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL,
	    handle, NULL, 0UL);
	return ((pid_t)pid);
}

int
sandbox_kill(int handle, pid_t pid)
{
	(void)pid;
	return ((int)syscall(SYS_pidfd_send_signal, handle, SIGKILL, NULL,
	    0));
}

#define WORKER_DOMAIN	(CAGE_FILES | CAGE_NET | CAGE_SCOPE)

const char *
sandbox_worker(void)
{
	return (enter(WORKER_DOMAIN));
}

struct layers
sandbox_of_workers(void)
{
	struct layers	 l = layers_own(), more;

	more = landlock_layers(WORKER_DOMAIN);
	l.held |= more.held;
	l.missing |= more.missing;
	return (l);
}

void
sandbox_subreaper(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}
