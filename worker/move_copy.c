/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include "move.h"

/* The portable relay: every byte goes through move_buffer. */

void
move_setup(void)
{
}

enum move
move_run(struct shuttle_way *way, int src, int dst, size_t left, int64_t now)
{
	enum move	 m;
	size_t		 n, size;

	(void)now;
	for (;;) {
		size = way->bulk ? MOVE_BUFFER : MOVE_SMALL;
		if ((m = move_peek(way, src, size, &n)) != MOVE_MORE ||
		    (m = move_push(way, src, dst, n)) != MOVE_MORE)
			return (m);
		way->bulk = n >= MOVE_SMALL;
		/* Less than asked for: no more there, save the call. */
		if (n < size)
			return (MOVE_WAIT_IN);
		if (n >= left)
			return (MOVE_MORE);
		left -= n;
	}
}

ssize_t
move_discard(int fd, size_t n)
{
	return (recv(fd, move_buffer, n, MSG_DONTWAIT));
}

void
move_release(struct shuttle_way *way)
{
	(void)way;
}

int64_t
move_deadline(void)
{
	return (INT64_MAX);
}

void
move_trim(int64_t now)
{
	(void)now;
}
