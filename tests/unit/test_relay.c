/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"
#include "ui.h"

/*
 * passcat's relay in a child process: ${far} is the peer, in[1] feeds what
 * the relay reads, out[0] has what it has written.
 */
static int	 far, in[2], out[2];
static pid_t	 pid;

static void
start(int64_t idle_ms)
{
	struct relay	 r = { -1, -1, -1, idle_ms, -1, 0, 0, NULL, NULL };
	char		 why[64];
	int		 pair[2];

	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(pipe(out), 0);
	cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert((pid = fork()) != -1);
	if (pid == 0) {
		(void)close(pair[1]);
		(void)close(in[1]);
		(void)close(out[0]);
		r.peer = pair[0];
		r.in = in[0];
		r.out = out[1];
		_exit(relay_run(&r, why, sizeof(why)));
	}
	(void)close(pair[0]);
	(void)close(in[0]);
	(void)close(out[1]);
	far = pair[1];
}

static int
ended(void)
{
	int	 status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
expect(int fd, const char *text)
{
	char	 buf[64];
	size_t	 len = strlen(text), got = 0;
	ssize_t	 n;

	while (got < len) {
		n = read(fd, buf + got, len - got);
		cr_assert(n > 0);
		got += (size_t)n;
	}
	cr_assert_arr_eq(buf, text, len);
}

static void
expect_end(int fd)
{
	char	 c;

	cr_assert_eq(read(fd, &c, 1), 0);
}

/* Each direction ends alone, after its last byte. */
Test(relay, half_close, .timeout = 20)
{
	start(0);
	cr_assert_eq(write(far, "one", 3), 3);
	cr_assert_eq(shutdown(far, SHUT_WR), 0);
	expect(out[0], "one");
	expect_end(out[0]);
	cr_assert_eq(write(in[1], "two", 3), 3);
	expect(far, "two");
	cr_assert_eq(close(in[1]), 0);
	expect_end(far);
	cr_assert_eq(ended(), EXIT_DONE);
}

Test(relay, other_half_first, .timeout = 20)
{
	start(0);
	cr_assert_eq(write(in[1], "two", 3), 3);
	cr_assert_eq(close(in[1]), 0);
	expect(far, "two");
	expect_end(far);
	cr_assert_eq(write(far, "one", 3), 3);
	cr_assert_eq(close(far), 0);
	expect(out[0], "one");
	expect_end(out[0]);
	cr_assert_eq(ended(), EXIT_DONE);
}

Test(relay, idle, .timeout = 20)
{
	start(100);
	expect_end(far);
	cr_assert_eq(ended(), EXIT_TIMEOUT);
}

/* Whoever reads our output leaves: no matter, until there is more for him. */
Test(relay, reader_leaves, .timeout = 20)
{
	start(0);
	cr_assert_eq(close(out[0]), 0);
	cr_assert_eq(write(in[1], "two", 3), 3);
	expect(far, "two");
	cr_assert_eq(write(far, "one", 3), 3);
	cr_assert_eq(ended(), EXIT_USAGE);
}
