/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"

#define MESSAGE_BURST	32	/* messages of one channel a turn */

struct queued {
	TAILQ_ENTRY(queued)	 entry;
	int			 fds[MSG_FDS_MAX];
	size_t			 nfds;
	size_t			 len;
	unsigned char		 bytes[];
};

struct chan {
	int			 fd;
	enum msg_edge		 edge;
	uint16_t		 states;
	const struct chan_handler *handler;
	void			*arg;
	struct event		 readable;
	struct event		 writable;
	TAILQ_HEAD(, queued)	 queue;
	size_t			 nqueued;
	size_t			 queue_max;
	int			 ended;
	const char		*why;
	int			*freed;	/* set if freed within a handler */
};

static void
queued_free(struct queued *q)
{
	size_t	 i;

	for (i = 0; i < q->nfds; i++) {
		if (q->fds[i] != -1)
			(void)close(q->fds[i]);
	}
	free(q);
}

/* The end is told from the event loop, never from within chan_send(). */
static void
end(struct chan *c, const char *why)
{
	if (c->ended)
		return;
	c->ended = 1;
	c->why = why;
	event_active(&c->readable, EV_READ, 1);
}

static void
on_readable(int fd, short what, void *arg)
{
	static struct msg_in	 in;
	struct chan		*c = arg;
	int			 freed = 0, i;

	(void)what;
	c->freed = &freed;
	for (i = 0; i < MESSAGE_BURST && !c->ended; i++) {
		switch (msg_recv(fd, c->edge, c->states, &in)) {
		case MSG_OK:
			c->handler->message(&in, c->arg);
			msg_close_fds(&in);
			if (freed)
				return;
			break;
		case MSG_NOTHING:
			c->freed = NULL;
			return;
		case MSG_EOF:
			c->ended = 1;
			break;
		case MSG_LOST:
			/* Only the parent sends any: begin anew with room. */
		case MSG_BAD:
			c->ended = 1;
			c->why = in.why;
			break;
		}
	}
	if (c->ended) {
		(void)event_del(&c->readable);
		(void)event_del(&c->writable);
		c->handler->ended(c->why, c->arg);
		if (freed)
			return;
	}
	c->freed = NULL;
}

static int
would_block(int error)
{
	return (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct chan	*c = arg;
	struct queued	*q;

	(void)what;
	while ((q = TAILQ_FIRST(&c->queue)) != NULL) {
		if (msg_send(fd, q->bytes, q->len, q->fds, q->nfds) == -1) {
			if (!would_block(errno))
				(void)event_del(&c->writable);
			return;
		}
		TAILQ_REMOVE(&c->queue, q, entry);
		c->nqueued--;
		queued_free(q);
	}
	(void)event_del(&c->writable);
}

struct chan *
chan_new(int fd, enum msg_edge edge, uint16_t states,
    const struct chan_handler *handler, void *arg)
{
	struct chan	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		(void)close(fd);
		errno = ENOMEM;
		return (NULL);
	}
	c->fd = fd;
	c->edge = edge;
	c->states = states;
	c->handler = handler;
	c->arg = arg;
	c->queue_max = CHAN_QUEUE_MAX;
	TAILQ_INIT(&c->queue);
	event_set(&c->readable, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_set(&c->writable, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (event_add(&c->readable, NULL) == -1) {
		chan_free(c);
		errno = ENOMEM;
		return (NULL);
	}
	return (c);
}

void
chan_free(struct chan *c)
{
	struct queued	*q;

	if (c == NULL)
		return;
	(void)event_del(&c->readable);
	(void)event_del(&c->writable);
	while ((q = TAILQ_FIRST(&c->queue)) != NULL) {
		TAILQ_REMOVE(&c->queue, q, entry);
		queued_free(q);
	}
	if (c->freed != NULL)
		*c->freed = 1;
	(void)close(c->fd);
	free(c);
}

void
chan_states(struct chan *c, uint16_t states)
{
	c->states = states;
}

void
chan_queue_max(struct chan *c, size_t n)
{
	c->queue_max = n;
}

size_t
chan_queued(const struct chan *c)
{
	return (c->nqueued);
}

static int
enqueue(struct chan *c, const void *m, size_t len, const int *fds,
    size_t nfds)
{
	struct queued	*q;

	if (c->nqueued >= c->queue_max ||
	    (q = calloc(1, sizeof(*q) + len)) == NULL)
		return (-1);
	memcpy(q->bytes, m, len);
	q->len = len;
	for (; q->nfds < nfds; q->nfds++) {
		/* The caller closes its own; ours has to live on. */
		q->fds[q->nfds] = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 3);
		if (q->fds[q->nfds] == -1) {
			queued_free(q);
			return (-1);
		}
	}
	TAILQ_INSERT_TAIL(&c->queue, q, entry);
	if (c->nqueued++ == 0)
		(void)event_add(&c->writable, NULL);
	return (0);
}

int
chan_send(struct chan *c, const void *m, size_t len, const int *fds,
    size_t nfds)
{
	if (c->ended)
		return (-1);
	if (c->nqueued == 0) {
		if (msg_send(c->fd, m, len, fds, nfds) == 0)
			return (0);
		/* What it sent before it went comes first, then its end. */
		if (!would_block(errno))
			return (-1);
	}
	if (enqueue(c, m, len, fds, nfds) == -1) {
		end(c, "does not read its messages");
		return (-1);
	}
	return (0);
}
