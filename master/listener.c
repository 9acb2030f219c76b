/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "listener.h"

static int
listen_on(const struct addr *bind_addr, uint16_t port, int backlog)
{
	struct sockaddr_storage	 ss;
	struct addr		 a = *bind_addr;
	const int		 on = 1;
	socklen_t		 len;
	int			 fd, saved;

	a.port = port;
	if ((len = addr_to_sa(&a, &ss)) == 0) {
		errno = EINVAL;
		return (-1);
	}
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1)
		return (-1);
	/* Two sockets, one a family: nothing v4-mapped ever comes in. */
	if (a.family == ADDR_V6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
	    &on, sizeof(on)) == -1)
		goto close_fd;
	/* For connections of the last owner that are in TIME_WAIT still. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		goto close_fd;
	/* What is accepted inherits it: a worker on OpenBSD may not set it. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		goto close_fd;
	if (bind(fd, (struct sockaddr *)&ss, len) == -1)
		goto close_fd;
	if (listen(fd, backlog) == -1)
		goto close_fd;
	return (fd);
 close_fd:
	saved = errno;
	(void)close(fd);
	errno = saved;
	return (-1);
}

static int
open_both(const struct conf *c, int backlog, struct listeners *l)
{
	const struct conf_listen	*families[LISTENERS_MAX];
	size_t				 i;
	int				 saved;

	families[0] = &c->listen4;
	families[1] = &c->listen6;
	l->n = 0;
	for (i = 0; i < LISTENERS_MAX; i++) {
		if (!families[i]->set)
			continue;
		l->fd[l->n] = listen_on(&families[i]->bind, l->port, backlog);
		if (l->fd[l->n] == -1) {
			saved = errno;
			listeners_close(l);
			errno = saved;
			return (-1);
		}
		l->n++;
	}
	return (0);
}

int
listeners_open(const struct conf *c, struct pool *p, int64_t now, int backlog,
    struct listeners *l)
{
	size_t	 left = pool_left(p, now);
	int	 saved;

	memset(l, 0, sizeof(*l));
	for (; left > 0; left--) {
		if ((l->port = pool_take(p, now)) == 0)
			break;
		if (open_both(c, backlog, l) == 0)
			return (0);
		saved = errno;
		pool_give(p, l->port, now);
		l->port = 0;
		errno = saved;
		/* Held by somebody else, or refused: only that number. */
		if (errno != EADDRINUSE && errno != EACCES)
			return (-1);
	}
	errno = ENOSPC;
	return (-1);
}

void
listeners_close(struct listeners *l)
{
	size_t	 i;

	for (i = 0; i < l->n; i++)
		(void)close(l->fd[i]);
	l->n = 0;
}
