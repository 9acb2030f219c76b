/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_HONEST_H
#define TESTS_FUZZ_HONEST_H

#include "fuzz.h"
#include "world.h"

/*
 * Workers that do what worker/ does, as control sees it, one step at a time
 * and in any order that may happen: a command is read when its worker comes
 * to it, so that it crosses events under way.  Checks that each client is
 * put to the owner and decided at most once, and as he said.
 */

#define SESSIONS	16	/* remembered per worker */

/* What the owner has said of a client. */
enum word { UNASKED, ASKED, ACCEPTED, DENIED, BOUNCED, MALFORMED };

/* What has become of him. */
enum life { ALIVE, ANSWERED, RELAYS, OVER };

struct session {
	uint32_t	 no;
	uint16_t	 peer_port;	/* tells clients apart */
	enum life	 life;
	enum word	 word;
	int		 decisions;	/* ANSWER or DROP */
	int		 rendezvous;
	int		 questions;
	int		 legs;		/* LEG that were sent */
	int		 ends;		/* lines in the log */
};

struct honest {				/* beside world_workers[] */
	struct session	 s[SESSIONS];
	size_t		 n;
	int		 leaving;	/* listens no more */
	int		 oneshot;	/* closed by its one relay */
};


extern struct honest	 honest[WORLD_WORKERS];

/* honest_start(): none yet. */
void	honest_start(void);

/* honest_holder(number): the latest worker for that port, or NULL. */
struct honest *honest_holder(uint16_t);

/* honest_by_peer(peer_port): that client, or NULL. */
struct session *honest_by_peer(uint16_t);

/* honest_questions(): take note of questions that have come. */
void	honest_questions(void);

/* honest_log(line): for world_on_log. */
void	honest_log(const char *);

/*
 * The steps, each with what it needs from the input: a worker starts, gets
 * a client, reads commands, something happens to a session, clients are sent
 * away, a worker leaves or dies.
 */
void	honest_do_start(struct fuzz_in *);
void	honest_do_client(struct fuzz_in *);
void	honest_do_read(struct fuzz_in *);
void	honest_do_session(struct fuzz_in *);
void	honest_do_refused(struct fuzz_in *);
void	honest_do_exit(struct fuzz_in *);

/*
 * honest_catch_up():
 * All read all, so that no queue of control ever fills: that is the hostile
 * one's part.
 */
void	honest_catch_up(void);

/*
 * honest_check():
 * Caught up: every client of a worker that lives was decided on, or has
 * ended, or its owner has still to answer.
 */
void	honest_check(void);

#endif
