/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdint.h>

#include "el.h"

/*
 * The XMPP session: one stream to the account's server, on libstrophe, over
 * TLS with a certificate that was checked.  It is driven by loop_once().
 */

struct account;

#define SESSION_RECONNECT	0x1	/* come back after a loss */

/* What session_watch() tells. */
enum session_event {
	SESSION_LOST,		/* the stream is gone; it is tried again */
	SESSION_BACK		/* logged in again; session_jid() may differ */
};

/*
 * session_open(account, flags):
 * Log in, with a random resource.  Return 0, or an exit code after it was
 * said why not and what to try.  Runs the loop.
 */
int	session_open(const struct account *, unsigned int);

/*
 * session_close():
 * Log out, if logged in, and free everything.  Waits two seconds at most for
 * the server; runs the loop.
 */
void	session_close(void);

/* session_online(): 1 while logged in. */
int	session_online(void);

/* session_jid(): our full JID, as the server says. */
const char *session_jid(void);

/* session_bare(): our bare JID, prepared. */
const char *session_bare(void);

/* session_domain(): the domain of our account. */
const char *session_domain(void);

/* session_watch(fn): be told about losses and returns. */
void	session_watch(void (*)(enum session_event));

/*
 * session_address(host, size, port):
 * Address and port of the server in use, to be allowed by a sandbox.  Return
 * 0, or -1 when there is none.
 */
int	session_address(char *, size_t, uint16_t *);

/* ---- asking ------------------------------------------------------------- */

enum iq_status {
	IQ_RESULT,
	IQ_ERROR,
	IQ_TIMEOUT,
	IQ_LOST,		/* the stream went first */
	IQ_INTERRUPTED		/* session_ask(): a signal asks us to end */
};

/* fn(status, iq, arg): iq is NULL unless RESULT or ERROR, and not ours. */
typedef void (*iq_fn)(enum iq_status, xmpp_stanza_t *, void *);

/*
 * session_iq(type, to, child, ms, fn, arg):
 * Send an IQ, "get" or "set", with ${child}, which is taken, to ${to} (NULL:
 * our server), and call ${fn} exactly once with the answer, which counts only
 * if it comes from ${to}.
 */
void	session_iq(const char *, const char *, xmpp_stanza_t *, int64_t,
	    iq_fn, void *);

/*
 * session_ask(type, to, child, ms, reply):
 * The same, waiting: runs the loop.  With IQ_RESULT and IQ_ERROR ${reply} is
 * the answer, which the caller releases, else NULL.
 */
enum iq_status session_ask(const char *, const char *, xmpp_stanza_t *,
	    int64_t, xmpp_stanza_t **);

/* session_send(stanza): send any stanza; it is taken. */
void	session_send(xmpp_stanza_t *);

/* ---- being asked -------------------------------------------------------- */

/*
 * fn(iq, child, arg): an IQ of type get or set whose first child has the
 * namespace asked for.  Return 1 if it is or will be answered; 0 if not:
 * the next handler of that namespace is asked, in the end it is answered
 * with service-unavailable, as if nobody were here.
 */
typedef int (*session_iq_fn)(xmpp_stanza_t *, xmpp_stanza_t *, void *);
void	session_on_iq(const char *, session_iq_fn, void *);

/* fn(stanza, arg): each presence, or each message. */
typedef void (*session_fn)(xmpp_stanza_t *, void *);
void	session_on_presence(session_fn, void *);
void	session_on_message(session_fn, void *);

/*
 * session_reply(iq, child):
 * Answer ${iq} with a result that has ${child}, which is taken, or nothing.
 */
void	session_reply(xmpp_stanza_t *, xmpp_stanza_t *);

/*
 * session_refuse(iq, code, type, condition):
 * Answer ${iq} with an error.
 */
void	session_refuse(xmpp_stanza_t *, const char *, const char *,
	    const char *);

/*
 * session_same(a, b):
 * 1 if the two JIDs are the same once prepared; 0 if not or if one is none.
 * session_same_bare() compares the bare JIDs.
 */
int	session_same(const char *, const char *);
int	session_same_bare(const char *, const char *);

#endif
