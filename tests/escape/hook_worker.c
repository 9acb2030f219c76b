/* SPDX-License-Identifier: ISC */
/*
 * Linked into escape_worker only, which is passd-worker otherwise: a peer
 * who sends an escape_request once the session is paired has taken the
 * worker.  All other relays are served as ever.
 */
#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "escape.h"
#include "landlock.h"
#include "privdrop.h"
#include "shuttle.h"
#include "worker.h"

int	__real_shuttle_turn(struct shuttle *, short, short, int64_t);
int	__wrap_shuttle_turn(struct shuttle *, short, short, int64_t);
int	__real_landlock_begin(unsigned int);
int	__wrap_landlock_begin(unsigned int);
const char *__real_priv_lock(int, rlim_t);
const char *__wrap_priv_lock(int, rlim_t);
const char *__real_priv_worker(void);
const char *__wrap_priv_worker(void);

int
__wrap_shuttle_turn(struct shuttle *s, short peer, short owner, int64_t now)
{
	struct escape_reply	 reply;
	struct prey		 prey;
	ssize_t			 n;

	n = recv(s->fd[0], &prey.r, sizeof(prey.r), MSG_PEEK);
	if (n != (ssize_t)sizeof(prey.r) || memcmp(prey.r.magic, ESCAPE_MAGIC,
	    sizeof(prey.r.magic)) != 0)
		return (__real_shuttle_turn(s, peer, owner, now));
	(void)recv(s->fd[0], &prey.r, sizeof(prey.r), 0);
	prey.peer = s->fd[0];
	prey.listener = WORKER_LISTEN;
	prey.channel = WORKER_CHANNEL;
	reply.error = attempt_make(&prey);
	(void)send(s->fd[0], &reply, sizeof(reply), MSG_NOSIGNAL);
	/* The owner's side, too: some attempts cost the peer's connection. */
	(void)send(s->fd[1], &reply, sizeof(reply), MSG_NOSIGNAL);
	return (1);
}

int
__wrap_landlock_begin(unsigned int what)
{
	if (escape_layers() & ESCAPE_LANDLOCK)
		return (__real_landlock_begin(what));
	errno = ENOSYS;		/* as on a kernel without */
	return (-1);
}

const char *
__wrap_priv_lock(int forks, rlim_t data)
{
	if (escape_layers() & ESCAPE_LIMITS)
		return (__real_priv_lock(forks, data));
	/* The other layers cannot do without. */
	if (escape_layers() != 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return ("prctl no_new_privs");
	return (NULL);
}

const char *
__wrap_priv_worker(void)
{
	return (escape_layers() & ESCAPE_LIMITS ? __real_priv_worker() : NULL);
}
