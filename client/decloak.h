/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_DECLOAK_H
#define CLIENT_DECLOAK_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"

/* Presence decloaking, XEP-0276: finding people, and being found. */

#define DECLOAK_PEERS	32	/* clients of one person, at most */

struct decloak_peer {
	char	 jid[3072];	/* full */
	int	 asked;		/* features is what it has told */
	char	 features[4096];	/* with a space before and after each */
};

/*
 * decloak_find(peer, reason, ms, found, max):
 * Ask ${peer} to show where he is: a bare JID is sent directed presence with
 * the ${reason} ("file", "text", "media" or NULL); a full JID or a domain is
 * known already.  Each one found is asked what it can do.  Wait ${ms} at most,
 * and two seconds after the first answer.  Return the number found, which may
 * be 0, or -1 minus an exit code after it was said why not.  Runs the loop.
 */
int	decloak_find(const char *, const char *, int64_t,
	    struct decloak_peer *, size_t);

/* decloak_has(p, ns): 1 if the peer has told that it has this feature. */
int	decloak_has(const struct decloak_peer *, const char *);

/*
 * decloak_serve(o):
 * Answer those whom --decloak names, with bare presence and capabilities, and
 * nobody else.  Before the login.
 */
void	decloak_serve(const struct options *);

/*
 * decloak_begin():
 * After the login: if --decloak was given, be available to our own server,
 * which else passes no request on; with a priority that keeps chat away.
 */
void	decloak_begin(void);

/*
 * decloak_end():
 * Tell all to whom we have shown ourselves that we are gone.
 */
void	decloak_end(void);

#endif
