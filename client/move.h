/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_MOVE_H
#define CLIENT_MOVE_H

#include "transfer.h"

/*
 * A transfer in the event loop, and what the user is told about it: progress,
 * each file or directory that was named, and each one that failed.
 */

/* move_hooks(): for transfer_send() and transfer_receive(). */
const struct transfer_hooks *move_hooks(void);

/*
 * move_watch(fd, events):
 * Have the loop woken by ${fd}; what it is woken for is seen by the caller's
 * next step.  Events 0: no longer.  For seals and transfers, whose events
 * change all the time.
 */
void	move_watch(int, short);

/*
 * move_run(t, label):
 * Run ${t} to its end, which runs the loop, and free it.  Return the exit
 * code, after it was said what went wrong.
 */
int	move_run(struct transfer *, const char *);

#endif
