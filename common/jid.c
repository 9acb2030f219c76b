/* SPDX-License-Identifier: ISC */
/*
 * JIDs.  XMPP servers have prepared the addresses that reach us, but a
 * component must not depend on it (two servers, two opinions), and what the
 * administrator writes into passd.conf has not been prepared by anybody.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stringprep.h>

#include "addr.h"
#include "jid.h"
#include "log.h"

#define JID_LOG_MIN	32	/* less is too little for three parts */

/* A part while it is prepared: libidn works in place and wants room. */
struct part {
	char	 text[JID_PART_MAX + 1];
	size_t	 len;
};

/*
 * RFC 3629 section 4.  libidn walks over the end of text that is not
 * UTF-8, hence our own check before it.
 */
size_t
jid_utf8_len(const char *text)
{
	const unsigned char	*s = (const unsigned char *)text;
	size_t			 i, len;

	if (s[0] < 0x80)
		return (1);
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return (0);
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < len; i++)	/* stops at the NUL at the latest */
		if ((s[i] & 0xc0) != 0x80)
			return (0);
	if ((s[0] == 0xe0 && s[1] < 0xa0) ||	/* over-long */
	    (s[0] == 0xed && s[1] > 0x9f) ||	/* surrogates */
	    (s[0] == 0xf0 && s[1] < 0x90) ||	/* over-long */
	    (s[0] == 0xf4 && s[1] > 0x8f))	/* beyond U+10FFFF */
		return (0);
	return (len);
}

static int
utf8_valid(const char *text)
{
	size_t	 n;

	for (; *text != '\0'; text += n)
		if ((n = jid_utf8_len(text)) == 0)
			return (0);
	return (1);
}

/*
 * Would preparing ${p} once more change nothing?  The normalisation of
 * Unicode 3.2 does not always come to rest at once (Unicode's Public Review
 * Issue 29), and two texts that meet only later must not be two users now.
 */
static int
is_stable(const struct part *p, const Stringprep_profile *profile)
{
	char	 again[JID_PART_MAX + 1];
	size_t	 i;

	for (i = 0; i < p->len && (unsigned char)p->text[i] < 0x80; i++)
		;
	if (i == p->len)
		return (1);
	memcpy(again, p->text, p->len + 1);
	return (stringprep(again, sizeof(again), 0, profile) ==
	    STRINGPREP_OK && strcmp(again, p->text) == 0);
}

/*
 * Prepare ${len} bytes at ${text} with ${profile} into ${p}.  Code points
 * that Unicode 3.2 does not know pass, as they do in the servers: they are
 * "queries" in the sense of RFC 3454 section 7, and phones put emoji into
 * resources.
 */
static int
prepare(struct part *p, const char *text, size_t len,
    const Stringprep_profile *profile)
{
	if (len == 0 || len > JID_PART_MAX)
		return (-1);
	memcpy(p->text, text, len);
	p->text[len] = '\0';
	if (stringprep(p->text, sizeof(p->text), 0, profile) != STRINGPREP_OK)
		return (-1);
	p->len = strlen(p->text);
	return (p->len == 0 || !is_stable(p, profile) ? -1 : 0);
}

/*
 * Nameprep lets ASCII pass that no domain has: spaces, controls, '@' and
 * '/' (some of it made by NFKC from full-width forms).  A label has at
 * least one byte.
 */
static int
domain_name_valid(const struct part *p)
{
	size_t		 i;
	unsigned char	 c, prev = '.';

	for (i = 0; i < p->len; i++) {
		c = (unsigned char)p->text[i];
		if (c == '.' ? prev == '.' : c < 0x80 && c != '-' &&
		    c != '_' && !(c >= '0' && c <= '9') &&
		    !(c >= 'a' && c <= 'z'))
			return (0);
		prev = c;
	}
	return (prev != '.');
}

/* [2001:db8::1], RFC 6122 section 2.2. */
static int
domain_literal_valid(const struct part *p)
{
	char		 text[ADDR_STRLEN];
	struct addr	 a;

	if (p->len < 4 || p->len - 2 >= sizeof(text) ||
	    p->text[p->len - 1] != ']')
		return (0);
	memcpy(text, p->text + 1, p->len - 2);
	text[p->len - 2] = '\0';
	return (strchr(text, ':') != NULL && addr_parse(&a, text) == 0);
}

static int
prepare_domain(struct part *p, const char *text, size_t len)
{
	if (prepare(p, text, len, stringprep_nameprep) == -1)
		return (-1);
	/* RFC 7622 section 3.2: a trailing dot is not part of it. */
	if (p->len > 1 && p->text[p->len - 1] == '.')
		p->text[--p->len] = '\0';
	if (p->text[0] == '[' ? !domain_literal_valid(p) :
	    !domain_name_valid(p))
		return (-1);
	return (0);
}

static struct jid *
assemble(const struct part *local, const struct part *domain,
    const struct part *resource)
{
	struct jid	*j;
	char		*s;

	/* Two separators and the NUL: never more than that. */
	j = calloc(1, sizeof(*j) + local->len + domain->len +
	    resource->len + 3);
	if (j == NULL)
		return (NULL);
	s = j->full;
	if (local->len > 0) {
		j->has_local = 1;
		memcpy(s, local->text, local->len);
		s += local->len;
		*s++ = '@';
	}
	j->domain = s;
	j->domain_len = domain->len;
	memcpy(s, domain->text, domain->len);
	s += domain->len;
	j->bare_len = (size_t)(s - j->full);
	if (resource->len > 0) {
		*s++ = '/';
		j->resource = s;
		memcpy(s, resource->text, resource->len);
	}
	return (j);
}

struct jid *
jid_parse(const char *text)
{
	struct part	 local, domain, resource;
	const char	*slash, *at, *start;
	size_t		 bare;

	/*
	 * RFC 7622 section 3.2: cut the resource off at the first slash,
	 * then the localpart at the first at sign of what is left.
	 */
	local.len = domain.len = resource.len = 0;
	if (!utf8_valid(text))
		goto invalid;
	slash = strchr(text, '/');
	bare = slash != NULL ? (size_t)(slash - text) : strlen(text);
	at = memchr(text, '@', bare);
	start = at != NULL ? at + 1 : text;
	if (at != NULL && prepare(&local, text, (size_t)(at - text),
	    stringprep_xmpp_nodeprep) == -1)
		goto invalid;
	if (prepare_domain(&domain, start,
	    bare - (size_t)(start - text)) == -1)
		goto invalid;
	if (slash != NULL && prepare(&resource, slash + 1,
	    strlen(slash + 1), stringprep_xmpp_resourceprep) == -1)
		goto invalid;
	return (assemble(&local, &domain, &resource));

invalid:
	errno = EINVAL;
	return (NULL);
}

/* A copy of the first ${len} bytes of ${j}: the whole or the bare JID. */
static struct jid *
copy(const struct jid *j, size_t len)
{
	struct jid	*c;

	if ((c = calloc(1, sizeof(*c) + len + 1)) == NULL)
		return (NULL);
	memcpy(c->full, j->full, len);
	c->bare_len = j->bare_len;
	c->domain = c->full + (j->domain - j->full);
	c->domain_len = j->domain_len;
	c->has_local = j->has_local;
	if (j->resource != NULL && len > j->bare_len)
		c->resource = c->full + (j->resource - j->full);
	return (c);
}

struct jid *
jid_dup(const struct jid *j)
{
	return (copy(j, strlen(j->full)));
}

struct jid *
jid_bare(const struct jid *j)
{
	return (copy(j, j->bare_len));
}

void
jid_free(struct jid *j)
{
	free(j);
}

int
jid_same(const struct jid *a, const struct jid *b)
{
	return (strcmp(a->full, b->full) == 0);
}

int
jid_same_bare(const struct jid *a, const struct jid *b)
{
	return (a->bare_len == b->bare_len &&
	    memcmp(a->full, b->full, a->bare_len) == 0);
}

/* Append the escaped ${len} bytes at ${s}, cut to ${room} with "...". */
static char *
put_part(char *to, size_t room, const char *s, size_t len)
{
	size_t	 i, n, keep = 0;

	for (i = 0; i < len && len > room; i += n) {
		n = s[i] != '\\' ? 1 : s[i + 1] == '\\' ? 2 : 4;
		if (i + n + 3 <= room)
			keep = i + n;
	}
	if (len <= room)
		keep = len;
	memcpy(to, s, keep);
	to += keep;
	if (keep < len) {
		memcpy(to, "...", 3);
		to += 3;
	}
	return (to);
}

const char *
jid_log(const struct jid *j, char *buf, size_t size)
{
	static char	 all[4 * JID_STRLEN];
	const char	*s = all, *end;
	char		*to = buf;

	(void)log_safe(j != NULL ? j->full : NULL, all, sizeof(all));
	if (j == NULL || strlen(all) < size || size < JID_LOG_MIN)
		return (log_safe(j != NULL ? j->full : NULL, buf, size));
	/* Neither separator is in a part before it, and none is escaped. */
	if (j->has_local) {
		end = strchr(s, '@');
		to = put_part(to, size / 4 - 2, s, (size_t)(end - s));
		*to++ = '@';
		s = end + 1;
	}
	to = put_part(to, size / 2, s, strcspn(s, "/"));
	s += strcspn(s, "/");
	if (*s == '/') {
		*to++ = *s++;
		to = put_part(to, size - 1 - (size_t)(to - buf), s, strlen(s));
	}
	*to = '\0';
	return (buf);
}
