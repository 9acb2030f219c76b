/* SPDX-License-Identifier: ISC */
#ifndef MASTER_STANZA_H
#define MASTER_STANZA_H

#include <stddef.h>

#include "bounds.h"

/*
 * XML in and out for an XMPP stream (RFC 6120 4 and 11): a feeder that
 * turns bytes into small bounded trees, one a stanza, and a writer that
 * escapes.
 */

#define NS_STREAMS	"http://etherx.jabber.org/streams"
#define NS_COMPONENT	"jabber:component:accept"
#define NS_XML		"http://www.w3.org/XML/1998/namespace"
#define NS_STANZAS	"urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_XSTREAMS	"urn:ietf:params:xml:ns:xmpp-streams"

struct stanza_attr {
	struct stanza_attr	*next;
	const char		*ns;	/* "" without prefix */
	const char		*name;
	const char		*value;
};

/*
 * One element.  A stanza and everything in it is freed at once, with
 * stanza_free() of its top element.
 */
struct stanza {
	struct stanza		*next;	/* following sibling */
	struct stanza		*child;	/* first child element */
	struct stanza_attr	*attr;	/* in document order */
	const char		*ns;	/* namespace URI, "" if none */
	const char		*name;	/* local name */
	const char		*text;	/* all character data, joined; "" */
};

/* What became of a stanza that is not handed over. */
enum stanza_bad {
	STANZA_TOO_BIG,		/* STANZA_BYTES_MAX */
	STANZA_TOO_DEEP,	/* STANZA_DEPTH_MAX */
	STANZA_TOO_MANY,	/* attributes, elements or namespaces */
	STANZA_BAD_NAME		/* names against XML Names 1.0 */
};

/* Why a stream has to end; stream_error_name() gives the RFC's condition. */
enum stream_bad {
	STREAM_NOT_WELL_FORMED,
	STREAM_RESTRICTED_XML,	/* DTD, PI, comment, entity: RFC 6120 11.1 */
	STREAM_POLICY,		/* STANZA_TOKEN_MAX */
	STREAM_BAD_HEADER,	/* not a stream header, or a wrong namespace */
	STREAM_ENCODING,	/* not UTF-8: RFC 6120 11.6 */
	STREAM_MEMORY
};

/* Calls from the feeder.  None may call stanza_feed() or free the feeder. */
struct stanza_handler {
	/* The stream header; id is NULL if it has none. */
	void	(*header)(const char *id, void *arg);
	/* A complete child of the stream; the callee owns it. */
	void	(*stanza)(struct stanza *, void *arg);
	/*
	 * A stanza beyond a limit has begun and will be skipped to its end:
	 * its top element only, no children; the callee owns it.  When it is
	 * the top element itself that is over the limit, it has none but the
	 * attributes from, to, id, type and xml:lang, each if it is not too
	 * long to keep.
	 */
	void	(*skipped)(struct stanza *, enum stanza_bad, void *arg);
	/* </stream:stream> has arrived. */
	void	(*end)(void *arg);
};

struct stanza_feeder;

/*
 * feeder_new(h, arg):
 * Return a feeder for one stream that calls ${h} with ${arg}; NULL with
 * errno ENOMEM.  The caller frees it with feeder_free().
 */
struct stanza_feeder *feeder_new(const struct stanza_handler *, void *);

/* feeder_free(f): free ${f} and what it holds; NULL is allowed. */
void	feeder_free(struct stanza_feeder *);

/*
 * feeder_feed(f, bytes, len, why):
 * Parse ${len} more ${bytes} of the stream.  Return 0, or -1 with the
 * reason in ${why}: the stream has to end and ${f} takes no more.
 */
int	feeder_feed(struct stanza_feeder *, const void *, size_t,
	    enum stream_bad *);

/* stream_error_name(why): the condition of RFC 6120 4.9.3 to send. */
const char *stream_error_name(enum stream_bad);

/* stanza_free(s): free the tree ${s}; NULL is allowed. */
void	stanza_free(struct stanza *);

/*
 * stanza_attr(s, name):
 * Return the value of the attribute ${name} without prefix, or NULL.
 */
const char *stanza_attr(const struct stanza *, const char *);

/* stanza_lang(s): the value of xml:lang, or NULL. */
const char *stanza_lang(const struct stanza *);

/*
 * stanza_child(s, ns, name):
 * Return the first child of ${s} with this namespace and name, or NULL.
 */
const struct stanza *stanza_child(const struct stanza *, const char *,
    const char *);

/*
 * stanza_is(s, ns, name):
 * Return 1 if ${s} has this namespace and local name, else 0.
 */
int	stanza_is(const struct stanza *, const char *, const char *);

/*
 * The writer: elements are opened and closed in order, names and
 * namespaces are the program's own, values and text are escaped and cleaned
 * of what XML 1.0 2.2 does not allow.  Errors stick: only the last call is
 * checked.
 */
struct xml_out {
	char		*buf;		/* not NUL-terminated */
	size_t		 len;
	size_t		 size;
	size_t		 depth;
	const char	*open[STANZA_DEPTH_MAX];
	int		 in_tag;	/* the last start tag is still open */
	int		 failed;	/* out of memory, or over the limit */
};

/* xml_init(x): begin an empty output. */
void	xml_init(struct xml_out *);

/* xml_free(x): free what ${x} holds; may be called again. */
void	xml_free(struct xml_out *);

/*
 * xml_open(x, name, ns):
 * Open the element ${name}, with xmlns='${ns}' unless ${ns} is NULL.
 * ${name} has to live until xml_close().
 */
void	xml_open(struct xml_out *, const char *, const char *);

/* xml_attr(x, name, value): add an attribute; NULL ${value}: nothing. */
void	xml_attr(struct xml_out *, const char *, const char *);

/* xml_attr_uint(x, name, value): the same with a decimal number. */
void	xml_attr_uint(struct xml_out *, const char *, unsigned long long);

/* xml_text(x, text): add character data to the open element. */
void	xml_text(struct xml_out *, const char *);

/* xml_close(x): close the element opened last. */
void	xml_close(struct xml_out *);

/* xml_elem(x, name, ns, text): an element with text only; NULL: empty. */
void	xml_elem(struct xml_out *, const char *, const char *, const char *);

/*
 * xml_copy(x, s):
 * Write ${s} again with all it holds, each element with its namespace:
 * for echoing the payload of a request in an error (RFC 6120 8.3.1).
 * If it does not fit, or has an element of the prefix xml, nothing of it is
 * written and no error sticks: the answer is then sent without the echo,
 * which that section allows.
 */
void	xml_copy(struct xml_out *, const struct stanza *);

/*
 * xml_done(x):
 * Return 0 if every call worked and every element is closed; else -1.
 */
int	xml_done(const struct xml_out *);

#endif
