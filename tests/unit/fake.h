/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_FAKE_H
#define TESTS_UNIT_FAKE_H

#include <sys/types.h>

#include <stdint.h>

#include "ask.h"
#include "ctl.h"
#include "msg.h"
#include "stanza.h"

/*
 * What control needs around it, for tests: a link that records what is
 * sent, a spawner and workers that the test plays itself over real
 * channels, and a clock that can be put forward.
 */

#define FAKE_US		"pass.example.org"

/* A worker that SPAWN has asked for, as the spawner sees it. */
struct fake_worker {
	uint32_t	 id;
	uint16_t	 port;
	int		 chan;		/* -1: gone */
	size_t		 nlisteners;
	int		 listener[2];
	uint64_t	 seq;		/* of its last event */
	uint64_t	 acked;		/* the last one acknowledged */
	struct msg_limits limits;
};

extern int		 fake_up;	/* the link is up; 1 from the start */
extern int		 fake_full;	/* its queue is full */
extern unsigned int	 fake_empty;	/* calls of ctl_ports_empty() */

/*
 * fake_start(conf):
 * Begin: a configuration that allows example.org, with the lines ${conf}
 * behind, pools, tables, event loop, spawner.  Listens on an address that
 * no other process of the tests uses.
 */
void	fake_start(const char *);

/* fake_stop(): free all of it, whatever state it is in. */
void	fake_stop(void);

/* fake_conf(conf): put another configuration in force. */
void	fake_conf(const char *);

extern int		 fake_nkept;	/* records that the parent keeps */

/*
 * fake_takeover():
 * Control dies, and another one gets from the parent what it keeps.
 */
void	fake_takeover(void);

/* fake_loop(): let the event loop do what there is to do. */
void	fake_loop(void);

/* fake_sleep(ms): put the clock forward, then fake_loop(). */
void	fake_sleep(int64_t);

/*
 * fake_step(seconds):
 * Somebody sets the time of day, forward or, if negative, back, without any
 * time going by; fake_loop().
 */
void	fake_step(int64_t);

/*
 * fake_parse(xml):
 * Return the stanza that the text ${xml} is, as it comes from the server;
 * the caller frees it.
 */
struct stanza *fake_parse(const char *);

/* fake_iq(xml, ...): a stanza arrives, printf(3) style; fake_loop(). */
void	fake_iq(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * fake_sent():
 * Take the oldest stanza sent: valid until the next call.  NULL: none.
 * fake_sent_xml() is its text.
 */
const struct stanza *fake_sent(void);
const char *fake_sent_xml(void);

/*
 * fake_describe(s):
 * ${s} in one line, valid until the next call: for a result or a set its
 * payload, for an error code, type, condition, the text in brackets and the
 * child of our namespace.  "none" for NULL.
 */
const char *fake_describe(const struct stanza *);

/*
 * fake_spawner_new(): the parent brings a new spawner.
 * fake_spawner_lost(): it ends.
 * fake_spawner_fd(): its end of the channel to control.
 */
void	fake_spawner_new(void);
void	fake_spawner_lost(void);
int	fake_spawner_fd(void);

/* fake_spawn(w): take the SPAWN that was sent.  Return 1, or 0: none. */
int	fake_spawn(struct fake_worker *);

/* fake_killed(): take the next KILL that was sent: its id, or 0. */
uint32_t fake_killed(void);

/* fake_spawner_says(type, id, value): SPAWNED or EXITED with that value. */
void	fake_spawner_says(enum msg_type, uint32_t, int);

/* fake_told_parent(in): take the next message to the parent; 0: none. */
int	fake_told_parent(struct msg_in *);

/* fake_orphan(pid, status): the parent has reaped a worker. */
void	fake_orphan(pid_t, int);

/* fake_event(w, m, len): an event of ${w}, next in sequence. */
void	fake_event(struct fake_worker *, void *, size_t);

/* fake_ready/gone/client/paired/ended: the common ones. */
void	fake_ready(struct fake_worker *);
void	fake_client(struct fake_worker *, uint32_t, const char *, uint16_t);
void	fake_leg(struct fake_worker *, enum msg_type, uint32_t, uint32_t);
void	fake_ended(struct fake_worker *, uint32_t, enum cause, uint64_t,
	    uint64_t);

/*
 * fake_exit(w, status):
 * The end of ${w}: channel and listeners close, EXITED with ${status}.
 */
void	fake_exit(struct fake_worker *, int);

/* fake_close(w): close what it holds, and say nothing. */
void	fake_close(struct fake_worker *);

/* fake_command(w, in): the next message to ${w} but ACK; 0: none. */
int	fake_command(struct fake_worker *, struct msg_in *);

/*
 * fake_expect(w, type):
 * The next command has to be a ${type}: return it, its descriptors closed.
 * fake_quiet(w): is there none?
 */
struct msg_in *fake_expect(struct fake_worker *, enum msg_type);
int	fake_quiet(struct fake_worker *);

/*
 * fake_register(w, jid, payload):
 * ${jid} registers, the worker starts, the result is there.  Return it
 * described.
 */
const char *fake_register(struct fake_worker *, const char *, const char *);

/*
 * fake_question(w, session):
 * A stranger connects to ${w}: the rendezvous listeners reach the worker,
 * the question reaches the owner.  Return the rendezvous port.
 */
uint16_t fake_question(struct fake_worker *, uint32_t);

/* fake_question_id: of the last question; may be changed. */
extern char		 fake_question_id[ASK_ID_LEN + 1];

/* fake_reply(type, from, payload): ${from} answers the last question. */
void	fake_reply(const char *, const char *, const char *);

/* fake_logged(text): how many log lines so far contain ${text}. */
int	fake_logged(const char *);

/* fake_fds(): how many descriptors are open. */
int	fake_fds(void);

#endif
