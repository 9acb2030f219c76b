/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CHAN_H
#define MASTER_CHAN_H

#include <stddef.h>
#include <stdint.h>

#include "msg.h"

/*
 * A message channel in the event loop of control: reads what the table
 * allows, and queues, within bounds, what the other side does not read at
 * the moment.  Never blocks.
 */

#define CHAN_QUEUE_MAX	64	/* messages that wait, if not told else */

struct chan;

struct chan_handler {
	/* A message; descriptors that are not taken (set to -1) get closed. */
	void	(*message)(struct msg_in *, void *arg);
	/*
	 * The channel has ended: the other side closed it (${why} NULL), sent
	 * what the table forbids, or does not read.  The callee calls
	 * chan_free(), now or later; nothing more will come.
	 */
	void	(*ended)(const char *why, void *arg);
};

/*
 * chan_new(fd, in, states, h, arg):
 * Serve the channel ${fd}, taken over, on which messages arrive over the
 * edge ${in} while the receiver is in ${states}.  Return it, or NULL with
 * errno ENOMEM; ${fd} is then closed.
 */
struct chan *chan_new(int, enum msg_edge, uint16_t,
    const struct chan_handler *, void *);

/* chan_free(c): close the channel and free ${c}; NULL is allowed. */
void	chan_free(struct chan *);

/* chan_states(c, states): messages are now judged by ${states}. */
void	chan_states(struct chan *, uint16_t);

/* chan_queue_max(c, n): from now on ${n} messages may wait. */
void	chan_queue_max(struct chan *, size_t);

/* chan_queued(c): how many messages wait. */
size_t	chan_queued(const struct chan *);

/*
 * chan_send(c, m, len, fds, nfds):
 * Send a message with copies of ${nfds} descriptors, which stay the
 * caller's.  Return 0, also when it is queued; -1 if the channel has ended
 * or its queue is full: the other side is then not to be relied on, and
 * ended() is called from the event loop.
 */
int	chan_send(struct chan *, const void *, size_t, const int *, size_t);

#endif
