/* SPDX-License-Identifier: ISC */
/*
 * bare: the least a spliced TCP relay can be, as a yardstick for run.sh.
 * usage: bare listening-descriptor backend-port pipe-size
 * No limits, no timeouts, no care for resets: do not use it for anything.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct way { int in, out, pipe[2], eof, fin; size_t held; };
struct relay { struct way way[2]; };

enum { ENDED = 0, WAIT = 1, AGAIN = 2 };

static size_t	pipe_size;

/*
 * Move bytes until the kernel says wait, or some turns, so that others get
 * theirs: WAIT, AGAIN, or ENDED when this way has ended.
 */
static int
pump(struct way *w)
{
	const unsigned int flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
	ssize_t n;
	char c;
	int turn;

	for (turn = 0; turn < 2; turn++) {
		if (w->held == 0 && w->eof) {
			if (!w->fin++)
				shutdown(w->out, SHUT_WR);
			return ENDED;
		}
		/* The pipe is made late: few relays carry data both ways. */
		if (w->pipe[0] == -1) {
			if ((n = recv(w->in, &c, 1, MSG_PEEK)) == -1)
				return WAIT;
			if ((w->eof = n == 0))
				continue;
			if (pipe2(w->pipe, O_NONBLOCK | O_CLOEXEC) == -1)
				err(1, "pipe2");
			fcntl(w->pipe[0], F_SETPIPE_SZ, (int)pipe_size);
		}
		if (!w->eof && w->held == 0) {
			n = splice(w->in, NULL, w->pipe[1], NULL, pipe_size,
			    flags);
			if (n == -1)
				return WAIT;
			w->eof = n == 0;
			w->held += (size_t)n;
		}
		while (w->held > 0) {
			n = splice(w->pipe[0], NULL, w->out, NULL, w->held,
			    flags);
			if (n <= 0)
				return WAIT;
			w->held -= (size_t)n;
		}
	}
	return AGAIN;
}

static void
join(int ep, int peer, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct relay *r = calloc(1, sizeof(*r));
	int one = 1, i, fd[2] = { peer, socket(AF_INET, SOCK_STREAM, 0) };

	if (r == NULL || fd[1] == -1 ||
	    connect(fd[1], (struct sockaddr *)&to, sizeof(to)) == -1)
		err(1, "backend");
	for (i = 0; i < 2; i++) {
		r->way[i] = (struct way){ fd[i], fd[!i], { -1, -1 }, 0, 0, 0 };
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
		setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	ev.data.ptr = r;
	for (i = 0; i < 2; i++)
		epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev);
}

static void
leave(struct relay *r)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(r->way[i].in);
		if (r->way[i].pipe[0] != -1) {
			close(r->way[i].pipe[0]);
			close(r->way[i].pipe[1]);
		}
	}
	free(r);
}

int
main(int argc, char *argv[])
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct relay *r;
	int ep = epoll_create1(0), lfd, peer, state;

	if (argc != 4 || ep == -1)
		errx(1, "usage: bare listening-descriptor port pipe-size");
	lfd = (int)strtol(argv[1], NULL, 10);
	pipe_size = strtoul(argv[3], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
	/* One event a turn: a relay that has left is in no later one. */
	while (epoll_wait(ep, &ev, 1, -1) == 1) {
		if ((r = ev.data.ptr) == NULL) {
			if ((peer = accept(lfd, NULL, NULL)) != -1)
				join(ep, peer,
				    (uint16_t)strtoul(argv[2], NULL, 10));
			continue;
		}
		state = pump(&r->way[0]) | pump(&r->way[1]);
		if (state == ENDED || (ev.events & EPOLLERR))
			leave(r);
		else if (state & AGAIN) {
			/* Modifying makes an edge, behind all others. */
			ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
			epoll_ctl(ep, EPOLL_CTL_MOD, r->way[0].in, &ev);
		}
	}
	err(1, "epoll_wait");
}
