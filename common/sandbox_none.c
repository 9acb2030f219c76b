/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mman.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

const char *
sandbox_lock(void)
{
	return (NULL);
}

const char *
sandbox_empty_net(void)
{
	return (NULL);
}

const char *
sandbox_spawner(int filter)
{
	(void)filter;
	return (NULL);
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
	return (NULL);
}

struct layers
sandbox_of_workers(void)
{
	return (layers_own());
}

const char *
sandbox_control(const struct sandbox_net *net)
{
	(void)net;
	return (NULL);
}

const char *
sandbox_resolver(void)
{
	return (NULL);
}

void
sandbox_subreaper(void)
{
}
