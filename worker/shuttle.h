/* SPDX-License-Identifier: ISC */
#ifndef WORKER_SHUTTLE_H
#define WORKER_SHUTTLE_H

#include <stdint.h>

#include "cause.h"

/*
 * A relay: two connected TCP sockets and the bytes between them.  All
 * state is in this struct; nothing is ever allocated.  Small data goes
 * through one buffer that all relays of a worker share, bulk data through
 * a pipe that a direction borrows and gives back as soon as it is empty.
 * Not a byte rests in the memory of the process between two calls, so a
 * slow reader costs a bounded pipe and the kernel's socket buffers.
 *
 * Side 0 is the peer (the stranger who connected to the port), side 1 the
 * owner's leg.  Way 0 carries bytes from side 0 to side 1, way 1 the other
 * way.
 */
#define SHUTTLE_PEER	0
#define SHUTTLE_OWNER	1

struct shuttle_way {			/* one direction */
	uint64_t	 bytes;		/* written out so far */
	uint32_t	 in_pipe;	/* bytes in the borrowed pipe */
	uint32_t	 pipe_size;	/* its capacity, as read back */
	int		 pipe[2];	/* -1: none borrowed */
	int		 error;		/* errno of a failed move */
	int64_t		 look;		/* if stuck: next look at the sink */
	uint8_t		 patient;	/* sink may take its time */
	uint8_t		 eof;		/* source has sent its FIN */
	uint8_t		 fin;		/* FIN passed on */
	uint8_t		 want_in;	/* wait for the source to be readable */
	uint8_t		 want_out;	/* wait for the sink to be writable */
	uint8_t		 bulk;		/* 0: small data, else a bulk goes on */
	uint32_t	 lasted;	/* bytes that this bulk has moved */
};

struct shuttle {
	int		 fd[2];		/* to be polled; -1: not now */
	int		 sock[2];	/* the sockets; -1 once closed */
	struct shuttle_way way[2];
	int64_t		 active;	/* mono_ms() of the last byte or FIN */
	int64_t		 half;		/* of the first FIN; 0: none yet */
	int64_t		 check;		/* next look after a late reset */
	uint32_t	 check_ms;	/* and the wait before that look */
	uint32_t	 idle_ms;	/* 0: no limit */
	uint32_t	 half_close_ms;	/* idle limit after the first FIN */
	uint8_t		 hung[2];	/* POLLHUP or POLLERR seen */
	uint8_t		 dead;		/* the side of ${late} */
	enum cause	 late;		/* reset that came after a FIN */
	enum cause	 cause;		/* CAUSE_NONE while it runs */
};

/*
 * shuttle_setup():
 * Prepare what all relays of this process share, which includes ignoring
 * SIGPIPE (splice(2) raises it and has no MSG_NOSIGNAL).  Call once, before
 * the first shuttle_start() and before the process locks itself in.
 */
void	shuttle_setup(void);

/*
 * shuttle_start(s, peer, owner, idle_ms, half_close_ms, now):
 * Join the connected, non-blocking sockets ${peer} and ${owner}, which ${s}
 * owns from here on: TCP_NODELAY, keepalive and, where the platform has it,
 * TCP_USER_TIMEOUT are set on both.  ${idle_ms} without a byte either way
 * ends the relay (0: never); after the first FIN ${half_close_ms} without a
 * byte does (XEP-0003 3).  Options that cannot be set are no error: a reset
 * socket shows itself in the first turn.
 */
void	shuttle_start(struct shuttle *, int, int, uint32_t, uint32_t, int64_t);

/*
 * shuttle_events(s, side):
 * Return the poll(2) events to wait for on s->fd[side].  That descriptor is
 * -1, which poll(2) skips, while the side has hung up and nothing can be
 * done for it: POLLHUP cannot be masked and would turn the loop hot.  0
 * means that only POLLERR and POLLHUP are of interest.  Both may change
 * with every call below, so ask anew before each poll(2).
 */
short	shuttle_events(const struct shuttle *, int);

/*
 * shuttle_turn(s, revents_peer, revents_owner, now):
 * Move what can be moved, at most a fixed number of bytes a direction so
 * that relays beside this one get their turn.  The revents are those of
 * poll(2), 0 for a side that was not polled.  Return 1 while the relay
 * lives, 0 when it has ended: the sockets and pipes are then closed and
 * s->cause says why (CAUSE_EOF, CAUSE_PEER_RESET, CAUSE_OWNER_RESET,
 * CAUSE_ERROR).  A FIN is passed on as FIN after the last byte, a reset as
 * reset; a reset that came after that side's FIN takes nothing away from
 * the other side: it gets the bytes, the FIN, then the reset (PROTOCOL.md
 * 1, row 19).
 */
int	shuttle_turn(struct shuttle *, short, short, int64_t);

/*
 * shuttle_deadline(s):
 * Return the mono_ms() time at which shuttle_overdue() has to be called,
 * or INT64_MAX if there is none.
 */
int64_t	shuttle_deadline(const struct shuttle *);

/*
 * shuttle_overdue(s, now):
 * Call when the deadline has passed (earlier calls do no harm).  Return
 * CAUSE_NONE, and the caller asks for the deadline anew, or the cause with
 * which the caller shall call shuttle_end(): CAUSE_IDLE or CAUSE_HALF_CLOSE
 * if that limit has been hit at ${now}, CAUSE_PEER_RESET or
 * CAUSE_OWNER_RESET if a side was reset after its FIN and the other side
 * has received everything by now.
 */
enum cause shuttle_overdue(struct shuttle *, int64_t);

/*
 * shuttle_end(s, cause):
 * End a relay from outside: both sockets are closed with a reset, so that
 * neither side can take a cut stream for a complete one, pipes are given
 * back, and s->cause is ${cause} unless the relay had ended already.
 */
void	shuttle_end(struct shuttle *, enum cause);

/*
 * shuttle_reset(fd):
 * Close the socket ${fd} so that its peer gets a RST (SO_LINGER with zero
 * seconds); -1 is ignored.
 */
void	shuttle_reset(int);

#endif
