/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mman.h>

#include <signal.h>
#include <unistd.h>

#include "sandbox.h"

/*
 * Written from pledge(2), unveil(2) and what the kernel does for them; the
 * tests ask a stand-in for both whether it is what they are asked.
 */

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
	layers_held(LAYER_PLEDGE);
	return (NULL);
}

/*
 * Hide every file.  The first call is what hides them: the second alone
 * would only forbid further calls, and leave all of them in sight.
 */
static const char *
hide_files(void)
{
	if (unveil("/", "") == -1 || unveil(NULL, NULL) == -1)
		return ("unveil");
	layers_held(LAYER_UNVEIL);
	return (NULL);
}

const char *
sandbox_spawner(int filter)
{
	const char	*failed;

	(void)filter;
	if ((failed = hide_files()) != NULL)
		return (failed);
	/*
	 * "proc" to fork and to kill, and for the worker's setrlimit(2);
	 * "unix" and "recvfd" are the workers', who inherit the promise.
	 */
	return (promise("stdio proc unix recvfd"));
}

void *
sandbox_memory(size_t size)
{
	void	*p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANON, -1, 0);

	return (p == MAP_FAILED ? NULL : p);
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
	 * "unix" lets accept(2) through and the options of any socket;
	 * "inet" would also let it create sockets that reach out.  The price
	 * is that no option of TCP may be set or asked for: see tcp.c.
	 */
	return (promise("stdio unix recvfd"));
}

struct layers
sandbox_of_workers(void)
{
	return (layers_own());
}

const char *
sandbox_control(const struct sandbox_net *net)
{
	const char	*failed;

	(void)net;		/* pledge(2) does not tell ports apart */
	if ((failed = hide_files()) != NULL)
		return (failed);
	return (promise("stdio inet unix sendfd recvfd"));
}

const char *
sandbox_resolver(void)
{
	/* "dns" opens the few files that names are told in, and no others. */
	return (promise("stdio dns"));
}

void
sandbox_subreaper(void)
{
}
