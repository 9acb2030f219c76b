/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stanza.h"

#define FFFD	"\xef\xbf\xbd"

static void
expect_xml(struct xml_out *x, const char *xml)
{
	cr_assert_eq(xml_done(x), 0);
	cr_expect_eq(x->len, strlen(xml), "%.*s", (int)x->len, x->buf);
	cr_expect_eq(memcmp(x->buf, xml, strlen(xml)), 0, "%.*s",
	    (int)x->len, x->buf);
}

Test(xmlout, elements)
{
	struct xml_out	 x;

	xml_init(&x);
	cr_expect_eq(xml_done(&x), -1);
	xml_open(&x, "iq", NULL);
	xml_attr(&x, "id", "1");
	xml_attr(&x, "to", NULL);
	xml_open(&x, "query", "jabber:iq:pass");
	xml_open(&x, "proxy", NULL);
	xml_attr_uint(&x, "port", 18446744073709551615ull);
	xml_text(&x, "192.0.2.1");
	xml_close(&x);
	xml_elem(&x, "expire", NULL, "60");
	xml_elem(&x, "close", NULL, NULL);
	xml_elem(&x, "leg", "urn:x", "");
	xml_close(&x);
	cr_expect_eq(xml_done(&x), -1);
	xml_close(&x);
	expect_xml(&x, "<iq id='1'><query xmlns='jabber:iq:pass'>"
	    "<proxy port='18446744073709551615'>192.0.2.1</proxy>"
	    "<expire>60</expire><close/><leg xmlns='urn:x'/></query></iq>");
	xml_free(&x);
	xml_free(&x);
	cr_expect_eq(xml_done(&x), -1);
}

static void
expect_text(const char *text, const char *escaped, const char *in_attr)
{
	struct xml_out	 x;
	char		 xml[256];

	xml_init(&x);
	xml_open(&x, "a", NULL);
	xml_attr(&x, "b", text);
	xml_text(&x, text);
	xml_close(&x);
	cr_assert(snprintf(xml, sizeof(xml), "<a b='%s'>%s</a>", in_attr,
	    escaped) < (int)sizeof(xml));
	expect_xml(&x, xml);
	xml_free(&x);
}

Test(xmlout, escapes)
{
	expect_text("<&>'\"]]>", "&lt;&amp;&gt;'\"]]&gt;",
	    "&lt;&amp;&gt;&apos;&quot;]]&gt;");
	expect_text("a\tb\nc\rd", "a\tb\nc&#13;d", "a&#9;b&#10;c&#13;d");
}

Test(xmlout, what_xml_does_not_allow)
{
	static const char *const	 bad[] = {
		"\x01", "\x0b", "\x1f", "\x80", "\xbf", "\xc0", "\xc3",
		"\xf8", "\xff",
	};
	char				 text[16], want[16];
	size_t				 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "x%sy", bad[i]);
		(void)snprintf(want, sizeof(want), "x" FFFD "y");
		expect_text(text, want, want);
		/* At the very end, too. */
		expect_text(bad[i], FFFD, FFFD);
	}
	/* Longer than needed, a surrogate, above U+10FFFF, U+FFFE. */
	expect_text("\xc0\x80", FFFD FFFD, FFFD FFFD);
	expect_text("\xe0\x80\xaf", FFFD FFFD FFFD, FFFD FFFD FFFD);
	expect_text("\xed\xa0\x80", FFFD FFFD FFFD, FFFD FFFD FFFD);
	expect_text("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD,
	    FFFD FFFD FFFD FFFD);
	expect_text("\xef\xbf\xbe", FFFD FFFD FFFD, FFFD FFFD FFFD);
	expect_text("\xe2\x82", FFFD FFFD, FFFD FFFD);
	/* The longest and the last of each length pass. */
	expect_text("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80"
	    "\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80"
	    "\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80"
	    "\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

Test(xmlout, errors_stick)
{
	struct xml_out	 x;

	xml_init(&x);
	xml_close(&x);
	xml_elem(&x, "a", NULL, NULL);
	cr_expect_eq(xml_done(&x), -1);
	xml_free(&x);
	xml_text(&x, "a");
	xml_elem(&x, "a", NULL, NULL);
	cr_expect_eq(xml_done(&x), -1);
	xml_free(&x);
	xml_open(&x, "a", NULL);
	xml_text(&x, "b");
	xml_attr(&x, "c", "d");
	xml_close(&x);
	cr_expect_eq(xml_done(&x), -1);
	xml_free(&x);
}

Test(xmlout, limits)
{
	struct xml_out	 x;
	size_t		 i;
	char		*text;

	xml_init(&x);
	for (i = 0; i < STANZA_DEPTH_MAX; i++)
		xml_open(&x, "a", NULL);
	for (i = 0; i < STANZA_DEPTH_MAX; i++)
		xml_close(&x);
	cr_expect_eq(xml_done(&x), 0);
	xml_free(&x);
	for (i = 0; i < STANZA_DEPTH_MAX + 1; i++)
		xml_open(&x, "a", NULL);
	for (i = 0; i < STANZA_DEPTH_MAX + 1; i++)
		xml_close(&x);
	cr_expect_eq(xml_done(&x), -1);
	xml_free(&x);

	text = malloc(3 * STANZA_BYTES_MAX);
	cr_assert_not_null(text);
	memset(text, 'x', 3 * STANZA_BYTES_MAX);
	text[2 * STANZA_BYTES_MAX - 7] = '\0';
	xml_elem(&x, "a", NULL, text);
	cr_expect_eq(xml_done(&x), 0);
	cr_expect_eq(x.len, 2 * STANZA_BYTES_MAX);
	xml_free(&x);
	text[2 * STANZA_BYTES_MAX - 7] = 'x';
	text[2 * STANZA_BYTES_MAX - 6] = '\0';
	xml_elem(&x, "a", NULL, text);
	cr_expect_eq(xml_done(&x), -1);
	xml_free(&x);
	free(text);
}

/* ---- repeating what came in --------------------------------------------- */

static void
keep_header(const char *id, void *arg)
{
	(void)id;
	(void)arg;
}

static void
keep_stanza(struct stanza *s, void *arg)
{
	*(struct stanza **)arg = s;
}

static const struct stanza_handler keep = {
	keep_header, keep_stanza, NULL, NULL
};

static struct stanza *
parse(const char *xml, size_t len)
{
	static const char	 head[] = "<s:stream xmlns:s='" NS_STREAMS
	    "' xmlns='" NS_COMPONENT "'>";
	struct stanza_feeder	*f;
	struct stanza		*s = NULL;
	enum stream_bad		 why;

	f = feeder_new(&keep, &s);
	cr_assert_eq(feeder_feed(f, head, sizeof(head) - 1, &why), 0);
	cr_assert_eq(feeder_feed(f, xml, len, &why), 0);
	cr_assert_not_null(s);
	feeder_free(f);
	return (s);
}

Test(xmlout, copy)
{
	static const char	 xml[] = "<iq a='&lt;&#10;'><q xmlns='urn:q' "
	    "xmlns:x='urn:x' x:b='&apos;' x:c='2' d='3' xml:lang='de'>t&amp;"
	    "<x:y/><z xmlns=''/></q></iq>";
	static const char	 out[] = "<iq xmlns='" NS_COMPONENT "' "
	    "a='&lt;&#10;'><q xmlns='urn:q' xmlns:a0='urn:x' a0:b='&apos;' "
	    "xmlns:a1='urn:x' a1:c='2' d='3' xml:lang='de'>t&amp;"
	    "<y xmlns='urn:x'/><z xmlns=''/></q></iq>";
	struct stanza		*s, *again;
	struct xml_out		 x, y;

	s = parse(xml, sizeof(xml) - 1);
	xml_init(&x);
	xml_copy(&x, s);
	expect_xml(&x, out);
	/* What was written says the same. */
	again = parse(x.buf, x.len);
	xml_init(&y);
	xml_copy(&y, again);
	expect_xml(&y, out);
	xml_free(&x);
	xml_free(&y);
	stanza_free(s);
	stanza_free(again);
}

/* An echo that does not fit is left out and the answer goes on. */
Test(xmlout, copy_that_does_not_fit)
{
	char		*xml;
	struct stanza	*s;
	struct xml_out	 x;
	size_t		 i;

	xml = malloc(STANZA_BYTES_MAX + 1);
	cr_assert_not_null(xml);
	(void)strlcpy(xml, "<a><b>", STANZA_BYTES_MAX);
	for (i = 0; i < 40000; i++)
		xml[6 + i] = '"';
	(void)strlcpy(xml + 6 + i, "</b></a>", 9);
	/* In an attribute of ours each " takes six bytes. */
	s = parse(xml, strlen(xml));
	xml_init(&x);
	xml_open(&x, "iq", NULL);
	xml_attr(&x, "id", s->child->text);
	cr_expect_eq(x.failed, 1);
	xml_free(&x);
	stanza_free(s);

	for (i = 0; i < 40000; i++)
		xml[6 + i] = '>';
	s = parse(xml, strlen(xml));
	xml_open(&x, "iq", NULL);
	xml_copy(&x, s);
	xml_elem(&x, "error", NULL, NULL);
	xml_close(&x);
	expect_xml(&x, "<iq><error/></iq>");
	xml_free(&x);
	stanza_free(s);
	free(xml);
}

/* What cannot be written as we write it would end the link. */
Test(xmlout, copy_of_the_prefix_xml)
{
	static const char	 xml[] = "<a><xml:b xml:lang='de'/></a>";
	struct stanza		*s;
	struct xml_out		 x;

	s = parse(xml, sizeof(xml) - 1);
	xml_init(&x);
	xml_open(&x, "iq", NULL);
	xml_copy(&x, s);
	xml_elem(&x, "error", NULL, NULL);
	xml_close(&x);
	expect_xml(&x, "<iq><error/></iq>");
	xml_free(&x);
	stanza_free(s);
}

Test(xmlout, copy_that_is_too_deep)
{
	char		 xml[1024] = "";
	struct stanza	*s;
	struct xml_out	 x;
	size_t		 i;

	for (i = 0; i < STANZA_DEPTH_MAX; i++)
		(void)strlcat(xml, "<a>", sizeof(xml));
	for (i = 0; i < STANZA_DEPTH_MAX; i++)
		(void)strlcat(xml, "</a>", sizeof(xml));
	s = parse(xml, strlen(xml));
	xml_init(&x);
	xml_open(&x, "iq", NULL);
	xml_copy(&x, s->child);
	xml_elem(&x, "b", NULL, NULL);
	xml_close(&x);
	cr_expect_eq(xml_done(&x), 0);
	xml_free(&x);
	xml_open(&x, "iq", NULL);
	xml_copy(&x, s);
	xml_elem(&x, "b", NULL, NULL);
	xml_close(&x);
	expect_xml(&x, "<iq><b/></iq>");
	xml_free(&x);
	stanza_free(s);
}
