/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "relay.h"
#include "ui.h"

#define BUFFER		(256 * 1024)
#define PROGRESS_MS	500

/* One direction. */
struct way {
	int		 from;		/* -1: has ended */
	int		 to;		/* -1: has ended, or was shut down */
	int		 is_peer;	/* from is the peer's socket */
	size_t		 off;
	size_t		 len;		/* bytes in buf after off */
	uint64_t	*count;
	unsigned char	*buf;
};

struct state {
	struct relay	*r;
	struct way	 way[2];	/* 0: from the peer, 1: to it */
	int		 error;		/* errno that ends it */
	int		 peer_failed;	/* and whose it is */
	int		 no_reader;	/* of out, a pipe */
	int64_t		 active;
	int64_t		 shown;
};

static unsigned char	 buffers[2][BUFFER];
static int		 saved_flags[2] = { -1, -1 };

static int
is_socket(int fd)
{
	struct stat	 st;

	return (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
}

static void
restore_flags(int fd)
{
	if (fd > STDOUT_FILENO || saved_flags[fd] == -1)
		return;
	(void)fcntl(fd, F_SETFL, saved_flags[fd]);
	saved_flags[fd] = -1;
}

void
relay_stdio(int restore)
{
	struct stat	 st;
	int		 fd;

	for (fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
		if (restore)
			restore_flags(fd);
		else if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) ||
		    S_ISSOCK(st.st_mode)) &&
		    (saved_flags[fd] = fcntl(fd, F_GETFL)) != -1)
			(void)fcntl(fd, F_SETFL,
			    saved_flags[fd] | O_NONBLOCK);
	}
}

static int
again(void)
{
	return (errno == EAGAIN || errno == EINTR);
}

static void
failed(struct state *s, int error, int peer)
{
	if (s->error == 0) {
		s->error = error;
		s->peer_failed = peer;
	}
}

/* No more bytes will be written this way. */
static void
end_of(struct state *s, struct way *w)
{
	struct relay	*r = s->r;

	if (w->to == -1)
		return;
	if (w->to == r->peer || is_socket(w->to))
		(void)shutdown(w->to, SHUT_WR);
	else {
		restore_flags(w->to);
		(void)close(w->to);
	}
	w->to = -1;
}

static void
move_in(struct state *s, struct way *w)
{
	ssize_t	 n;

	if ((n = read(w->from, w->buf, BUFFER)) == -1) {
		if (!again())
			failed(s, errno, w->is_peer);
		return;
	}
	s->active = mono_ms();
	w->off = 0;
	w->len = (size_t)n;
	if (n == 0) {
		w->from = -1;
		end_of(s, w);
	}
}

static void
move_out(struct state *s, struct way *w)
{
	ssize_t	 n;

	if ((n = write(w->to, w->buf + w->off, w->len)) == -1) {
		if (!again())
			failed(s, errno, !w->is_peer);
		return;
	}
	s->active = mono_ms();
	w->off += (size_t)n;
	w->len -= (size_t)n;
	*w->count += (uint64_t)n;
}

/* What one descriptor has to be watched for. */
static short
wanted(const struct state *s, int fd)
{
	short	 events = 0;
	int	 i;

	for (i = 0; i < 2; i++) {
		if (s->way[i].from == fd && s->way[i].len == 0)
			events |= POLLIN;
		if (s->way[i].to == fd && s->way[i].len > 0)
			events |= POLLOUT;
	}
	return (events);
}

/*
 * A reset that no read will tell, since nothing is to be read or written.
 * That the reader of a pipe has gone matters when there is more for him: tar
 * does not wait for the end of its input.
 */
static void
look_for_reset(struct state *s, const struct pollfd *pfd, int peer)
{
	int		 error = 0;
	socklen_t	 len = sizeof(error);

	if (!(pfd->revents & POLLERR) || pfd->events != 0)
		return;
	if (getsockopt(pfd->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		s->no_reader = 1;
	else
		failed(s, error != 0 ? error : EPIPE, peer);
}

static int
turn_ms(const struct state *s)
{
	int64_t	 left = 60000;

	if (s->r->progress != NULL)
		left = PROGRESS_MS;
	if (s->r->idle_ms > 0 &&
	    s->active + s->r->idle_ms - mono_ms() < left)
		left = s->active + s->r->idle_ms - mono_ms();
	return (left < 0 ? 0 : (int)left);
}

static void
move(struct state *s, const struct pollfd *pfd, size_t n)
{
	size_t	 i, k;

	for (i = 0; i < n; i++) {
		if (pfd[i].revents == 0)
			continue;
		for (k = 0; k < 2; k++) {
			struct way	*w = &s->way[k];

			if (w->from == pfd[i].fd && w->len == 0)
				move_in(s, w);
			/* At once: most of the time there is room. */
			if (w->len > 0 && w->to != -1 && (w->to ==
			    pfd[i].fd || w->from == pfd[i].fd))
				move_out(s, w);
		}
		look_for_reset(s, &pfd[i], pfd[i].fd == s->r->peer);
	}
}

/* One turn.  Return 0 when the relay has ended. */
static int
turn(struct state *s)
{
	struct relay	*r = s->r;
	struct pollfd	 pfd[4], *watch;
	int64_t		 now;
	size_t		 n = 0;

	pfd[n++] = (struct pollfd){ r->peer, wanted(s, r->peer), 0 };
	if (s->way[1].from == r->in || s->way[0].to == r->in)
		pfd[n++] = (struct pollfd){ r->in, wanted(s, r->in), 0 };
	if (r->out != r->in && s->way[0].to == r->out &&
	    (!s->no_reader || wanted(s, r->out) != 0))
		pfd[n++] = (struct pollfd){ r->out, wanted(s, r->out), 0 };
	/* A parent that has died: negative descriptors are not looked at. */
	watch = &pfd[n];
	*watch = (struct pollfd){ r->watch, 0, 0 };
	if (poll(pfd, (nfds_t)n + 1, turn_ms(s)) == -1 && errno != EINTR)
		failed(s, errno, 0);
	move(s, pfd, n);
	if (watch->revents & (POLLHUP | POLLERR))
		failed(s, ECANCELED, 0);
	now = mono_ms();
	if (r->progress != NULL && now - s->shown >= PROGRESS_MS) {
		s->shown = now;
		r->progress(r, r->arg);
	}
	if (r->idle_ms > 0 && now - s->active >= r->idle_ms)
		failed(s, ETIMEDOUT, -1);
	/* Nobody waits for a person at a terminal once the peer is gone. */
	if (s->way[0].to == -1 && s->way[1].from == STDIN_FILENO &&
	    isatty(STDIN_FILENO) == 1)
		return (0);
	return (s->error == 0 && (s->way[0].to != -1 || s->way[1].to != -1));
}

static void
reset(int fd)
{
	struct linger	 off = { 1, 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

/* Whoever is left shall know that it did not end well. */
static int
finish(struct state *s, char *why, size_t size)
{
	struct relay	*r = s->r;

	why[0] = '\0';
	if (s->error != 0) {
		reset(r->peer);
		reset(r->in);
		(void)snprintf(why, size, "%s", s->peer_failed == -1 ?
		    "idle for too long" : strerror(s->error));
	}
	restore_flags(r->in);
	restore_flags(r->out);
	(void)close(r->peer);
	(void)close(r->in);
	if (r->out != r->in && s->way[0].to != -1)
		(void)close(r->out);
	if (s->error == 0)
		return (EXIT_DONE);
	return (s->peer_failed == -1 ? EXIT_TIMEOUT :
	    s->peer_failed ? EXIT_PEER : EXIT_USAGE);
}

int
relay_run(struct relay *r, char *why, size_t size)
{
	struct state	 s;

	memset(&s, 0, sizeof(s));
	s.r = r;
	s.way[0] = (struct way){ r->peer, r->out, 1, 0, 0, &r->from_peer,
	    buffers[0] };
	s.way[1] = (struct way){ r->in, r->peer, 0, 0, 0, &r->to_peer,
	    buffers[1] };
	s.active = s.shown = mono_ms();
	while (turn(&s))
		;
	return (finish(&s, why, size));
}
