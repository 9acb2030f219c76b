/* SPDX-License-Identifier: ISC */
/*
 * The resolver in a process of its own, under its filter; what it asks of
 * name servers is tested end to end.
 */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"
#include "log.h"
#include "msg.h"
#include "privdrop.h"
#include "resolver.h"
#include "sandbox.h"

TestSuite(resolver, .timeout = 60);

#define WAIT_MS	20000
#define SOMEBODY	65533

static struct msg_in	 in;
static pid_t		 pid;
static int		 chan;

static void
hear(void)
{
	struct pollfd	 pfd = { .fd = chan, .events = POLLIN };

	cr_assert_eq(poll(&pfd, 1, WAIT_MS), 1, "it says nothing");
	cr_assert_eq(msg_recv(chan, EDGE_RESOLVER_PARENT, MSG_ST_ANY, &in),
	    MSG_OK);
}

static void
start(uint32_t flags)
{
	struct msg_boot	 m;
	int		 pair[2];

	cr_assert_eq(msg_pair(pair), 0);
	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		if (dup2(pair[1], MSG_CHANNEL_FD) == -1)
			_exit(2);
		closefrom(MSG_CHANNEL_FD + 1);
		resolver_main();
	}
	close(pair[1]);
	chan = pair[0];
	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	m.flags = flags;
	m.uid = m.gid = SOMEBODY;
	m.log_level = LOG_LEVEL_INFO;
	cr_assert_eq(msg_send(chan, &m, sizeof(m), NULL, 0), 0);
	hear();
	cr_assert_eq(in.hdr.type, MSG_READY, "%.200s", in.log.text);
}

/* Return how many addresses it has found; in.resolved holds them. */
static uint32_t
look_up(const char *host, uint32_t flags)
{
	struct msg_resolve	 m;
	int			 status;

	start(flags);
	msg_init(&m, sizeof(m), MSG_RESOLVE, 0);
	(void)strlcpy(m.host, host, sizeof(m.host));
	cr_assert_eq(msg_send(chan, &m, sizeof(m), NULL, 0), 0);
	do {
		hear();
	} while (in.hdr.type == MSG_LOG);
	cr_assert_eq(in.hdr.type, MSG_RESOLVED);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
#ifndef WITH_SANITIZERS
	/* Their look for leaks at the end is more than the filter allows. */
	cr_assert_eq(status, 0, "status %#x", (unsigned int)status);
#endif
	close(chan);
	return (in.resolved.count);
}

static void
expect_address(const char *text, uint32_t flags)
{
	char	 found[ADDR_STRLEN];

	cr_assert_eq(look_up(text, flags), 1);
	(void)addr_format(&in.resolved.addr[0], found);
	cr_expect_str_eq(found, text);
}

static void
as(uint32_t flags)
{
	uint32_t	 i, n;
	int		 loopback = 0;
	struct addr	 one;

	expect_address("127.0.0.1", flags);
	expect_address("::1", flags);
	/* From the hosts file, wherever it says that it is. */
	cr_assert_eq(addr_parse(&one, "127.0.0.1"), 0);
	n = look_up("localhost", flags);
	cr_assert_gt(n, 0);
	for (i = 0; i < n && i < MSG_ADDRS_MAX; i++)
		loopback |= addr_same_ip(&in.resolved.addr[i], &one);
	cr_expect(loopback);
	/* No such name; a label this long is not asked for. */
	cr_assert_eq(look_up("a2345678901234567890123456789012345678901234567"
	    "890123456789012345", flags), 0);
	cr_expect_neq(in.resolved.error, 0);
}

Test(resolver, names_as_an_ordinary_user)
{
	as(0);
}

Test(resolver, names_as_root)
{
	if (geteuid() != 0)
		cr_skip_test("not root");
	as(BOOT_DROP);
}

Test(resolver, says_what_holds_it)
{
	uint32_t	 want = LAYER_LIMITS;
	int		 status;

	if (strcmp(SANDBOX_NAME, "seccomp") == 0)
		want |= LAYER_NO_PRIVS | LAYER_FILTER;
	start(0);
	cr_expect_eq(in.ready.own.held & want, want);
	cr_expect_eq(in.ready.own.held & (LAYER_USER | LAYER_CHROOT), 0);
	/* What is not held is missing, and the other way round. */
	cr_expect_eq(in.ready.own.held & in.ready.own.missing, 0);
	if (strcmp(SANDBOX_NAME, "seccomp") == 0)
		cr_expect_eq((in.ready.own.held | in.ready.own.missing) &
		    (LAYER_READ | LAYER_TCP | LAYER_SCOPE),
		    LAYER_READ | LAYER_TCP | LAYER_SCOPE);
	cr_expect_eq(in.ready.workers.held, 0);
	close(chan);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
}

/* ---- what a taken one cannot do ------------------------------------------*/

#if defined(__linux__) && !defined(WITH_SANITIZERS)

struct attempt {
	const char	*what;
	int		 number;
	int		 dies;		/* SIGSYS, else it fails */
};

enum {
	TRY_EXEC, TRY_FORK, TRY_PTRACE, TRY_KILL, TRY_LISTEN, TRY_BIND,
	TRY_RAW, TRY_PACKET, TRY_MPTCP, TRY_CODE, TRY_MPROTECT, TRY_CREATE,
	TRY_WRITE, TRY_SECRET, TRY_TCP, TRY_RLIMIT, TRY_MEMFD
};

static int
attempt_tcp(void)
{
	struct sockaddr_in	 sin;
	int			 fd;

	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		return (-1);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(5347);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Nobody listens there, but that is not what stops it. */
	return (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno == EACCES ? -1 : 0);
}

static int
attempt_bind(void)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	return (bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&sin,
	    sizeof(sin)));
}

static int
attempt(int number, const char *path)
{
	static char	 name[] = "true";
	char		*argv[] = { name, NULL };
	char		*page;

	switch (number) {
	case TRY_EXEC:
		return (execve("/bin/true", argv, argv + 1));
	case TRY_FORK:
		return (fork());
	case TRY_PTRACE:
		return ((int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
	case TRY_KILL:
		return (kill(1, 0));
	case TRY_LISTEN:
		return (listen(socket(AF_INET, SOCK_STREAM, 0), 1));
	case TRY_BIND:
		return (attempt_bind());
	case TRY_RAW:
		return (socket(AF_INET, SOCK_RAW, 0));
	case TRY_PACKET:
		return (socket(AF_PACKET, SOCK_DGRAM, 0));
	case TRY_MPTCP:
		return (socket(AF_INET, SOCK_STREAM, 262));
	case TRY_CODE:
		return (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE |
		    MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	case TRY_MPROTECT:
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return (mprotect(page, 4096, PROT_READ | PROT_EXEC));
	case TRY_CREATE:
		return (open("/tmp/passd-escape", O_WRONLY | O_CREAT, 0600));
	case TRY_WRITE:
		return (open("/dev/null", O_RDWR));
	case TRY_SECRET:
		return (open(path, O_RDONLY));
	case TRY_TCP:
		return (attempt_tcp());
	case TRY_RLIMIT:
		return (setrlimit(RLIMIT_NPROC, &(struct rlimit){ 9, 9 }));
	case TRY_MEMFD:
		return (memfd_create("x", 0));
	}
	return (0);
}

static const struct attempt	 attempts[] = {
	{ "exec", TRY_EXEC, 1 },
	{ "fork", TRY_FORK, 1 },
	{ "ptrace", TRY_PTRACE, 1 },
	{ "kill", TRY_KILL, 1 },
	{ "listen", TRY_LISTEN, 1 },
	{ "bind of a port", TRY_BIND, 1 },
	{ "raw socket", TRY_RAW, 1 },
	{ "packet socket", TRY_PACKET, 1 },
	{ "MPTCP", TRY_MPTCP, 1 },
	{ "executable memory", TRY_CODE, 1 },
	{ "mprotect exec", TRY_MPROTECT, 1 },
	{ "new file", TRY_CREATE, 1 },
	{ "open to write", TRY_WRITE, 1 },
	{ "other limits", TRY_RLIMIT, 1 },
	{ "memfd", TRY_MEMFD, 1 },
	{ "a file of the user", TRY_SECRET, 0 },
	{ "TCP to another port", TRY_TCP, 0 },
};

static char	 file[] = "/tmp/passd-unit-XXXXXX";

static void
remove_file(void)
{
	(void)unlink(file);
}

static void
try(const struct attempt *a)
{
	int	 status;

	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		if (priv_lock(0, 256 << 20) != NULL ||
		    sandbox_resolver() != NULL)
			_exit(9);
		/* What only fails does so by Landlock. */
		if (!a->dies && (layers_own().missing &
		    (LAYER_READ | LAYER_TCP)) != 0)
			_exit(0);
		_exit(attempt(a->number, file) == -1 ? 0 : 7);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (a->dies)
		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		    "%s: status %#x", a->what, (unsigned int)status);
	else
		cr_expect_eq(status, 0, "%s: status %#x", a->what,
		    (unsigned int)status);
}

/* Few, and one after the other: each loads a filter of its own. */
Test(resolver, a_taken_one, .fini = remove_file)
{
	size_t	 i;
	int	 fd;

	if (strcmp(SANDBOX_NAME, "seccomp") != 0)
		cr_skip_test("no filter here");
	cr_assert_geq(fd = mkstemp(file), 0);
	close(fd);
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		try(&attempts[i]);
}
#endif
