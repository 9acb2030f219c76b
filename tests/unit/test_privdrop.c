/* SPDX-License-Identifier: ISC */
/* Each case in a child: what is dropped does not come back. */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"
#include "privdrop.h"

TestSuite(privdrop, .timeout = 30);

#define SOMEBODY	65533

/* Run ${fn} in a child; its number, 0 if all was as it should be. */
static int
in_child(int (*fn)(const char *), const char *dir)
{
	pid_t	 pid;
	int	 status;

	cr_assert_geq(pid = fork(), 0);
	if (pid == 0)
		_exit(fn(dir));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static int
drop(const char *dir)
{
	const char	*step;
	gid_t		 groups[8];

	if (priv_drop(dir, SOMEBODY, SOMEBODY) != NULL)
		return (1);
	if (getuid() != SOMEBODY || geteuid() != SOMEBODY ||
	    getgid() != SOMEBODY || getegid() != SOMEBODY)
		return (2);
	if (getgroups(8, groups) != 1 || groups[0] != SOMEBODY)
		return (3);
	if (setuid(0) != -1 || seteuid(0) != -1 || setgid(0) != -1 ||
	    setgroups(0, NULL) != -1)
		return (4);
	/* In the new root directory, which is empty. */
	if (access("/etc", F_OK) != -1 || access("../etc", F_OK) != -1)
		return (5);
	/* Once more, though it is nobody any more: refused by name. */
	step = priv_drop("/", SOMEBODY, SOMEBODY);
	if (step == NULL || strcmp(step, "chroot") != 0)
		return (6);
	return (0);
}

static int
not_root(const char *dir)
{
	const char	*step;

	step = priv_drop(dir, 0, SOMEBODY);
	if (step == NULL || errno != EINVAL)
		return (1);
	step = priv_drop(dir, SOMEBODY, 0);
	if (step == NULL || errno != EINVAL)
		return (2);
	return (access("/etc", F_OK) == 0 ? 0 : 3);
}

static int
no_dir(const char *dir)
{
	const char	*step;

	(void)dir;
	step = priv_drop("/nonexistent", SOMEBODY, SOMEBODY);
	return (step != NULL && strcmp(step, "chroot") == 0 ? 0 : 1);
}

#ifdef __GLIBC__
typedef __rlimit_resource_t resource;	/* an enumeration */
#else
typedef int resource;
#endif

static int
limited(resource what, rlim_t max)
{
	struct rlimit	 rl;

	return (getrlimit(what, &rl) == 0 && rl.rlim_max == max &&
	    rl.rlim_cur == max);
}

#define DATA	(64 << 20)

static int
lock(const char *dir)
{
	struct rlimit	 rl;

	(void)dir;
	if (priv_lock(1, DATA) != NULL)
		return (1);
	if (!limited(RLIMIT_CORE, 0) || !limited(RLIMIT_MEMLOCK, 0))
		return (2);
	if (getrlimit(RLIMIT_NPROC, &rl) == -1 || rl.rlim_max == 0)
		return (3);
#ifdef RLIMIT_MSGQUEUE
	if (!limited(RLIMIT_MSGQUEUE, 0))
		return (4);
#endif
#ifndef WITH_SANITIZERS
	if (!limited(RLIMIT_FSIZE, 0) || !limited(RLIMIT_DATA, DATA))
		return (5);
#endif
	if ((layers_own().held & LAYER_LIMITS) == 0)
		return (6);
#ifdef PR_GET_DUMPABLE
	if (strcmp(SANDBOX_NAME, "seccomp") == 0 &&
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return (7);
	if (strcmp(SANDBOX_NAME, "seccomp") == 0 &&
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return (8);
#endif
	return (0);
}

/* A limit that is lower already is kept: raising it would need root. */
static int
lock_lower(const char *dir)
{
	const struct rlimit	 rl = { DATA / 2, DATA / 2 };

	(void)dir;
	if (setrlimit(RLIMIT_DATA, &rl) == -1)
		return (1);
	if (priv_lock(0, DATA) != NULL)
		return (2);
#ifndef WITH_SANITIZERS
	if (!limited(RLIMIT_DATA, DATA / 2))
		return (3);
#endif
	return (limited(RLIMIT_NPROC, 0) ? 0 : 4);
}

/* A write beyond the limit is an error, not a death. */
static int
lock_writes(const char *dir)
{
	FILE	*f;

	(void)dir;
	if ((f = tmpfile()) == NULL)
		return (1);
	if (priv_lock(0, DATA) != NULL)
		return (2);
#ifndef WITH_SANITIZERS
	if (write(fileno(f), "x", 1) != -1 || errno != EFBIG)
		return (3);
#endif
	return (0);
}

/*
 * No process comes of a worker, and it gets no memory; uid 0 is not bound by
 * the first.
 */
static int
lock_worker(const char *dir)
{
	pid_t	 pid;

	if (geteuid() == 0 && priv_drop(dir, SOMEBODY, SOMEBODY) != NULL)
		return (1);
	if (priv_lock(1, DATA) != NULL || priv_worker() != NULL)
		return (2);
	if ((pid = fork()) == 0)
		_exit(0);
	if (pid != -1 || errno != EAGAIN)
		return (3);
#ifndef WITH_SANITIZERS
	if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return (4);
#endif
	return (0);
}

static int
files(const char *dir)
{
	struct rlimit	 rl, after;

	(void)dir;
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (1);
	rl.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (2);
	if (priv_files() < rl.rlim_max)
		return (3);
	if (getrlimit(RLIMIT_NOFILE, &after) == -1 ||
	    after.rlim_cur != after.rlim_max || after.rlim_cur != priv_files())
		return (4);
	return (0);
}

static char	 empty[] = "/tmp/passd-unit-XXXXXX";

/* However the test ends. */
static void
remove_dir(void)
{
	(void)rmdir(empty);
}

Test(privdrop, as_root, .fini = remove_dir)
{
	int	 i;

	if (geteuid() != 0)
		cr_skip_test("not root");
	cr_assert_not_null(mkdtemp(empty));
	cr_expect_eq(i = in_child(drop, empty), 0, "%d", i);
	cr_expect_eq(in_child(not_root, empty), 0);
	cr_expect_eq(in_child(no_dir, empty), 0);
	cr_expect_eq(i = in_child(lock_worker, empty), 0, "%d", i);
	cr_expect_eq(rmdir(empty), 0);
}

Test(privdrop, as_anybody)
{
	int	 i;

	cr_expect_eq(i = in_child(lock, NULL), 0, "%d", i);
	cr_expect_eq(i = in_child(lock_lower, NULL), 0, "%d", i);
	cr_expect_eq(i = in_child(lock_writes, NULL), 0, "%d", i);
	cr_expect_eq(in_child(files, NULL), 0);
	if (geteuid() != 0)
		cr_expect_eq(in_child(lock_worker, NULL), 0);
}
