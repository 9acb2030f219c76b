/* SPDX-License-Identifier: ISC */
#ifndef MASTER_REGISTRY_H
#define MASTER_REGISTRY_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>
#include <sys/tree.h>

#include <event.h>
#include <stdint.h>

#include "ask.h"
#include "chan.h"
#include "conf.h"
#include "iq.h"
#include "listener.h"

/*
 * Who has which port: users, their ports and the clients of each.  This is
 * the data alone; port.c and client.c act on it.
 */

enum port_state {
	PORT_STARTING,		/* the worker has not said READY */
	PORT_OPEN,		/* listens */
	PORT_CLOSING,		/* does not listen; relays may go on */
	PORT_DEAD		/* the worker has gone; being accounted for */
};

enum client_state {
	CLIENT_ASKED,		/* the owner has not answered */
	CLIENT_ACCEPTED,	/* the owner's leg is awaited */
	CLIENT_RELAY
};

enum port_sync {
	SYNC_NONE,		/* the worker is known */
	SYNC_STATE,		/* asked; what comes before STATE is old */
	SYNC_SESSIONS		/* its sessions follow */
};

struct port;

struct client {			/* one connection of a stranger */
	TAILQ_ENTRY(client)	 entry;		/* of port */
	struct port		*port;
	uint32_t		 session;	/* the worker's number */
	enum client_state	 state;
	struct addr		 addr;
	struct addr		 leg;		/* CLIENT_RELAY */
	uint16_t		 rendezvous;	/* 0: none taken */
	uint16_t		 legs;		/* MSG_LEG that came */
	struct ask		*ask;		/* CLIENT_ASKED */
};
TAILQ_HEAD(client_list, client);

struct user {			/* a bare JID that has something here */
	RB_ENTRY(user)		 entry;
	struct jid		*jid;
	TAILQ_HEAD(, port)	 ports;
	uint32_t		 nports;	/* STARTING and OPEN */
	uint32_t		 nsessions;	/* ACCEPTED and RELAY */
};

struct port {
	RB_ENTRY(port)		 by_id;
	TAILQ_ENTRY(port)	 of_user;
	uint32_t		 id;		/* of its worker */
	uint16_t		 number;
	enum port_state		 state;
	struct user		*user;
	struct jid		*owner;		/* full JID to be asked */
	int			 full_owner;	/* no other resource counts */
	int64_t			 registered;	/* mono_ms() */
	int64_t			 expires;	/* mono_ms() */
	uint64_t		 asked;		/* seconds; 0: no expire */
	int			 oneshot;
	struct conf_quota	 quota;		/* in force for the owner */
	struct listeners	 listeners;	/* until the worker is READY */
	struct chan		*chan;		/* to the worker */
	uint64_t		 last_seq;	/* of the worker's events */
	uint64_t		 acked;		/* the last it was told of */
	int64_t			 refused_due;	/* its next MSG_REFUSED */
	pid_t			 pid;		/* 0: not known */
	RB_ENTRY(port)		 by_pid;	/* if it is known */
	uint32_t		 spawner;	/* ctl.spawner_no of its */
	int			 said_gone;	/* MSG_GONE has come */
	int			 exited;	/* MSG_EXITED has come */
	int			 status;	/* its waitpid(2) status */
	int			 kill_wanted;	/* told to be killed by us */
	enum cause		 close_cause;	/* PORT_CLOSING, PORT_DEAD */
	int			 adopted;	/* of a control before this */
	int			 escrowed;	/* the parent has a record */
	enum port_sync		 sync;		/* with a worker taken over */
	uint32_t		 sessions_due;	/* SYNC_SESSIONS */
	int			 listening;	/* says its STATE */
	uint64_t		 replayed;	/* up to it events repeat */
	unsigned int		 replays;	/* how many there were */
	unsigned int		 unheard;	/* PINGs since it said a word */
	struct iq		*request;	/* to be answered when ready */
	struct event		 timer;		/* start, expiry or burial */
	struct event		 gone_timer;	/* the owner seems to be gone */
	struct client_list	 clients;
};

/* registry_init(): prepare the tables.  Call once. */
void	registry_init(void);

/*
 * registry_user(jid, create):
 * Return the user with the bare JID of ${jid}; with ${create}, a new one if
 * need be.  NULL if there is none, or no memory for one.  A user is freed
 * with his last port.
 */
struct user *registry_user(const struct jid *, int);

/*
 * registry_new_id():
 * Return a number for a worker, or for a notice, that no other has.
 */
uint32_t registry_new_id(void);

/*
 * registry_last_id(id):
 * Numbers up to ${id} have been given out by another control.
 */
void	registry_last_id(uint32_t);

/*
 * registry_port_new(owner, id):
 * Return a new port of ${owner} (copied), in state PORT_STARTING, with the
 * id ${id} (0: a new one), without a number; NULL with errno ENOMEM, or
 * EEXIST if there is a port with that id.
 */
struct port *registry_port_new(const struct jid *, uint32_t);

/*
 * registry_port_number(p, number):
 * Give ${p} the port number ${number}, by which it is found from now on.
 */
void	registry_port_number(struct port *, uint16_t);

/*
 * registry_port_free(p):
 * Take ${p} out of the tables and free it with all that it holds.
 */
void	registry_port_free(struct port *);

/*
 * registry_port_closed(p, state):
 * ${p} listens no more and is in ${state} from now on: it is not found by
 * its number and does not count as a port of its user any longer.
 */
void	registry_port_closed(struct port *, enum port_state);

/*
 * registry_port_pid(p, pid):
 * The worker of ${p} is the process ${pid}, by which it is found from now
 * on.
 */
void	registry_port_pid(struct port *, pid_t);

/*
 * registry_by_pid(pid):
 * The port whose worker is the process ${pid}, or NULL; of several, as a
 * number may be given out again, the oldest that is not known to have ended.
 */
struct port *registry_by_pid(pid_t);

/* registry_by_id(id): the port whose worker is ${id}, or NULL. */
struct port *registry_by_id(uint32_t);

/*
 * registry_by_number(number):
 * The port that listens on ${number} (PORT_STARTING or PORT_OPEN), or NULL.
 */
struct port *registry_by_number(uint16_t);

/* registry_first(), registry_next(p): all ports, by id. */
struct port *registry_first(void);
struct port *registry_next(struct port *);

/* registry_after(id): the port with the least id above ${id}, or NULL. */
struct port *registry_after(uint32_t);

/* registry_count(): how many ports there are, in any state. */
uint32_t registry_count(void);

/* registry_listening(): how many are PORT_STARTING or PORT_OPEN. */
uint32_t registry_listening(void);

/*
 * registry_owns(p, jid):
 * Return 1 if ${jid} may change and close ${p}: the full JID that registered
 * it, or, unless p->full_owner, any resource of that bare JID.
 */
int	registry_owns(const struct port *, const struct jid *);

/*
 * registry_client_new(p, session):
 * Return a new client of ${p}, in state CLIENT_ASKED; NULL with errno ENOMEM.
 */
struct client *registry_client_new(struct port *, uint32_t);

/* registry_client(p, session): that client of ${p}, or NULL. */
struct client *registry_client(struct port *, uint32_t);

/*
 * registry_client_state(c, state):
 * Set the state of ${c} and count the session of its user.
 */
void	registry_client_state(struct client *, enum client_state);

/* registry_client_free(c): take ${c} out and free it; cancels its question. */
void	registry_client_free(struct client *);

#endif
