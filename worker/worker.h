/* SPDX-License-Identifier: ISC */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "cause.h"
#include "msg.h"
#include "shuttle.h"

/*
 * A worker owns one listening port.  It accepts strangers, reports them,
 * pairs them with the owner's connection when control says so, and
 * shuttles bytes.  Everything is static: nothing is allocated after the
 * fork.  It uses neither stdio nor any part of libc that opens files.
 */

#define SLOTS_MAX	320	/* CONF_SESSIONS_MAX + CONF_PENDING_MAX */
#define LEGS_MAX	4	/* connections held for one client */
#define LISTEN_MAX	2	/* one per address family */
#define TOKEN_MS	5000	/* for a leg to show its token */

/* Descriptors of a worker, set up by the spawner. */
#define WORKER_CHANNEL	3
#define WORKER_LISTEN	4	/* and the next, if there are two */

enum slot_state { SLOT_FREE, SLOT_ASKED, SLOT_ACCEPTED, SLOT_RELAY };

/* A connection that may be the owner's leg; unread but for its token. */
struct leg {
	int		 fd;
	struct addr	 addr;
	int64_t		 since;		/* mono_ms() of its arrival */
	uint8_t		 got;		/* bytes of the token read */
	uint8_t		 token[LEG_TOKEN_LEN];
};

/* A client: first undecided, then one side of a relay. */
struct slot {
	enum slot_state	 state;
	uint32_t	 session;
	int		 peer_fd;
	struct addr	 peer;
	int		 rdv[LISTEN_MAX];	/* rendezvous listeners */
	uint16_t	 rdv_port;		/* where they listen */
	struct leg	 legs[LEGS_MAX];
	size_t		 nlegs;
	uint32_t	 leg_reports;
	struct msg_answer answer;	/* from SLOT_ACCEPTED on */
	int64_t		 since;		/* mono_ms() of the accept */
	int64_t		 deadline;	/* SLOT_ACCEPTED: of the leg */
	int64_t		 paired;	/* mono_ms() */
	struct addr	 owner;		/* SLOT_RELAY: of the leg */
	struct shuttle	 relay;
	size_t		 poll_at;	/* its part of the poll set */
	size_t		 poll_n;
};

/* Where what is in the poll set; of a slot at most SLOT_POLL_MAX entries. */
#define SLOT_POLL_MAX	(1 + LISTEN_MAX + LEGS_MAX)
#define POLL_CHANNEL	0
#define POLL_LISTEN	1
#define POLL_SLOTS	(POLL_LISTEN + LISTEN_MAX)
#define POLL_MAX	(POLL_SLOTS + SLOTS_MAX * SLOT_POLL_MAX)

/*
 * What a port without clients uses comes first, and in one page: there may
 * be ten thousand of them.
 */
struct worker {
	uint32_t	 id;
	int		 channel;	/* -1: control is gone */
	int		 listeners[LISTEN_MAX];	/* -1: closed */
	int64_t		 listen_again;	/* paused until then */
	int		 paused;	/* in this turn */
	struct msg_limits limits;
	int		 leaving;	/* no listener; ends with its relays */
	enum cause	 end_cause;	/* of relays at end_at */
	int64_t		 end_at;	/* INT64_MAX: never */
	uint32_t	 last_session;
	size_t		 nactive;
	uint16_t	 active[SLOTS_MAX];	/* slots in use, any order */
	struct pollfd	 pollset[POLL_MAX];
	struct slot	 slots[SLOTS_MAX];
};

extern struct worker	 worker;

/*
 * worker_main(limits, nlisteners):
 * Run the worker that ${limits} describes on WORKER_CHANNEL and
 * ${nlisteners} listeners from WORKER_LISTEN on.  Does not return.
 */
void	worker_main(const struct msg_limits *, size_t)
	    __attribute__((__noreturn__));

/* worker_close_listeners(): close them and leave when the relays end. */
void	worker_close_listeners(void);

/*
 * worker_pause(error, now):
 * accept(2) has failed with ${error}.  Return 1, and leave all listeners
 * alone for a second, if that is for want of descriptors or memory: who waits
 * in their queues is served later.  Return 0 if it is no reason to wait.
 */
int	worker_pause(int, int64_t);

/* reserve.c: descriptors for those who are in already. */

/*
 * reserve_take():
 * Hold a few descriptors that nobody else can then have.  Return 1 if they
 * are all held, 0 if the system does not give that many; try again later.
 */
int	reserve_take(void);

/*
 * reserve_give():
 * Let go of them, for what control sends and for the owner's connection, to
 * be taken back afterwards.
 */
void	reserve_give(void);

/* slot.c: clients and relays. */

/* slot_find(session): the slot of ${session}, or NULL. */
struct slot *slot_find(uint32_t);

/*
 * slot_accept(fd, addr, now):
 * A connection ${fd} from ${addr} has come to the registered port: a new
 * client, which is reported, or, if there is no room for it, a reset.  With
 * LIMITS_SAME_PORT and a client undecided: a leg.  Takes ${fd}.
 */
void	slot_accept(int, const struct addr *, int64_t);

/* slot_answer(s, m, now): the owner has accepted the client of ${s}. */
void	slot_answer(struct slot *, const struct msg_answer *, int64_t);

/*
 * slot_end(s, cause, now):
 * End whatever ${s} is, report it and free the slot.  Undecided clients and
 * running relays are reset; for a relay that has ended by itself the cause
 * of the shuttle stands.
 */
void	slot_end(struct slot *, enum cause, int64_t);

/* slot_end_undecided(cause, now): end all clients without a relay. */
void	slot_end_undecided(enum cause, int64_t);

/* slot_end_relays(cause, now): end all relays. */
void	slot_end_relays(enum cause, int64_t);

/*
 * slot_poll(s, pfd):
 * Fill in what ${s} waits for, at most SLOT_POLL_MAX entries.  Return how
 * many.
 */
size_t	slot_poll(const struct slot *, struct pollfd *);

/* slot_turn(s, pfd, now): act on what poll(2) found for ${s}. */
void	slot_turn(struct slot *, const struct pollfd *, int64_t);

/* slot_deadline(s): the mono_ms() time of its next time-out. */
int64_t	slot_deadline(const struct slot *);

/* slot_timeout(s, now): act on time-outs that are due. */
void	slot_timeout(struct slot *, int64_t);

/* leg.c: connections that may be the owner's. */

/*
 * leg_accept(s, fd, addr, now):
 * ${fd} from ${addr} may be the owner's leg of ${s}: hold it, check it, or
 * send it away.  Takes ${fd}.  Return the leg that is proven and to be
 * paired, or -1.
 */
int	leg_accept(struct slot *, int, const struct addr *, int64_t);

/*
 * leg_decide(s, now, contested):
 * The owner has accepted: look at the legs held for ${s}.  Return the
 * descriptor of the one to be paired (not held by ${s} any more), or -1;
 * ${contested} is then 1 if there are several and nothing tells them apart.
 */
int	leg_decide(struct slot *, int64_t, int *);

/*
 * leg_turn(s, i, revents):
 * Act on ${revents} of leg ${i}.  Return as leg_accept().
 */
int	leg_turn(struct slot *, size_t, short);

/* leg_timeout(s, now): send away legs that showed no token in time. */
void	leg_timeout(struct slot *, int64_t);

/* leg_drop_all(s): reset all legs and close the rendezvous listeners. */
void	leg_drop_all(struct slot *);

/* report.c: messages to control. */

/*
 * report_room():
 * Return 1 if one more client may be accepted: its events, and those of
 * all there are, have room in the queue even if control does not read.
 */
int	report_room(void);

/* report_ready/client/leg/paired/ended/gone: queue that event. */
void	report_ready(void);
void	report_client(const struct slot *);
void	report_leg(struct slot *, enum leg_what, const struct addr *);
void	report_paired(const struct slot *, const struct addr *, uint32_t);
void	report_ended(const struct slot *, enum cause, int64_t);
void	report_gone(void);

/* Why a stranger was sent away; counted, and told once a second. */
enum refusal { REFUSED_BUSY, REFUSED_PENDING, REFUSED_FAILED };
void	report_refused(enum refusal, const struct addr *);

/* report_deadline(): when the next summary of refusals is due. */
int64_t	report_deadline(void);

/*
 * report_ack(upto):
 * Control has applied the events up to number ${upto}: they are forgotten.
 * Until then they are kept, for a control that comes after this one.
 */
void	report_ack(uint64_t);

/* report_acked(): Return 1 if no event is kept. */
int	report_acked(void);

/*
 * report_again():
 * A new control: send all events that are kept once more.  Return the number
 * of the last event so far.
 */
uint64_t report_again(void);

/*
 * report_flush(now):
 * Send what is queued.  Return 1 when all is out, 0 if control does not
 * read at the moment, -1 if it is gone (the queue is then empty).
 */
int	report_flush(int64_t);

/* sync.c: a new control takes over. */

/*
 * sync_begin(epoch, now):
 * Note all there is to be told to the control of ${epoch}; what an earlier
 * one has asked for is forgotten.
 */
void	sync_begin(uint32_t, int64_t);

/*
 * sync_flush():
 * Send it, as far as control reads.  Return 1 when all is out, or nothing
 * was asked for, 0 if control does not read, -1 if it is gone.
 */
int	sync_flush(void);

#endif
