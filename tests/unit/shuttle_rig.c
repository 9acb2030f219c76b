/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "shuttle_rig.h"

unsigned char	 rig_scratch[256 * KIB];

unsigned char
rig_stream(int side, uint64_t at)
{
	return ((unsigned char)((at % 65521) * 31 + (at >> 16) * 7 +
	    (uint64_t)side * 101));
}

int
rig_open_fds(void)
{
	DIR		*dir;
	int		 n = 0;

	cr_assert((dir = opendir("/proc/self/fd")) != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

void
rig_nonblock(int fd)
{
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

void
rig_tcp_pair(int *far, int *near, int size)
{
	struct sockaddr_in sin;
	socklen_t	 len = sizeof(sin);
	int		 l;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(l = socket(AF_INET, SOCK_STREAM, 0), 0);
	cr_assert_geq(*far = socket(AF_INET, SOCK_STREAM, 0), 0);
	if (size != 0) {
		setsockopt(l, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		setsockopt(l, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(*far, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		setsockopt(*far, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	cr_assert_eq(bind(l, (struct sockaddr *)&sin, len), 0);
	cr_assert_eq(listen(l, 1), 0);
	cr_assert_eq(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	cr_assert_eq(connect(*far, (struct sockaddr *)&sin, len), 0);
	cr_assert_geq(*near = accept(l, NULL, NULL), 0);
	close(l);
	rig_nonblock(*far);
	rig_nonblock(*near);
}

void
rig_start(struct rig *r, int peer, int owner)
{
	shuttle_setup();
	shuttle_start(&r->s, peer, owner, IDLE_MS, HALF_MS, mono_ms());
	r->alive = 1;
}

void
rig_open_sized(struct rig *r, int size)
{
	int		 near[2];

	memset(r, 0, sizeof(*r));
	r->fds = rig_open_fds();
	rig_tcp_pair(&r->end[0], &near[0], size);
	rig_tcp_pair(&r->end[1], &near[1], size);
	rig_start(r, near[0], near[1]);
}

void
rig_open(struct rig *r)
{
	rig_open_sized(r, 0);
}

void
rig_step(struct rig *r, int ms)
{
	struct pollfd	 pfd[2];
	enum cause	 cause;
	int64_t		 now, at;
	int		 i, n;

	if (!r->alive) {
		if (ms > 0)
			poll(NULL, 0, ms);
		return;
	}
	for (i = 0; i < 2; i++) {
		pfd[i].fd = r->s.fd[i];
		pfd[i].events = shuttle_events(&r->s, i);
		pfd[i].revents = 0;
	}
	at = shuttle_deadline(&r->s);
	if ((now = mono_ms()) + ms > at)
		ms = at > now ? (int)(at - now) : 0;
	cr_assert_geq(n = poll(pfd, 2, ms), 0);
	now = mono_ms();
	if (n > 0) {
		r->wakeups++;
		if (!shuttle_turn(&r->s, pfd[0].revents, pfd[1].revents, now)) {
			r->alive = 0;
			r->ends++;
			return;
		}
	}
	if (now >= shuttle_deadline(&r->s) &&
	    (cause = shuttle_overdue(&r->s, now)) != CAUSE_NONE) {
		shuttle_end(&r->s, cause);
		r->alive = 0;
		r->ends++;
	}
}

void
rig_rest(struct rig *r, int ms)
{
	int64_t		 until = mono_ms() + ms;

	while (mono_ms() < until)
		rig_step(r, 5);
}

size_t
rig_send(struct rig *r, int side, size_t n)
{
	ssize_t		 sent;
	size_t		 i;

	if (n > sizeof(rig_scratch))
		n = sizeof(rig_scratch);
	for (i = 0; i < n; i++)
		rig_scratch[i] = rig_stream(side, r->sent[side] + i);
	sent = send(r->end[side], rig_scratch, n, MSG_NOSIGNAL);
	if (sent == -1) {
		if (errno != EAGAIN)
			r->error[side] = errno;
		return (0);
	}
	r->sent[side] += (uint64_t)sent;
	return ((size_t)sent);
}

size_t
rig_read(struct rig *r, int side, size_t n)
{
	ssize_t		 got;
	size_t		 i;

	if (n > sizeof(rig_scratch))
		n = sizeof(rig_scratch);
	got = recv(r->end[side], rig_scratch, n, 0);
	if (got == -1) {
		if (errno != EAGAIN)
			r->error[side] = errno;
		return (0);
	}
	if (got == 0)
		r->eof[side] = 1;
	for (i = 0; i < (size_t)got; i++)
		if (rig_scratch[i] != rig_stream(!side, r->got[side] + i))
			cr_assert_fail("side %d: byte %llu is wrong", side,
			    (unsigned long long)(r->got[side] + i));
	r->got[side] += (uint64_t)got;
	return ((size_t)got);
}

void
rig_carry(struct rig *r, int side, uint64_t n)
{
	uint64_t	 until = r->sent[side] + n;
	int64_t		 limit = mono_ms() + 20000;

	while (r->got[!side] < until) {
		cr_assert_lt(mono_ms(), limit, "stalled at %llu of %llu",
		    (unsigned long long)r->got[!side],
		    (unsigned long long)until);
		if (r->sent[side] < until)
			(void)rig_send(r, side,
			    (size_t)(until - r->sent[side]));
		rig_step(r, 1);
		(void)rig_read(r, !side, sizeof(rig_scratch));
		cr_assert(r->alive);
	}
}

uint64_t
rig_stuff(struct rig *r, int side)
{
	uint64_t	 before = r->sent[side];
	int		 quiet = 0;

	/* A small window opens by a timer of 200 ms now and then. */
	while (quiet < 60) {
		if (rig_send(r, side, 64 * KIB) == 0)
			quiet++;
		else
			quiet = 0;
		rig_step(r, 5);
	}
	return (r->sent[side] - before);
}

void
rig_finish_reading(struct rig *r, int side)
{
	int64_t		 limit = mono_ms() + 20000;

	while (!r->eof[side] && r->error[side] == 0) {
		cr_assert_lt(mono_ms(), limit, "no end on side %d", side);
		rig_step(r, 1);
		(void)rig_read(r, side, sizeof(rig_scratch));
	}
}

void
rig_wait_end(struct rig *r)
{
	int64_t		 limit = mono_ms() + 20000;

	while (r->alive) {
		cr_assert_lt(mono_ms(), limit, "the relay does not end");
		rig_step(r, 10);
	}
}

void
rig_fin(struct rig *r, int side)
{
	cr_assert_eq(shutdown(r->end[side], SHUT_WR), 0);
}

void
rig_fin_arrives(struct rig *r, int side)
{
	struct tcp_info	 info;
	socklen_t	 len;
	int64_t		 limit = mono_ms() + 10000;

	rig_fin(r, side);
	for (;;) {
		rig_rest(r, 10);
		len = sizeof(info);
		cr_assert_eq(getsockopt(r->end[side], IPPROTO_TCP, TCP_INFO,
		    &info, &len), 0);
		if (info.tcpi_state != TCP_FIN_WAIT1 &&
		    info.tcpi_state != TCP_LAST_ACK)
			return;
		cr_assert_lt(mono_ms(), limit, "the FIN does not arrive");
		(void)rig_read(r, !side, 1 + (size_t)(r->sent[side] / 64));
	}
}

void
rig_rst(struct rig *r, int side)
{
	shuttle_reset(r->end[side]);
	r->end[side] = -1;
}

void
rig_close(struct rig *r, enum cause cause)
{
	int		 i;

	rig_wait_end(r);
	cr_expect_eq(r->s.cause, cause, "cause %s instead of %s",
	    cause_name(r->s.cause), cause_name(cause));
	cr_expect_eq(r->ends, 1);
	cr_expect_eq(shuttle_turn(&r->s, POLLIN, POLLIN, mono_ms()), 0);
	shuttle_end(&r->s, CAUSE_SHUTDOWN);
	cr_expect_eq(r->s.cause, cause);
	cr_expect_eq(r->s.fd[0], -1);
	cr_expect_eq(r->s.fd[1], -1);
	cr_expect_eq(shuttle_deadline(&r->s), INT64_MAX);
	for (i = 0; i < 2; i++)
		if (r->end[i] != -1)
			close(r->end[i]);
	cr_expect_eq(rig_open_fds(), r->fds, "%d descriptors are left open",
	    rig_open_fds() - r->fds);
}

enum cause
rig_reset_cause(int side)
{
	return (side == SHUTTLE_PEER ? CAUSE_PEER_RESET : CAUSE_OWNER_RESET);
}

void
rig_expect_rst(struct rig *r, int side)
{
	struct pollfd	 pfd;
	int		 error = 0;
	socklen_t	 len = sizeof(error);
	int64_t		 limit = mono_ms() + 10000;

	pfd.fd = r->end[side];
	pfd.events = 0;
	do {
		cr_assert_lt(mono_ms(), limit, "side %d got no RST", side);
		rig_step(r, 2);
		pfd.revents = 0;
		cr_assert_geq(poll(&pfd, 1, 0), 0);
	} while (!(pfd.revents & POLLERR) && r->error[side] == 0);
	if (r->error[side] == 0) {
		getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &error, &len);
		r->error[side] = error;
	}
	cr_expect(r->error[side] == ECONNRESET || r->error[side] == EPIPE,
	    "side %d: %s", side, strerror(r->error[side]));
}

void
rig_expect_quiet(struct rig *r)
{
	long		 before;

	rig_rest(r, 50);
	before = r->wakeups;
	rig_rest(r, 200);
	cr_expect_leq(r->wakeups - before, 2, "%ld wakeups for nothing",
	    r->wakeups - before);
}
