/* SPDX-License-Identifier: ISC */
#ifndef MASTER_XMPP_HINT_H
#define MASTER_XMPP_HINT_H

/*
 * xmpp_hint(condition):
 * Return what an admin should look at when an XMPP server ends our stream
 * with this condition of RFC 6120 4.9.3; a general hint if it is unknown.
 */
const char	*xmpp_hint(const char *);

#endif
