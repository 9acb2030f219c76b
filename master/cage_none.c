/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "cage.h"

int
cage_worker_filter(void)
{
	errno = 0;
	return (-1);
}

int
cage_print(enum cage cage, int fd)
{
	(void)cage;
	(void)fd;
	return (0);
}
