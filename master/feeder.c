/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nsmap.h"
#include "skip.h"
#include "stanza.h"
#include "tree.h"

/*
 * Bytes to a stanza tree.  expat is used without its namespace mode: there
 * an undeclared prefix ends the parse for good, and a server that passes
 * such a stanza on (it may have been declared on the sender's own stream)
 * would let any user cut our link.  Here it costs him that stanza only.
 *
 * expat never forgets an element or attribute name, nor the memory of a
 * nesting once reached.  So that a long-lived stream stays small, a parser
 * is replaced by a new one at the first stanza boundary behind FEEDER_SWAP
 * bytes, and what is over a limit is not given to it at all (skip.h).
 */
#define FEEDER_SWAP	(256 * 1024)
#define FEEDER_CHUNK	(64 * 1024)	/* bytes given to expat at once */

/* expat is built for UTF-8 on every platform we know. */
_Static_assert(sizeof(XML_Char) == 1, "expat for UTF-8 is needed");

struct open {				/* an open element of a stanza */
	struct stanza	*s;
	struct stanza	**tail;		/* where its next child goes */
	char		*text;
	size_t		 len;
	size_t		 size;
};

struct stanza_feeder {
	const struct stanza_handler *h;
	void		*arg;
	XML_Parser	 parser;	/* NULL: a new one is due */
	char		 root[STREAM_ROOT_MAX + 1];	/* as in the stream */
	size_t		 fed;		/* bytes this parser has been given */
	size_t		 seen;		/* of these in complete tokens */
	size_t		 resume;	/* where a stopped parser stopped */
	int		 begun;		/* bytes is_utf16() has looked at */
	char		 last;		/* last byte of the chunk before */
	const char	*chunk;		/* what the parser is at now */
	size_t		 chunk_len;
	int		 in_cdata;
	int		 priming;	/* the root is our own repetition */
	int		 stopped;	/* ignore what expat still calls */
	int		 ended;		/* stream is closed */
	int		 dead;		/* bad is set */
	enum stream_bad	 bad;

	size_t		 depth;		/* open elements, 1: between stanzas */
	struct tree	*tree;		/* stanza being read, or NULL */
	size_t		 start;		/* its first byte in this parser */
	size_t		 nelems;
	struct open	 open[STANZA_DEPTH_MAX];
	int		 skipping;
	struct skip	 skip;

	struct nsmap	 ns;
};

static void
feeder_fail(struct stanza_feeder *f, enum stream_bad why)
{
	if (!f->dead) {
		f->dead = 1;
		f->bad = why;
	}
	f->stopped = 1;
	(void)XML_StopParser(f->parser, XML_FALSE);
}

/*
 * Stop behind the token that expat is at, so that the rest of the chunk can
 * go elsewhere.  The difference is right even where a 32-bit index wraps.
 */
static void
feeder_stop(struct stanza_feeder *f)
{
	f->stopped = 1;
	f->resume = f->seen - f->fed;
	(void)XML_StopParser(f->parser, XML_FALSE);
}

/* Note how far the parser is; every handler begins with it. */
static void
feeder_mark(struct stanza_feeder *f)
{
	f->seen = (size_t)XML_GetCurrentByteIndex(f->parser) +
	    (size_t)XML_GetCurrentByteCount(f->parser);
}

/* The token just read is an empty-element tag. */
static int
tag_is_empty(const struct stanza_feeder *f)
{
	size_t	 end = f->seen - f->fed;

	return ((end >= 2 && end <= f->chunk_len ? f->chunk[end - 2] :
	    f->last) == '/');
}

/* ---- the stream header -------------------------------------------------- */

static void
root_start(struct stanza_feeder *f, const char *raw, const char **atts)
{
	const char	*id = NULL, *name, *ns;
	size_t		 i;

	if (nsmap_root(&f->ns, atts) == -1) {
		feeder_fail(f, errno == ENOMEM ? STREAM_MEMORY :
		    STREAM_BAD_HEADER);
		return;
	}
	name = nsmap_split(&f->ns, raw, 0, &ns);
	if (strlcpy(f->root, raw, sizeof(f->root)) >= sizeof(f->root) ||
	    name == NULL || strcmp(name, "stream") != 0 ||
	    strcmp(ns, NS_STREAMS) != 0) {
		feeder_fail(f, STREAM_BAD_HEADER);
		return;
	}
	/* What a stanza without a prefix will be in. */
	(void)nsmap_split(&f->ns, "iq", 0, &ns);
	if (strcmp(ns, NS_COMPONENT) != 0) {
		feeder_fail(f, STREAM_BAD_HEADER);
		return;
	}
	for (i = 0; atts[i] != NULL; i += 2)
		if (strcmp(atts[i], "id") == 0)
			id = atts[i + 1];
	f->h->header(id, f->arg);
}

/* ---- building the tree -------------------------------------------------- */

/* Forget the stanza that is being read. */
static void
stanza_drop(struct stanza_feeder *f)
{
	tree_free(f->tree);
	f->tree = NULL;
	nsmap_reset(&f->ns);
}

/*
 * The stanza is over a limit: report its top element, leave the tree and
 * find its end without expat, ${left} open elements ahead.
 */
static void
stanza_skip(struct stanza_feeder *f, enum stanza_bad why, size_t left)
{
	struct stanza	*top = tree_top(f->tree);

	top->child = NULL;
	top->text = "";
	f->tree = NULL;
	nsmap_reset(&f->ns);
	f->depth = 1;
	if (left > 0) {
		f->skipping = 1;
		skip_start(&f->skip, left, f->in_cdata);
	}
	feeder_stop(f);
	f->h->skipped(top, why, f->arg);
}

static int
over_size(const struct stanza_feeder *f)
{
	return (f->seen - f->start > STANZA_BYTES_MAX);
}

/* Append an attribute of the already known parts. */
static int
attr_add(struct stanza_feeder *f, struct stanza_attr ***tail,
    const char *ns, const char *name, const char *value)
{
	struct stanza_attr	*a;

	a = tree_alloc(f->tree, sizeof(*a));
	if (a == NULL || (a->ns = nsmap_keep(&f->ns, f->tree, ns)) == NULL ||
	    (a->name = tree_str(f->tree, name, strlen(name))) == NULL ||
	    (a->value = tree_str(f->tree, value, strlen(value))) == NULL) {
		feeder_fail(f, STREAM_MEMORY);
		return (-1);
	}
	**tail = a;
	*tail = &a->next;
	return (0);
}

/* An attribute that whoever answers a skipped IQ needs. */
static int
attr_needed(const char *raw)
{
	static const char *const	 names[] = {
		"from", "to", "id", "type", "xml:lang"
	};
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(raw, names[i]) == 0)
			return (1);
	return (0);
}

/*
 * The top element is over a limit by itself: name it, give it the few short
 * attributes that matter and skip it.
 */
static void
top_skip(struct stanza_feeder *f, const char *raw, const char **atts,
    enum stanza_bad why)
{
	struct stanza		*top = tree_top(f->tree);
	struct stanza_attr	**tail = &top->attr;
	enum stanza_bad		 ignored;
	const char		*name, *ns;

	nsmap_reset(&f->ns);
	if (nsmap_enter(&f->ns, f->tree, f->depth, atts, &ignored) == -1) {
		feeder_fail(f, STREAM_MEMORY);
		return;
	}
	name = nsmap_split(&f->ns, raw, 0, &ns);
	if (name == NULL) {
		name = raw;
		ns = "";
	}
	if (strlen(name) > STANZA_KEEP_MAX || strlen(ns) > STANZA_KEEP_MAX)
		name = ns = "";
	top->attr = NULL;
	top->name = tree_str(f->tree, name, strlen(name));
	top->ns = nsmap_keep(&f->ns, f->tree, ns);
	if (top->name == NULL || top->ns == NULL) {
		feeder_fail(f, STREAM_MEMORY);
		return;
	}
	for (; *atts != NULL; atts += 2) {
		if (!attr_needed(atts[0]) ||
		    strlen(atts[1]) > STANZA_KEEP_MAX)
			continue;
		name = nsmap_split(&f->ns, atts[0], 1, &ns);
		if (attr_add(f, &tail, ns, name, atts[1]) == -1)
			return;
	}
	stanza_skip(f, why, tag_is_empty(f) ? 0 : 1);
}

/* The same attribute by two prefixes: XML Names 1.0 6.3. */
static int
attr_twice(const struct stanza *s, const char *ns, const char *name)
{
	const struct stanza_attr	*a;

	if (*ns == '\0')
		return (0);		/* expat has looked */
	for (a = s->attr; a != NULL; a = a->next)
		if (strcmp(a->ns, ns) == 0 && strcmp(a->name, name) == 0)
			return (1);
	return (0);
}

/*
 * Fill the element ${s}.  Return 0, 1 if a name is bad, or -1 when out of
 * memory.
 */
static int
elem_fill(struct stanza_feeder *f, struct stanza *s, const char *raw,
    const char **atts)
{
	struct stanza_attr	**tail = &s->attr;
	const char		*name, *ns;

	name = nsmap_split(&f->ns, raw, 0, &ns);
	if (name == NULL)
		return (1);
	s->text = "";
	s->name = tree_str(f->tree, name, strlen(name));
	s->ns = nsmap_keep(&f->ns, f->tree, ns);
	if (s->name == NULL || s->ns == NULL) {
		feeder_fail(f, STREAM_MEMORY);
		return (-1);
	}
	for (; *atts != NULL; atts += 2) {
		if (nsmap_is_decl(atts[0]))
			continue;
		name = nsmap_split(&f->ns, atts[0], 1, &ns);
		if (name == NULL || attr_twice(s, ns, name))
			return (1);
		if (attr_add(f, &tail, ns, name, atts[1]) == -1)
			return (-1);
	}
	return (0);
}

/* Limits that can be told before anything is kept. */
static int
elem_over(struct stanza_feeder *f, const char **atts, enum stanza_bad *why)
{
	size_t	 n;

	for (n = 0; atts[2 * n] != NULL; n++)
		;
	if (over_size(f))
		*why = STANZA_TOO_BIG;
	else if (f->depth - 1 > STANZA_DEPTH_MAX)
		*why = STANZA_TOO_DEEP;
	else if (n > STANZA_ATTRS_MAX || ++f->nelems > STANZA_ELEMS_MAX)
		*why = STANZA_TOO_MANY;
	else
		return (0);
	return (1);
}

/* Skip from inside of the start tag that made the stanza a bad one. */
static void
elem_skip(struct stanza_feeder *f, const char *raw, const char **atts,
    enum stanza_bad why)
{
	if (f->depth == 2)
		top_skip(f, raw, atts, why);
	else
		stanza_skip(f, why, f->depth - 1 -
		    (size_t)tag_is_empty(f));
}

static void
elem_start(struct stanza_feeder *f, const char *raw, const char **atts)
{
	enum stanza_bad	 why;
	struct open	*o, *up;
	struct stanza	*s;
	int		 n;

	if (f->depth == 2) {
		f->nelems = 0;
		f->start = (size_t)XML_GetCurrentByteIndex(f->parser);
		if ((f->tree = tree_new()) == NULL) {
			feeder_fail(f, STREAM_MEMORY);
			return;
		}
	}
	if (elem_over(f, atts, &why) ||
	    (n = nsmap_enter(&f->ns, f->tree, f->depth, atts, &why)) == 1) {
		elem_skip(f, raw, atts, why);
		return;
	}
	s = f->depth == 2 ? tree_top(f->tree) :
	    tree_alloc(f->tree, sizeof(*s));
	if (n == -1 || s == NULL) {
		feeder_fail(f, STREAM_MEMORY);
		return;
	}
	n = elem_fill(f, s, raw, atts);
	if (n == 1)
		elem_skip(f, raw, atts, STANZA_BAD_NAME);
	if (n != 0)
		return;
	o = &f->open[f->depth - 2];
	memset(o, 0, sizeof(*o));
	o->s = s;
	o->tail = &s->child;
	if (f->depth > 2) {
		up = o - 1;
		*up->tail = s;
		up->tail = &s->next;
	}
}

/* ---- expat's calls ------------------------------------------------------ */

static void XMLCALL
on_start(void *arg, const XML_Char *raw, const XML_Char **atts)
{
	struct stanza_feeder	*f = arg;

	if (f->stopped)
		return;
	feeder_mark(f);
	f->depth++;
	if (f->depth > 1)
		elem_start(f, raw, atts);
	else if (!f->priming)
		root_start(f, raw, atts);
}

static void XMLCALL
on_end(void *arg, const XML_Char *raw)
{
	struct stanza_feeder	*f = arg;
	struct stanza		*top;

	(void)raw;
	if (f->stopped)
		return;
	feeder_mark(f);
	if (f->depth == 1) {
		f->ended = 1;
		feeder_stop(f);
		f->h->end(f->arg);
		return;
	}
	if (over_size(f)) {
		stanza_skip(f, STANZA_TOO_BIG, f->depth - 2);
		return;
	}
	nsmap_leave(&f->ns, f->depth);
	if (--f->depth > 1)
		return;
	top = tree_top(f->tree);
	f->tree = NULL;
	if (f->seen > FEEDER_SWAP)
		feeder_stop(f);
	f->h->stanza(top, f->arg);
}

/* Room for ${len} more bytes and a NUL in the text of ${o}. */
static int
text_grow(struct stanza_feeder *f, struct open *o, size_t len)
{
	size_t	 size;
	char	*text;

	if (o->len + len < o->size)
		return (0);
	/* Doubled, so that text in many pieces is not copied each time. */
	size = o->size == 0 ? len + 1 : 2 * (o->len + len + 1);
	text = tree_alloc(f->tree, size);
	if (text == NULL)
		return (-1);
	if (o->len > 0)
		memcpy(text, o->text, o->len);
	o->text = text;
	o->size = size;
	o->s->text = text;
	return (0);
}

static void XMLCALL
on_text(void *arg, const XML_Char *s, int len)
{
	struct stanza_feeder	*f = arg;
	struct open		*o;
	int			 i;

	if (f->stopped || len <= 0)
		return;
	feeder_mark(f);
	if (f->depth < 2) {
		for (i = 0; i < len; i++)
			if (strchr(" \t\r\n", s[i]) == NULL) {
				feeder_fail(f, STREAM_NOT_WELL_FORMED);
				return;
			}
		return;
	}
	if (over_size(f)) {
		stanza_skip(f, STANZA_TOO_BIG, f->depth - 1);
		return;
	}
	o = &f->open[f->depth - 2];
	if (text_grow(f, o, (size_t)len) == -1) {
		feeder_fail(f, STREAM_MEMORY);
		return;
	}
	memcpy(o->text + o->len, s, (size_t)len);
	o->len += (size_t)len;
	o->text[o->len] = '\0';
}

/* Where a CDATA section is left in the middle, its end has to be found. */
static void XMLCALL
on_cdata(void *arg)
{
	struct stanza_feeder	*f = arg;

	f->in_cdata = 1;
}

static void XMLCALL
on_cdata_end(void *arg)
{
	struct stanza_feeder	*f = arg;

	f->in_cdata = 0;
}

static void XMLCALL
on_comment(void *arg, const XML_Char *text)
{
	(void)text;
	feeder_fail(arg, STREAM_RESTRICTED_XML);
}

static void XMLCALL
on_pi(void *arg, const XML_Char *target, const XML_Char *data)
{
	(void)target;
	(void)data;
	feeder_fail(arg, STREAM_RESTRICTED_XML);
}

static void XMLCALL
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	feeder_fail(arg, STREAM_RESTRICTED_XML);
}

/* RFC 6120 11.6: UTF-8 and nothing else. */
static void XMLCALL
on_decl(void *arg, const XML_Char *version, const XML_Char *encoding,
    int standalone)
{
	(void)version;
	(void)standalone;
	if (encoding != NULL && strcasecmp(encoding, "UTF-8") != 0)
		feeder_fail(arg, STREAM_ENCODING);
}

/* ---- feeding ------------------------------------------------------------ */

/*
 * Give ${f} a new parser; in the middle of a stream it is told of the
 * stream's root first, so that the end tag of the stream has its partner.
 */
static int
parser_new(struct stanza_feeder *f)
{
	char	 tag[STREAM_ROOT_MAX + 3];

	f->parser = XML_ParserCreate("UTF-8");
	if (f->parser == NULL)
		return (-1);
#ifdef HAVE_XML_SETREPARSEDEFERRALENABLED
	/*
	 * A tag that is complete must not wait for the bytes behind it, which
	 * may never come.  What rereading costs is bounded by our own limits.
	 */
	(void)XML_SetReparseDeferralEnabled(f->parser, XML_FALSE);
#endif
	/* Without this expat opens a file or asks the kernel for entropy. */
	(void)XML_SetHashSalt(f->parser, (unsigned long)arc4random() | 1);
	XML_SetUserData(f->parser, f);
	XML_SetElementHandler(f->parser, on_start, on_end);
	XML_SetCharacterDataHandler(f->parser, on_text);
	XML_SetCdataSectionHandler(f->parser, on_cdata, on_cdata_end);
	XML_SetCommentHandler(f->parser, on_comment);
	XML_SetProcessingInstructionHandler(f->parser, on_pi);
	XML_SetStartDoctypeDeclHandler(f->parser, on_doctype);
	XML_SetXmlDeclHandler(f->parser, on_decl);
	f->fed = f->seen = 0;
	f->in_cdata = f->stopped = 0;
	if (f->root[0] == '\0')
		return (0);
	(void)strlcpy(tag, "<", sizeof(tag));
	(void)strlcat(tag, f->root, sizeof(tag));
	(void)strlcat(tag, ">", sizeof(tag));
	f->depth = 0;
	f->priming = 1;
	f->fed = strlen(tag);
	if (XML_Parse(f->parser, tag, (int)f->fed, 0) != XML_STATUS_OK)
		return (-1);
	f->priming = 0;
	return (0);
}

static void
parser_free(struct stanza_feeder *f)
{
	if (f->parser != NULL)
		XML_ParserFree(f->parser);
	f->parser = NULL;
}

struct stanza_feeder *
feeder_new(const struct stanza_handler *h, void *arg)
{
	struct stanza_feeder	*f;

	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return (NULL);
	f->h = h;
	f->arg = arg;
	if (parser_new(f) == -1) {
		feeder_free(f);
		errno = ENOMEM;
		return (NULL);
	}
	return (f);
}

void
feeder_free(struct stanza_feeder *f)
{
	if (f == NULL)
		return;
	parser_free(f);
	tree_free(f->tree);
	nsmap_free(&f->ns);
	free(f);
}

static enum stream_bad
expat_bad(XML_Parser p)
{
	switch (XML_GetErrorCode(p)) {
	case XML_ERROR_NO_MEMORY:
		return (STREAM_MEMORY);
	case XML_ERROR_UNDEFINED_ENTITY:
	case XML_ERROR_RECURSIVE_ENTITY_REF:
	case XML_ERROR_ASYNC_ENTITY:
	case XML_ERROR_BINARY_ENTITY_REF:
	case XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF:
		return (STREAM_RESTRICTED_XML);
	case XML_ERROR_UNKNOWN_ENCODING:
	case XML_ERROR_INCORRECT_ENCODING:
		return (STREAM_ENCODING);
	default:
		return (STREAM_NOT_WELL_FORMED);
	}
}

/*
 * expat looks for UTF-16 in the first two bytes whatever encoding it is
 * told, and a stream could get past RFC 6120 11.6 that way.
 */
static int
is_utf16(struct stanza_feeder *f, const char *bytes, size_t len)
{
	static const char	 first[] = "<\xef \t\r\n";
	size_t			 i;

	for (i = 0; f->begun < 2 && i < len; i++, f->begun++)
		if (bytes[i] == '\0' ||
		    (f->begun == 0 && strchr(first, bytes[i]) == NULL))
			return (1);
	return (0);
}

/* Give expat at most one chunk; return how much of it is done with. */
static size_t
feed_expat(struct stanza_feeder *f, const char *bytes, size_t len)
{
	XML_Index	 at;

	if (f->parser == NULL && parser_new(f) == -1) {
		f->dead = 1;
		f->bad = STREAM_MEMORY;
		return (len);
	}
	if (len > FEEDER_CHUNK)
		len = FEEDER_CHUNK;
	f->chunk = bytes;
	f->chunk_len = len;
	f->stopped = 0;
	if (XML_Parse(f->parser, bytes, (int)len, 0) == XML_STATUS_OK &&
	    !f->stopped) {
		f->fed += len;
		at = XML_GetCurrentByteIndex(f->parser);
		if (at >= 0 && (size_t)at > f->seen)
			f->seen = (size_t)at;
		if (f->fed - f->seen > STANZA_TOKEN_MAX)
			feeder_fail(f, STREAM_POLICY);
		return (len);
	}
	if (!f->stopped)
		feeder_fail(f, expat_bad(f->parser));
	if (f->dead || f->ended)
		return (len);
	parser_free(f);
	if (f->resume <= len)
		return (f->resume);
	/* Stopped in an earlier chunk: an expat that defers, see above. */
	f->dead = 1;
	f->bad = STREAM_POLICY;
	return (len);
}

static size_t
feed_skip(struct stanza_feeder *f, const char *bytes, size_t len)
{
	size_t	 used;

	switch (skip_feed(&f->skip, bytes, len, &used)) {
	case SKIP_DONE:
		f->skipping = 0;
		break;
	case SKIP_NOT_WELL_FORMED:
		f->dead = 1;
		f->bad = STREAM_NOT_WELL_FORMED;
		break;
	case SKIP_RESTRICTED:
		f->dead = 1;
		f->bad = STREAM_RESTRICTED_XML;
		break;
	case SKIP_MORE:
		break;
	}
	return (used);
}

int
feeder_feed(struct stanza_feeder *f, const void *data, size_t len,
    enum stream_bad *why)
{
	const char	*bytes = data;
	size_t		 n;

	if (!f->dead && is_utf16(f, bytes, len)) {
		f->dead = 1;
		f->bad = STREAM_ENCODING;
	}
	while (len > 0 && !f->dead && !f->ended) {
		if (f->skipping)
			n = feed_skip(f, bytes, len);
		else
			n = feed_expat(f, bytes, len);
		if (n > 0)
			f->last = bytes[n - 1];
		bytes += n;
		len -= n;
	}
	if (!f->dead)
		return (0);
	stanza_drop(f);
	*why = f->bad;
	return (-1);
}

const char *
stream_error_name(enum stream_bad why)
{
	switch (why) {
	case STREAM_NOT_WELL_FORMED:
		return ("not-well-formed");
	case STREAM_RESTRICTED_XML:
		return ("restricted-xml");
	case STREAM_POLICY:
		return ("policy-violation");
	case STREAM_BAD_HEADER:
		return ("invalid-namespace");
	case STREAM_ENCODING:
		return ("unsupported-encoding");
	case STREAM_MEMORY:
		return ("resource-constraint");
	}
	return ("undefined-condition");
}
