/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "skip.h"

enum {
	IN_TEXT,
	IN_LESS,		/* behind < */
	IN_TAG,			/* in a start tag */
	IN_SLASH,		/* in a start tag, behind / */
	IN_VALUE,		/* in an attribute value */
	IN_END,			/* in an end tag */
	IN_BANG,		/* behind <! */
	IN_CDATA
};

static const char	 cdata[] = "[CDATA[";

void
skip_start(struct skip *k, size_t depth, int in_cdata)
{
	memset(k, 0, sizeof(*k));
	k->depth = depth;
	k->state = in_cdata ? IN_CDATA : IN_TEXT;
}

/* A byte of a start tag, outside of attribute values. */
static enum skip_result
in_tag(struct skip *k, char c)
{
	switch (c) {
	case '>':
		if (k->state == IN_TAG)
			k->depth++;
		k->state = IN_TEXT;
		return (SKIP_MORE);
	case '<':
		return (SKIP_NOT_WELL_FORMED);
	case '"':
	case '\'':
		k->quote = (unsigned char)c;
		k->state = IN_VALUE;
		return (SKIP_MORE);
	default:
		k->state = c == '/' ? IN_SLASH : IN_TAG;
		return (SKIP_MORE);
	}
}

static enum skip_result
in_less(struct skip *k, char c)
{
	switch (c) {
	case '?':
		return (SKIP_RESTRICTED);
	case '!':
		k->state = IN_BANG;
		k->count = 0;
		return (SKIP_MORE);
	case '/':
		k->state = IN_END;
		return (SKIP_MORE);
	case '<':
	case '>':
		return (SKIP_NOT_WELL_FORMED);
	default:
		k->state = IN_TAG;
		return (SKIP_MORE);
	}
}

static enum skip_result
in_end(struct skip *k, char c)
{
	if (c == '<')
		return (SKIP_NOT_WELL_FORMED);
	if (c == '>') {
		k->state = IN_TEXT;
		if (--k->depth == 0)
			return (SKIP_DONE);
	}
	return (SKIP_MORE);
}

/* Behind "<!" only a CDATA section is no comment and no declaration. */
static enum skip_result
in_bang(struct skip *k, char c)
{
	if (c != cdata[k->count])
		return (SKIP_RESTRICTED);
	if (cdata[++k->count] == '\0') {
		k->state = IN_CDATA;
		k->count = 0;
	}
	return (SKIP_MORE);
}

/* Whether ${c} completes "]]>"; any number of ] may come before the >. */
static int
cdata_ends(struct skip *k, char c)
{
	int	 ends = c == '>' && k->count == 2;

	if (c != ']')
		k->count = 0;
	else if (k->count < 2)
		k->count++;
	return (ends);
}

/*
 * Text may hold no "]]>" (XML 1.0, 2.4).  expat looks for it before it hands
 * the text out, so that without this a stream would live or die by how the
 * network has cut it: here the text may have been handed out, and be skipped.
 */
static enum skip_result
in_text(struct skip *k, char c)
{
	if (cdata_ends(k, c))
		return (SKIP_NOT_WELL_FORMED);
	if (c == '<')
		k->state = IN_LESS;
	return (SKIP_MORE);
}

static enum skip_result
skip_byte(struct skip *k, char c)
{
	switch (k->state) {
	case IN_TEXT:
		return (in_text(k, c));
	case IN_LESS:
		return (in_less(k, c));
	case IN_TAG:
	case IN_SLASH:
		return (in_tag(k, c));
	case IN_VALUE:
		if (c == '<')
			return (SKIP_NOT_WELL_FORMED);
		if ((unsigned char)c == k->quote)
			k->state = IN_TAG;
		return (SKIP_MORE);
	case IN_END:
		return (in_end(k, c));
	case IN_BANG:
		return (in_bang(k, c));
	default:
		if (cdata_ends(k, c))
			k->state = IN_TEXT;
		return (SKIP_MORE);
	}
}

enum skip_result
skip_feed(struct skip *k, const char *bytes, size_t len, size_t *used)
{
	enum skip_result	 result = SKIP_MORE;
	size_t			 i;

	for (i = 0; i < len && result == SKIP_MORE; i++)
		result = skip_byte(k, bytes[i]);
	*used = i;
	return (result);
}
