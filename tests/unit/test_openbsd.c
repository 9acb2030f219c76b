/* SPDX-License-Identifier: ISC */
/*
 * sandbox_openbsd.c, and tcp.c as it is built there, without an OpenBSD: that
 * they compile, what they ask for, and in which order.  How its kernel
 * answers is not shown; the rules that the stand-ins know are the manual's.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"
#include "sandbox.h"
#include "tcp.h"

int	fake_setsockopt(int, int, int, const void *, socklen_t);
int	fake_getsockopt(int, int, int, void *, socklen_t *);

static char	 said[512];		/* the calls, one after the other */
static char	 promised[256];		/* in force */
static int	 hidden, locked;	/* of unveil(2) */
static int	 pledge_errno, unveil_errno;
static int	 bad_level;		/* an option that is no socket's */

static void
note(const char *call, const char *argument)
{
	(void)strlcat(said, call, sizeof(said));
	(void)strlcat(said, argument, sizeof(said));
	(void)strlcat(said, ";", sizeof(said));
}

/* Is each word of ${less} one of ${more}? */
static int
reduces(const char *more, const char *less)
{
	char	 have[256], word[64];
	size_t	 n;

	(void)strlcpy(have, " ", sizeof(have));
	(void)strlcat(have, more, sizeof(have));
	(void)strlcat(have, " ", sizeof(have));
	for (; *less != '\0'; less += n + (less[n] == ' ')) {
		n = strcspn(less, " ");
		(void)strlcpy(word, " ", sizeof(word));
		(void)strlcat(word, less, n + 2);
		(void)strlcat(word, " ", sizeof(word));
		if (strstr(have, word) == NULL)
			return (0);
	}
	return (1);
}

/* Promises shrink, and never grow again. */
int
pledge(const char *promises, const char *execpromises)
{
	cr_assert_null(execpromises);
	note("pledge ", promises);
	if (pledge_errno == 0 && promised[0] != '\0' &&
	    !reduces(promised, promises))
		pledge_errno = EPERM;
	if (pledge_errno != 0) {
		errno = pledge_errno;
		return (-1);
	}
	(void)strlcpy(promised, promises, sizeof(promised));
	return (0);
}

/* The first path hides all others; without one nothing is hidden. */
int
unveil(const char *path, const char *permissions)
{
	cr_assert_eq(path == NULL, permissions == NULL);
	note("unveil ", path == NULL ? "-" : path);
	/* A promise without "unveil" has no right to it. */
	if (locked || promised[0] != '\0')
		unveil_errno = EPERM;
	if (unveil_errno != 0) {
		errno = unveil_errno;
		return (-1);
	}
	if (path == NULL)
		locked = 1;
	else if (strcmp(path, "/") == 0 && permissions[0] == '\0')
		hidden = 1;
	return (0);
}

/* Without "inet" these end the process, but for options of the socket. */
int
fake_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len)
{
	(void)name;
	(void)value;
	(void)len;
	if (level != SOL_SOCKET)
		bad_level++;
	return (fd == -1 ? -1 : 0);
}

int
fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	memset(value, 0, *len);
	return (fake_setsockopt(fd, level, name, value, *len));
}

TestSuite(openbsd, .timeout = 30);

Test(openbsd, spawner_and_its_workers)
{
	struct layers	 l;

	cr_assert_null(sandbox_lock());
	cr_assert_null(sandbox_empty_net());
	cr_assert_null(sandbox_spawner(-1));
	l = sandbox_of_workers();
	cr_assert_null(sandbox_worker());
	cr_expect_str_eq(said, "unveil /;unveil -;"
	    "pledge stdio proc unix recvfd;pledge stdio unix recvfd;");
	cr_expect(hidden && locked);
	cr_expect_eq(layers_own().held, LAYER_UNVEIL | LAYER_PLEDGE);
	cr_expect_eq(layers_own().missing, 0);
	cr_expect_eq(l.held, layers_own().held);
}

Test(openbsd, control)
{
	static const struct sandbox_net	 net;

	cr_assert_null(sandbox_control(&net));
	cr_expect_str_eq(said, "unveil /;unveil -;"
	    "pledge stdio inet unix sendfd recvfd;");
	cr_expect(hidden && locked);
	cr_expect_eq(layers_own().held, LAYER_UNVEIL | LAYER_PLEDGE);
}

/* Its files are opened by "dns"; what unveil(2) hides is hidden from it. */
Test(openbsd, resolver)
{
	cr_assert_null(sandbox_resolver());
	cr_expect_str_eq(said, "pledge stdio dns;");
	cr_expect_eq(layers_own().held, LAYER_PLEDGE);
}

Test(openbsd, refused)
{
	static const struct sandbox_net	 net;

	unveil_errno = ENOMEM;
	cr_expect_str_eq(sandbox_spawner(-1), "unveil");
	cr_expect_str_eq(sandbox_control(&net), "unveil");
	unveil_errno = 0;
	pledge_errno = EINVAL;
	cr_expect_str_eq(sandbox_spawner(-1), "pledge");
	cr_expect_str_eq(sandbox_worker(), "pledge");
	cr_expect_str_eq(sandbox_resolver(), "pledge");
	cr_expect_eq(layers_own().held & LAYER_PLEDGE, 0);
}

/* A worker that takes promises back would not get them. */
Test(openbsd, the_stand_in_is_strict)
{
	cr_assert_null(sandbox_worker());
	cr_expect_str_eq(sandbox_spawner(-1), "unveil");
	unveil_errno = 0;
	cr_expect_eq(pledge("stdio unix recvfd inet", NULL), -1);
}

Test(openbsd, forks_and_kills)
{
	int	 handle = 7, status;
	pid_t	 pid;

	cr_assert_geq(pid = sandbox_fork(&handle), 0);
	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	cr_expect_eq(handle, -1);
	cr_expect_eq(sandbox_kill(handle, pid), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status));
	sandbox_subreaper();
}

Test(openbsd, workers_touch_no_option_of_tcp)
{
	tcp_tune(9);
	tcp_patience(9, 1);
	tcp_patience(9, 0);
	cr_expect_eq(tcp_paused(9), 0);
	cr_expect_eq(tcp_delivered(9), 0);
	cr_expect_eq(tcp_error(9), 0);
	cr_expect_eq(bad_level, 0);
	/* The stand-in would have noticed. */
	(void)fake_setsockopt(9, 6, 1, said, 1);
	cr_expect_eq(bad_level, 1);
}
