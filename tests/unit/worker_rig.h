/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_WORKER_RIG_H
#define TESTS_UNIT_WORKER_RIG_H

#include <sys/types.h>

#include <stdint.h>

#include "msg.h"

/*
 * A worker in a process of its own, set up and locked in as the spawner
 * does, with the test as control, strangers and owner around it: a system
 * call too few in its filter shows here.
 */

#define RIG_ID		4711
#define RIG_WAIT_MS	5000	/* for what has to happen */

struct rig {
	pid_t		 pid;
	int		 chan;		/* control's end; -1: closed */
	uint16_t	 port;		/* the registered one */
	uint64_t	 seq;		/* of the last event */
	int		 silent;	/* events are not acknowledged */
	struct msg_in	 in;		/* the last event */
	int		 skip_refused;	/* MSG_REFUSED is of no interest */
};

/* rig_limits(l): what a worker usually gets; long time-outs. */
void	rig_limits(struct msg_limits *);

/*
 * rig_start(r, l):
 * Start a worker with ${l} (NULL: the usual) on 127.0.0.1 and wait for its
 * READY.  rig_start_v6() listens on ::1 as well; rig_start_files() leaves it
 * room for that many descriptors only.
 */
void	rig_start(struct rig *, const struct msg_limits *);
void	rig_start_v6(struct rig *, const struct msg_limits *);
void	rig_start_files(struct rig *, const struct msg_limits *, int);

/*
 * rig_stop(r):
 * Tell it to close the port and all relays, take what it still has to say,
 * and see that it leaves in good order.  rig_left(r): it has to leave by
 * itself now.
 */
void	rig_stop(struct rig *);
void	rig_left(struct rig *);

/* rig_ack(r, upto): acknowledge; by itself for each event, unless silent. */
void	rig_ack(struct rig *, uint64_t);

/* rig_event(r, type): wait for the next event, which has to be a ${type}. */
void	rig_event(struct rig *, enum msg_type);

/* rig_quiet(r, ms): no event comes for ${ms}. */
void	rig_quiet(struct rig *, int);

/*
 * rig_client/leg/paired/ended:
 * The next event, and what it has to say; PAIRED may come behind a LEG that
 * was held for a moment.  -1 for a socket: its address is not looked at.
 */
void	rig_client(struct rig *, uint32_t, int);
void	rig_leg(struct rig *, uint32_t, enum leg_what, int);
void	rig_paired(struct rig *, uint32_t, int, uint32_t);
void	rig_ended(struct rig *, uint32_t, enum cause);

/* rig_send(r, m, len): a command; the header but its type is filled in. */
void	rig_send(struct rig *, void *, size_t, enum msg_type);

/* rig_answer(r, session, pin, token): pin and token may be NULL. */
void	rig_answer(struct rig *, uint32_t, const char *, const void *);
void	rig_drop(struct rig *, uint32_t, enum cause);
void	rig_close(struct rig *, enum cause, uint32_t, uint32_t);

/*
 * rig_listener(family, port):
 * Listen on loopback at ${port}, or any if it is 0, which this then sets.
 */
int	rig_listener(int, uint16_t *);

/* rig_rendezvous(r, session): give it a listener; return its port. */
uint16_t rig_rendezvous(struct rig *, uint32_t);

/*
 * rig_connect(port, from):
 * Connect to 127.0.0.1 from the loopback address ${from}.  Return the
 * socket, or -1 if it was refused.
 */
int	rig_connect(uint16_t, const char *);

/* rig_refused(port): does nobody listen there (any more)? */
int	rig_refused(uint16_t);

/* rig_say(fd, text), rig_hear(fd, text): exactly these bytes. */
void	rig_say(int, const char *);
void	rig_hear(int, const char *);

/* rig_rst(fd), rig_fin(fd): wait for that, then close ${fd}. */
void	rig_rst(int);
void	rig_fin(int);

/* rig_reset(fd): close it with a reset. */
void	rig_reset(int);

/* rig_cpu_ms(r): CPU time the worker has used. */
long	rig_cpu_ms(const struct rig *);

#endif
