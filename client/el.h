/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_EL_H
#define CLIENT_EL_H

#include <stddef.h>
#include <stdint.h>

#include <strophe.h>

#define NS_PASS		"jabber:iq:pass"
#define NS_PASSD	"urn:x-passd:1"
#define NS_DECLOAK	"urn:xmpp:decloak:0"
#define NS_CAPS		"http://jabber.org/protocol/caps"
#define NS_PING		"urn:xmpp:ping"
#define NS_OOB		"jabber:iq:oob"
#define NS_DATA		"jabber:x:data"

/*
 * Elements, written and read.  All belong to the one libstrophe context of
 * the process, which el_context() hands over; memory is always there.
 */

/* el_context(ctx): set the context; before anything else here. */
void	el_context(xmpp_ctx_t *);

/* el_get_context(): that context. */
xmpp_ctx_t *el_get_context(void);

/*
 * el_new(name, ns):
 * Return a new element, with the namespace ${ns} unless that is NULL.  The
 * caller releases it, or gives it to a function that takes it.
 */
xmpp_stanza_t *el_new(const char *, const char *);

/*
 * el_add(parent, name, ns):
 * Append a new child to ${parent}.  Return it; it is the parent's.
 */
xmpp_stanza_t *el_add(xmpp_stanza_t *, const char *, const char *);

/* el_put(parent, child): append ${child}, which is taken. */
void	el_put(xmpp_stanza_t *, xmpp_stanza_t *);

/* el_text(e, text), el_num(e, n): set the text of an element without any.
 * el_attr(e, name, value), el_attr_num(e, name, n): set an attribute. */
void	el_text(xmpp_stanza_t *, const char *);
void	el_num(xmpp_stanza_t *, uint64_t);
void	el_attr(xmpp_stanza_t *, const char *, const char *);
void	el_attr_num(xmpp_stanza_t *, const char *, uint64_t);

/*
 * el_child(e, name, ns):
 * Return the first child with this name and namespace (NULL: any of either),
 * or NULL; ${e} may be NULL.
 */
xmpp_stanza_t *el_child(xmpp_stanza_t *, const char *, const char *);

/*
 * el_get_text(e, buf, size):
 * Copy the text of ${e} without the space around it into ${buf}, "" for NULL.
 * Return 0, or -1 if there is no text or it is too long (${buf} is then "").
 */
int	el_get_text(xmpp_stanza_t *, char *, size_t);

/*
 * el_get_port(e):
 * Return the attribute "port", 1 to 65535, or 0 if it is not a port number.
 */
uint16_t el_get_port(xmpp_stanza_t *);

/* el_is(e, name, ns): 1 if ${e} has this name and namespace. */
int	el_is(xmpp_stanza_t *, const char *, const char *);

/*
 * el_number(text, value):
 * Read decimal digits and nothing else.  Return 0, or -1 if it is something
 * else or too large (no more than 15 digits count).
 */
int	el_number(const char *, uint64_t *);

/* What an error stanza says. */
struct el_error {
	char	 code[8];		/* "404", or "" */
	char	 type[16];
	char	 condition[64];		/* "undefined-condition" if none */
	char	 app[64];		/* child in urn:x-passd:1, or "" */
	char	 text[256];		/* of the sender, or "" */
};

/* el_error(stanza, e): read the <error/> in ${stanza} into ${e}. */
void	el_error(xmpp_stanza_t *, struct el_error *);

#endif
