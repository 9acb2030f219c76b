/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "move.h"

/*
 * Bulk data by splice(2).  A pipe belongs to a way only while it has bytes
 * in it; an empty one goes back to the pool, from where the next bulk takes
 * it.  So a worker needs one pipe for all its relays with fast readers, and
 * one more for each slow reader.  That matters, because the kernel gives
 * all pipes of an unprivileged user 64 MiB together.
 */
#define PIPE_SIZE	(256 * 1024)
#define PIPE_LARGE	(1024 * 1024)
#define PIPE_LEAST	(64 * 1024)	/* below it copying is as fast */
#define GROW_AFTER	(4 * 1024 * 1024)
#define BULK_TURNS	8		/* small reads until a bulk is over */
#define POOL_MAX	2
#define POOL_MS		1000		/* how long an idle pipe is kept */
#define RETRY_MS	1000		/* no pipe to be had: ask again after */

struct idle_pipe {
	int		 fd[2];
	uint32_t	 size;
};

static struct idle_pipe	 pool[POOL_MAX];
static int		 npool;
static int64_t		 pool_used;	/* when a pipe was last taken */
static int64_t		 no_pipe_until;
static int64_t		 no_grow_until;

void
move_setup(void)
{
}

static int
pipe_open(struct shuttle_way *way, int64_t now)
{
	int		 fd[2], size;

	if (now < no_pipe_until)
		return (0);
	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) == -1) {
		no_pipe_until = now + RETRY_MS;
		return (0);
	}
	/* Over its budget the user gets an 8 KiB pipe, and EPERM here. */
	(void)fcntl(fd[1], F_SETPIPE_SZ, PIPE_SIZE);
	size = fcntl(fd[1], F_GETPIPE_SZ);
	if (size < PIPE_LEAST) {
		close(fd[0]);
		close(fd[1]);
		no_pipe_until = now + RETRY_MS;
		return (0);
	}
	way->pipe[0] = fd[0];
	way->pipe[1] = fd[1];
	way->pipe_size = (uint32_t)size;
	return (1);
}

/* Called with none borrowed: only a way with bytes in its pipe keeps it. */
static int
pipe_take(struct shuttle_way *way, int64_t now)
{
	if (npool == 0)
		return (pipe_open(way, now));
	npool--;
	way->pipe[0] = pool[npool].fd[0];
	way->pipe[1] = pool[npool].fd[1];
	way->pipe_size = pool[npool].size;
	return (1);
}

static void
pipe_give(struct shuttle_way *way, int64_t now)
{
	if (npool == POOL_MAX) {
		move_release(way);
		return;
	}
	pool[npool].fd[0] = way->pipe[0];
	pool[npool].fd[1] = way->pipe[1];
	pool[npool].size = way->pipe_size;
	npool++;
	pool_used = now;
	way->pipe[0] = way->pipe[1] = -1;
}

/*
 * A larger pipe is faster, but sixteen times as many users of the default
 * size can have one as of the largest; ask only for those who will use it.
 */
static void
pipe_grow(struct shuttle_way *way, int64_t now)
{
	int		 size;

	if (now < no_grow_until)
		return;
	size = fcntl(way->pipe[1], F_SETPIPE_SZ, PIPE_LARGE);
	if (size > 0)
		way->pipe_size = (uint32_t)size;
	else
		no_grow_until = now + RETRY_MS;
}

void
move_release(struct shuttle_way *way)
{
	if (way->pipe[0] == -1)
		return;
	close(way->pipe[0]);
	close(way->pipe[1]);
	way->pipe[0] = way->pipe[1] = -1;
	way->in_pipe = 0;
}

/* MOVE_MORE: the pipe is empty. */
static enum move
drain(struct shuttle_way *way, int dst, int64_t now)
{
	ssize_t		 n;

	/*
	 * Never SPLICE_F_MORE: what it holds back nobody sends before the
	 * next byte comes.
	 */
	n = splice(way->pipe[0], NULL, dst, NULL, way->in_pipe,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return (MOVE_WAIT_OUT);
		way->error = errno;
		return (MOVE_OUT_FAILED);
	}
	way->bytes += (uint64_t)n;
	way->in_pipe -= (uint32_t)n;
	if (way->in_pipe > 0)
		return (MOVE_WAIT_OUT);
	pipe_give(way, now);
	return (MOVE_MORE);
}

/*
 * Fill the empty pipe.  MOVE_WAIT_IN is no more than a guess: splice(2)
 * stops at urgent data, and says that nothing is there, or even that
 * nothing will come.
 */
static enum move
fill(struct shuttle_way *way, int src, size_t left, int64_t now)
{
	ssize_t		 n;
	size_t		 size;

	if (way->lasted >= GROW_AFTER && way->pipe_size < PIPE_LARGE)
		pipe_grow(way, now);
	size = left < way->pipe_size ? left : way->pipe_size;
	n = splice(src, NULL, way->pipe[1], NULL, size,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		way->in_pipe = (uint32_t)n;
		if (way->lasted < GROW_AFTER)
			way->lasted += (uint32_t)n;
		if (n >= MOVE_SMALL)
			way->bulk = BULK_TURNS;
		else
			way->bulk--;
		return (MOVE_MORE);
	}
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		way->error = errno;
		move_release(way);
		return (MOVE_IN_FAILED);
	}
	pipe_give(way, now);
	return (MOVE_WAIT_IN);
}

static enum move
bulk(struct shuttle_way *way, int src, int dst, size_t *left, int64_t now)
{
	enum move	 m;
	size_t		 got, size;

	if ((m = fill(way, src, *left, now)) != MOVE_MORE)
		return (m);
	got = way->in_pipe;
	size = way->pipe_size;
	*left -= got;
	if ((m = drain(way, dst, now)) != MOVE_MORE)
		return (m);
	/* What has come meanwhile is cheaper to take in one go, later. */
	return (got < size ? MOVE_WAIT_IN : MOVE_MORE);
}

/* Small data, and any data when no pipe can be had. */
static enum move
small(struct shuttle_way *way, int src, int dst, size_t *left)
{
	enum move	 m;
	size_t		 n, size;

	size = way->bulk ? MOVE_BUFFER : MOVE_SMALL;
	if ((m = move_peek(way, src, size, &n)) != MOVE_MORE)
		return (m);
	if (n < MOVE_SMALL)
		way->bulk = 0;
	else if (!way->bulk) {
		/* It is all still there for the pipe. */
		way->bulk = BULK_TURNS;
		way->lasted = 0;
		return (MOVE_MORE);
	}
	if ((m = move_push(way, src, dst, n)) != MOVE_MORE)
		return (m);
	*left -= n < *left ? n : *left;
	return (n < size ? MOVE_WAIT_IN : MOVE_MORE);
}

enum move
move_run(struct shuttle_way *way, int src, int dst, size_t left, int64_t now)
{
	enum move	 m = MOVE_MORE;
	size_t		 start = left;

	if (way->in_pipe > 0)
		m = drain(way, dst, now);
	while (m == MOVE_MORE && left > 0) {
		if (!way->bulk || !pipe_take(way, now)) {
			m = small(way, src, dst, &left);
			continue;
		}
		m = bulk(way, src, dst, &left, now);
		if (m == MOVE_WAIT_IN && left == start) {
			/* poll(2) says otherwise: ask the one who knows. */
			m = small(way, src, dst, &left);
		}
	}
	return (m);
}

ssize_t
move_discard(int fd, size_t n)
{
	/* TCP: with MSG_TRUNC nothing is copied. */
	return (recv(fd, move_buffer, n, MSG_TRUNC | MSG_DONTWAIT));
}

int64_t
move_deadline(void)
{
	return (npool > 0 ? pool_used + POOL_MS : INT64_MAX);
}

void
move_trim(int64_t now)
{
	if (now < move_deadline())
		return;
	while (npool > 0) {
		npool--;
		close(pool[npool].fd[0]);
		close(pool[npool].fd[1]);
	}
}
