/* SPDX-License-Identifier: ISC */
#ifndef MASTER_SLOW_H
#define MASTER_SLOW_H

#include "jid.h"

/*
 * Owners whose workers crash: whoever can bring down a worker may be trying
 * to take it, and each try needs a new port.  So each crash makes that owner
 * wait longer for the next registration (DESIGN.md section 1): a second,
 * doubled by every further crash, five minutes at most, and forgotten after
 * an hour without one.
 */

#define SLOW_FIRST_S	1
#define SLOW_MOST_S	300
#define SLOW_FORGET_S	3600	/* since the last crash */
#define SLOW_OWNERS_MAX	1024	/* the one quiet longest gives way */

/*
 * slow_crash(owner, full):
 * A worker of ${owner} has crashed; with ${full} only that full JID is the
 * owner, else every resource of the bare JID.  Return the seconds that he
 * has to wait from now on, or 0 if there was no memory to remember it.
 */
unsigned int slow_crash(const struct jid *, int);

/*
 * slow_left(owner, full):
 * Return in how many seconds, rounded up, ${owner} may register again; 0:
 * at once.
 */
unsigned int slow_left(const struct jid *, int);

/* slow_owners(): how many owners are remembered. */
unsigned int slow_owners(void);

/* slow_clear(): forget them all. */
void	slow_clear(void);

#endif
