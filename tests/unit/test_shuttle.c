/* SPDX-License-Identifier: ISC */
/*
 * The shuttle between real sockets.  Built twice: with splice(2) and, as
 * SHUTTLE_COPY, with the portable copying variant.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "shuttle.h"

#define KIB		1024
#define MIB		(1024 * 1024)
#define IDLE_MS		600000
#define HALF_MS		60000

TestSuite(shuttle, .timeout = 60);

/* A relay, its two far ends, and what each has sent and received. */
struct rig {
	struct shuttle	 s;
	int		 end[2];	/* far end of side 0 and 1 */
	uint64_t	 sent[2];	/* by the far end of that side */
	uint64_t	 got[2];
	int		 eof[2];	/* the far end has read the FIN */
	int		 error[2];	/* or this error */
	int		 alive;
	int		 ends;		/* how often an end was reported */
	long		 wakeups;
	int		 fds;		/* open before the rig */
};

static unsigned char	 scratch[256 * KIB];

/*
 * Byte ${at} of the stream that the far end of ${side} sends.  Its period
 * is no multiple of a power of two, so that a lost page shows.
 */
static unsigned char
stream(int side, uint64_t at)
{
	return ((unsigned char)((at % 65521) * 31 + (at >> 16) * 7 +
	    (uint64_t)side * 101));
}

static int
open_fds(void)
{
	DIR		*dir;
	int		 n = 0;

	cr_assert((dir = opendir("/proc/self/fd")) != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

static void
nonblock(int fd)
{
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

/* A connection over loopback; small buffers if ${size} is not 0. */
static void
tcp_pair(int *far, int *near, int size)
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
	nonblock(*far);
	nonblock(*near);
}

static void
rig_start(struct rig *r, int peer, int owner)
{
	shuttle_setup();
	shuttle_start(&r->s, peer, owner, IDLE_MS, HALF_MS, mono_ms());
	r->alive = 1;
}

static void
rig_open_sized(struct rig *r, int size)
{
	int		 near[2];

	memset(r, 0, sizeof(*r));
	r->fds = open_fds();
	tcp_pair(&r->end[0], &near[0], size);
	tcp_pair(&r->end[1], &near[1], size);
	rig_start(r, near[0], near[1]);
}

static void
rig_open(struct rig *r)
{
	rig_open_sized(r, 0);
}

/* One round of the loop that a worker has; waits ${ms} at most. */
static void
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

/* Let the relay do what it can while its far ends do nothing. */
static void
rig_rest(struct rig *r, int ms)
{
	int64_t		 until = mono_ms() + ms;

	while (mono_ms() < until)
		rig_step(r, 5);
}

/* Send up to ${n} of the next bytes of the stream; returns how many went. */
static size_t
rig_send(struct rig *r, int side, size_t n)
{
	ssize_t		 sent;
	size_t		 i;

	if (n > sizeof(scratch))
		n = sizeof(scratch);
	for (i = 0; i < n; i++)
		scratch[i] = stream(side, r->sent[side] + i);
	sent = send(r->end[side], scratch, n, MSG_NOSIGNAL);
	if (sent == -1) {
		if (errno != EAGAIN)
			r->error[side] = errno;
		return (0);
	}
	r->sent[side] += (uint64_t)sent;
	return ((size_t)sent);
}

/* Read up to ${n} bytes and compare each with the other end's stream. */
static size_t
rig_read(struct rig *r, int side, size_t n)
{
	ssize_t		 got;
	size_t		 i;

	if (n > sizeof(scratch))
		n = sizeof(scratch);
	got = recv(r->end[side], scratch, n, 0);
	if (got == -1) {
		if (errno != EAGAIN)
			r->error[side] = errno;
		return (0);
	}
	if (got == 0)
		r->eof[side] = 1;
	for (i = 0; i < (size_t)got; i++)
		if (scratch[i] != stream(!side, r->got[side] + i))
			cr_assert_fail("side %d: byte %llu is wrong", side,
			    (unsigned long long)(r->got[side] + i));
	r->got[side] += (uint64_t)got;
	return ((size_t)got);
}

/* Send ${n} bytes from ${side} and have the other end read them. */
static void
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
		(void)rig_read(r, !side, sizeof(scratch));
		cr_assert(r->alive);
	}
}

/* Send until nothing more fits anywhere; returns how much went. */
static uint64_t
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

/* Read at the end of ${side} until FIN or error. */
static void
rig_finish_reading(struct rig *r, int side)
{
	int64_t		 limit = mono_ms() + 20000;

	while (!r->eof[side] && r->error[side] == 0) {
		cr_assert_lt(mono_ms(), limit, "no end on side %d", side);
		rig_step(r, 1);
		(void)rig_read(r, side, sizeof(scratch));
	}
}

static void
rig_wait_end(struct rig *r)
{
	int64_t		 limit = mono_ms() + 20000;

	while (r->alive) {
		cr_assert_lt(mono_ms(), limit, "the relay does not end");
		rig_step(r, 10);
	}
}

static void
rig_fin(struct rig *r, int side)
{
	cr_assert_eq(shutdown(r->end[side], SHUT_WR), 0);
}

/*
 * Send a FIN and see it arrive at the relay's socket; the other end reads
 * no more than that takes.
 */
static void
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

static void
rig_rst(struct rig *r, int side)
{
	shuttle_reset(r->end[side]);
	r->end[side] = -1;
}

/* The relay has ended with ${cause}, once, and left nothing open. */
static void
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
	cr_expect_eq(open_fds(), r->fds, "%d descriptors are left open",
	    open_fds() - r->fds);
}

static enum cause
reset_cause(int side)
{
	return (side == SHUTTLE_PEER ? CAUSE_PEER_RESET : CAUSE_OWNER_RESET);
}

/* Is the far end of ${side} reset?  Waits for it; reads what came before. */
static void
expect_rst(struct rig *r, int side)
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

/* The loop sleeps when there is nothing to do. */
static void
expect_quiet(struct rig *r)
{
	long		 before;

	rig_rest(r, 50);
	before = r->wakeups;
	rig_rest(r, 200);
	cr_expect_leq(r->wakeups - before, 2, "%ld wakeups for nothing",
	    r->wakeups - before);
}

/* ---- bytes -------------------------------------------------------------- */

static uint32_t
chance(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return (*seed);
}

/* Mostly small pieces, now and then a large one. */
static size_t
piece(uint32_t *seed)
{
	switch (chance(seed) % 8) {
	case 0:
		return (1 + chance(seed) % sizeof(scratch));
	case 1:
	case 2:
		return (1 + chance(seed) % (20 * KIB));
	default:
		return (1 + chance(seed) % 300);
	}
}

static void
both_ways(uint32_t seed, uint64_t total, int size)
{
	struct rig	 r;
	uint64_t	 left;
	size_t		 n;
	int64_t		 limit = mono_ms() + 40000;
	int		 i, fin[2] = { 0, 0 };

	rig_open_sized(&r, size);
	while (!r.eof[0] || !r.eof[1]) {
		cr_assert_lt(mono_ms(), limit, "stalled, seed %u", seed);
		for (i = 0; i < 2; i++) {
			left = total - r.sent[i];
			n = piece(&seed);
			if (left > 0)
				(void)rig_send(&r, i, n < left ? n :
				    (size_t)left);
			else if (!fin[i]) {
				rig_fin(&r, i);
				fin[i] = 1;
			}
			if (chance(&seed) % 4 != 0)
				rig_step(&r, 0);
			if (chance(&seed) % 4 != 0 && !r.eof[i])
				(void)rig_read(&r, i, piece(&seed) * 2);
		}
	}
	cr_expect_eq(r.got[0], total);
	cr_expect_eq(r.got[1], total);
	rig_wait_end(&r);
	cr_expect_eq(r.s.way[0].bytes, total);
	cr_expect_eq(r.s.way[1].bytes, total);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, both_ways_at_once)
{
	both_ways(1, 24 * MIB, 0);
	both_ways(77, 3 * MIB + 1, 0);
}

Test(shuttle, both_ways_small_buffers)
{
	both_ways(5, 6 * MIB + 17, 8 * KIB);
	both_ways(6, 6 * MIB + 4095, 40 * KIB);
}

Test(shuttle, nothing_at_all)
{
	struct rig	 r;

	rig_open(&r);
	rig_fin(&r, 0);
	rig_fin(&r, 1);
	rig_finish_reading(&r, 0);
	rig_finish_reading(&r, 1);
	cr_expect_eq(r.s.way[0].bytes + r.s.way[1].bytes, 0);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, options_on_both_legs)
{
	struct rig	 r;
	socklen_t	 len = sizeof(int);
	int		 i, v;

	rig_open(&r);
	for (i = 0; i < 2; i++) {
		getsockopt(r.s.fd[i], IPPROTO_TCP, TCP_NODELAY, &v, &len);
		cr_expect_neq(v, 0);
		getsockopt(r.s.fd[i], SOL_SOCKET, SO_KEEPALIVE, &v, &len);
		cr_expect_neq(v, 0);
#ifdef TCP_USER_TIMEOUT
		getsockopt(r.s.fd[i], IPPROTO_TCP, TCP_USER_TIMEOUT, &v, &len);
		cr_expect_eq(v, 120000);
#endif
	}
	shuttle_end(&r.s, CAUSE_CLOSED);
	r.alive = 0;
	r.ends = 1;
	rig_close(&r, CAUSE_CLOSED);
}

/* What the peer sent before the owner's leg came is in the socket already. */
static void
early(uint64_t n, int fin)
{
	struct rig	 r;
	int		 near[2];

	memset(&r, 0, sizeof(r));
	r.fds = open_fds();
	tcp_pair(&r.end[0], &near[0], 0);
	while (r.sent[0] < n)
		cr_assert_gt(rig_send(&r, 0, (size_t)(n - r.sent[0])), 0);
	if (fin)
		rig_fin(&r, 0);
	poll(NULL, 0, 20);
	tcp_pair(&r.end[1], &near[1], 0);
	rig_start(&r, near[0], near[1]);
	rig_carry(&r, 1, 10);
	if (!fin)
		rig_carry(&r, 0, 10);
	if (!fin)
		rig_fin(&r, 0);
	rig_finish_reading(&r, 1);
	cr_expect_eq(r.got[1], r.sent[0]);
	rig_fin(&r, 1);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, bytes_before_the_start)
{
	early(5, 0);
	early(5, 1);
	early(64 * KIB, 0);
	early(64 * KIB, 1);
}

/* A spliced byte must not wait for the next one. */
Test(shuttle, nothing_is_held_back)
{
	struct rig	 r;
	int64_t		 start;
	int		 i;

	rig_open(&r);
	rig_carry(&r, 0, 4 * MIB);
	start = mono_ms();
	for (i = 0; i < 100; i++) {
		rig_carry(&r, 0, 17 * KIB + (uint64_t)i);
		rig_carry(&r, 1, 1);
	}
	cr_expect_lt(mono_ms() - start, 2000);
	rig_rst(&r, 0);
	rig_close(&r, CAUSE_PEER_RESET);
}

/* splice(2) stops at urgent data and then says, wrongly, EAGAIN or EOF. */
static void
urgent(uint64_t before, uint64_t after)
{
	struct rig	 r;
	unsigned char	 c;

	rig_open(&r);
	if (before > 0)
		rig_carry(&r, 0, before);
	c = stream(0, r.sent[0]);
	cr_assert_eq(send(r.end[0], &c, 1, MSG_OOB), 1);
	r.sent[0]++;
	while (r.sent[0] < before + 1 + after)
		if (rig_send(&r, 0, (size_t)(before + 1 + after -
		    r.sent[0])) == 0)
			rig_step(&r, 1);
	rig_fin(&r, 0);
	rig_finish_reading(&r, 1);
	cr_expect_eq(r.got[1], r.sent[0]);
	rig_fin(&r, 1);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, urgent_bytes_are_bytes)
{
	urgent(0, 0);
	urgent(100, 100);
	urgent(0, 200 * KIB);
	urgent(2 * MIB, 200 * KIB);
	urgent(2 * MIB, 0);
}

/* ---- ends --------------------------------------------------------------- */

static void
half_close(int first)
{
	struct rig	 r;
	int		 second = !first;

	rig_open(&r);
	rig_carry(&r, first, 100);
	rig_carry(&r, second, 100);
	(void)rig_send(&r, first, 1000);
	rig_fin(&r, first);
	rig_finish_reading(&r, second);
	cr_expect(r.eof[second]);
	cr_expect_eq(r.got[second], 1100);
	expect_quiet(&r);
	cr_expect(r.alive);
	rig_carry(&r, second, 3 * MIB);
	rig_carry(&r, second, 1);
	expect_quiet(&r);
	rig_fin(&r, second);
	rig_finish_reading(&r, first);
	cr_expect(r.eof[first]);
	rig_wait_end(&r);
	cr_expect_eq(r.s.way[first].bytes, 1100);
	cr_expect_eq(r.s.way[second].bytes, 3 * MIB + 101);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, half_close_by_peer)
{
	half_close(SHUTTLE_PEER);
}

Test(shuttle, half_close_by_owner)
{
	half_close(SHUTTLE_OWNER);
}

/* Both FINs are in while the reader of one has hardly begun. */
static void
late_reader(int src)
{
	struct rig	 r;
	uint64_t	 n;

	rig_open_sized(&r, 16 * KIB);
	n = rig_stuff(&r, src);
	rig_fin(&r, src);
	rig_fin(&r, !src);
	rig_finish_reading(&r, src);
	expect_quiet(&r);
	rig_finish_reading(&r, !src);
	cr_expect_eq(r.got[!src], n);
	cr_expect(r.eof[!src]);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, fin_waits_for_the_last_byte)
{
	late_reader(SHUTTLE_PEER);
	late_reader(SHUTTLE_OWNER);
}

static void
reset_idle(int side)
{
	struct rig	 r;

	rig_open(&r);
	rig_carry(&r, 0, 10);
	rig_carry(&r, 1, 10);
	rig_rst(&r, side);
	expect_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, reset_when_idle)
{
	reset_idle(SHUTTLE_PEER);
	reset_idle(SHUTTLE_OWNER);
}

/* The source of a transfer is reset while its reader is stuck. */
static void
reset_source(int side, int size)
{
	struct rig	 r;

	rig_open_sized(&r, size);
	(void)rig_stuff(&r, side);
	expect_quiet(&r);
	rig_rst(&r, side);
	expect_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, reset_of_a_source_mid_transfer)
{
	reset_source(SHUTTLE_PEER, 0);
	reset_source(SHUTTLE_OWNER, 16 * KIB);
}

/* The sink of a transfer is reset; the source has bytes everywhere. */
static void
reset_sink(int side, int size)
{
	struct rig	 r;

	rig_open_sized(&r, size);
	(void)rig_stuff(&r, !side);
	rig_rst(&r, side);
	expect_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, reset_of_a_sink_mid_transfer)
{
	reset_sink(SHUTTLE_PEER, 0);
	reset_sink(SHUTTLE_OWNER, 16 * KIB);
}

/* A side that has had its FIN passed on is still listened to for a RST. */
static void
reset_after_its_sink_ended(int side)
{
	struct rig	 r;

	rig_open(&r);
	rig_carry(&r, 0, 10);
	rig_fin(&r, !side);
	rig_finish_reading(&r, side);
	rig_rst(&r, side);
	expect_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, reset_in_a_half_closed_relay)
{
	reset_after_its_sink_ended(SHUTTLE_PEER);
	reset_after_its_sink_ended(SHUTTLE_OWNER);
}

/*
 * ${side} sends ${n} bytes and a FIN and closes; what the other side sends
 * then meets a RST.  All ${n} bytes and the FIN arrive nevertheless, and the
 * other side learns by a RST that nobody listens.
 */
static void
fin_then_reset(int side, uint64_t n, int size)
{
	struct rig	 r;

	rig_open_sized(&r, size);
	while (r.sent[side] < n && rig_send(&r, side,
	    (size_t)(n - r.sent[side])) > 0)
		rig_step(&r, 1);
	/* A RST for whatever comes in after the close. */
	rig_fin_arrives(&r, side);
	close(r.end[side]);
	r.end[side] = -1;
	cr_assert_gt(rig_send(&r, !side, 100), 0);
	rig_rest(&r, 30);
	/* Written is not delivered: see it through to the last ACK. */
	while (r.alive && !r.s.way[side].fin) {
		(void)rig_read(&r, !side, 2 * KIB);
		rig_step(&r, 5);
	}
	rig_rest(&r, 100);
	rig_finish_reading(&r, !side);
	cr_expect_eq(r.got[!side], r.sent[side], "%llu of %llu bytes",
	    (unsigned long long)r.got[!side],
	    (unsigned long long)r.sent[side]);
	cr_expect(r.eof[!side], "%s", strerror(r.error[!side]));
	expect_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, fin_then_reset_loses_nothing)
{
	fin_then_reset(SHUTTLE_PEER, 1000, 0);
	fin_then_reset(SHUTTLE_OWNER, 1000, 0);
	fin_then_reset(SHUTTLE_PEER, 300 * KIB, 16 * KIB);
	fin_then_reset(SHUTTLE_OWNER, 300 * KIB, 16 * KIB);
	fin_then_reset(SHUTTLE_PEER, 16 * MIB, 0);
	fin_then_reset(SHUTTLE_OWNER, 16 * MIB, 0);
}

/* The same, and the reader does not read before it has written a lot. */
Test(shuttle, fin_then_reset_with_a_busy_writer)
{
	struct rig	 r;
	uint64_t	 n, want;
	int64_t		 limit;

	rig_open_sized(&r, 16 * KIB);
	(void)rig_stuff(&r, 0);
	n = r.sent[0];
	rig_fin_arrives(&r, 0);
	cr_assert_lt(r.got[1], n);
	close(r.end[0]);
	r.end[0] = -1;
	want = 4 * MIB;
	limit = mono_ms() + 20000;
	while (r.sent[1] < want && mono_ms() < limit) {
		(void)rig_send(&r, 1, (size_t)(want - r.sent[1]));
		rig_step(&r, 1);
	}
	cr_expect_eq(r.sent[1], want);
	rig_finish_reading(&r, 1);
	cr_expect_eq(r.got[1], n);
	cr_expect(r.eof[1]);
	rig_close(&r, CAUSE_PEER_RESET);
}

/* The same, and then the other side ends in its own way. */
static void
fin_then_reset_then(int side, int fin)
{
	struct rig	 r;
	uint64_t	 n;

	rig_open_sized(&r, 16 * KIB);
	(void)rig_stuff(&r, side);
	n = r.sent[side];
	rig_fin_arrives(&r, side);
	close(r.end[side]);
	r.end[side] = -1;
	cr_assert_gt(rig_send(&r, !side, 100), 0);
	rig_rest(&r, 30);
	cr_expect(r.alive);
	if (fin) {
		rig_fin(&r, !side);
		expect_quiet(&r);
		rig_finish_reading(&r, !side);
		cr_expect_eq(r.got[!side], n);
		cr_expect(r.eof[!side]);
	} else
		rig_rst(&r, !side);
	rig_close(&r, reset_cause(side));
}

Test(shuttle, fin_then_reset_then_the_other_end)
{
	fin_then_reset_then(SHUTTLE_PEER, 1);
	fin_then_reset_then(SHUTTLE_OWNER, 1);
	fin_then_reset_then(SHUTTLE_PEER, 0);
	fin_then_reset_then(SHUTTLE_OWNER, 0);
}

/*
 * Our FIN has gone to a side that then sends its own FIN and a RST, all
 * while its bytes are stuck behind a slow reader: the kernel's error does
 * not tell whether there was a FIN.
 */
static void
fin_fin_reset(int side, int with_fin)
{
	struct rig	 r;
	uint64_t	 n;

	rig_open_sized(&r, 16 * KIB);
	rig_fin(&r, !side);
	rig_finish_reading(&r, side);
	(void)rig_stuff(&r, side);
	n = r.sent[side];
	/* No RST ever comes out of a socket that is through with both. */
	if (with_fin)
		rig_fin_arrives(&r, side);
	rig_rst(&r, side);
	expect_quiet(&r);
	rig_finish_reading(&r, !side);
	if (with_fin) {
		cr_expect_eq(r.got[!side], n);
		cr_expect(r.eof[!side]);
		rig_close(&r, CAUSE_EOF);
	} else {
		cr_expect_not(r.eof[!side]);
		cr_expect_eq(r.error[!side], ECONNRESET);
		rig_close(&r, reset_cause(side));
	}
}

Test(shuttle, reset_of_a_source_after_our_fin)
{
	fin_fin_reset(SHUTTLE_PEER, 0);
	fin_fin_reset(SHUTTLE_OWNER, 0);
	fin_fin_reset(SHUTTLE_PEER, 1);
	fin_fin_reset(SHUTTLE_OWNER, 1);
}

/*
 * As above, and the RST finds our FIN still waiting behind bytes that this
 * side does not read: its own FIN came before, so its bytes are due.
 */
static void
fin_reset_in_closing(int side)
{
	struct rig	 r;
	uint64_t	 n;

	rig_open_sized(&r, 16 * KIB);
	/* Fits into the buffers on the way, not into the last of them. */
	while (r.s.way[!side].bytes < 40 * KIB) {
		(void)rig_send(&r, !side, 4 * KIB);
		rig_step(&r, 5);
	}
	rig_fin(&r, !side);
	rig_rest(&r, 100);
	cr_assert(r.s.way[!side].fin);
	(void)rig_stuff(&r, side);
	n = r.sent[side];
	rig_fin_arrives(&r, side);
	cr_assert_lt(r.got[!side], n);
	rig_rst(&r, side);
	expect_quiet(&r);
	rig_finish_reading(&r, !side);
	cr_expect_eq(r.got[!side], n);
	cr_expect(r.eof[!side], "%s", strerror(r.error[!side]));
	rig_close(&r, reset_cause(side));
}

Test(shuttle, reset_of_a_source_with_our_fin_under_way)
{
	fin_reset_in_closing(SHUTTLE_PEER);
	fin_reset_in_closing(SHUTTLE_OWNER);
}

/* Both sides are gone at the same time. */
Test(shuttle, reset_of_both)
{
	struct rig	 r;

	rig_open(&r);
	(void)rig_stuff(&r, 0);
	rig_rst(&r, 0);
	rig_rst(&r, 1);
	rig_wait_end(&r);
	rig_close(&r, r.s.cause == CAUSE_OWNER_RESET ? CAUSE_OWNER_RESET :
	    CAUSE_PEER_RESET);
}

Test(shuttle, end_from_outside_resets_both)
{
	struct rig	 r;

	rig_open(&r);
	(void)rig_stuff(&r, 0);
	shuttle_end(&r.s, CAUSE_CLOSED);
	r.alive = 0;
	r.ends = 1;
	expect_rst(&r, 0);
	expect_rst(&r, 1);
	rig_close(&r, CAUSE_CLOSED);
}

/* ---- limits ------------------------------------------------------------- */

static long
resident(void)
{
	long		 size, pages = 0;
	FILE		*f;

	cr_assert((f = fopen("/proc/self/statm", "r")) != NULL);
	cr_assert_eq(fscanf(f, "%ld %ld", &size, &pages), 2);
	fclose(f);
	return (pages * (sysconf(_SC_PAGESIZE) / KIB));
}

static void
slow_reader(int src)
{
	struct rig	 r;
	uint64_t	 n;
	long		 before;

	rig_open_sized(&r, 64 * KIB);
	rig_carry(&r, src, 2 * MIB);
	before = resident();
	n = rig_stuff(&r, src);
	/* Two pairs of buffers, which the kernel doubles, and a pipe. */
	cr_expect_lt(n, 2 * MIB, "%llu bytes taken", (unsigned long long)n);
	cr_expect_leq(r.s.way[src].in_pipe, 1 * MIB);
	cr_expect_lt(resident() - before, 512);
	expect_quiet(&r);
	cr_expect_lt(rig_stuff(&r, src), 64 * KIB);
	/* The other way is not affected. */
	rig_carry(&r, !src, 1 * MIB);
	rig_fin(&r, src);
	rig_finish_reading(&r, !src);
	cr_expect_eq(r.got[!src], r.sent[src]);
	rig_fin(&r, !src);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle, slow_reader_is_bounded)
{
	slow_reader(SHUTTLE_PEER);
	slow_reader(SHUTTLE_OWNER);
}

Test(shuttle, a_turn_is_bounded)
{
	struct rig	 r;
	uint64_t	 before, most = 0;
	int		 i, size = 4 * MIB;

	rig_open(&r);
	for (i = 0; i < 2; i++) {
		setsockopt(r.s.fd[i], SOL_SOCKET, SO_RCVBUF, &size,
		    sizeof(size));
		setsockopt(r.s.fd[i], SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
		setsockopt(r.end[i], SOL_SOCKET, SO_RCVBUF, &size,
		    sizeof(size));
		setsockopt(r.end[i], SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
	}
	for (i = 0; i < 200; i++) {
		while (rig_send(&r, 0, sizeof(scratch)) > 0)
			continue;
		poll(NULL, 0, 1);
		before = r.s.way[0].bytes;
		rig_step(&r, 1);
		if (r.s.way[0].bytes - before > most)
			most = r.s.way[0].bytes - before;
		while (rig_read(&r, 1, sizeof(scratch)) > 0)
			continue;
	}
	cr_expect_gt(most, 64 * KIB);
	cr_expect_leq(most, 2 * MIB);
	rig_rst(&r, 0);
	rig_close(&r, CAUSE_PEER_RESET);
}

/* Times are the caller's: nothing here waits for a clock. */
Test(shuttle, idle_limit)
{
	struct rig	 r;
	int64_t		 t;

	rig_open(&r);
	t = r.s.active;
	cr_expect_eq(shuttle_deadline(&r.s), t + IDLE_MS);
	cr_expect_eq(shuttle_overdue(&r.s, t + IDLE_MS - 1), CAUSE_NONE);
	cr_expect_eq(shuttle_overdue(&r.s, t + IDLE_MS), CAUSE_IDLE);
	/* A byte either way starts it anew. */
	cr_assert_eq(rig_send(&r, 1, 1), 1);
	poll(NULL, 0, 20);
	cr_assert_eq(shuttle_turn(&r.s, 0, POLLIN, t + 1000), 1);
	cr_expect_eq(shuttle_deadline(&r.s), t + 1000 + IDLE_MS);
	cr_expect_eq(shuttle_overdue(&r.s, t + IDLE_MS), CAUSE_NONE);
	r.s.idle_ms = 0;
	cr_expect_eq(shuttle_deadline(&r.s), INT64_MAX);
	cr_expect_eq(shuttle_overdue(&r.s, INT64_MAX - 1), CAUSE_NONE);
	shuttle_end(&r.s, CAUSE_IDLE);
	r.alive = 0;
	r.ends = 1;
	expect_rst(&r, 0);
	expect_rst(&r, 1);
	rig_close(&r, CAUSE_IDLE);
}

Test(shuttle, half_close_limit)
{
	struct rig	 r;
	int64_t		 t;

	rig_open(&r);
	t = r.s.active;
	rig_fin(&r, 0);
	poll(NULL, 0, 20);
	cr_assert_eq(shuttle_turn(&r.s, POLLIN, 0, t + 5), 1);
	cr_expect_eq(shuttle_deadline(&r.s), t + 5 + HALF_MS);
	cr_expect_eq(shuttle_overdue(&r.s, t + 4 + HALF_MS), CAUSE_NONE);
	cr_expect_eq(shuttle_overdue(&r.s, t + 5 + HALF_MS), CAUSE_HALF_CLOSE);
	cr_assert_eq(rig_send(&r, 1, 1), 1);
	poll(NULL, 0, 20);
	cr_assert_eq(shuttle_turn(&r.s, 0, POLLIN, t + 1000), 1);
	cr_expect_eq(shuttle_overdue(&r.s, t + 5 + HALF_MS), CAUSE_NONE);
	cr_expect_eq(shuttle_deadline(&r.s), t + 1000 + HALF_MS);
	shuttle_end(&r.s, CAUSE_HALF_CLOSE);
	r.alive = 0;
	r.ends = 1;
	rig_close(&r, CAUSE_HALF_CLOSE);
}

static int
user_timeout(int fd)
{
	int		 v = -1;
#ifdef TCP_USER_TIMEOUT
	socklen_t	 len = sizeof(v);

	getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &v, &len);
#endif
	return (v);
}

/* A reader that pauses is not dead, whatever the kernel's timer thinks. */
Test(shuttle, paused_reader_is_not_given_up)
{
	struct rig	 r;
	int64_t		 t;

	rig_open_sized(&r, 16 * KIB);
	(void)rig_stuff(&r, 0);
	expect_quiet(&r);
	t = r.s.active;
	cr_expect_eq(shuttle_deadline(&r.s), t + 30000);
	cr_expect_eq(shuttle_overdue(&r.s, t + 30000), CAUSE_NONE);
	cr_expect_eq(user_timeout(r.s.sock[1]), 0);
	cr_expect_neq(user_timeout(r.s.sock[0]), 0);
	cr_expect_eq(shuttle_deadline(&r.s), t + IDLE_MS);
	rig_fin(&r, 0);
	while (r.got[1] < r.sent[0] / 2) {
		rig_step(&r, 1);
		(void)rig_read(&r, 1, sizeof(scratch));
	}
	cr_expect_eq(user_timeout(r.s.sock[1]), 120000);
	rig_finish_reading(&r, 1);
	rig_fin(&r, 1);
	rig_close(&r, CAUSE_EOF);
}

/* ---- pipes -------------------------------------------------------------- */

/* No descriptor left: pipe2(2) fails, the bulk goes on. */
Test(shuttle, no_descriptor_for_a_pipe)
{
	struct rlimit	 was, none;
	struct rig	 r;
	int		 lowest, i;

	rig_open(&r);
	cr_assert_geq(lowest = dup(0), 0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)lowest;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_eq(dup(0), -1);
	rig_carry(&r, 0, 16 * MIB);
	rig_carry(&r, 1, 16 * MIB);
	(void)rig_stuff(&r, 0);
	expect_quiet(&r);
	for (i = 0; i < 2; i++)
		cr_expect_eq(r.s.way[i].pipe[0], -1);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	rig_fin(&r, 0);
	rig_finish_reading(&r, 1);
	cr_expect_eq(r.got[1], r.sent[0]);
	rig_fin(&r, 1);
	rig_close(&r, CAUSE_EOF);
}

#ifndef SHUTTLE_COPY

/* An ordinary user has used up what the kernel gives him for pipes. */
Test(shuttle, no_budget_for_a_pipe)
{
	struct rig	 r;
	struct rlimit	 lim;
	int		 fd[2], i, n;

	if (geteuid() == 0) {
		cr_assert_eq(setgroups(0, NULL), 0);
		cr_assert_eq(setresgid(65533, 65533, 65533), 0);
		cr_assert_eq(setresuid(65533, 65533, 65533), 0);
	}
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = lim.rlim_max < 4096 ? lim.rlim_max : 4096;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (i = n = 0; i < 1200; i++) {
		cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
		if (fcntl(fd[0], F_SETPIPE_SZ, 1 * MIB) == -1 &&
		    fcntl(fd[0], F_GETPIPE_SZ) < 64 * KIB)
			break;
	}
	cr_assert_lt(i, 1200, "no budget was reached");
	rig_open(&r);
	rig_carry(&r, 0, 16 * MIB);
	(void)rig_stuff(&r, 1);
	cr_expect_eq(r.s.way[1].pipe[0], -1);
	expect_quiet(&r);
	rig_fin(&r, 1);
	rig_finish_reading(&r, 0);
	cr_expect_eq(r.got[0], r.sent[1]);
	rig_fin(&r, 0);
	rig_close(&r, CAUSE_EOF);
}

/* A pipe is borrowed for a bulk, used, given back, and closed when idle. */
Test(shuttle, pipe_comes_and_goes)
{
	struct rig	 r;
	int		 before;

	rig_open_sized(&r, 64 * KIB);
	before = open_fds();
	rig_carry(&r, 0, 1000);
	rig_carry(&r, 1, 1000);
	cr_expect_eq(open_fds(), before);
	(void)rig_stuff(&r, 0);
	cr_expect_geq(r.s.way[0].pipe_size, 256 * KIB);
	cr_expect_gt(r.s.way[0].in_pipe, 0);
	cr_expect_eq(open_fds(), before + 2);
	while (r.got[1] < r.sent[0]) {
		rig_step(&r, 1);
		(void)rig_read(&r, 1, sizeof(scratch));
	}
	cr_expect_eq(r.s.way[0].pipe[0], -1);
	rig_rest(&r, 1500);
	cr_expect_eq(open_fds(), before);
	rig_rst(&r, 0);
	rig_close(&r, CAUSE_PEER_RESET);
}

/* A long bulk gets the large pipe. */
Test(shuttle, pipe_grows)
{
	struct rig	 r;

	rig_open(&r);
	rig_carry(&r, 0, 64 * MIB);
	(void)rig_stuff(&r, 0);
	cr_expect_eq(r.s.way[0].pipe_size, 1 * MIB);
	rig_rst(&r, 1);
	rig_close(&r, CAUSE_OWNER_RESET);
}

#endif

/* The sockets of another family that has streams do as well. */
Test(shuttle, local_sockets)
{
	struct rig	 r;
	int		 a[2], b[2];

	memset(&r, 0, sizeof(r));
	r.fds = open_fds();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	r.end[0] = a[0];
	r.end[1] = b[0];
	nonblock(a[0]);
	nonblock(a[1]);
	nonblock(b[0]);
	nonblock(b[1]);
	rig_start(&r, a[1], b[1]);
	rig_carry(&r, 0, 100);
	rig_carry(&r, 1, 3 * MIB);
	rig_carry(&r, 0, 3 * MIB);
	rig_fin(&r, 0);
	rig_finish_reading(&r, 1);
	rig_carry(&r, 1, 100);
	rig_fin(&r, 1);
	rig_finish_reading(&r, 0);
	rig_close(&r, CAUSE_EOF);
}

/* Many relays at once share the buffer and the pipes. */
#define MANY		20

Test(shuttle, many_relays)
{
	static struct rig r[MANY];
	uint32_t	 seed = 9;
	int64_t		 limit = mono_ms() + 40000;
	int		 i, done, fds = open_fds();

	for (i = 0; i < MANY; i++)
		rig_open_sized(&r[i], i % 2 ? 0 : 32 * KIB);
	for (done = 0; done < MANY;) {
		cr_assert_lt(mono_ms(), limit);
		for (i = 0; i < MANY; i++) {
			if (r[i].sent[0] < 2 * MIB)
				(void)rig_send(&r[i], 0, piece(&seed));
			(void)rig_send(&r[i], 1, chance(&seed) % 100);
			rig_step(&r[i], 0);
			(void)rig_read(&r[i], 0, 1000);
			if (chance(&seed) % 2)
				(void)rig_read(&r[i], 1, piece(&seed));
		}
		for (i = done = 0; i < MANY; i++)
			done += r[i].got[1] >= 2 * MIB;
	}
	for (i = 0; i < MANY; i++) {
		rig_rst(&r[i], i % 2);
		rig_wait_end(&r[i]);
		cr_expect_eq(r[i].s.cause, reset_cause(i % 2));
		close(r[i].end[!(i % 2)]);
	}
	cr_expect_eq(open_fds(), fds);
}
