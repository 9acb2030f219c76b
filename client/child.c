/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "loop.h"
#include "ui.h"
#include "xalloc.h"

struct child {
	pid_t			 pid;
	int			 fd;	/* its reports; -1 after the last */
	struct child_report	 last;
	child_fn		 fn;
	void			*arg;
	TAILQ_ENTRY(child)	 entry;
};

static TAILQ_HEAD(, child)	 children = TAILQ_HEAD_INITIALIZER(children);

/* One report is one packet.  Return 1 if there was one. */
static int
read_report(struct child *c)
{
	struct child_report	 r;
	ssize_t			 n;

	if (c->fd == -1)
		return (0);
	n = recv(c->fd, &r, sizeof(r), MSG_DONTWAIT);
	if (n == (ssize_t)sizeof(r)) {
		r.text[sizeof(r.text) - 1] = '\0';
		c->last = r;
		return (1);
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return (0);
	loop_del(c->fd);
	(void)close(c->fd);
	c->fd = -1;
	return (0);
}

static void
on_report(int fd, short revents, void *arg)
{
	struct child	*c = arg;

	(void)fd;
	(void)revents;
	if (read_report(c) && !c->last.final)
		c->fn(&c->last, 0, c->arg);
}

static void
bury(struct child *c)
{
	while (read_report(c))
		;
	if (c->fd != -1) {
		loop_del(c->fd);
		(void)close(c->fd);
	}
	TAILQ_REMOVE(&children, c, entry);
	if (!c->last.final) {
		c->last.code = EXIT_PEER;
		(void)strlcpy(c->last.text, "it ended early",
		    sizeof(c->last.text));
	}
	if (c->fn != NULL)
		c->fn(&c->last, 1, c->arg);
	free(c);
}

/* A callback may end the command or start another child: begin anew. */
static void
reap(void)
{
	struct child	*c;

again:
	TAILQ_FOREACH(c, &children, entry) {
		if (waitpid(c->pid, NULL, WNOHANG) != 0) {
			bury(c);
			goto again;
		}
	}
}

static void
in_child(child_main run, void *arg, int fd)
{
	struct child	*c;

	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	TAILQ_FOREACH(c, &children, entry) {
		if (c->fd != -1)
			(void)close(c->fd);
	}
	run(fd, arg);
	_exit(0);
}

struct child *
child_start(child_main run, void *arg, child_fn fn, void *fn_arg)
{
	struct child	*c = xcalloc(1, sizeof(*c));
	int		 fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1) {
		free(c);
		return (NULL);
	}
	loop_on_child(reap);
	if ((c->pid = fork()) == 0) {
		(void)close(fds[0]);
		in_child(run, arg, fds[1]);
	}
	(void)close(fds[1]);
	if (c->pid == -1) {
		(void)close(fds[0]);
		free(c);
		return (NULL);
	}
	c->fd = fds[0];
	c->fn = fn;
	c->arg = fn_arg;
	TAILQ_INSERT_TAIL(&children, c, entry);
	loop_add(c->fd, POLLIN, on_report, c);
	return (c);
}

void
child_report(int fd, const struct child_report *r)
{
	(void)send(fd, r, sizeof(*r), MSG_NOSIGNAL |
	    (r->final ? 0 : MSG_DONTWAIT));
}

void
child_stop(struct child *c)
{
	(void)kill(c->pid, SIGTERM);
}

void
child_end_all(void)
{
	struct child	*c;

	TAILQ_FOREACH(c, &children, entry)
		(void)kill(c->pid, SIGKILL);
	while ((c = TAILQ_FIRST(&children)) != NULL) {
		while (waitpid(c->pid, NULL, 0) == -1 && errno == EINTR)
			;
		c->fn = NULL;
		bury(c);
	}
}
