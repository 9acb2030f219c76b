/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <unistd.h>

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
	return (NULL);
}

const char *
priv_lock(int nproc)
{
	const struct rlimit	 none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) == -1)
		return ("setrlimit core");
	if (nproc == 0 && setrlimit(RLIMIT_NPROC, &none) == -1)
		return ("setrlimit nproc");
	return (sandbox_lock());
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
