/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "loop.h"
#include "xalloc.h"

#define NAME_MS		30000	/* for one address of a name */

struct dial {
	int			 fd;
	int			 error;
	dial_fn			 fn;
	void			*arg;
	struct loop_timer	*timer;
};

static void
finish(struct dial *d, int error)
{
	int	 fd = d->fd;

	if (fd != -1)
		loop_del(fd);
	loop_timer_del(d->timer);
	if (error != 0 && fd != -1) {
		(void)close(fd);
		fd = -1;
	}
	d->fn(fd, error, d->arg);
	free(d);
}

static void
on_writable(int fd, short revents, void *arg)
{
	int		 error = 0;
	socklen_t	 len = sizeof(error);

	(void)revents;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	finish(arg, error);
}

static void
on_timeout(void *arg)
{
	struct dial	*d = arg;

	d->timer = NULL;
	finish(d, d->error != 0 ? d->error : ETIMEDOUT);
}

/* A new socket on its way to ${sa}; -1 with errno. */
static int
start(const struct sockaddr *sa, socklen_t len)
{
	int	 fd, one = 1, saved;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, sa, len) == 0 || errno == EINPROGRESS)
		return (fd);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return (-1);
}

struct dial *
dial(const struct addr *addr, int64_t ms, dial_fn fn, void *arg)
{
	struct dial		*d = xcalloc(1, sizeof(*d));
	struct sockaddr_storage	 ss;
	socklen_t		 len = addr_to_sa(addr, &ss);

	d->fn = fn;
	d->arg = arg;
	d->fd = -1;
	if (len == 0)
		d->error = EAFNOSUPPORT;
	else if ((d->fd = start((struct sockaddr *)&ss, len)) == -1)
		d->error = errno;
	else
		loop_add(d->fd, POLLOUT, on_writable, d);
	d->timer = loop_timer(d->error != 0 ? 0 : ms, on_timeout, d);
	return (d);
}

void
dial_cancel(struct dial *d)
{
	if (d == NULL)
		return;
	loop_timer_del(d->timer);
	if (d->fd != -1) {
		loop_del(d->fd);
		(void)close(d->fd);
	}
	free(d);
}

struct waiting {
	int	 done;
	int	 fd;
	int	 error;
};

static void
on_dialled(int fd, int error, void *arg)
{
	struct waiting	*w = arg;

	w->fd = fd;
	w->error = error;
	w->done = 1;
}

int
dial_wait(const struct addr *addr, int64_t ms, int *error)
{
	struct waiting	 w = { 0, -1, 0 };
	struct dial	*d = dial(addr, ms, on_dialled, &w);

	while (!w.done && loop_once(-1))
		;
	if (!w.done) {
		dial_cancel(d);
		w.error = EINTR;
	}
	*error = w.error;
	return (w.fd);
}

/* Wait for a connection that was started.  Return 0 or an errno. */
static int
connected(int fd)
{
	struct pollfd	 pfd = { fd, POLLOUT, 0 };
	int		 error = 0;
	socklen_t	 len = sizeof(error);

	if (poll(&pfd, 1, NAME_MS) == 0)
		return (ETIMEDOUT);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (errno);
	return (error);
}

int
dial_name(const char *host, const char *port, const char **why)
{
	struct addrinfo	 hints, *all, *ai;
	int		 fd = -1, error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	if ((error = getaddrinfo(host, port, &hints, &all)) != 0) {
		*why = gai_strerror(error);
		return (-1);
	}
	*why = "no address";
	for (ai = all; ai != NULL; ai = ai->ai_next) {
		error = 0;
		if ((fd = start(ai->ai_addr, ai->ai_addrlen)) == -1)
			error = errno;
		else
			error = connected(fd);
		if (error == 0)
			break;
		*why = strerror(error);
		if (fd != -1)
			(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(all);
	return (fd);
}
