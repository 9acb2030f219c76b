/* SPDX-License-Identifier: ISC */
#ifndef TESTS_ESCAPE_RIG_H
#define TESTS_ESCAPE_RIG_H

#include "escape.h"

/*
 * What stands around a taken process: the test is its parent and control, its
 * peer and its owner, and has everything ready that it might reach for.
 * What goes wrong in the rig itself fails the Criterion test at once.
 */

#define RIG_WAIT_MS	15000	/* for whatever has to happen */
#define RIG_UID		65533	/* of nobody in particular */

/* How an attempt ended: 0 had its way, > 0 errno, < 0 killed by a signal. */
#define OUT_REFUSED	10001	/* a message that the table forbids */
#define OUT_EXIT	10002	/* the process ended by itself */
#define OUT_HANG	10003
#define OUT_NONE	10004	/* not made */

/*
 * rig_open(user):
 * Make the files, listeners and processes.  As root with ${user} not 0: become
 * an ordinary user first.
 */
void	rig_open(int);

/* rig_close(): end and remove all of it; may be called at any time. */
void	rig_close(void);

/*
 * rig_reached():
 * Return how many connections and packets have come to the listeners since
 * the last call, and take them.
 */
unsigned int rig_reached(void);

/*
 * rig_spawner(layers), rig_spawner_stop():
 * Start escape_worker as the spawner with ${layers} of its cage and a worker
 * that will be the sibling of all others; end them.
 */
void	rig_spawner(unsigned int);
void	rig_spawner_stop(void);

/* rig_worker(a): have a new worker make the attempt; return how it ended. */
int	rig_worker(const struct attempt *);

/*
 * rig_control(layers), rig_control_stop():
 * Start escape_control as control, configured and locked in with all layers
 * or none; end it.  rig_control_try(a) starts it anew if it has been killed.
 */
void	rig_control(unsigned int);
void	rig_control_stop(void);
int	rig_control_try(const struct attempt *);

/* rig_started(): how many controls were started so far. */
unsigned int rig_started(void);

#endif
