/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>

#include "move.h"

unsigned char	 move_buffer[MOVE_BUFFER];

enum move
move_peek(struct shuttle_way *way, int src, size_t size, size_t *n)
{
	ssize_t		 got;

	got = recv(src, move_buffer, size, MSG_PEEK | MSG_DONTWAIT);
	if (got > 0) {
		*n = (size_t)got;
		return (MOVE_MORE);
	}
	*n = 0;
	if (got == 0)
		return (MOVE_EOF);
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return (MOVE_WAIT_IN);
	way->error = errno;
	return (MOVE_IN_FAILED);
}

/*
 * They were there a moment ago and nobody else reads this socket, so fewer
 * only come back where the kernel stops at an urgent mark.
 */
static enum move
consume(struct shuttle_way *way, int src, size_t n)
{
	ssize_t		 got;

	while (n > 0) {
		if ((got = move_discard(src, n)) <= 0) {
			way->error = got == 0 ? EIO : errno;
			return (MOVE_IN_FAILED);
		}
		n -= (size_t)got;
	}
	return (MOVE_MORE);
}

enum move
move_push(struct shuttle_way *way, int src, int dst, size_t n)
{
	ssize_t		 sent;

	sent = send(dst, move_buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent == -1) {
		if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == ENOBUFS || errno == EINTR)
			return (MOVE_WAIT_OUT);
		way->error = errno;
		return (MOVE_OUT_FAILED);
	}
	way->bytes += (uint64_t)sent;
	if (consume(way, src, (size_t)sent) != MOVE_MORE)
		return (MOVE_IN_FAILED);
	return ((size_t)sent == n ? MOVE_MORE : MOVE_WAIT_OUT);
}
