/* SPDX-License-Identifier: ISC */
#ifndef MASTER_XMPP_H
#define MASTER_XMPP_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "stanza.h"

/*
 * The component link (XEP-0114): connects, authenticates, keeps the stream
 * alive, tells when it is up and comes back by itself with a jittered
 * back-off of 1 to 60 seconds.  One link a process; runs in libevent's
 * current event base.
 */

#define XMPP_SECRET_MAX		1024	/* bytes of the shared secret */
#define XMPP_SERVERS_MAX	8	/* addresses of one server */

struct xmpp_handler {
	/* The stream is authenticated: stanzas may be sent. */
	void	(*up)(void *arg);
	/* It was up and is gone; a new attempt follows by itself. */
	void	(*down)(void *arg);
	/* A stanza; the callee owns it. */
	void	(*stanza)(struct stanza *, void *arg);
	/* As in struct stanza_handler. */
	void	(*skipped)(struct stanza *, enum stanza_bad, void *arg);
	/*
	 * A connected stream socket to a server on a UNIX path is wanted:
	 * call xmpp_connected() with it, or with -1 and an errno.
	 */
	void	(*connect)(void *arg);
};

/* Times in milliseconds; 0 means the default. */
struct xmpp_times {
	uint32_t	 connect;	/* 10 s: TCP, each server */
	uint32_t	 login;		/* 10 s: header and handshake */
	uint32_t	 idle;		/* 60 s without output: a space */
	uint32_t	 ping;		/* 60 s between two pings */
	uint32_t	 pong;		/* 30 s for an answer, asked twice */
	uint32_t	 retry_min;	/* 1 s: first back-off */
	uint32_t	 retry_max;	/* 60 s: longest back-off */
	uint32_t	 stable;	/* 60 s up: back-off starts anew */
	uint32_t	 close;		/* 2 s for the server to close, too */
};

struct xmpp_params {
	const char	*component;	/* our domain */
	const char	*secret;	/* shared secret, NUL-terminated */
	const struct addr *servers;	/* with ports; tried in turn */
	size_t		 nservers;	/* 0: a UNIX path, ask handler */
	struct xmpp_times times;	/* zeroed, but in tests */
};

/*
 * xmpp_init(p, h, arg):
 * Set up the link and start the first attempt.  Strings and addresses are
 * copied; the caller wipes its own copy of the secret.  Nothing of ${h} is
 * called before the event loop runs.  Fatal on lack of memory or a secret
 * longer than XMPP_SECRET_MAX.
 */
void	xmpp_init(const struct xmpp_params *, const struct xmpp_handler *,
	    void *);

/*
 * xmpp_set_secret(secret):
 * Use ${secret}, of at most XMPP_SECRET_MAX bytes, from the next attempt on;
 * the stream that is up stays.
 */
void	xmpp_set_secret(const char *);

/*
 * xmpp_connected(fd, error):
 * The answer to connect(), from within it or later: a connected socket
 * ${fd}, which the link takes, or -1 with an errno in ${error}.
 */
void	xmpp_connected(int, int);

/*
 * What a server that does not read costs first: a stanza is queued only if
 * the queue then holds no more than the share of its class.  So the last
 * quarter is for what nobody can ask for, and errors, which anybody can have
 * as many of as he likes, take no more than half.
 */
enum xmpp_class {
	XMPP_REFUSAL,		/* errors: half of XMPP_OUT_MAX */
	XMPP_ANSWER,		/* results: three quarters */
	XMPP_REQUEST		/* questions and notices: all of it */
};

/*
 * xmpp_send_as(x, class):
 * Queue the finished stanza in ${x}, which stays the caller's.  It leaves
 * when the event loop runs.  Return 0, or -1 if the link is down, the stanza
 * is unfinished or there is no room for it.
 */
int	xmpp_send_as(const struct xml_out *, enum xmpp_class);

/* xmpp_send(x): the same as XMPP_REQUEST. */
int	xmpp_send(const struct xml_out *);

/* xmpp_is_up(): 1 while the stream is authenticated, else 0. */
int	xmpp_is_up(void);

/*
 * xmpp_pong(s):
 * Show the link an IQ of type result or error from our own domain to our
 * own domain.  Return 1 if it answers the link's own ping, else 0.
 */
int	xmpp_pong(const struct stanza *);

/*
 * xmpp_close(done, arg):
 * Send what is queued and </stream:stream>, wait at most two seconds for
 * the server to close, then call ${done} with ${arg}, once.  No new attempt
 * follows.
 */
void	xmpp_close(void (*)(void *), void *);

#endif
