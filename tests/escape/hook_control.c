/* SPDX-License-Identifier: ISC */
/*
 * Linked into escape_control only, which is passd otherwise: control is
 * taken by whoever sends an escape_request over the connection that the
 * parent passes with MSG_XMPP.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "msg.h"
#include "privdrop.h"
#include "sandbox.h"

void	__wrap_xmpp_connected(int, int);
const char *__real_priv_lock(int, rlim_t);
const char *__wrap_priv_lock(int, rlim_t);
const char *__real_sandbox_control(const struct sandbox_net *);
const char *__wrap_sandbox_control(const struct sandbox_net *);

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	return (sin);
}

/* The sockets that control may have: one to its server, one listener. */
static void
arm(struct prey *p)
{
	struct sockaddr_in	 sin = loopback(p->r.server);
	const int		 on = 1;

	p->channel = MSG_CHANNEL_FD;
	p->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(p->peer, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		_exit(3);
	p->listener = socket(AF_INET,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on));
	sin = loopback(p->r.bind);
	if (bind(p->listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(p->listener, 8) == -1)
		_exit(4);
}

static int
attack(struct prey *p)
{
	int	 error;

	arm(p);
	error = attempt_make(p);
	(void)close(p->peer);
	(void)close(p->listener);
	return (error);
}

/* Without a cage it may succeed, and this process is wanted again. */
static int
attack_in_child(struct prey *p)
{
	pid_t	 pid;
	int	 status;

	switch (pid = fork()) {
	case -1:
		return (errno);
	case 0:
		_exit(attack(p) & 0xff);
	default:
		break;
	}
	if (waitpid(pid, &status, 0) == -1)
		return (errno);
	if (WIFSIGNALED(status))
		return (-WTERMSIG(status));
	return (WEXITSTATUS(status) == ESCAPE_DONE ? 0 : WEXITSTATUS(status));
}

void
__wrap_xmpp_connected(int fd, int error)
{
	struct escape_reply	 reply;
	struct prey		 prey;

	(void)error;
	if (fd == -1)
		return;
	if (recv(fd, &prey.r, sizeof(prey.r), MSG_WAITALL) ==
	    (ssize_t)sizeof(prey.r) && memcmp(prey.r.magic, ESCAPE_MAGIC,
	    sizeof(prey.r.magic)) == 0) {
		reply.error = escape_layers() == ESCAPE_ALL ? attack(&prey) :
		    attack_in_child(&prey);
		(void)send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
	}
	(void)close(fd);
}

const char *
__wrap_priv_lock(int forks, rlim_t data)
{
	return (escape_layers() == ESCAPE_ALL ?
	    __real_priv_lock(forks, data) : NULL);
}

const char *
__wrap_sandbox_control(const struct sandbox_net *net)
{
	return (escape_layers() == ESCAPE_ALL ? __real_sandbox_control(net) :
	    NULL);
}
