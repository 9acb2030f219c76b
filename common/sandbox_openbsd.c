/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

static char	 layers[128];

const char *
sandbox_lock(void)
{
	/* pledge(2) without "exec" and setrlimit(2) do all there is to do. */
	return (NULL);
}

const char *
sandbox_empty_net(void)
{
	return (NULL);
}

static const char *
promise(const char *promises)
{
	if (pledge(promises, NULL) == -1)
		return ("pledge");
	layers[0] = '\0';
	sandbox_note("pledge");
	return (NULL);
}

const char *
sandbox_spawner(int filter)
{
	(void)filter;
	if (unveil(NULL, NULL) == -1)
		return ("unveil");
	/* "unix" and "recvfd" are the workers', who inherit the rest. */
	return (promise("stdio proc unix recvfd"));
}

pid_t
sandbox_fork(int *handle)
{
	*handle = -1;
	return (fork());
}

int
sandbox_kill(int handle, pid_t pid)
{
	(void)handle;
	return (kill(pid, SIGKILL));
}

const char *
sandbox_worker(void)
{
	/*
	 * "unix" lets accept(2) through, "inet" would also let it create
	 * sockets; TCP_NODELAY comes with the listener.
	 */
	return (promise("stdio unix recvfd"));
}

const char *
sandbox_control(const struct sandbox_net *net)
{
	(void)net;		/* pledge(2) does not tell ports apart */
	if (unveil(NULL, NULL) == -1)
		return ("unveil");
	return (promise("stdio inet unix sendfd recvfd"));
}

const char *
sandbox_resolver(void)
{
	return (promise("stdio dns"));
}

void
sandbox_note(const char *layer)
{
	(void)strlcpy(layers, layer, sizeof(layers));
}

const char *
sandbox_layers(void)
{
	return (layers);
}

void
sandbox_subreaper(void)
{
}
