/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_SESSION_IMPL_H
#define CLIENT_SESSION_IMPL_H

#include <stdint.h>

#include <strophe.h>

#include "addr.h"
#include "session.h"

/*
 * What the files of the session share: session.c (the stream), stanzas.c
 * (what goes over it), session_log.c (libstrophe's memory and words).
 */

enum session_state {
	ST_OFFLINE,
	ST_CONNECTING,
	ST_ONLINE,
	ST_WAITING		/* for the next attempt */
};

struct session {
	const struct account	*account;
	unsigned int		 flags;
	enum session_state	 state;
	xmpp_ctx_t		*ctx;
	xmpp_conn_t		*conn;
	xmpp_sm_state_t		*sm;		/* of the last connection */
	int			 fd;		/* of conn, -1: none */
	int			 fd_seen;	/* a connection was made */
	int			 ended;		/* conn is to be freed */
	int			 closing;
	int			 was_online;
	int			 conflict;
	int			 login_failed;
	int			 no_tls;
	int			 tries;
	char			*jid;
	char			 resource[32];
	char			 address[ADDR_STRLEN];	/* that worked */
	uint16_t		 port;
	char			 why[256];
	char			 cert_error[256];
	struct loop_timer	*timer;
	void			 (*watch)(enum session_event);
};
extern struct session	 ss;

/*
 * session_context():
 * Make ss.ctx, with memory that has a limit and a log that hides secrets.
 */
void	session_context(void);

/* session_stanzas_begin(conn): see what comes over ${conn}, logged in now. */
void	session_stanzas_begin(xmpp_conn_t *);

/* session_stanzas_lost(): the stream is gone, and with it every answer. */
void	session_stanzas_lost(void);

/* session_stanzas_end(): forget all handlers. */
void	session_stanzas_end(void);

#endif
