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

#include <criterion/criterion.h>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "shuttle_rig.h"

TestSuite(shuttle, .timeout = 60);

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
		return (1 + chance(seed) % sizeof(rig_scratch));
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
	r.fds = rig_open_fds();
	rig_tcp_pair(&r.end[0], &near[0], 0);
	while (r.sent[0] < n)
		cr_assert_gt(rig_send(&r, 0, (size_t)(n - r.sent[0])), 0);
	if (fin)
		rig_fin(&r, 0);
	poll(NULL, 0, 20);
	rig_tcp_pair(&r.end[1], &near[1], 0);
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
	c = rig_stream(0, r.sent[0]);
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
	rig_expect_quiet(&r);
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
		while (rig_send(&r, 0, sizeof(rig_scratch)) > 0)
			continue;
		poll(NULL, 0, 1);
		before = r.s.way[0].bytes;
		rig_step(&r, 1);
		if (r.s.way[0].bytes - before > most)
			most = r.s.way[0].bytes - before;
		while (rig_read(&r, 1, sizeof(rig_scratch)) > 0)
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
	rig_expect_rst(&r, 0);
	rig_expect_rst(&r, 1);
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
	rig_expect_quiet(&r);
	t = r.s.active;
	cr_expect_eq(shuttle_deadline(&r.s), t + 30000);
	cr_expect_eq(shuttle_overdue(&r.s, t + 30000), CAUSE_NONE);
	cr_expect_eq(user_timeout(r.s.sock[1]), 0);
	cr_expect_neq(user_timeout(r.s.sock[0]), 0);
	cr_expect_eq(shuttle_deadline(&r.s), t + IDLE_MS);
	rig_fin(&r, 0);
	while (r.got[1] < r.sent[0] / 2) {
		rig_step(&r, 1);
		(void)rig_read(&r, 1, sizeof(rig_scratch));
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
	rig_expect_quiet(&r);
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
	rig_expect_quiet(&r);
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
	before = rig_open_fds();
	rig_carry(&r, 0, 1000);
	rig_carry(&r, 1, 1000);
	cr_expect_eq(rig_open_fds(), before);
	(void)rig_stuff(&r, 0);
	cr_expect_geq(r.s.way[0].pipe_size, 256 * KIB);
	cr_expect_gt(r.s.way[0].in_pipe, 0);
	cr_expect_eq(rig_open_fds(), before + 2);
	while (r.got[1] < r.sent[0]) {
		rig_step(&r, 1);
		(void)rig_read(&r, 1, sizeof(rig_scratch));
	}
	cr_expect_eq(r.s.way[0].pipe[0], -1);
	rig_rest(&r, 1500);
	cr_expect_eq(rig_open_fds(), before);
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
	r.fds = rig_open_fds();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	r.end[0] = a[0];
	r.end[1] = b[0];
	rig_nonblock(a[0]);
	rig_nonblock(a[1]);
	rig_nonblock(b[0]);
	rig_nonblock(b[1]);
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
	int		 i, done, fds = rig_open_fds();

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
		cr_expect_eq(r[i].s.cause, rig_reset_cause(i % 2));
		close(r[i].end[!(i % 2)]);
	}
	cr_expect_eq(rig_open_fds(), fds);
}
