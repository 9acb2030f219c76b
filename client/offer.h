/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_OFFER_H
#define CLIENT_OFFER_H

#include <stddef.h>
#include <stdint.h>

#include "el.h"
#include "pass.h"
#include "transfer.h"

/*
 * Files are offered by XMPP, in an IQ of XEP-0066 with an element of our own
 * in it: where to connect, how much there is, and the one-time secret that
 * both ends prove over that connection.  The answer comes when all is over: a
 * result if it arrived, else an error.
 *
 *	<query xmlns='jabber:iq:oob'>
 *	  <url>tcp://203.0.113.7:28017</url>
 *	  <desc>report.pdf</desc>
 *	  <transfer xmlns='urn:x-passd:1' files='1' dirs='0' bytes='17'>
 *	    <address port='28017'>203.0.113.7</address>
 *	    <secret>64 hexadecimal digits</secret>
 *	  </transfer>
 *	</query>
 */

/* Longest title, shown and terminated. */
#define OFFER_TITLE_MAX		256

struct offer {
	uint8_t		 secret[PROOF_SECRET_LEN];
	char		 host[PASS_ADDRESSES][PASS_HOST_MAX];
	size_t		 nhosts;
	uint16_t	 port;
	struct transfer_total total;
	char		 title[OFFER_TITLE_MAX];	/* by fname_show() */
};

/* offer_build(o): the <query/>, which the caller gives away or releases. */
xmpp_stanza_t *offer_build(const struct offer *);

/*
 * offer_read(query, o):
 * Read a <query/> of somebody else.  Return 0, or -1 if it is no offer of a
 * passcat, or one that makes no sense.
 */
int	offer_read(xmpp_stanza_t *, struct offer *);

/*
 * offer_text(o, buf, size):
 * "report.pdf (1 file, 12 MB)" into ${buf}.  Return ${buf}.
 */
const char *offer_text(const struct offer *, char *, size_t);

#endif
