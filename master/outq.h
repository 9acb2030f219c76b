/* SPDX-License-Identifier: ISC */
#ifndef MASTER_OUTQ_H
#define MASTER_OUTQ_H

#include <sys/types.h>

#include <stddef.h>

/*
 * Bytes waiting for a socket.  Written with send(2) and MSG_NOSIGNAL, so
 * that neither SIGPIPE nor the ioctl(2) of libevent's buffers has to be
 * reckoned with.
 */
struct outq {
	char		*buf;
	size_t		 head;	/* first byte not sent */
	size_t		 len;	/* bytes not sent */
	size_t		 size;
};

/*
 * outq_add(q, bytes, len, max):
 * Append ${len} ${bytes} if the queue then holds no more than ${max}.
 * Return 0, or -1 with errno ENOBUFS or ENOMEM and the queue as it was.
 */
int	outq_add(struct outq *, const void *, size_t, size_t);

/*
 * outq_send(q, fd):
 * Send what the socket ${fd} takes now.  Return the number of bytes, which
 * may be 0, or -1 with errno if the connection is broken.
 */
ssize_t	outq_send(struct outq *, int);

/* outq_clear(q): drop what is queued, free the memory. */
void	outq_clear(struct outq *);

#endif
