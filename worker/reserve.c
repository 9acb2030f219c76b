/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <unistd.h>

#include "worker.h"

/*
 * The two listeners of a rendezvous port, the owner's connection, and one
 * more.  Whoever is accepted while this much is held can be served: the last
 * descriptors do not go to strangers.
 */
#define RESERVE		4

static int	 held[RESERVE];
static int	 nheld;

int
reserve_take(void)
{
	int	 fd;

	while (nheld < RESERVE) {
		/* Of /dev/null: nothing is kept alive by a copy of that. */
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, WORKER_CHANNEL);
		if (fd == -1)
			return (0);
		held[nheld++] = fd;
	}
	return (1);
}

void
reserve_give(void)
{
	while (nheld > 0)
		(void)close(held[--nheld]);
}
