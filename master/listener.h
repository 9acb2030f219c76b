/* SPDX-License-Identifier: ISC */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "pool.h"

#define LISTENERS_MAX	2	/* one per address family */

struct listeners {
	uint16_t	 port;		/* 0: none */
	size_t		 n;
	int		 fd[LISTENERS_MAX];
};

/*
 * listeners_open(c, p, now, backlog, l):
 * Take a number from ${p} and listen on it in every family that ${c} names:
 * in both or not at all.  A number that somebody else holds is given back
 * and the next one tried.  Return 0, or -1 with errno: ENOSPC if no number is
 * left, else what the system says (EMFILE, ENOBUFS, or EADDRNOTAVAIL for an
 * address that this host does not have).
 */
int	listeners_open(const struct conf *, struct pool *, int64_t, int,
	    struct listeners *);

/* listeners_close(l): close them; the number stays taken. */
void	listeners_close(struct listeners *);

#endif
