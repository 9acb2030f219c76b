/* SPDX-License-Identifier: ISC */
#ifndef MASTER_IQ_H
#define MASTER_IQ_H

#include "jid.h"
#include "stanza.h"

/*
 * IQ stanzas (RFC 6120 8.2.3): dispatch of what arrives by namespace, and
 * the answers with their errors (PROTOCOL.md section 2, XEP-0086).
 */

#define NS_PASS		"jabber:iq:pass"
#define NS_PASSD	"urn:x-passd:1"
#define NS_DISCO_INFO	"http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS	"http://jabber.org/protocol/disco#items"
#define NS_PING		"urn:xmpp:ping"
#define NS_VERSION	"jabber:iq:version"
#define NS_LAST		"jabber:iq:last"
#define NS_DATA		"jabber:x:data"

/* A request of type get or set, kept until it is answered. */
struct iq {
	struct jid	*from;
	char		*id;		/* NULL: had none */
	char		*to;		/* as it was addressed */
	int		 set;		/* 1: set, 0: get */
	int		 english;	/* wants text in English, or any */
};

enum iq_error {
	IQ_BAD_REQUEST,		/* 400 */
	IQ_NOT_AUTHORIZED,	/* 401: another's port */
	IQ_FORBIDDEN,		/* 403: not allowed to register */
	IQ_NO_SUCH_PORT,	/* 404 */
	IQ_NO_SUCH_NODE,	/* 404, disco */
	IQ_WRONG_ADDRESS,	/* 405 */
	IQ_INTERNAL,		/* 500 */
	IQ_TOO_MANY_PORTS,	/* 500, resource-constraint */
	IQ_NOT_IMPLEMENTED,	/* 501 */
	IQ_NO_PORTS,		/* 502 */
	IQ_UNAVAILABLE,		/* 503: not served */
	IQ_DRAINING,		/* 503: passd stops */
	IQ_TOO_BIG,		/* 500, policy-violation: beyond a limit */
	IQ_RATE,		/* 500, policy-violation: too often */
	IQ_ERRORS
};

/* iq_free(iq): free ${iq}; NULL is allowed. */
void	iq_free(struct iq *);

/*
 * iq_new(from, id, to):
 * Return a request of type get with copies of these; ${id} may be NULL.
 * NULL with errno ENOMEM.  The caller frees it.
 */
struct iq *iq_new(const struct jid *, const char *, const char *);

/*
 * iq_dup(iq):
 * Return a copy of ${iq} for an answer that takes time; NULL with errno
 * ENOMEM.  The caller frees it.
 */
struct iq *iq_dup(const struct iq *);

/*
 * iq_stanza(s):
 * Deal with the IQ stanza ${s}, which stays the caller's: hand it to whoever
 * serves its namespace, take it as an answer, or answer it with an error.
 */
void	iq_stanza(const struct stanza *);

/*
 * iq_skipped(s):
 * The same for an IQ that was beyond a limit and of which only the top
 * element ${s} is left: a request is answered with an error.
 */
void	iq_skipped(const struct stanza *);

/*
 * iq_result(x, iq):
 * Begin the result of ${iq} in ${x}, which this initialises; the caller adds
 * the payload, calls iq_send() and frees ${x}.
 */
void	iq_result(struct xml_out *, const struct iq *);

/*
 * iq_request(x, id, to):
 * Begin an IQ of type set from this service to ${to} in the same way.
 */
void	iq_request(struct xml_out *, const char *, const struct jid *);

/*
 * iq_send(x): close and send the answer in ${x}, then free ${x}.
 * iq_send_error(x): the same for an error, whatever the stanza; it is the
 * first to be dropped when the server does not read.
 */
void	iq_send(struct xml_out *);
void	iq_send_error(struct xml_out *);

/*
 * iq_fail(iq, error, text, limit):
 * Answer ${iq} with ${error}: code, type, condition, a child in the
 * project's namespace where the table has one, with ${limit}, unless 0, as
 * its limit or, for IQ_RATE, the seconds to wait, and ${text}, or the
 * table's own if NULL.
 */
void	iq_fail(const struct iq *, enum iq_error, const char *, unsigned long);

/* iq_error_condition(error): its condition, for the log. */
const char *iq_error_condition(enum iq_error);

/* Whoever serves a namespace; ${q} is the one child of the IQ. */
void	pass_iq(const struct iq *, const struct stanza *);
void	disco_info_iq(const struct iq *, const struct stanza *);
void	disco_items_iq(const struct iq *, const struct stanza *);
void	ping_iq(const struct iq *, const struct stanza *);
void	version_iq(const struct iq *, const struct stanza *);
void	last_iq(const struct iq *, const struct stanza *);

#endif
