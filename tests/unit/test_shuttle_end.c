/* SPDX-License-Identifier: ISC */
/* How a relay ends: FIN, RST, both, and what must still arrive. */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "shuttle_rig.h"

TestSuite(shuttle_end, .timeout = 60);

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
	rig_expect_quiet(&r);
	cr_expect(r.alive);
	rig_carry(&r, second, 3 * MIB);
	rig_carry(&r, second, 1);
	rig_expect_quiet(&r);
	rig_fin(&r, second);
	rig_finish_reading(&r, first);
	cr_expect(r.eof[first]);
	rig_wait_end(&r);
	cr_expect_eq(r.s.way[first].bytes, 1100);
	cr_expect_eq(r.s.way[second].bytes, 3 * MIB + 101);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle_end, half_close_by_peer)
{
	half_close(SHUTTLE_PEER);
}

Test(shuttle_end, half_close_by_owner)
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
	rig_expect_quiet(&r);
	rig_finish_reading(&r, !src);
	cr_expect_eq(r.got[!src], n);
	cr_expect(r.eof[!src]);
	rig_close(&r, CAUSE_EOF);
}

Test(shuttle_end, fin_waits_for_the_last_byte)
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
	rig_expect_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, reset_when_idle)
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
	rig_expect_quiet(&r);
	rig_rst(&r, side);
	rig_expect_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, reset_of_a_source_mid_transfer)
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
	rig_expect_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, reset_of_a_sink_mid_transfer)
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
	rig_expect_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, reset_in_a_half_closed_relay)
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
	rig_expect_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, fin_then_reset_loses_nothing)
{
	fin_then_reset(SHUTTLE_PEER, 1000, 0);
	fin_then_reset(SHUTTLE_OWNER, 1000, 0);
	fin_then_reset(SHUTTLE_PEER, 300 * KIB, 16 * KIB);
	fin_then_reset(SHUTTLE_OWNER, 300 * KIB, 16 * KIB);
	fin_then_reset(SHUTTLE_PEER, 16 * MIB, 0);
	fin_then_reset(SHUTTLE_OWNER, 16 * MIB, 0);
}

/* The same, and the reader does not read before it has written a lot. */
Test(shuttle_end, fin_then_reset_with_a_busy_writer)
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
		rig_expect_quiet(&r);
		rig_finish_reading(&r, !side);
		cr_expect_eq(r.got[!side], n);
		cr_expect(r.eof[!side]);
	} else
		rig_rst(&r, !side);
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, fin_then_reset_then_the_other_end)
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
	rig_expect_quiet(&r);
	rig_finish_reading(&r, !side);
	if (with_fin) {
		cr_expect_eq(r.got[!side], n);
		cr_expect(r.eof[!side]);
		rig_close(&r, CAUSE_EOF);
	} else {
		cr_expect_not(r.eof[!side]);
		cr_expect_eq(r.error[!side], ECONNRESET);
		rig_close(&r, rig_reset_cause(side));
	}
}

Test(shuttle_end, reset_of_a_source_after_our_fin)
{
	fin_fin_reset(SHUTTLE_PEER, 0);
	fin_fin_reset(SHUTTLE_OWNER, 0);
	fin_fin_reset(SHUTTLE_PEER, 1);
	fin_fin_reset(SHUTTLE_OWNER, 1);
}

/* What was sent is in the relay's socket; the other end reads to that aim. */
static void
all_arrives(struct rig *r, int side)
{
	int64_t		 limit = mono_ms() + 10000;
	int		 left;

	for (;;) {
		cr_assert_eq(ioctl(r->end[side], TIOCOUTQ, &left), 0);
		if (left == 0)
			return;
		cr_assert_lt(mono_ms(), limit);
		(void)rig_read(r, !side, 2 * KIB);
		rig_rest(r, 10);
	}
}

/*
 * As above, and the RST finds our FIN still waiting behind bytes that this
 * side does not read: its own FIN came before, so its bytes are due.
 */
static void
fin_reset_in_closing(int side, int at_once)
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
	if (at_once) {
		/* The relay gets to see both at the same time. */
		all_arrives(&r, side);
		rig_fin(&r, side);
		poll(NULL, 0, 30);
	} else
		rig_fin_arrives(&r, side);
	cr_assert_lt(r.got[!side], n);
	cr_assert_not(r.s.way[side].eof);
	rig_rst(&r, side);
	rig_expect_quiet(&r);
	rig_finish_reading(&r, !side);
	cr_expect_eq(r.got[!side], n);
	cr_expect(r.eof[!side], "%s", strerror(r.error[!side]));
	rig_close(&r, rig_reset_cause(side));
}

Test(shuttle_end, reset_of_a_source_with_our_fin_under_way)
{
	fin_reset_in_closing(SHUTTLE_PEER, 0);
	fin_reset_in_closing(SHUTTLE_OWNER, 0);
	fin_reset_in_closing(SHUTTLE_PEER, 1);
	fin_reset_in_closing(SHUTTLE_OWNER, 1);
}

/* Both sides are gone at the same time. */
Test(shuttle_end, reset_of_both)
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

Test(shuttle_end, end_from_outside_resets_both)
{
	struct rig	 r;

	rig_open(&r);
	(void)rig_stuff(&r, 0);
	shuttle_end(&r.s, CAUSE_CLOSED);
	r.alive = 0;
	r.ends = 1;
	rig_expect_rst(&r, 0);
	rig_expect_rst(&r, 1);
	rig_close(&r, CAUSE_CLOSED);
}
