/* SPDX-License-Identifier: ISC */
#include "notify.h"

#ifdef __linux__

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"

#define STATUS_MAX	128	/* bytes of a status, NUL included */
#define WAITING_MAX	4	/* states not yet taken by the manager */
#define AGAIN_MS	200	/* it does not read: try again after */
#define WATCHDOG_MAX	INT64_C(86400000000)	/* a day, in microseconds */

enum state { READY, RELOADING, STOPPING };

static struct {
	struct sockaddr_un sun;
	socklen_t	 len;		/* 0: nobody to be told */
	enum state	 waiting[WAITING_MAX];
	size_t		 nwaiting;
	char		 status[STATUS_MAX];
	int		 status_due;	/* not sent yet */
	int64_t		 again_at;	/* not before; INT64_MAX: none */
	int64_t		 watchdog_ms;	/* between two signs of life; 0: none */
	int64_t		 watchdog_at;
} mgr = { .again_at = INT64_MAX };

/* sd_notify(3): an absolute path, or an abstract name behind an '@'. */
static void
set_socket(const char *name)
{
	size_t	 len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof(mgr.sun.sun_path)) {
		log_warn("NOTIFY_SOCKET: no name of a socket, the service "
		    "manager is told nothing");
		return;
	}
	mgr.sun.sun_family = AF_UNIX;
	memcpy(mgr.sun.sun_path, name, len + 1);
	if (name[0] == '@')
		mgr.sun.sun_path[0] = '\0';
	/* An abstract name is as long as it is said to be: without a NUL. */
	mgr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
	    (name[0] == '/' ? 1 : 0));
}

/* sd_watchdog_enabled(3) */
static void
set_watchdog(const char *usec, const char *pid)
{
	const char	*bad = NULL;
	long long	 value;

	if (pid != NULL && (strtonum(pid, 1, INT32_MAX, &bad) != getpid() ||
	    bad != NULL))
		return;			/* meant for another process */
	value = strtonum(usec, 1, WATCHDOG_MAX, &bad);
	if (bad != NULL) {
		log_warn("WATCHDOG_USEC: %s", bad);
		return;
	}
	mgr.watchdog_ms = value / 2000 > 0 ? value / 2000 : 1;
	mgr.watchdog_at = mono_ms();
}

void
notify_init(void)
{
	const char	*name = getenv("NOTIFY_SOCKET");
	const char	*usec = getenv("WATCHDOG_USEC");

	memset(&mgr, 0, sizeof(mgr));
	mgr.again_at = INT64_MAX;
	if (name == NULL)
		return;
	set_socket(name);
	if (mgr.len != 0 && usec != NULL)
		set_watchdog(usec, getenv("WATCHDOG_PID"));
}

/* Return 0 if ${text} was sent or never can be, -1 if later it may. */
static int
say(const char *text)
{
	ssize_t	 n;
	int	 fd, error;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	do {
		n = sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		    (const struct sockaddr *)&mgr.sun, mgr.len);
	} while (n == -1 && errno == EINTR);
	error = n == -1 ? errno : 0;
	(void)close(fd);
	if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS ||
	    error == ENOMEM)
		return (-1);
	if (error != 0)
		log_debug("service manager not told: error=%d", error);
	return (0);
}

/* sd_notify(3): the service manager's own clock, in microseconds. */
static long long
monotonic_usec(void)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

static int
say_state(enum state state)
{
	char	 text[96];

	/* Numbers of bounded length: it fits. */
	switch (state) {
	case READY:
		(void)snprintf(text, sizeof(text), "READY=1\nMAINPID=%ld",
		    (long)getpid());
		return (say(text));
	case RELOADING:
		(void)snprintf(text, sizeof(text),
		    "RELOADING=1\nMONOTONIC_USEC=%lld", monotonic_usec());
		return (say(text));
	case STOPPING:
		break;
	}
	return (say("STOPPING=1"));
}

/* Return -1 if the manager does not read just now. */
static int
say_waiting(void)
{
	char	 text[STATUS_MAX + sizeof("STATUS=")];

	while (mgr.nwaiting > 0) {
		if (say_state(mgr.waiting[0]) == -1)
			return (-1);
		mgr.nwaiting--;
		memmove(mgr.waiting, mgr.waiting + 1,
		    mgr.nwaiting * sizeof(mgr.waiting[0]));
	}
	if (mgr.status_due) {
		(void)snprintf(text, sizeof(text), "STATUS=%s", mgr.status);
		if (say(text) == -1)
			return (-1);
		mgr.status_due = 0;
	}
	return (0);
}

static void
say_all(void)
{
	if (mgr.len == 0)
		return;
	mgr.again_at = say_waiting() == -1 ? mono_ms() + AGAIN_MS : INT64_MAX;
}

static void
put(enum state state)
{
	/* A manager that missed so many will not miss the oldest of them. */
	if (mgr.nwaiting == WAITING_MAX) {
		mgr.nwaiting--;
		memmove(mgr.waiting, mgr.waiting + 1,
		    mgr.nwaiting * sizeof(mgr.waiting[0]));
	}
	mgr.waiting[mgr.nwaiting++] = state;
	say_all();
}

void
notify_ready(void)
{
	put(READY);
}

void
notify_reloading(void)
{
	put(RELOADING);
}

void
notify_stopping(void)
{
	put(STOPPING);
}

void
notify_status(const char *text)
{
	char	 line[STATUS_MAX];

	/* What is too long is cut, so the length is of no interest. */
	(void)strlcpy(line, text, sizeof(line));
	if (strcmp(line, mgr.status) == 0)
		return;
	memcpy(mgr.status, line, sizeof(line));
	mgr.status_due = 1;
	say_all();
}

void
notify_turn(int64_t now)
{
	if (mgr.again_at <= now)
		say_all();
	if (mgr.watchdog_ms == 0 || now < mgr.watchdog_at)
		return;
	mgr.watchdog_at = now +
	    (say("WATCHDOG=1") == -1 ? AGAIN_MS : mgr.watchdog_ms);
}

int64_t
notify_deadline(void)
{
	if (mgr.watchdog_ms != 0 && mgr.watchdog_at < mgr.again_at)
		return (mgr.watchdog_at);
	return (mgr.again_at);
}

#else /* !__linux__ */

void
notify_init(void)
{
}

void
notify_ready(void)
{
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

void
notify_status(const char *text)
{
	(void)text;
}

void
notify_turn(int64_t now)
{
	(void)now;
}

int64_t
notify_deadline(void)
{
	return (INT64_MAX);
}

#endif
