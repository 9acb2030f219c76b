/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jid.h"

/* Local, domain and resource of a good JID must fit together. */
static void
check_parts(const struct jid *j)
{
	const char	*at, *slash;

	at = strchr(j->full, '@');
	slash = strchr(j->full, '/');
	cr_expect_eq(j->has_local, at != NULL && (slash == NULL ||
	    at < slash));
	cr_expect_eq(j->domain, j->has_local ? at + 1 : j->full);
	cr_expect_eq(j->bare_len, slash != NULL ?
	    (size_t)(slash - j->full) : strlen(j->full));
	cr_expect_eq((size_t)(j->domain - j->full) + j->domain_len,
	    j->bare_len);
	cr_expect_eq(j->resource, slash != NULL ? slash + 1 : NULL);
}

Test(jid, prepared)
{
	static const char	*cases[][2] = {
		{ "example.org", "example.org" },
		{ "Alice@Example.ORG/Home", "alice@example.org/Home" },
		{ "alice@example.org.", "alice@example.org" },
		{ "example.org./x", "example.org/x" },
		{ "localhost", "localhost" },
		{ "a@b", "a@b" },
		{ "a@192.0.2.1", "a@192.0.2.1" },
		{ "a@[2001:db8::1]/x", "a@[2001:db8::1]/x" },
		/* A resource may hold anything, separators first. */
		{ "a@b/c/d@e", "a@b/c/d@e" },
		{ "b/a@b", "b/a@b" },
		{ "a@b/ x \"'<>&", "a@b/ x \"'<>&" },
		{ "a@b/\xf0\x9f\x93\xb1", "a@b/\xf0\x9f\x93\xb1" },
		/* Case and compatibility folding, RFC 3454 and NFKC. */
		{ "M\xc3\x9cNCHEN@M\xc3\xbcnchen.example",
		    "m\xc3\xbcnchen@m\xc3\xbcnchen.example" },
		{ "u\xcc\x88@b", "\xc3\xbc@b" },
		{ "stra\xc3\x9f" "e@b", "strasse@b" },
		{ "\xef\xbd\x81@\xef\xbd\x82", "a@b" },
		{ "a@b\xef\xbc\x8e" "c", "a@b.c" },
		{ "\xce\xa3@b", "\xcf\x83@b" },
		{ "a@b/\xe2\x85\xa8", "a@b/IX" },
		/* Mapped to nothing: soft hyphen. */
		{ "al\xc2\xadice@b", "alice@b" },
		/* XEP-0106 escapes are text like any other here. */
		{ "d\\27artagnan@b", "d\\27artagnan@b" },
		{ "under_score@under_score.example",
		    "under_score@under_score.example" },
	};
	struct jid	*j, *again;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		j = jid_parse(cases[i][0]);
		cr_assert_not_null(j, "%s", cases[i][0]);
		cr_expect_str_eq(j->full, cases[i][1]);
		check_parts(j);
		cr_assert_not_null(again = jid_parse(j->full));
		cr_expect(jid_same(j, again));
		jid_free(again);
		jid_free(j);
	}
}

Test(jid, refused)
{
	static const char	*cases[] = {
		"", "@", "/", "@b", "a@", "a@/x", "b/", "a@b/", "@b/x", ".",
		"a@.", "a@b..c", "a@.b", "a@b..", "a@b@c", "a b@c", "a@b c",
		"\"a@b", "a&b@c", "a'b@c", "a:b@c", "a<b@c", "a>b@c",
		"a@b:5222", "a@[b]", "a@[192.0.2.1]", "a@[::1", "a@::1",
		"a@[::1]x", "a@[]", "a@[::1%lo]", "a@b\n", "a@b\x7f",
		"a\tb@c", "a@b/x\ny", "a@b/\x01", "a@b!", "a@b?c", "a@b%c",
		/* Full-width at sign and slash would be new separators. */
		"a\xef\xbc\xa0" "b@c", "a@b\xef\xbc\xa0" "c",
		"a@b\xef\xbc\x8f" "c",
		/* Nothing is left of it. */
		"\xc2\xad@b", "a@\xc2\xad", "a@b/\xc2\xad",
		/* No UTF-8: alone, cut, over-long, surrogate, too high. */
		"\x80@b", "\xc3@b", "a@b/\xe2\x82", "\xc0\xaf@b",
		"\xc1\x81@b", "\xe0\x80\xaf@b", "\xf0\x80\x80\xaf@b",
		"\xed\xa0\x80@b", "\xed\xbf\xbf@b", "\xf4\x90\x80\x80@b",
		"\xf5\x80\x80\x80@b", "\xff@b", "a@b/\xfe",
		/* Prohibited: bidi override, no-break space, private use. */
		"\xe2\x80\xae@b", "a\xc2\xa0" "b@c", "\xee\x80\x80@b",
		"a@b/\xe2\x80\xae", "a@b/\xef\xbf\xbf",
		/* Bidi rule of RFC 3454 section 6. */
		"\xd7\x90" "a@b",
		/* Changes once more when prepared again: Unicode's PR 29. */
		"\xe1\x84\x80\xcc\x80\xe1\x85\xa1\xcc\xa7@b",
		"a@b/\xe1\x84\x80\xcc\x80\xe1\x85\xa1\xcc\xa7",
	};
	size_t	 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = 0;
		cr_expect_null(jid_parse(cases[i]), "%zu: %s", i, cases[i]);
		cr_expect_eq(errno, EINVAL);
	}
}

/* Each part of ${n} bytes; ${sep} after the domain. */
static struct jid *
parse_long(size_t local, size_t domain, size_t resource)
{
	static char	 text[4 * JID_PART_MAX];
	char		*s = text;

	memset(s, 'a', local);
	s += local;
	if (local > 0)
		*s++ = '@';
	memset(s, 'b', domain);
	s += domain;
	if (resource > 0)
		*s++ = '/';
	memset(s, 'c', resource);
	s[resource] = '\0';
	return (jid_parse(text));
}

Test(jid, lengths)
{
	struct jid	*j;

	cr_assert_not_null(j = parse_long(1023, 1023, 1023));
	cr_expect_eq(strlen(j->full), (size_t)JID_STRLEN - 1);
	cr_expect_eq(j->domain_len, 1023u);
	check_parts(j);
	jid_free(j);
	cr_expect_null(parse_long(1024, 1, 1));
	cr_expect_null(parse_long(1, 1024, 1));
	cr_expect_null(parse_long(1, 1, 1024));
}

/* U+FDFA grows from 3 bytes to 33: room is checked after the mapping. */
Test(jid, growth)
{
	char		 text[2048];
	struct jid	*j;
	size_t		 i, len;

	for (len = 1; len <= 341; len++) {
		memcpy(text, "a@b/", 5);
		for (i = 0; i < len; i++)
			memcpy(text + 4 + 3 * i, "\xef\xb7\xba", 4);
		j = jid_parse(text);
		cr_expect_eq(j != NULL, len <= 1023 / 33, "%zu", len);
		jid_free(j);
	}
}

/*
 * Prepared once or twice must be the same, or two names that passd takes
 * for different could become one elsewhere.
 */
static void
check_stable(unsigned int c, const char *before, const char *utf8,
    const char *after)
{
	char		 text[32];
	struct jid	*j, *again;

	snprintf(text, sizeof(text), "%s%s%s", before, utf8, after);
	if ((j = jid_parse(text)) == NULL)
		return;
	again = jid_parse(j->full);
	cr_expect(again != NULL && jid_same(j, again), "U+%04X in %sX%s",
	    c, before, after);
	jid_free(again);
	jid_free(j);
}

Test(jid, stable, .timeout = 60)
{
	unsigned int	 c;
	char		 utf8[4];

	for (c = 0x80; c < 0x10000; c++) {
		if (c < 0x800) {
			utf8[0] = (char)(0xc0 | c >> 6);
			utf8[1] = (char)(0x80 | (c & 0x3f));
			utf8[2] = '\0';
		} else {
			utf8[0] = (char)(0xe0 | c >> 12);
			utf8[1] = (char)(0x80 | (c >> 6 & 0x3f));
			utf8[2] = (char)(0x80 | (c & 0x3f));
			utf8[3] = '\0';
		}
		check_stable(c, "", utf8, "@b");
		check_stable(c, "a@b", utf8, "b");
		check_stable(c, "a@b/", utf8, "");
	}
}

Test(jid, copies)
{
	static const char	*cases[] = {
		"a@b/c", "a@b", "b", "b/c", "a@b/c@d/e"
	};
	struct jid	*j, *k;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_not_null(j = jid_parse(cases[i]));
		cr_assert_not_null(k = jid_dup(j));
		cr_expect(jid_same(j, k) && jid_same_bare(j, k));
		check_parts(k);
		jid_free(k);
		cr_assert_not_null(k = jid_bare(j));
		cr_expect(jid_same_bare(j, k));
		cr_expect_eq(jid_same(j, k), j->resource == NULL);
		cr_expect_null(k->resource);
		check_parts(k);
		jid_free(j);
		jid_free(k);
	}
	jid_free(NULL);
}

Test(jid, same)
{
	static const struct {
		const char	*a, *b;
		int		 full, bare;
	} cases[] = {
		{ "a@b/c", "A@B/c", 1, 1 },
		{ "a@b/c", "a@b/C", 0, 1 },
		{ "a@b", "a@b/c", 0, 1 },
		{ "a@b", "a@bb", 0, 0 },
		{ "a@b", "b", 0, 0 },
		{ "b/a@b", "b", 0, 1 },
		{ "a@b/c", "a@c/c", 0, 0 },
	};
	struct jid	*a, *b;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_not_null(a = jid_parse(cases[i].a));
		cr_assert_not_null(b = jid_parse(cases[i].b));
		cr_expect_eq(jid_same(a, b), cases[i].full);
		cr_expect_eq(jid_same_bare(a, b), cases[i].bare);
		jid_free(a);
		jid_free(b);
	}
}

Test(jid, utf8_len)
{
	cr_expect_eq(jid_utf8_len(""), 1u);
	cr_expect_eq(jid_utf8_len("a"), 1u);
	cr_expect_eq(jid_utf8_len("\xc3\xbc"), 2u);
	cr_expect_eq(jid_utf8_len("\xe2\x82\xac"), 3u);
	cr_expect_eq(jid_utf8_len("\xf4\x8f\xbf\xbf"), 4u);
	cr_expect_eq(jid_utf8_len("\xf0\x9f\x93"), 0u);
	cr_expect_eq(jid_utf8_len("\xbf"), 0u);
}

Test(jid, log)
{
	char		 buf[64], tiny[8];
	struct jid	*j;

	cr_expect_str_eq(jid_log(NULL, buf, sizeof(buf)), "-");
	cr_assert_not_null(j = jid_parse("\xc3\xbc@b/a b\"c\\"));
	cr_expect_str_eq(jid_log(j, buf, sizeof(buf)),
	    "\\303\\274@b/a\\040b\\042c\\\\");
	cr_expect_str_eq(jid_log(j, tiny, sizeof(tiny)), "\\303...");
	jid_free(j);
}

/* However long the rest is, whose user he is can be read. */
Test(jid, log_shows_the_domain)
{
	char		 buf[64];
	struct jid	*j;

	cr_assert_not_null(j = jid_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@"
	    "evil.example/cccccccccccccccccccccccccccccccccccccccccc"));
	cr_expect_str_eq(jid_log(j, buf, sizeof(buf)),
	    "aaaaaaaaaaa...@evil.example/cccccccccccccccccccccccccccccccc...");
	cr_expect_eq(strlen(buf), sizeof(buf) - 1);
	jid_free(j);
	/* No escape is cut in the middle. */
	cr_assert_not_null(j = jid_parse("aaaaaaaaa\xc3\xbc\xc3\xbc@"
	    "b.example/\"cccccccccccccccccccccccccccccccccccccccccc"));
	cr_expect_str_eq(jid_log(j, buf, sizeof(buf)),
	    "aaaaaaaaa...@b.example/\\042ccccccccccccccccccccccccccccccccc...");
	jid_free(j);
}

Test(jid, log_of_the_longest)
{
	static const size_t	 sizes[] = { 32, 33, 34, 35, 64, 256, 1024 };
	char			*buf;
	struct jid		*j;
	size_t			 i, at;

	cr_assert_not_null(j = parse_long(1023, 1023, 1023));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cr_assert_not_null(buf = malloc(sizes[i]));
		(void)jid_log(j, buf, sizes[i]);
		cr_expect_lt(strlen(buf), sizes[i]);
		at = strcspn(buf, "@");
		cr_expect_eq(buf[at + 1], 'b', "%s", buf);
		cr_expect_eq(buf[at + 1 + strcspn(buf + at + 1, "/") + 1], 'c',
		    "%s", buf);
		free(buf);
	}
	jid_free(j);
}
