/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "fake.h"
#include "jid.h"

/*
 * The world around control, on top of tests/unit/fake.c: users who ask,
 * answer and are told, a spawner and its workers.  It keeps books on what
 * control says and logs, and after each step compares them with the
 * registry:
 *
 * - no number belongs to two ports, none is lost;
 * - the counts of ports, sessions and rendezvous ports are those of the
 *   lists;
 * - each request is answered once, unless the link was down;
 * - each port that was registered is closed once, and its owner gets one
 *   notice of it, or none where none is due.
 */

#define WORLD_US	"203.0.113.7"	/* as fake.c advertises it */
#define WORLD_PORTS	50		/* numbers, as in fake.c */
#define WORLD_RDVS	20
#define WORLD_FIRST	23100
#define WORLD_WORKERS	96		/* in one input, at most */
#define WORLD_REQUESTS	512
#define WORLD_QUESTIONS	512

struct world_user {
	const char	*jid;
	const char	*xml;		/* the same, for an attribute in '' */
	int		 group;		/* of the same bare JID */
	int		 full;		/* owns by his full JID */
	int		 allowed;
};
extern const struct world_user	 world_users[];
#define WORLD_USERS	7

struct world_request {
	int		 user;
	int		 answers;
	int		 lossy;		/* the link was not always up */
	int		 want;		/* error's code, 0: result, -1: any */
	int		 got;
};

struct world_question {
	char		 id[ASK_ID_LEN + 1];
	int		 user;		/* who was asked */
	uint16_t	 peer_port;	/* <client port=''/> */
	uint16_t	 proxy_port;	/* <proxy port=''/> */
	int		 answered;
};

enum world_state { WORLD_OPEN, WORLD_CLOSED };

/* A port that was registered: one from registered to closed. */
struct world_port {
	uint16_t	 number;
	enum world_state state;
	int		 user;		/* whose full JID is asked */
	int64_t		 expires;	/* fake time, some seconds early */
	int64_t		 gone_at;	/* closed then; -1: owner is there */
	char		 cause[16];	/* WORLD_CLOSED */
	int		 due;		/* a notice */
	int		 notices;
	char		 id[ASK_ID_LEN + 1];	/* of the notice */
	int		 stream;	/* on which it was sent last */
	int		 acked;
};

struct world_worker {
	struct fake_worker w;
	int		 spawner;	/* by which spawner it was started */
	int		 up;		/* the process lives */
	int		 ready;
	int		 kills;		/* KILL was sent */
};

extern struct world_request	 world_requests[WORLD_REQUESTS];
extern size_t			 world_nrequests;
extern struct world_question	 world_questions[WORLD_QUESTIONS];
extern size_t			 world_nquestions;
extern struct world_port	 world_ports[WORLD_WORKERS];
extern size_t			 world_nports;
extern struct world_worker	 world_workers[WORLD_WORKERS];
extern size_t			 world_nworkers;

/*
 * Set before world_start(), or NULL: called for each port that is closed,
 * before its notice is expected, and for each line that is logged.
 */
extern void	(*world_on_closed)(struct world_port *);
extern void	(*world_on_log)(const char *);

/* world_start(conf): begin, with more lines of configuration or NULL. */
void	world_start(const char *);

/*
 * world_end():
 * Let everything come to its end, see that nothing is left, and free it.
 */
void	world_end(void);

/* world_turn(): let control work, take what it sends, check the books. */
void	world_turn(void);

/* world_sleep(ms): put the clock forward, in steps. */
void	world_sleep(int64_t);

/* world_now(): the clock, ms. */
int64_t	world_now(void);

/*
 * world_iq(user, type, want, fmt, ...):
 * ${user} sends an IQ with this payload; ${want} as in world_request.
 * Return 0, or -1: the link is down, or too many were sent already.
 */
int	world_iq(int, const char *, int, const char *, ...)
	    __attribute__((__format__(__printf__, 4, 5)));

/*
 * world_iq_to(user, to, type, want, payload):
 * The same to the address ${to}, which may be followed by more attributes.
 * world_skipped(user, type, want):
 * The same for a stanza that is beyond a limit: only its top is left.
 */
int	world_iq_to(int, const char *, const char *, int, const char *);
int	world_skipped(int, const char *, int);

/*
 * world_answer(q, user, type, payload):
 * ${user} answers the question ${q}, whether or not it was put to him.
 */
void	world_answer(struct world_question *, int, const char *,
	    const char *);

/*
 * world_awaited(q): control waits for the answer to ${q}.  Tells questions
 * apart by the stranger's port, which is for the target to see to.
 */
int	world_awaited(const struct world_question *);

/*
 * world_seen(user), world_left(user): his presence comes and goes.
 * world_missing(user): note that control has to think him gone.
 */
void	world_seen(int);
void	world_left(int);
void	world_missing(int);

/* world_link(up), world_full(full): the link, and its queue. */
void	world_link(int);
void	world_full(int);

/* world_spawner_lost(), world_spawner_new(): it comes and goes. */
void	world_spawner_lost(void);
void	world_spawner_new(void);

/* world_room(): there is room for one more port, and its worker. */
int	world_room(void);

/* world_spawner_alive(): control has one. */
int	world_spawner_alive(void);

/* world_spawner_read(): it reads SPAWN and KILL. */
void	world_spawner_read(void);

/* world_spawner_says(type, id, value): SPAWNED or EXITED. */
void	world_spawner_says(enum msg_type, uint32_t, int);

/*
 * world_event(k, m, len):
 * Send an event of ${k}, the next in sequence.  Return 0, or -1 if control
 * has gone from the other end.
 */
int	world_event(struct world_worker *, void *, size_t);

/*
 * world_die(k, status, tell):
 * The process ${k} ends; with ${tell} its spawner, if it is there still,
 * says so.
 */
void	world_die(struct world_worker *, int, int);

/* world_port(number): the open port with that number, or NULL. */
struct world_port *world_port(uint16_t);

#endif
