/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "mono.h"
#include "privdrop.h"
#include "sandbox.h"
#include "worker.h"
#include "worker_rig.h"

/* ---- the process --------------------------------------------------------*/

/* libbsd's would complain about the way in which the tests are started. */
void
setproctitle(const char *fmt, ...)
{
	(void)fmt;
}

int
rig_listener(int family, uint16_t *port)
{
	struct sockaddr_storage	 ss;
	struct addr		 a;
	socklen_t		 len;
	const int		 on = 1;
	int			 fd;

	cr_assert_eq(addr_parse(&a, family == AF_INET ? "127.0.0.1" : "::1"),
	    0);
	a.port = *port;
	len = addr_to_sa(&a, &ss);
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	cr_assert_eq(listen(fd, 64), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sa(&a, (struct sockaddr *)&ss), 0);
	*port = a.port;
	return (fd);
}

#define FILES_MAX	256	/* if descriptors are to be short */

/* What the spawner does to itself before it forks. */
static void
lock_in(int filter, int files)
{
	struct rlimit	 rl = { FILES_MAX, FILES_MAX };

	if (files != 0 && setrlimit(RLIMIT_NOFILE, &rl) == -1)
		_exit(2);
	if (priv_lock(1, RLIM_INFINITY) != NULL ||
	    sandbox_spawner(filter) != NULL)
		_exit(2);
}

/*
 * Leave room for ${files} descriptors.  A low limit alone would not do:
 * poll(2) takes no more entries than the limit.
 */
static void
use_up_files(int files)
{
	int	 fd;

	do {
		fd = fcntl(WORKER_CHANNEL, F_DUPFD_CLOEXEC, 0);
	} while (fd != -1 && fd < FILES_MAX - 1 - files);
}

/* As become_worker() of the spawner. */
static void
become_worker(const struct msg_limits *l, const int *fds, int nfds, int files)
{
	int	 high[MSG_FDS_MAX], i;

	for (i = 0; i < nfds; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC,
		    WORKER_CHANNEL + MSG_FDS_MAX);
		if (high[i] == -1)
			_exit(2);
	}
	for (i = 0; i < nfds; i++) {
		if (dup2(high[i], WORKER_CHANNEL + i) == -1)
			_exit(2);
	}
	closefrom(WORKER_CHANNEL + nfds);
	if (files != 0)
		use_up_files(files);
	worker_main(l, (size_t)(nfds - 1));
}

void
rig_limits(struct msg_limits *l)
{
	msg_init(l, sizeof(*l), MSG_SPAWN, RIG_ID);
	l->sessions = 1;
	l->pending = 4;
	l->connect_ms = 60000;
	l->idle_ms = 60000;
	l->half_close_ms = 60000;
}

static void
start(struct rig *r, const struct msg_limits *l, int v6, int files)
{
	struct msg_limits	 usual;
	int			 fds[MSG_FDS_MAX], pair[2], nfds = 0, i;
	int			 filter;

	memset(r, 0, sizeof(*r));
	rig_limits(&usual);
	if (l != NULL)
		usual = *l;
	cr_assert_eq(msg_pair(pair), 0);
	r->chan = pair[0];
	fds[nfds++] = pair[1];
	fds[nfds++] = rig_listener(AF_INET, &r->port);
	if (v6)
		fds[nfds++] = rig_listener(AF_INET6, &r->port);
	usual.port = r->port;
	cr_assert((filter = cage_worker_filter()) != -1 || errno == 0);
	cr_assert_geq(r->pid = fork(), 0);
	if (r->pid == 0) {
		lock_in(filter, files);
		become_worker(&usual, fds, nfds, files);
	}
	close(filter);
	for (i = 0; i < nfds; i++)
		close(fds[i]);
	rig_event(r, MSG_READY);
}

void
rig_start(struct rig *r, const struct msg_limits *l)
{
	start(r, l, 0, 0);
}

void
rig_start_v6(struct rig *r, const struct msg_limits *l)
{
	start(r, l, 1, 0);
}

void
rig_start_files(struct rig *r, const struct msg_limits *l, int files)
{
	start(r, l, 0, files);
}

void
rig_left(struct rig *r)
{
	int64_t	 limit = mono_ms() + RIG_WAIT_MS;
	int	 status;

	while (waitpid(r->pid, &status, WNOHANG) == 0) {
		if (mono_ms() > limit) {
			(void)kill(r->pid, SIGKILL);
			(void)waitpid(r->pid, &status, 0);
			cr_assert_fail("the worker does not leave");
		}
		(void)poll(NULL, 0, 2);
	}
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "status %x", (unsigned int)status);
	if (r->chan != -1)
		close(r->chan);
	r->chan = -1;
}

void
rig_ack(struct rig *r, uint64_t upto)
{
	struct msg_ack	 m;

	msg_init(&m, sizeof(m), MSG_ACK, RIG_ID);
	m.upto = upto;
	/* It may have left already. */
	(void)msg_send(r->chan, &m, sizeof(m), NULL, 0);
}

static int
next_event(struct rig *r, int ms)
{
	struct pollfd	 pfd = { .fd = r->chan, .events = POLLIN };
	enum msg_result	 got;

	if (poll(&pfd, 1, ms) != 1)
		return (0);
	got = msg_recv(r->chan, EDGE_WORKER_CONTROL, MSG_ST_ANY, &r->in);
	if (got == MSG_EOF)
		return (0);
	cr_assert_eq(got, MSG_OK, "%s", r->in.why);
	cr_assert_eq(r->in.hdr.id, RIG_ID);
	if (r->in.hdr.seq == 0)
		return (1);		/* of a SYNC, or a PONG */
	cr_assert_eq(r->in.hdr.seq, ++r->seq, "an event was lost");
	if (!r->silent)
		rig_ack(r, r->seq);
	if (r->skip_refused && r->in.hdr.type == MSG_REFUSED)
		return (next_event(r, ms));
	return (1);
}

void
rig_stop(struct rig *r)
{
	rig_close(r, CAUSE_SHUTDOWN, CLOSE_RELAYS, 0);
	while (next_event(r, RIG_WAIT_MS) && r->in.hdr.type != MSG_GONE)
		continue;
	cr_expect_eq(r->in.hdr.type, MSG_GONE);
	rig_left(r);
}

/* ---- events -------------------------------------------------------------*/

void
rig_event(struct rig *r, enum msg_type type)
{
	cr_assert(next_event(r, RIG_WAIT_MS), "no event %d", (int)type);
	cr_assert_eq(r->in.hdr.type, type, "event %u instead of %d",
	    r->in.hdr.type, (int)type);
}

void
rig_quiet(struct rig *r, int ms)
{
	if (next_event(r, ms))
		cr_assert_fail("event %u", r->in.hdr.type);
}

/* The address of our socket ${fd} is that of the event. */
static void
same_address(const struct rig *r, int fd)
{
	struct sockaddr_storage	 ss;
	struct addr		 a;
	socklen_t		 len = sizeof(ss);

	if (fd == -1)
		return;
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sa(&a, (struct sockaddr *)&ss), 0);
	cr_expect(addr_same_ip(&a, &r->in.client.addr));
	cr_expect_eq(a.port, r->in.client.addr.port);
}

void
rig_client(struct rig *r, uint32_t session, int fd)
{
	rig_event(r, MSG_CLIENT);
	cr_expect_eq(r->in.client.session, session);
	same_address(r, fd);
}

void
rig_leg(struct rig *r, uint32_t session, enum leg_what what, int fd)
{
	rig_event(r, MSG_LEG);
	cr_expect_eq(r->in.client.session, session);
	cr_expect_eq(r->in.client.what, what, "%u instead of %d",
	    r->in.client.what, (int)what);
	same_address(r, fd);
}

void
rig_paired(struct rig *r, uint32_t session, int fd, uint32_t what)
{
	cr_assert(next_event(r, RIG_WAIT_MS), "no PAIRED");
	/* A connection may overtake the answer sent before it. */
	if (r->in.hdr.type == MSG_LEG && r->in.client.what == LEG_HELD)
		rig_event(r, MSG_PAIRED);
	cr_assert_eq(r->in.hdr.type, MSG_PAIRED, "event %u",
	    r->in.hdr.type);
	cr_expect_eq(r->in.client.session, session);
	cr_expect_eq(r->in.client.what, what);
	same_address(r, fd);
}

void
rig_ended(struct rig *r, uint32_t session, enum cause cause)
{
	rig_event(r, MSG_ENDED);
	cr_expect_eq(r->in.ended.session, session);
	cr_expect_eq(r->in.ended.cause, cause, "%s instead of %s",
	    cause_name((enum cause)r->in.ended.cause), cause_name(cause));
}

/* ---- commands -----------------------------------------------------------*/

void
rig_send(struct rig *r, void *m, size_t len, enum msg_type type)
{
	struct msg_hdr	 hdr;

	msg_init(&hdr, sizeof(hdr), type, RIG_ID);
	memcpy(m, &hdr, sizeof(hdr));
	cr_assert_eq(msg_send(r->chan, m, len, NULL, 0), 0);
}

void
rig_answer(struct rig *r, uint32_t session, const char *pin,
    const void *token)
{
	struct msg_answer	 m;

	memset(&m, 0, sizeof(m));
	m.session = session;
	if (pin != NULL) {
		m.flags |= ANSWER_PIN;
		cr_assert_eq(addr_parse(&m.addr, pin), 0);
	}
	if (token != NULL) {
		m.flags |= ANSWER_TOKEN;
		memcpy(m.token, token, LEG_TOKEN_LEN);
	}
	rig_send(r, &m, sizeof(m), MSG_ANSWER);
}

void
rig_drop(struct rig *r, uint32_t session, enum cause cause)
{
	struct msg_drop	 m;

	memset(&m, 0, sizeof(m));
	m.session = session;
	m.cause = (uint32_t)cause;
	rig_send(r, &m, sizeof(m), MSG_DROP);
}

void
rig_close(struct rig *r, enum cause cause, uint32_t flags, uint32_t grace)
{
	struct msg_close	 m;

	memset(&m, 0, sizeof(m));
	m.cause = (uint32_t)cause;
	m.flags = flags;
	m.grace_ms = grace;
	rig_send(r, &m, sizeof(m), MSG_CLOSE);
}

uint16_t
rig_rendezvous(struct rig *r, uint32_t session)
{
	struct msg_rendezvous	 m;
	uint16_t		 port = 0;
	int			 fd = rig_listener(AF_INET, &port);

	msg_init(&m, sizeof(m), MSG_RENDEZVOUS, RIG_ID);
	m.session = session;
	m.port = port;
	cr_assert_eq(msg_send(r->chan, &m, sizeof(m), &fd, 1), 0);
	close(fd);
	return (port);
}

/* ---- strangers and owners -----------------------------------------------*/

int
rig_connect(uint16_t port, const char *from)
{
	struct sockaddr_in	 sin;
	int			 fd;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	cr_assert_geq(fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
	cr_assert_eq(inet_pton(AF_INET, from, &sin.sin_addr), 1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1) {
		/* A reset: the listener was closed in that very moment. */
		cr_assert(errno == ECONNREFUSED || errno == ECONNRESET, "%s",
		    strerror(errno));
		close(fd);
		return (-1);
	}
	return (fd);
}

int
rig_refused(uint16_t port)
{
	int64_t	 limit = mono_ms() + RIG_WAIT_MS;
	int	 fd;

	/* The other process may need a moment. */
	while ((fd = rig_connect(port, "127.0.0.1")) != -1) {
		close(fd);
		if (mono_ms() > limit)
			return (0);
		(void)poll(NULL, 0, 5);
	}
	return (1);
}

void
rig_say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
	    (ssize_t)strlen(text));
}

static int
readable(int fd)
{
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };

	return (poll(&pfd, 1, RIG_WAIT_MS) == 1);
}

void
rig_hear(int fd, const char *text)
{
	char	 buf[256];
	size_t	 len = 0, want = strlen(text);
	ssize_t	 n;

	cr_assert_lt(want, sizeof(buf));
	while (len < want) {
		cr_assert(readable(fd), "no \"%s\"", text);
		n = recv(fd, buf + len, want - len, 0);
		cr_assert_gt(n, 0, "no \"%s\": %s", text, strerror(errno));
		len += (size_t)n;
	}
	buf[len] = '\0';
	cr_expect_str_eq(buf, text);
}

void
rig_rst(int fd)
{
	char	 buf[256];

	cr_assert(readable(fd), "no reset");
	errno = 0;
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), -1);
	cr_expect_eq(errno, ECONNRESET);
	close(fd);
}

void
rig_fin(int fd)
{
	char	 buf[256];

	cr_assert(readable(fd), "no end");
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), 0);
	close(fd);
}

void
rig_reset(int fd)
{
	struct linger	 l = { 1, 0 };

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(fd);
}

long
rig_cpu_ms(const struct rig *r)
{
	unsigned long	 user, sys;
	char		 path[64];
	FILE		*f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)r->pid);
	cr_assert_not_null(f = fopen(path, "r"));
	cr_assert_eq(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u "
	    "%*u %*u %*u %lu %lu", &user, &sys), 2);
	fclose(f);
	return ((long)(user + sys) * 1000 / sysconf(_SC_CLK_TCK));
}
