/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include "addr.h"

/* fn(fd, error, arg): a connected, non-blocking socket that is the callee's
 * from now on, or -1 and an errno. */
typedef void (*dial_fn)(int, int, void *);

struct dial;

/*
 * dial(addr, ms, fn, arg):
 * Connect to an address and port within ${ms} milliseconds, with TCP_NODELAY,
 * and call ${fn} once, never from in here.  The handle is good until then.
 */
struct dial *dial(const struct addr *, int64_t, dial_fn, void *);

/* dial_cancel(d): give it up; ${fn} is not called.  NULL is allowed. */
void	dial_cancel(struct dial *);

/*
 * dial_wait(addr, ms, error):
 * The same, waiting: runs the loop.  Return the socket, or -1 with an errno
 * in ${error} (EINTR: a signal asks us to end).
 */
int	dial_wait(const struct addr *, int64_t, int *);

/*
 * dial_name(host, port, error):
 * Look ${host}, a name or an address, up, and connect to the first of its
 * addresses that answers.  Blocks.  Return the socket, non-blocking, or -1
 * with what went wrong in ${error}, a string that lasts.
 */
int	dial_name(const char *, const char *, const char **);

#endif
