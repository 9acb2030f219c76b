/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stanza.h"

#define XMLOUT_FIRST	512

static const char	 replacement[] = "\xef\xbf\xbd";	/* U+FFFD */

void
xml_init(struct xml_out *x)
{
	memset(x, 0, sizeof(*x));
}

void
xml_free(struct xml_out *x)
{
	free(x->buf);
	xml_init(x);
}

static void
put(struct xml_out *x, const char *s, size_t len)
{
	size_t	 size;
	char	*buf;

	if (x->failed)
		return;
	if (len > XMLOUT_MAX - x->len) {
		x->failed = 1;
		return;
	}
	if (len > x->size - x->len) {
		size = x->size == 0 ? XMLOUT_FIRST : x->size;
		while (size < x->len + len)
			size *= 2;
		buf = realloc(x->buf, size);
		if (buf == NULL) {
			x->failed = 1;
			return;
		}
		x->buf = buf;
		x->size = size;
	}
	memcpy(x->buf + x->len, s, len);
	x->len += len;
}

static void
put_str(struct xml_out *x, const char *s)
{
	put(x, s, strlen(s));
}

/*
 * The length of the UTF-8 sequence at ${s} (RFC 3629: no surrogates, no
 * longer form than needed, nothing above U+10FFFF) if it is a character
 * that XML 1.0 2.2 allows, else 0.
 */
static size_t
xml_char(const unsigned char *s)
{
	static const uint32_t	 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t		 c;
	size_t			 i, len;

	if (s[0] < 0x80)
		return (s[0] >= 0x20 || strchr("\t\r\n", s[0]) != NULL);
	if (s[0] >= 0xc0 && s[0] < 0xe0) {
		len = 2;
		c = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] < 0xf0) {
		len = 3;
		c = s[0] & 0x0f;
	} else if (s[0] >= 0xf0 && s[0] < 0xf8) {
		len = 4;
		c = s[0] & 0x07;
	} else
		return (0);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return (0);
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
	    c == 0xfffe || c == 0xffff)
		return (0);
	return (len);
}

/*
 * What stands for the byte ${c}, or NULL if it is itself.  A CR would
 * become an LF on the way, in an attribute both and a TAB a space (XML 1.0
 * 2.11, 3.3.3).
 */
static const char *
escape(unsigned char c, int in_attr)
{
	switch (c) {
	case '&':
		return ("&amp;");
	case '<':
		return ("&lt;");
	case '>':
		return ("&gt;");
	case '\r':
		return ("&#13;");
	case '\'':
		return (in_attr ? "&apos;" : NULL);
	case '"':
		return (in_attr ? "&quot;" : NULL);
	case '\t':
		return (in_attr ? "&#9;" : NULL);
	case '\n':
		return (in_attr ? "&#10;" : NULL);
	default:
		return (NULL);
	}
}

/*
 * Each byte that is part of no allowed character becomes U+FFFD, so that
 * nothing we are made to repeat can end the stream.
 */
static void
put_escaped(struct xml_out *x, const char *text, int in_attr)
{
	const unsigned char	*s = (const unsigned char *)text;
	const char		*with;
	size_t			 len;

	for (; *s != '\0' && !x->failed; s += len) {
		len = xml_char(s);
		with = len == 0 ? replacement : escape(*s, in_attr);
		if (len == 0)
			len = 1;
		if (with != NULL)
			put_str(x, with);
		else
			put(x, (const char *)s, len);
	}
}

static void
end_tag(struct xml_out *x)
{
	if (x->in_tag)
		put(x, ">", 1);
	x->in_tag = 0;
}

void
xml_open(struct xml_out *x, const char *name, const char *ns)
{
	if (x->depth == STANZA_DEPTH_MAX)
		x->failed = 1;
	if (x->failed)
		return;
	end_tag(x);
	put(x, "<", 1);
	put_str(x, name);
	x->open[x->depth++] = name;
	x->in_tag = 1;
	if (ns != NULL)
		xml_attr(x, "xmlns", ns);
}

void
xml_attr(struct xml_out *x, const char *name, const char *value)
{
	if (value == NULL)
		return;
	/* An attribute behind the content is a bug of the caller. */
	if (!x->in_tag)
		x->failed = 1;
	put(x, " ", 1);
	put_str(x, name);
	put(x, "='", 2);
	put_escaped(x, value, 1);
	put(x, "'", 1);
}

void
xml_attr_uint(struct xml_out *x, const char *name, unsigned long long value)
{
	char	 buf[24];

	(void)snprintf(buf, sizeof(buf), "%llu", value);
	xml_attr(x, name, buf);
}

void
xml_text(struct xml_out *x, const char *text)
{
	if (x->depth == 0)
		x->failed = 1;
	if (*text == '\0')
		return;
	end_tag(x);
	put_escaped(x, text, 0);
}

void
xml_close(struct xml_out *x)
{
	if (x->depth == 0)
		x->failed = 1;
	if (x->failed)
		return;
	x->depth--;
	if (x->in_tag) {
		put(x, "/>", 2);
		x->in_tag = 0;
		return;
	}
	put(x, "</", 2);
	put_str(x, x->open[x->depth]);
	put(x, ">", 1);
}

void
xml_elem(struct xml_out *x, const char *name, const char *ns, const char *text)
{
	xml_open(x, name, ns);
	if (text != NULL)
		xml_text(x, text);
	xml_close(x);
}

/* Attributes of ${s}; one with a namespace declares its prefix itself. */
static void
copy_attrs(struct xml_out *x, const struct stanza *s)
{
	const struct stanza_attr	*a;
	const char			*prefix;
	char				 decl[32];
	unsigned int			 n = 0;

	for (a = s->attr; a != NULL; a = a->next) {
		if (*a->ns == '\0') {
			xml_attr(x, a->name, a->value);
			continue;
		}
		if (strcmp(a->ns, NS_XML) == 0)
			prefix = "xml";
		else {
			(void)snprintf(decl, sizeof(decl), "xmlns:a%u", n++);
			xml_attr(x, decl, a->ns);
			prefix = decl + strlen("xmlns:");
		}
		put(x, " ", 1);
		put_str(x, prefix);
		put(x, ":", 1);
		put_str(x, a->name);
		put(x, "='", 2);
		put_escaped(x, a->value, 1);
		put(x, "'", 1);
	}
}

/* Recursion as deep as a stanza may be. */
static void
copy(struct xml_out *x, const struct stanza *s)
{
	const struct stanza	*c;

	/* <xml:a>: no default namespace may be that one (XML Names, 3). */
	if (strcmp(s->ns, NS_XML) == 0)
		x->failed = 1;
	xml_open(x, s->name, s->ns);
	copy_attrs(x, s);
	xml_text(x, s->text);
	for (c = s->child; c != NULL && !x->failed; c = c->next)
		copy(x, c);
	xml_close(x);
}

void
xml_copy(struct xml_out *x, const struct stanza *s)
{
	struct xml_out	 old = *x;

	copy(x, s);
	if (!x->failed || old.failed)
		return;
	/* What was written since is behind the old length. */
	x->len = old.len;
	x->depth = old.depth;
	x->in_tag = old.in_tag;
	x->failed = 0;
}

int
xml_done(const struct xml_out *x)
{
	return (x->failed || x->depth > 0 || x->len == 0 ? -1 : 0);
}
