/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msg.h"
#include "privdrop.h"
#include "sandbox.h"
#include "spawner.h"
#include "worker.h"

#define BOOT_WAIT_MS	10000	/* for the parent's first message */
#define MESSAGE_BURST	64	/* messages a turn */
#define STOP_WAIT_MS	2000	/* for killed workers to be reaped */
#define DATA_MAX	(UINT64_C(64) << 20)	/* bytes of private memory */
#define RETIRE_WAIT_MS	1000	/* for control to read the last news */
#define RETIRE_COMMANDS	4096	/* more than a socket holds */
#define LEVEL_ERROR	0	/* enum log_level; log.h is stdio's */

#define TELL_SPAWNED	0x1	/* not told to control yet */
#define TELL_EXITED	0x2

struct child {
	uint32_t	 id;
	pid_t		 pid;		/* -1: fork failed, or reaped */
	int		 handle;	/* for sandbox_kill(); -1: none */
	int		 error;		/* errno of fork */
	int		 status;	/* of waitpid(2) */
	unsigned int	 tell;		/* TELL_* */
};

#define CHILDREN_MAX	65536	/* a port has a number of 16 bits */

/* What it writes all the time, in memory that no worker inherits. */
struct desk {
	struct msg_in	 in;		/* from control */
	size_t		 nchildren;
	size_t		 untold;	/* how many have something to tell */
	struct child	 children[CHILDREN_MAX];
};

static struct desk	*desk;
static int		 parent_fd = MSG_CHANNEL_FD;
static int		 control_fd = -1;
static int		 signal_pipe[2];

static void
on_sigchld(int sig)
{
	int	 saved = errno;

	(void)sig;
	/* A pipe that is full has a wake-up in it already. */
	if (write(signal_pipe[1], "", 1) == -1)
		errno = saved;
	errno = saved;
}

/* A line of fixed text: the spawner has no stdio to format one. */
static void
say(uint32_t level, const char *text)
{
	struct msg_log	 m;
	size_t		 len = strlen(text);

	msg_init(&m, sizeof(m), MSG_LOG, 0);
	m.level = level;
	if (len > sizeof(m.text))
		len = sizeof(m.text);
	memcpy(m.text, text, len);
	(void)msg_send(parent_fd, &m, offsetof(struct msg_log, text) + len,
	    NULL, 0);
}

static void
die(const char *step)
{
	char	 text[256];

	(void)strlcpy(text, "spawner: ", sizeof(text));
	(void)strlcat(text, step, sizeof(text));
	(void)strlcat(text, ": ", sizeof(text));
	(void)strlcat(text, strerror(errno), sizeof(text));
	say(LEVEL_ERROR, text);
	_exit(1);
}

static void
boot(void)
{
	static struct msg_in	 in;
	struct pollfd		 pfd = { .fd = parent_fd, .events = POLLIN };
	struct msg_ready	 ready;
	const char		*failed = NULL;

	if (poll(&pfd, 1, BOOT_WAIT_MS) != 1 ||
	    msg_recv(parent_fd, EDGE_PARENT_SPAWNER, MSG_ST_BOOT, &in) !=
	    MSG_OK || in.hdr.type != MSG_BOOT ||
	    !msg_text_ok(in.boot.chroot, sizeof(in.boot.chroot)))
		_exit(1);
	(void)priv_files();
	if (in.boot.flags & BOOT_DROP) {
		if ((failed = sandbox_empty_net()) == NULL)
			failed = priv_drop(in.boot.chroot, in.boot.uid,
			    in.boot.gid);
	}
	if (failed == NULL)
		failed = priv_lock(1, DATA_MAX);
	if (failed == NULL)
		failed = sandbox_spawner(in.nfds == 1 ? in.fds[0] : -1);
	if (failed != NULL)
		die(failed);
	msg_close_fds(&in);
	msg_init(&ready, sizeof(ready), MSG_READY, 0);
	ready.own = layers_own();
	ready.workers = sandbox_of_workers();
	if (msg_send(parent_fd, &ready, sizeof(ready), NULL, 0) == -1)
		_exit(1);
}

static struct child *
child_new(uint32_t id)
{
	struct child	*c;

	if (desk->nchildren == CHILDREN_MAX)
		return (NULL);
	c = &desk->children[desk->nchildren++];
	memset(c, 0, sizeof(*c));
	c->id = id;
	c->pid = c->handle = -1;
	return (c);
}

/*
 * In the worker: keep the channel and the listeners, close all the rest,
 * and forget what the spawner had set up.
 */
static void
become_worker(const struct msg_limits *limits, const int *fds, size_t nfds)
{
	int	 high[MSG_FDS_MAX];
	size_t	 i;

	(void)signal(SIGCHLD, SIG_DFL);
	/* Out of the way first: the numbers may overlap. */
	for (i = 0; i < nfds; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC,
		    WORKER_CHANNEL + MSG_FDS_MAX);
		if (high[i] == -1)
			_exit(1);
	}
	for (i = 0; i < nfds; i++) {
		if (dup2(high[i], WORKER_CHANNEL + (int)i) == -1)
			_exit(1);
	}
	closefrom(WORKER_CHANNEL + (int)nfds);
	worker_main(limits, nfds - 1);
}

/* Control is told later, with all the other news. */
static void
not_spawned(uint32_t id, int error)
{
	struct child	*c;

	if ((c = child_new(id)) == NULL)
		return;
	c->error = error;
	c->tell = TELL_SPAWNED;
	desk->untold++;
}

static void
spawn(const struct msg_in *in)
{
	struct msg_limits	 limits = in->limits;
	struct child		*c;
	size_t			 nfds = in->nfds;
	pid_t			 pid;
	int			 fds[MSG_FDS_MAX];

	/* No worker runs unaccounted for; control sees its channel end. */
	if ((c = child_new(in->hdr.id)) == NULL)
		return;
	memcpy(fds, in->fds, sizeof(fds));
	/* The worker has its stack, but not what is on the desk. */
	if ((pid = sandbox_fork(&c->handle)) == 0)
		become_worker(&limits, fds, nfds);
	c->pid = pid;
	if (pid == -1)
		c->error = errno;
	c->tell = TELL_SPAWNED;
	desk->untold++;
}

static void
kill_worker(uint32_t id)
{
	size_t	 i;

	for (i = 0; i < desk->nchildren; i++) {
		/* Not reaped yet, so the number cannot be another's. */
		if (desk->children[i].id == id && desk->children[i].pid > 0)
			(void)sandbox_kill(desk->children[i].handle,
			    desk->children[i].pid);
	}
}

static void
reap(void)
{
	pid_t	 pid;
	size_t	 i;
	int	 status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < desk->nchildren; i++) {
			if (desk->children[i].pid != pid)
				continue;
			desk->children[i].pid = -1;
			desk->children[i].status = status;
			if (desk->children[i].handle != -1)
				(void)close(desk->children[i].handle);
			desk->children[i].handle = -1;
			if (desk->children[i].tell == 0)
				desk->untold++;
			desk->children[i].tell |= TELL_EXITED;
			break;
		}
	}
}

static int
tell_child(struct child *c)
{
	struct msg_spawned	 spawned;
	struct msg_exited	 exited;

	if (c->tell & TELL_SPAWNED) {
		msg_init(&spawned, sizeof(spawned), MSG_SPAWNED, c->id);
		spawned.pid = c->error != 0 ? -1 : (int32_t)c->pid;
		spawned.error = c->error;
		if (msg_send(control_fd, &spawned, sizeof(spawned), NULL,
		    0) == -1)
			return (-1);
		c->tell &= ~(unsigned int)TELL_SPAWNED;
	}
	if (c->tell & TELL_EXITED) {
		msg_init(&exited, sizeof(exited), MSG_EXITED, c->id);
		exited.status = c->status;
		if (msg_send(control_fd, &exited, sizeof(exited), NULL,
		    0) == -1)
			return (-1);
		c->tell &= ~(unsigned int)TELL_EXITED;
	}
	return (0);
}

/*
 * Tell control what it does not know yet, as far as it reads; without one,
 * the next one.
 */
static void
tell(void)
{
	size_t	 i;

	for (i = 0; i < desk->nchildren && desk->untold > 0;) {
		if (desk->children[i].tell != 0) {
			if (tell_child(&desk->children[i]) == -1)
				return;
			desk->untold--;
		}
		if (desk->children[i].pid == -1)
			desk->children[i] = desk->children[--desk->nchildren];
		else
			i++;
	}
}

static void
close_control(void)
{
	if (control_fd != -1)
		(void)close(control_fd);
	control_fd = -1;
}

static enum msg_result
take_command(void)
{
	struct msg_in	*in = &desk->in;
	enum msg_result	 r;

	r = msg_recv(control_fd, EDGE_CONTROL_SPAWNER, MSG_ST_RUN, in);
	if (r == MSG_LOST)
		not_spawned(in->hdr.id, EMFILE);
	if (r != MSG_OK)
		return (r);
	if (in->hdr.type == MSG_SPAWN)
		spawn(in);
	else
		kill_worker(in->hdr.id);
	msg_close_fds(in);
	return (r);
}

static void
read_control(void)
{
	int	 i;

	for (i = 0; i < MESSAGE_BURST && control_fd != -1; i++) {
		switch (take_command()) {
		case MSG_OK:
		case MSG_LOST:
			break;
		case MSG_NOTHING:
			return;
		case MSG_EOF:
		case MSG_BAD:
			close_control();
			return;
		}
	}
}

/* Kill what is left, wait for it, and go. */
static void
stop(void)
{
	struct pollfd	 pfd = { .fd = signal_pipe[0], .events = POLLIN };
	size_t		 i, alive;
	int		 waited;

	for (i = 0; i < desk->nchildren; i++) {
		if (desk->children[i].pid > 0)
			(void)sandbox_kill(desk->children[i].handle,
			    desk->children[i].pid);
	}
	for (waited = 0; waited < STOP_WAIT_MS; waited += 20) {
		reap();
		for (alive = 0, i = 0; i < desk->nchildren; i++)
			alive += desk->children[i].pid > 0;
		if (alive == 0)
			break;
		(void)poll(&pfd, 1, 20);
	}
	_exit(0);
}

/*
 * Another spawner, with another address layout, takes over: do what control
 * has asked for so far, tell what there is to tell, and go.  The workers
 * live on, as children of the parent where there are subreapers; control has
 * their channels.
 */
static void
retire(void)
{
	struct pollfd	 pfd = { .fd = control_fd, .events = POLLOUT };
	int		 i, waited;

	if (control_fd == -1)
		_exit(0);
	/* What control sends from here on fails, and it waits for the next. */
	(void)shutdown(control_fd, SHUT_RD);
	for (i = 0; i < RETIRE_COMMANDS && take_command() == MSG_OK; i++)
		continue;
	reap();
	tell();
	for (waited = 0; desk->untold > 0 && waited < RETIRE_WAIT_MS;
	    waited += 20) {
		(void)poll(&pfd, 1, 20);
		tell();
	}
	_exit(0);
}

static void
pong(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_PONG, 0);
	(void)msg_send(parent_fd, &m, sizeof(m), NULL, 0);
}

static void
read_parent(void)
{
	static struct msg_in	 in;

	switch (msg_recv(parent_fd, EDGE_PARENT_SPAWNER, MSG_ST_RUN, &in)) {
	case MSG_OK:
		if (in.hdr.type == MSG_STOP)
			stop();
		if (in.hdr.type == MSG_RETIRE)
			retire();
		if (in.hdr.type == MSG_PING)
			pong();
		else {
			close_control();
			control_fd = in.fds[0];
		}
		break;
	case MSG_NOTHING:
		break;
	case MSG_LOST:
		/* No control without it: the parent starts another of us. */
		_exit(1);
	case MSG_EOF:
	case MSG_BAD:
		stop();
	}
}

static void
setup_signals(void)
{
	struct sigaction	 sa;

	if (pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		die("pipe");
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_sigchld;
	sa.sa_flags = SA_NOCLDSTOP | SA_RESTART;
	if (sigaction(SIGCHLD, &sa, NULL) == -1)
		die("sigaction");
	(void)signal(SIGPIPE, SIG_IGN);	/* splice(2) knows no MSG_NOSIGNAL */
	(void)signal(SIGHUP, SIG_IGN);
	/*
	 * The parent decides when to end; ^C goes to the whole group, and a
	 * service manager's SIGTERM to every process of the service.
	 */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
}

void
spawner_main(void)
{
	struct pollfd	 pfd[3];
	char		 drain[64];

	setup_signals();
	if ((desk = sandbox_memory(sizeof(*desk))) == NULL)
		die("memory");
	boot();
	for (;;) {
		pfd[0].fd = parent_fd;
		pfd[0].events = POLLIN;
		pfd[1].fd = signal_pipe[0];
		pfd[1].events = POLLIN;
		pfd[2].fd = control_fd;
		/* While control does not read, it gets no new workers. */
		pfd[2].events = desk->untold > 0 ? POLLOUT : POLLIN;
		if (poll(pfd, 3, -1) == -1)
			continue;	/* EINTR */
		if (pfd[1].revents != 0) {
			while (read(signal_pipe[0], drain, sizeof(drain)) > 0)
				;
			reap();
		}
		if (pfd[2].revents & (POLLIN | POLLHUP | POLLERR))
			read_control();
		if (pfd[0].revents != 0)
			read_parent();
		if (desk->untold > 0 && control_fd != -1)
			tell();
	}
}
