/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"
#include "privdrop.h"
#include "sandbox.h"

/* Enough for 10,000 ports with what control and parent hold for each. */
#define FILES_WANTED	65536

/* Return 1 if this process could become root again. */
static int
can_return(uid_t uid, gid_t gid)
{
	gid_t	 groups[2];
	uid_t	 r, e, s;
	gid_t	 rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || r != uid || e != uid || s != uid)
		return (1);
	if (getresgid(&rg, &eg, &sg) == -1 || rg != gid || eg != gid ||
	    sg != gid)
		return (1);
	if (getgroups(2, groups) != 1 || groups[0] != gid)
		return (1);
	return (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 ||
	    setegid(0) == 0);
}

const char *
priv_drop(const char *dir, uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0) {
		errno = EINVAL;
		return ("drop of privileges to root");
	}
	if (chroot(dir) == -1)
		return ("chroot");
	if (chdir("/") == -1)
		return ("chdir");
	if (setgroups(1, &gid) == -1)
		return ("setgroups");
	if (setresgid(gid, gid, gid) == -1)
		return ("setresgid");
	if (setresuid(uid, uid, uid) == -1)
		return ("setresuid");
	if (can_return(uid, gid)) {
		errno = EPERM;
		return ("verification of dropped privileges");
	}
	layers_held(LAYER_USER);
	if (strcmp(dir, "/") != 0)
		layers_held(LAYER_CHROOT);
	return (NULL);
}

/* An enumeration where _GNU_SOURCE is defined, else an int. */
#ifdef __GLIBC__
typedef __rlimit_resource_t resource;
#else
typedef int resource;
#endif

/* Let no more than ${max} of ${what} be had, for good, and see that it is. */
static int
limit(resource what, rlim_t max)
{
	struct rlimit	 rl;

	if (getrlimit(what, &rl) == -1)
		return (-1);
	if (max > rl.rlim_max)
		max = rl.rlim_max;	/* somebody was stricter */
	rl.rlim_cur = rl.rlim_max = max;
	if (setrlimit(what, &rl) == -1 || getrlimit(what, &rl) == -1)
		return (-1);
	if (rl.rlim_cur == max && rl.rlim_max == max)
		return (0);
	errno = EPERM;
	return (-1);
}

/* Private memory. */
static int
limit_data(rlim_t max)
{
#ifdef WITH_SANITIZERS
	(void)max;		/* their shadow alone is terabytes */
	return (0);
#else
	return (limit(RLIMIT_DATA, max));
#endif
}

/*
 * Nothing is written to any file.  In the foreground standard error may be
 * one: what libc says there when it aborts is then lost, but must not become
 * a death of another kind.
 */
static int
limit_files(void)
{
#ifdef WITH_SANITIZERS
	return (0);		/* what they find goes to standard error */
#else
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return (-1);
	return (limit(RLIMIT_FSIZE, 0));
#endif
}

const char *
priv_lock(int forks, rlim_t data)
{
	if (limit(RLIMIT_CORE, 0) == -1)
		return ("setrlimit core");
	if (limit(RLIMIT_MEMLOCK, 0) == -1)
		return ("setrlimit memlock");
#ifdef RLIMIT_MSGQUEUE
	if (limit(RLIMIT_MSGQUEUE, 0) == -1)
		return ("setrlimit msgqueue");
#endif
	if (limit_files() == -1)
		return ("setrlimit fsize");
	if (!forks && limit(RLIMIT_NPROC, 0) == -1)
		return ("setrlimit nproc");
	if (limit_data(data) == -1)
		return ("setrlimit data");
	layers_held(LAYER_LIMITS);
	return (sandbox_lock());
}

const char *
priv_worker(void)
{
	if (limit(RLIMIT_NPROC, 0) == -1)
		return ("setrlimit nproc");
	return (limit_data(0) == -1 ? "setrlimit data" : NULL);
}

rlim_t
priv_files(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (256);
	if (geteuid() == 0 && rl.rlim_max < FILES_WANTED) {
		rl.rlim_max = rl.rlim_cur = FILES_WANTED;
		if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
			return (rl.rlim_cur);
		(void)getrlimit(RLIMIT_NOFILE, &rl);
	}
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
		(void)getrlimit(RLIMIT_NOFILE, &rl);
	}
	return (rl.rlim_cur);
}
