/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "move.h"
#include "shuttle.h"
#include "tcp.h"

/*
 * Bytes a way moves in one turn.  Enough to use a large pipe whole; little
 * enough that a small message of another relay of this port waits for less
 * than a millisecond.
 */
#define TURN_BYTES	(1024 * 1024)

/* After a late reset: first look, longest wait between two looks. */
#define CHECK_FIRST_MS	5
#define CHECK_MOST_MS	1000

/* A sink that took nothing for so long is looked at: paused or dead? */
#define STUCK_MS	30000

static int	 live;			/* relays of this process */

void
shuttle_setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	move_setup();
}

void
shuttle_reset(int fd)
{
	if (fd != -1)
		tcp_abort(fd);
}

/* What a failure of ${side}'s socket is called in the log. */
static enum cause
cause_of(int side, int error)
{
	switch (error) {
	case EBADF:
	case EFAULT:
	case EINVAL:
	case EIO:
	case ENOMEM:
	case ENOTSOCK:
	case EPERM:
		return (CAUSE_ERROR);
	default:
		return (side == SHUTTLE_PEER ? CAUSE_PEER_RESET :
		    CAUSE_OWNER_RESET);
	}
}

static void
close_side(struct shuttle *s, int side, int reset)
{
	if (s->sock[side] == -1)
		return;
	if (reset)
		tcp_abort(s->sock[side]);
	else
		close(s->sock[side]);
	s->sock[side] = s->fd[side] = -1;
}

/* The one place where a relay ends; returns 0 for shuttle_turn(). */
static int
finish(struct shuttle *s, enum cause cause, int reset)
{
	int		 i;

	for (i = 0; i < 2; i++) {
		close_side(s, i, reset);
		move_release(&s->way[i]);
		s->way[i].want_in = s->way[i].want_out = 0;
	}
	s->cause = cause;
	if (--live == 0)
		move_trim(INT64_MAX);
	return (0);
}

/*
 * Choose what to poll.  A side that hung up is polled only if something can
 * be done for it, see shuttle_events().
 */
static int
settle(struct shuttle *s)
{
	int		 i;

	for (i = 0; i < 2; i++)
		s->fd[i] = s->hung[i] && shuttle_events(s, i) == 0 ?
		    -1 : s->sock[i];
	return (1);
}

void
shuttle_start(struct shuttle *s, int peer, int owner, uint32_t idle_ms,
    uint32_t half_close_ms, int64_t now)
{
	int		 i;

	memset(s, 0, sizeof(*s));
	s->sock[SHUTTLE_PEER] = peer;
	s->sock[SHUTTLE_OWNER] = owner;
	for (i = 0; i < 2; i++) {
		s->way[i].pipe[0] = s->way[i].pipe[1] = -1;
		s->way[i].want_in = 1;
		s->way[i].look = now + STUCK_MS;
		tcp_tune(s->sock[i]);
	}
	s->idle_ms = idle_ms;
	s->half_close_ms = half_close_ms;
	s->active = now;
	s->cause = CAUSE_NONE;
	live++;
	(void)settle(s);
}

short
shuttle_events(const struct shuttle *s, int side)
{
	short		 events = 0;

	if (s->way[side].want_in)
		events |= POLLIN;
	if (s->way[!side].want_out)
		events |= POLLOUT;
	return (events);
}

/*
 * The socket of ${side} has failed with ${error}.  What it had sent before
 * its FIN still belongs to the other side (a client that sends a request,
 * closes, and is reset by the answer's first bytes is nothing unusual), so
 * then only the way to ${side} ends here.  The kernel says EPIPE where a
 * RST met a connection whose FIN had come, read by us or not, and ours had
 * not gone: only then can a way to ${side} be open and fail.
 */
static int
side_failed(struct shuttle *s, int side, int error, int64_t now)
{
	struct shuttle_way *to = &s->way[!side];

	if (s->late != CAUSE_NONE)
		return (finish(s, s->late, 1));
	if (!s->way[side].eof && error != EPIPE)
		return (finish(s, cause_of(side, error), 1));
	s->late = cause_of(side, error);
	s->dead = (uint8_t)side;
	s->hung[side] = 1;
	move_release(to);
	to->want_in = !to->eof;
	to->want_out = 0;
	if (s->half == 0)
		s->half = now;
	s->check_ms = CHECK_FIRST_MS;
	s->check = now + s->check_ms;
	return (1);
}

/*
 * Nobody is left to read what comes on the way to a dead side.  It is read
 * all the same: a writer that is stuck would not come to reading what the
 * dead side has left for it.
 */
static int
sink_hole(struct shuttle *s, int src)
{
	struct shuttle_way *way = &s->way[src];
	ssize_t		 n;

	n = move_discard(s->sock[src], MOVE_BUFFER);
	if (n > 0)
		return (1);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return (1);
	if (n == -1)
		return (finish(s, s->late, 1));
	way->eof = 1;
	way->want_in = 0;
	return (1);
}

/* The source has ended and its last byte is written: pass the FIN on. */
static int
pass_fin(struct shuttle *s, int src, int64_t now)
{
	struct shuttle_way *way = &s->way[src];

	way->eof = way->fin = 1;
	s->active = now;
	if (s->half == 0)
		s->half = now;
	if (shutdown(s->sock[!src], SHUT_WR) == -1)
		return (side_failed(s, !src, tcp_error(s->sock[!src]), now));
	return (1);
}

static void
progress(struct shuttle *s, int src, int64_t now)
{
	struct shuttle_way *way = &s->way[src];

	s->active = now;
	way->look = now + STUCK_MS;
	if (way->patient) {
		way->patient = 0;
		tcp_patience(s->sock[!src], 0);
	}
}

static int
run_way(struct shuttle *s, int src, int64_t now)
{
	struct shuttle_way *way = &s->way[src];
	uint64_t	 bytes = way->bytes;
	uint32_t	 in_pipe = way->in_pipe;
	enum move	 m;

	m = move_run(way, s->sock[src], s->sock[!src], TURN_BYTES, now);
	way->want_in = m == MOVE_MORE || m == MOVE_WAIT_IN;
	way->want_out = m == MOVE_WAIT_OUT;
	if (way->bytes != bytes || way->in_pipe != in_pipe)
		progress(s, src, now);
	switch (m) {
	case MOVE_EOF:
		return (pass_fin(s, src, now));
	case MOVE_IN_FAILED:
		return (side_failed(s, src, way->error, now));
	case MOVE_OUT_FAILED:
		return (side_failed(s, !src, way->error, now));
	default:
		return (1);
	}
}

/*
 * ${side} has hung up.  While bytes can still be read from it or written to
 * it, doing so tells what happened, and in the right order.
 */
static int
hung_up(struct shuttle *s, int side, short revents, int64_t now)
{
	int		 error;

	s->hung[side] = 1;
	if (!(revents & (POLLERR | POLLNVAL)) || shuttle_events(s, side) != 0 ||
	    s->late != CAUSE_NONE)
		return (1);
	/*
	 * With our FIN on its way the kernel says ECONNRESET whether there
	 * was a FIN from there or not.  Asking would take the error away,
	 * and then even a plain reset would read as a FIN: leave it for
	 * the read that comes when the other side has made room.
	 */
	if (s->way[!side].fin && !s->way[side].eof)
		return (1);
	if ((error = tcp_error(s->sock[side])) == 0)
		return (1);
	return (side_failed(s, side, error, now));
}

/*
 * Both FINs are passed on.  A side that was reset all the same has not got
 * what was on its way: that is not a plain end.
 */
static int
both_ended(struct shuttle *s, int64_t now)
{
	int		 error, i;

	for (i = 0; i < 2; i++)
		if (s->hung[i] && (error = tcp_error(s->sock[i])) != 0 &&
		    !side_failed(s, i, error, now))
			return (0);
	return (s->late != CAUSE_NONE ? 1 : finish(s, CAUSE_EOF, 0));
}

int
shuttle_turn(struct shuttle *s, short revents_peer, short revents_owner,
    int64_t now)
{
	const short	 gone = POLLERR | POLLHUP | POLLNVAL;
	short		 revents[2];
	int		 i;

	if (s->cause != CAUSE_NONE)
		return (0);
	revents[SHUTTLE_PEER] = revents_peer;
	revents[SHUTTLE_OWNER] = revents_owner;
	for (i = 0; i < 2; i++) {
		if (!(s->way[i].want_in && (revents[i] & (POLLIN | gone))) &&
		    !(s->way[i].want_out && (revents[!i] & (POLLOUT | gone))))
			continue;
		if (s->late != CAUSE_NONE && s->dead != i) {
			if (!sink_hole(s, i))
				return (0);
		} else if (!run_way(s, i, now))
			return (0);
	}
	for (i = 0; i < 2; i++)
		if ((revents[i] & gone) &&
		    !hung_up(s, i, revents[i], now))
			return (0);
	if (s->way[0].fin && s->way[1].fin && s->late == CAUSE_NONE &&
	    !both_ended(s, now))
		return (0);
	return (settle(s));
}

static int64_t
limit(const struct shuttle *s)
{
	uint32_t	 ms = s->idle_ms;

	if (s->half != 0 && s->half_close_ms != 0)
		ms = s->half_close_ms;
	return (ms == 0 ? INT64_MAX : s->active + ms);
}

int64_t
shuttle_deadline(const struct shuttle *s)
{
	const struct shuttle_way *way;
	int64_t		 at, other;

	if (s->cause != CAUSE_NONE)
		return (INT64_MAX);
	at = limit(s);
	for (way = s->way; way < s->way + 2; way++)
		if (way->want_out && !way->patient && way->look < at)
			at = way->look;
	if (s->late != CAUSE_NONE && s->check < at)
		at = s->check;
	if ((other = move_deadline()) < at)
		at = other;
	return (at);
}

/* Keep the kernel from giving up a reader that is only slow. */
static void
look_at_sink(struct shuttle *s, int src, int64_t now)
{
	struct shuttle_way *way = &s->way[src];

	if (!way->want_out || way->patient || now < way->look)
		return;
	way->look = now + STUCK_MS;
	if (tcp_paused(s->sock[!src])) {
		way->patient = 1;
		tcp_patience(s->sock[!src], 1);
	}
}

enum cause
shuttle_overdue(struct shuttle *s, int64_t now)
{
	move_trim(now);
	if (s->cause != CAUSE_NONE)
		return (CAUSE_NONE);
	look_at_sink(s, 0, now);
	look_at_sink(s, 1, now);
	if (s->late != CAUSE_NONE && now >= s->check) {
		if (s->way[s->dead].fin && tcp_delivered(s->sock[!s->dead]))
			return (s->late);
		if ((s->check_ms *= 2) > CHECK_MOST_MS)
			s->check_ms = CHECK_MOST_MS;
		s->check = now + s->check_ms;
	}
	if (now < limit(s))
		return (CAUSE_NONE);
	return (s->half != 0 ? CAUSE_HALF_CLOSE : CAUSE_IDLE);
}

void
shuttle_end(struct shuttle *s, enum cause cause)
{
	if (s->cause == CAUSE_NONE)
		(void)finish(s, cause, 1);
}
