/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "mono.h"
#include "xalloc.h"

struct watch {
	int		 fd;
	short		 events;
	loop_fd_fn	 fn;
	void		*arg;
	unsigned int	 born;		/* round in which it was added */
	TAILQ_ENTRY(watch) entry;
};

struct loop_timer {
	int64_t		 when;
	loop_fn		 fn;
	void		*arg;
	TAILQ_ENTRY(loop_timer) entry;
};

static TAILQ_HEAD(, watch)	 watches = TAILQ_HEAD_INITIALIZER(watches);
static TAILQ_HEAD(, loop_timer)	 timers = TAILQ_HEAD_INITIALIZER(timers);
static size_t			 nwatches;
static unsigned int		 round_no;
static int			 (*pump)(int *, short *);
static void			 (*on_child)(void);
static int			 poked;		/* do not wait this time */

/* Signals become bytes in a pipe, so that poll(2) sees them. */
static int			 sig_pipe[2] = { -1, -1 };
static volatile sig_atomic_t	 sig_end, sig_child;

static void
on_signal(int sig)
{
	int	 saved = errno;

	if (sig == SIGCHLD)
		sig_child = 1;
	else
		sig_end = sig;
	if (write(sig_pipe[1], "", 1) == -1) {
		/* Full: it wakes poll all the same. */
	}
	errno = saved;
}

static void
catch_signal(int sig, int flags)
{
	struct sigaction	 sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = flags;
	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(sig, &sa, NULL);
}

void
loop_init(void)
{
	if (pipe2(sig_pipe, O_CLOEXEC | O_NONBLOCK) == -1)
		abort();
	catch_signal(SIGINT, (int)SA_RESETHAND);
	catch_signal(SIGTERM, (int)SA_RESETHAND);
	catch_signal(SIGHUP, (int)SA_RESETHAND);
	catch_signal(SIGCHLD, SA_RESTART | SA_NOCLDSTOP);
	(void)signal(SIGPIPE, SIG_IGN);
}

int
loop_interrupted(void)
{
	return (sig_end);
}

static struct watch *
find(int fd)
{
	struct watch	*w;

	TAILQ_FOREACH(w, &watches, entry) {
		if (w->fd == fd)
			return (w);
	}
	return (NULL);
}

void
loop_add(int fd, short events, loop_fd_fn fn, void *arg)
{
	struct watch	*w = xcalloc(1, sizeof(*w));

	w->fd = fd;
	w->events = events;
	w->fn = fn;
	w->arg = arg;
	w->born = round_no;
	TAILQ_INSERT_TAIL(&watches, w, entry);
	nwatches++;
}

void
loop_del(int fd)
{
	struct watch	*w = find(fd);

	if (w == NULL)
		return;
	TAILQ_REMOVE(&watches, w, entry);
	nwatches--;
	free(w);
}

struct loop_timer *
loop_timer(int64_t ms, loop_fn fn, void *arg)
{
	struct loop_timer	*t = xcalloc(1, sizeof(*t)), *other;

	t->when = mono_ms() + (ms < 0 ? 0 : ms);
	t->fn = fn;
	t->arg = arg;
	TAILQ_FOREACH(other, &timers, entry) {
		if (other->when > t->when)
			break;
	}
	if (other != NULL)
		TAILQ_INSERT_BEFORE(other, t, entry);
	else
		TAILQ_INSERT_TAIL(&timers, t, entry);
	return (t);
}

void
loop_timer_del(struct loop_timer *t)
{
	if (t == NULL)
		return;
	TAILQ_REMOVE(&timers, t, entry);
	free(t);
}

void
loop_pump(int (*fn)(int *, short *))
{
	pump = fn;
}

void
loop_poke(void)
{
	poked = 1;
}

void
loop_on_child(void (*fn)(void))
{
	on_child = fn;
}

/* How long to wait: until ${until}, the first timer, what the pump allows. */
static int
wait_ms(int64_t until, int most)
{
	struct loop_timer	*t = TAILQ_FIRST(&timers);
	int64_t			 now = mono_ms(), ms = 60000;

	if (most >= 0 && most < ms)
		ms = most;
	if (until >= 0 && until - now < ms)
		ms = until - now;
	if (t != NULL && t->when - now < ms)
		ms = t->when - now;
	return (ms < 0 ? 0 : (int)ms);
}

static void
fire_timers(void)
{
	struct loop_timer	*t;
	int64_t			 now = mono_ms();
	loop_fn			 fn;
	void			*arg;

	while ((t = TAILQ_FIRST(&timers)) != NULL && t->when <= now) {
		fn = t->fn;
		arg = t->arg;
		loop_timer_del(t);
		fn(arg);
	}
}

static void
drain_signals(void)
{
	char	 buf[64];

	while (read(sig_pipe[0], buf, sizeof(buf)) > 0)
		;
	if (sig_child) {
		sig_child = 0;
		if (on_child != NULL)
			on_child();
	}
}

/*
 * A callback may have removed a watch, or put a new one on a descriptor that
 * was closed and came again: that one's turn is the next round.
 */
static void
tell(const struct pollfd *pfd, size_t n)
{
	struct watch	*w;
	size_t		 i;

	for (i = 0; i < n; i++) {
		if (pfd[i].revents == 0 || (w = find(pfd[i].fd)) == NULL ||
		    w->born == round_no)
			continue;
		w->fn(w->fd, pfd[i].revents, w->arg);
	}
}

/* The watches, then the pump's descriptor, then that of the signals. */
static struct pollfd *
gather(const struct pollfd *extra, size_t *count)
{
	struct pollfd	*pfd = xcalloc(nwatches + 2, sizeof(*pfd));
	struct watch	*w;
	size_t		 n = 0;

	TAILQ_FOREACH(w, &watches, entry) {
		pfd[n].fd = w->fd;
		pfd[n++].events = w->events;
	}
	pfd[n++] = *extra;
	pfd[n].fd = sig_pipe[0];
	pfd[n++].events = POLLIN;
	*count = n;
	return (pfd);
}

static void
turn(int64_t until)
{
	struct pollfd	*pfd, extra = { -1, 0, 0 };
	size_t		 n;
	int		 most = -1;

	/* What main code has queued leaves now, and what has come is read. */
	if (pump != NULL)
		most = pump(&extra.fd, &extra.events);
	if (poked)
		most = 0;
	poked = 0;
	pfd = gather(&extra, &n);
	round_no++;
	if (poll(pfd, (nfds_t)n, wait_ms(until, most)) > 0) {
		if (pfd[n - 1].revents != 0)
			drain_signals();
		tell(pfd, n - 2);
	}
	free(pfd);
	fire_timers();
}

int
loop_once(int64_t until)
{
	if (sig_end || (until >= 0 && mono_ms() >= until))
		return (0);
	turn(until);
	return (!sig_end);
}

void
loop_linger(int64_t until)
{
	turn(until);
}
