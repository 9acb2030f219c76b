/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outq.h"

#define OUTQ_FIRST	4096
#define OUTQ_KEEP	65536	/* more is given back once it is empty */

/* Make room for ${len} more bytes behind what is queued. */
static int
outq_grow(struct outq *q, size_t len)
{
	size_t	 size;
	char	*buf;

	if (len <= q->size - q->head - q->len)
		return (0);
	if (q->head > 0) {
		/* Moving costs no more than sending the bytes before did. */
		memmove(q->buf, q->buf + q->head, q->len);
		q->head = 0;
	}
	size = q->size == 0 ? OUTQ_FIRST : q->size;
	while (size - q->len < len)
		size *= 2;
	if (size == q->size)
		return (0);
	buf = realloc(q->buf, size);
	if (buf == NULL)
		return (-1);
	q->buf = buf;
	q->size = size;
	return (0);
}

int
outq_add(struct outq *q, const void *bytes, size_t len, size_t max)
{
	if (len > max || q->len > max - len) {
		errno = ENOBUFS;
		return (-1);
	}
	if (outq_grow(q, len) == -1)
		return (-1);
	memcpy(q->buf + q->head + q->len, bytes, len);
	q->len += len;
	return (0);
}

ssize_t
outq_send(struct outq *q, int fd)
{
	ssize_t	 n;

	if (q->len == 0)
		return (0);
	n = send(fd, q->buf + q->head, q->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1)
		return (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == EINTR || errno == ENOBUFS ? 0 : -1);
	q->head += (size_t)n;
	q->len -= (size_t)n;
	if (q->len == 0) {
		q->head = 0;
		if (q->size > OUTQ_KEEP)
			outq_clear(q);
	}
	return (n);
}

void
outq_clear(struct outq *q)
{
	free(q->buf);
	memset(q, 0, sizeof(*q));
}
