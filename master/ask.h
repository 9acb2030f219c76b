/* SPDX-License-Identifier: ISC */
#ifndef MASTER_ASK_H
#define MASTER_ASK_H

#include <stdint.h>

#include "jid.h"
#include "stanza.h"

/*
 * IQ requests that passd sends and that somebody has to answer.  Each has
 * an id that cannot be guessed, and is answered only by a result or an
 * error with that id from the very JID that was asked (RFC 6120 8.2.3).
 *
 * Two kinds: a question (an incoming connection) is sent once, or, if it is
 * one that a control before this one had asked, when the link comes up, and
 * fails when its time is over; a notice (a port has closed) waits while the
 * link is down, is sent once a stream, again under the same id after a
 * reconnection if no answer has come, and is given up when its time is over
 * or after ASK_TRIES tries.
 */

#define ASK_ID_LEN	32		/* hexadecimal digits of 16 bytes */
#define ASK_TRIES	3
#define ASK_NOTICE_MS	30000		/* for an answer to a notice */
#define ASK_ROOM_MS	1000		/* when there was no room for it */
#define ASK_NOTICES_MAX	10000		/* waiting, in all */

enum ask_answer {
	ASK_RESULT,		/* the stanza is the result */
	ASK_ERROR,		/* the stanza is the error */
	ASK_TIMEOUT		/* there is none */
};

struct ask;

typedef void	(*ask_fn)(enum ask_answer, const struct stanza *, void *);

enum ask_news {
	ASK_SENT,		/* once more: how often so far */
	ASK_SETTLED		/* answered, or given up: no more will come */
};

typedef void	(*ask_news_fn)(enum ask_news, unsigned int, void *);

/* ask_init(): prepare the table.  Call once. */
void	ask_init(void);

/*
 * ask_question(id, to, x, timeout_ms, fn, arg):
 * Send the finished IQ in ${x}, which has ${id} and goes to ${to}, and call
 * ${fn} with ${arg} once: when the answer comes or after ${timeout_ms}.
 * Return a handle that is valid until then, or NULL if the link is down or
 * memory is short.
 */
struct ask *ask_question(const char *, const struct jid *,
    const struct xml_out *, uint32_t, ask_fn, void *);

/*
 * ask_again(id, to, x, timeout_ms, fn, arg):
 * The same for a question that was asked before: sent when the link is up,
 * or with ${x} NULL not sent again but still waited for.
 */
struct ask *ask_again(const char *, const struct jid *,
    const struct xml_out *, uint32_t, ask_fn, void *);

/* ask_cancel(a): forget ${a}; its function is not called. */
void	ask_cancel(struct ask *);

/*
 * ask_notice(id, to, x, tries, fn, arg):
 * Send the finished IQ in ${x} as a notice, now or when the link is up; it
 * was sent ${tries} times before.  ${fn} is called with ${arg} each time that
 * it is sent again and when it is settled, not before this function has
 * returned.  Return 1 if it was sent, 0 if it waits, -1 if too many wait
 * already, memory is short or ${id} is known; ${fn} is then never called.
 */
int	ask_notice(const char *, const struct jid *, const struct xml_out *,
	    unsigned int, ask_news_fn, void *);

/* ask_stop(): forget all questions and notices; nobody is told. */
void	ask_stop(void);

/* ask_known(id): Return 1 if something with ${id} waits for its answer. */
int	ask_known(const char *);

/*
 * ask_answered(s, from):
 * Take the IQ of type result or error ${s} from ${from}.  Return 1 if it
 * answers something, 0 if nobody asked.
 */
int	ask_answered(const struct stanza *, const struct jid *);

/* ask_link_up(): send the notices that wait. */
void	ask_link_up(void);

/* ask_notices(): how many notices wait for an answer or for the link. */
unsigned int ask_notices(void);

#endif
