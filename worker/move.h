/* SPDX-License-Identifier: ISC */
#ifndef WORKER_MOVE_H
#define WORKER_MOVE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "shuttle.h"

/*
 * One direction of a relay: bytes from a source socket to a sink socket.
 * move.c has the way for small data, which is all there is on some
 * platforms: look at what the kernel holds (MSG_PEEK), send it, and take
 * from the source exactly what the sink took.  What could not be sent thus
 * stays in the source's receive queue, flow control reaches the sender, and
 * nothing is left over in our memory.  move_splice.c or move_copy.c, chosen
 * by configure, have the rest.
 */
enum move {
	MOVE_MORE,		/* something moved, try again */
	MOVE_WAIT_IN,		/* the source has nothing more for now */
	MOVE_WAIT_OUT,		/* the sink is full */
	MOVE_EOF,		/* the source's FIN, all before it moved */
	MOVE_IN_FAILED,		/* way->error says how */
	MOVE_OUT_FAILED
};

/* A read that fills this much is the sign of a bulk. */
#define MOVE_SMALL	(16 * 1024)
/* What a bulk without a pipe is copied by. */
#define MOVE_BUFFER	(64 * 1024)

/* Scratch: its content means nothing between two calls. */
extern unsigned char	 move_buffer[MOVE_BUFFER];

/*
 * move_peek(way, src, size, n):
 * Copy up to ${size} (at most MOVE_BUFFER) of the bytes that wait in ${src}
 * to move_buffer, without taking them, and store their number in ${n}.
 * Return MOVE_MORE, MOVE_WAIT_IN, MOVE_EOF or MOVE_IN_FAILED.
 */
enum move move_peek(struct shuttle_way *, int, size_t, size_t *);

/*
 * move_push(way, src, dst, n):
 * Send the ${n} bytes that move_peek() has found, take from ${src} what was
 * sent and count it.  Return MOVE_MORE if all of it was, else
 * MOVE_WAIT_OUT, MOVE_OUT_FAILED or MOVE_IN_FAILED.
 */
enum move move_push(struct shuttle_way *, int, int, size_t);

/* What move_splice.c and move_copy.c have in common. */

/*
 * move_setup():
 * Prepare what all relays of the process share.
 */
void	move_setup(void);

/*
 * move_run(way, src, dst, left, now):
 * Move bytes until one of the sockets has to be waited for, has ended or
 * failed, or about ${left} bytes were moved (MOVE_MORE).  Both sockets have
 * to be non-blocking.  A byte taken from ${src} is in ${dst} or in the
 * way's pipe when this returns; with MOVE_EOF the pipe is empty.
 */
enum move move_run(struct shuttle_way *, int, int, size_t, int64_t);

/*
 * move_discard(fd, n):
 * Take ${n} (at most MOVE_BUFFER) bytes from ${fd} and throw them away; may
 * write to move_buffer.  Returns as recv(2).
 */
ssize_t	move_discard(int, size_t);

/*
 * move_release(way):
 * Give up the way's pipe with whatever is in it.
 */
void	move_release(struct shuttle_way *);

/*
 * move_deadline(), move_trim(now):
 * Pipes are kept for the next bulk.  Return the mono_ms() time at which
 * move_trim() ought to be called, INT64_MAX if none is kept; close them if
 * no bulk has used them for a second before ${now}, INT64_MAX: at once.
 */
int64_t	move_deadline(void);
void	move_trim(int64_t);

#endif
