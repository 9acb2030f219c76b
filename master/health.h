/* SPDX-License-Identifier: ISC */
#ifndef MASTER_HEALTH_H
#define MASTER_HEALTH_H

/*
 * Workers that hang: each is asked from time to time whether it is well, and
 * killed if it says nothing for long.  Time is counted in turns of our own
 * loop: after the machine has slept, nobody is killed for having slept too.
 */

#define HEALTH_TICK_MS	1000
#define HEALTH_EACH	5	/* ticks from one PING to the next, at least */
#define HEALTH_PINGS	200	/* workers asked in a tick, at most */
#define HEALTH_UNHEARD	3	/* PINGs without a word until it is killed */

/* health_start(): begin; calls after the first change nothing. */
void	health_start(void);

/* health_tick(): what is done every HEALTH_TICK_MS. */
void	health_tick(void);

#endif
