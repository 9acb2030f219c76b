/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_DISCO_H
#define CLIENT_DISCO_H

#include "el.h"

/*
 * What we can do (XEP-0030, XEP-0115, XEP-0199), told to nobody but our
 * server, the PASS service in use, and those we have shown ourselves to.
 */

/* disco_feature(ns): add a feature; before the login.  ${ns} is static. */
void	disco_feature(const char *);

/* disco_serve(): answer disco#info and ping from now on; before the login. */
void	disco_serve(void);

/* disco_let(jid): let ${jid}, full or bare, ask; at most a few hundred. */
void	disco_let(const char *);

/* disco_forget(jid): no longer. */
void	disco_forget(const char *);

/* disco_caps(presence): add our capabilities. */
void	disco_caps(xmpp_stanza_t *);

#endif
