/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/resource.h>

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stanza.h"

#define HEAD	"<?xml version='1.0'?><stream:stream xmlns:stream='" \
		NS_STREAMS "' xmlns='" NS_COMPONENT "' id='a&amp;&#x62;' " \
		"from='pass.example.org' xml:lang='en'>"
#define TAIL	"</stream:stream>"

/* What the feeder has called, as text that can be compared. */
struct record {
	char	*buf;
	size_t	 len;
	size_t	 size;
	int	 stanzas;
	int	 skipped;
	int	 ended;
};

static void
note(struct record *r, const char *s)
{
	size_t	 n = strlen(s);

	if (r->len + n + 1 > r->size) {
		r->size = 2 * (r->len + n + 1);
		r->buf = realloc(r->buf, r->size);
		cr_assert_not_null(r->buf);
	}
	memcpy(r->buf + r->len, s, n + 1);
	r->len += n;
}

static void
note_tree(struct record *r, const struct stanza *s)
{
	const struct stanza_attr	*a;
	const struct stanza		*c;

	note(r, "(");
	note(r, s->ns);
	note(r, "|");
	note(r, s->name);
	for (a = s->attr; a != NULL; a = a->next) {
		note(r, " ");
		note(r, a->ns);
		note(r, "|");
		note(r, a->name);
		note(r, "=");
		note(r, a->value);
	}
	note(r, ">");
	note(r, s->text);
	for (c = s->child; c != NULL; c = c->next)
		note_tree(r, c);
	note(r, ")");
}

static void
got_header(const char *id, void *arg)
{
	note(arg, "H:");
	note(arg, id == NULL ? "NULL" : id);
	note(arg, "\n");
}

static void
got_stanza(struct stanza *s, void *arg)
{
	struct record	*r = arg;

	r->stanzas++;
	note(r, "S:");
	note_tree(r, s);
	note(r, "\n");
	stanza_free(s);
}

static void
got_skipped(struct stanza *s, enum stanza_bad why, void *arg)
{
	static const char *const	 word[] = {
		"big", "deep", "many", "name"
	};
	struct record			*r = arg;

	r->skipped++;
	note(r, "K:");
	note(r, word[why]);
	note_tree(r, s);
	note(r, "\n");
	cr_expect_null(s->child);
	cr_expect_null(s->next);
	stanza_free(s);
}

static void
got_end(void *arg)
{
	struct record	*r = arg;

	r->ended++;
	note(r, "E\n");
}

static const struct stanza_handler handler = {
	got_header, got_stanza, got_skipped, got_end
};

/* Feed ${xml} in pieces of ${piece} bytes. */
static int
feed_pieces(struct record *r, const char *xml, size_t len, size_t piece,
    enum stream_bad *why)
{
	struct stanza_feeder	*f;
	size_t			 i, n;
	int			 result = 0;

	memset(r, 0, sizeof(*r));
	note(r, "");
	f = feeder_new(&handler, r);
	cr_assert_not_null(f);
	for (i = 0; i < len && result == 0; i += n) {
		n = len - i < piece ? len - i : piece;
		result = feeder_feed(f, xml + i, n, why);
	}
	feeder_free(f);
	return (result);
}

static void
expect_events(const char *xml, const char *events)
{
	enum stream_bad	 why;
	struct record	 r;
	size_t		 len = strlen(xml);

	cr_assert_eq(feed_pieces(&r, xml, len, len, &why), 0);
	cr_expect_str_eq(r.buf, events);
	free(r.buf);
	cr_assert_eq(feed_pieces(&r, xml, len, 1, &why), 0);
	cr_expect_str_eq(r.buf, events);
	free(r.buf);
}

static void
expect_bad(const char *xml, enum stream_bad bad)
{
	enum stream_bad	 why = STREAM_MEMORY;
	struct record	 r;
	size_t		 len = strlen(xml);

	cr_assert_eq(feed_pieces(&r, xml, len, len, &why), -1, "%s", xml);
	cr_expect_eq(why, bad, "%s: %s", xml, stream_error_name(why));
	free(r.buf);
	cr_assert_eq(feed_pieces(&r, xml, len, 1, &why), -1, "%s", xml);
	cr_expect_eq(why, bad, "%s: %s", xml, stream_error_name(why));
	free(r.buf);
}

/* ${n} times ${s}, to be freed. */
static char *
times(const char *s, size_t n)
{
	size_t	 i, len = strlen(s);
	char	*buf;

	buf = malloc(n * len + 1);
	cr_assert_not_null(buf);
	for (i = 0; i < n; i++)
		memcpy(buf + i * len, s, len);
	buf[n * len] = '\0';
	return (buf);
}

static char *
join(const char *a, const char *b, const char *c)
{
	char	*buf;

	cr_assert_neq(asprintf(&buf, "%s%s%s", a, b, c), -1);
	return (buf);
}

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__	1
#endif
#endif

/* AddressSanitizer keeps what is freed: nothing to be measured there. */
static long
peak_kib(void)
{
#ifdef __SANITIZE_ADDRESS__
	return (0);
#else
	struct rusage	 ru;

	cr_assert_eq(getrusage(RUSAGE_SELF, &ru), 0);
	return (ru.ru_maxrss);
#endif
}

Test(stanza, header_id_is_unescaped)
{
	expect_events(HEAD, "H:a&b\n");
	expect_events("<s:stream xmlns:s='" NS_STREAMS "' xmlns='"
	    NS_COMPONENT "'>", "H:NULL\n");
	expect_events("\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>\n"
	    "<s:stream id='' xmlns:s='" NS_STREAMS "' xmlns='"
	    NS_COMPONENT "'>", "H:\n");
}

Test(stanza, other_headers_end_the_stream)
{
	expect_bad("<html>", STREAM_BAD_HEADER);
	expect_bad("<stream xmlns='" NS_STREAMS "'>", STREAM_BAD_HEADER);
	expect_bad("<x:stream xmlns='" NS_COMPONENT "'>", STREAM_BAD_HEADER);
	expect_bad("<s:strom xmlns:s='" NS_STREAMS "' xmlns='"
	    NS_COMPONENT "'>", STREAM_BAD_HEADER);
	expect_bad("<s:stream xmlns:s='urn:x' xmlns='" NS_COMPONENT "'>",
	    STREAM_BAD_HEADER);
	expect_bad("<s:stream xmlns:s='" NS_STREAMS "' xmlns="
	    "'jabber:client'>", STREAM_BAD_HEADER);
	expect_bad("<sssssssssssssssssssssssssssssssssssssssssssssssssssssss"
	    "sssssssss:stream xmlns='" NS_COMPONENT "'>", STREAM_BAD_HEADER);
	expect_bad("HTTP/1.1 400 Bad Request\r\n\r\n", STREAM_ENCODING);
	expect_bad(" HTTP/1.1 ", STREAM_NOT_WELL_FORMED);
}

Test(stanza, tree)
{
	expect_events(HEAD "<iq type='set' id='1' xml:lang='de'>"
	    "<query xmlns='jabber:iq:pass'>a&lt;<expire>60</expire>b"
	    "<![CDATA[<c>]]>&#x64;<x:proxy xmlns:x='urn:x' x:port='7' "
	    "port='8'/>\xc3\xbc</query></iq>",
	    "H:a&b\n"
	    "S:(" NS_COMPONENT "|iq |type=set |id=1 " NS_XML "|lang=de>"
	    "(jabber:iq:pass|query>a<b<c>d\xc3\xbc"
	    "(jabber:iq:pass|expire>60)(urn:x|proxy urn:x|port=7 |port=8>)"
	    "))\n");
}

Test(stanza, namespaces_end_with_their_element)
{
	expect_events(HEAD "<a xmlns='urn:1'><b xmlns='urn:2'/><b/>"
	    "<c xmlns=''><d/></c></a><a/>", "H:a&b\n"
	    "S:(urn:1|a>(urn:2|b>)(urn:1|b>)(|c>(|d>)))\n"
	    "S:(" NS_COMPONENT "|a>)\n");
	/* What the root declares goes on to be in scope. */
	expect_events("<s:stream xmlns:s='" NS_STREAMS "' xmlns='"
	    NS_COMPONENT "' xmlns:f='urn:far'><f:a f:b='c'/><s:error/>",
	    "H:NULL\nS:(urn:far|a urn:far|b=c>)\nS:(" NS_STREAMS
	    "|error>)\n");
}

Test(stanza, bad_names_cost_the_stanza_only)
{
	static const char *const	 bad[] = {
		"<x:y/>", "<y x:z='1'/>", "<:y/>", "<y:/>", "<x:y:z/>",
		"<y xmlns:x='u'><x:y:z/></y>", "<y xmlns:x=''/><x:z/>",
		"<y xmlns:x=''><x:z/></y>", "<y xmlns='" NS_XML "'/>",
		"<y xmlns:xml='urn:1'/>", "<y xmlns:xmlns='urn:1'/>",
		"<y xmlns:a='http://www.w3.org/2000/xmlns/'/>",
		"<y xmlns='a&#10;b'/>",
		"<y xmlns:a='u' xmlns:b='u' a:z='1' b:z='2'/>",
	};
	enum stream_bad			 why;
	struct record			 r;
	size_t				 i;
	char				*xml;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xml = join(HEAD "<iq from='a@b/c'><q>", bad[i],
		    "</q></iq><iq/>");
		cr_assert_eq(feed_pieces(&r, xml, strlen(xml), 7, &why), 0);
		cr_expect_str_eq(r.buf, "H:a&b\nK:name(" NS_COMPONENT
		    "|iq |from=a@b/c>)\nS:(" NS_COMPONENT "|iq>)\n",
		    "%s: %s", bad[i], r.buf);
		free(r.buf);
		free(xml);
	}
	expect_events(HEAD "<x:iq id='1'><q/></x:iq><iq/>", "H:a&b\n"
	    "K:name(|x:iq |id=1>)\nS:(" NS_COMPONENT "|iq>)\n");
	expect_events(HEAD "<iq id='1' x:y='2'/><iq/>", "H:a&b\n"
	    "K:name(" NS_COMPONENT "|iq |id=1>)\nS:(" NS_COMPONENT
	    "|iq>)\n");
}

Test(stanza, between_stanzas)
{
	expect_events(HEAD " \r\n\t<a/> <b/>\n" TAIL "  trailing <junk",
	    "H:a&b\nS:(" NS_COMPONENT "|a>)\nS:(" NS_COMPONENT "|b>)\nE\n");
	expect_bad(HEAD "x<a/>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a/>&#32;&#120;", STREAM_NOT_WELL_FORMED);
}

Test(stanza, restricted_xml)
{
	static const char *const	 bad[] = {
		"<!-- c -->", "<?pi x?>", "&entity;", "<!---->"
	};
	char	*xml;
	size_t	 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		xml = join(HEAD, bad[i], "<a/>");
		expect_bad(xml, STREAM_RESTRICTED_XML);
		free(xml);
		xml = join(HEAD "<a><b>", bad[i], "</b></a>");
		expect_bad(xml, STREAM_RESTRICTED_XML);
		free(xml);
	}
	for (i = 0; i < 2; i++) {
		/* Inside of what is skipped, too. */
		xml = join(HEAD "<a><x:b/>", bad[i], "</a>");
		expect_bad(xml, STREAM_RESTRICTED_XML);
		free(xml);
	}
	expect_bad("<?xml version='1.0'?><!-- c -->", STREAM_RESTRICTED_XML);
	expect_bad("<?xml version='1.0'?><?pi?>", STREAM_RESTRICTED_XML);
	expect_bad("<!DOCTYPE stream [<!ENTITY a 'b'>]>",
	    STREAM_RESTRICTED_XML);
	expect_bad("<!DOCTYPE stream SYSTEM 'x'><a>", STREAM_RESTRICTED_XML);
}

Test(stanza, utf8_only)
{
	static const char	 be[] = "\0<\0a\0/\0>";
	static const char	 le_bom[] = "\xff\xfe<\0a\0/\0>\0";
	enum stream_bad		 why = STREAM_MEMORY;
	struct record		 r;

	expect_bad("<?xml version='1.0' encoding='ISO-8859-1'?><a>",
	    STREAM_ENCODING);
	expect_bad("<?xml version='1.0' encoding='UTF-16'?><a>",
	    STREAM_ENCODING);
	expect_bad("\xfe\xff", STREAM_ENCODING);
	expect_bad(HEAD "<a>\xc3(</a>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a b='\xed\xa0\x80'/>", STREAM_NOT_WELL_FORMED);
	cr_expect_eq(feed_pieces(&r, be, sizeof(be) - 1, 1, &why), -1);
	cr_expect_eq(why, STREAM_ENCODING);
	free(r.buf);
	cr_expect_eq(feed_pieces(&r, be + 1, sizeof(be) - 2, 1, &why), -1);
	cr_expect_eq(why, STREAM_ENCODING);
	free(r.buf);
	cr_expect_eq(feed_pieces(&r, le_bom, sizeof(le_bom) - 1, 100, &why),
	    -1);
	cr_expect_eq(why, STREAM_ENCODING);
	free(r.buf);
}

Test(stanza, not_well_formed)
{
	expect_bad(HEAD "<a></b>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a b=c>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a b='1' b='2'/>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a>&#0;</a>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a>]]></a>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a></stream:stream>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "</stream>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a><x:y/><<", STREAM_NOT_WELL_FORMED);
}

/* Where nobody parses any more, whatever of it was parsed before. */
Test(stanza, end_of_cdata_in_what_is_skipped)
{
	char	*fill, *xml;

	expect_bad(HEAD "<a><x:y/>]]></a>", STREAM_NOT_WELL_FORMED);
	expect_bad(HEAD "<a><x:y/>]]]]></a>", STREAM_NOT_WELL_FORMED);
	expect_events(HEAD "<a><x:y/>]]x>]>]] ><![CDATA[]]]]></a><b/>",
	    "H:a&b\nK:name(" NS_COMPONENT "|a>)\nS:(" NS_COMPONENT "|b>)\n");
	fill = times("x", STANZA_BYTES_MAX);
	xml = join(HEAD "<a>", fill, "]]></a>");
	expect_bad(xml, STREAM_NOT_WELL_FORMED);
	free(xml);
	free(fill);
}

Test(stanza, stays_dead)
{
	enum stream_bad		 why = STREAM_MEMORY;
	struct record		 r = { 0 };
	struct stanza_feeder	*f;

	f = feeder_new(&handler, &r);
	cr_assert_eq(feeder_feed(f, HEAD "<a/><?x?>", strlen(HEAD) + 9, &why),
	    -1);
	why = STREAM_MEMORY;
	cr_expect_eq(feeder_feed(f, "<a/>", 4, &why), -1);
	cr_expect_eq(why, STREAM_RESTRICTED_XML);
	cr_expect_eq(r.stanzas, 1);
	feeder_free(f);
	feeder_free(NULL);
	stanza_free(NULL);
	free(r.buf);
}

/* A stream with a bit of everything, stanzas over a limit included. */
static char *
mixed_stream(void)
{
	char	*deep, *up, *xml, *fill, *elems;

	deep = times("<d a='>'>", 40);
	up = times("</d>", 40);
	fill = times("0123456789abcdef", 4200);
	elems = times("<e/>", 600);
	cr_assert_neq(asprintf(&xml, HEAD " <iq from='a@b/c' id='1'>"
	    "<query xmlns='jabber:iq:pass'><expire>6&#48;</expire></query>"
	    "</iq>\n<message id='2'>%s<![CDATA[</d>]]]]]>%s<z/></message>"
	    "<presence xml:lang='en'><x:c/><c v=\"'/>\"/></presence>"
	    "<iq id='3'><![CDATA[%s <a> ]] > ]]>]&gt;</iq>"
	    "<iq id='4'>%s</iq><iq id='5'>%s\xe2\x82\xac</iq>"
	    "<iq id='6'>\xe2\x82\xac<x/>&amp;</iq>" TAIL, deep, up, fill,
	    elems, fill), -1);
	free(deep);
	free(up);
	free(fill);
	free(elems);
	return (xml);
}

static const char mixed_events[] = "H:a&b\n"
    "S:(" NS_COMPONENT "|iq |from=a@b/c |id=1>(jabber:iq:pass|query>"
    "(jabber:iq:pass|expire>60)))\n"
    "K:deep(" NS_COMPONENT "|message |id=2>)\n"
    "K:name(" NS_COMPONENT "|presence " NS_XML "|lang=en>)\n"
    "K:big(" NS_COMPONENT "|iq |id=3>)\n"
    "K:many(" NS_COMPONENT "|iq |id=4>)\n"
    "K:big(" NS_COMPONENT "|iq |id=5>)\n"
    "S:(" NS_COMPONENT "|iq |id=6>\xe2\x82\xac&(" NS_COMPONENT "|x>))\n"
    "E\n";

Test(stanza, every_piece_size, .timeout = 60)
{
	enum stream_bad	 why;
	struct record	 r;
	size_t		 len, n;
	char		*xml;

	xml = mixed_stream();
	len = strlen(xml);
	for (n = 1; n < 70; n++) {
		cr_assert_eq(feed_pieces(&r, xml, len, n, &why), 0);
		cr_assert_str_eq(r.buf, mixed_events, "pieces of %zu", n);
		free(r.buf);
	}
	cr_assert_eq(feed_pieces(&r, xml, len, len, &why), 0);
	cr_assert_str_eq(r.buf, mixed_events);
	free(r.buf);
	free(xml);
}

/* The same with one cut, at each place. */
Test(stanza, every_split, .timeout = 60)
{
	static const char	 xml[] = HEAD "<iq a='1'><x:y z='>'/>"
	    "<![CDATA[<]]>]]&gt;</iq><iq>\xe2\x82\xac<a><b/><![CDATA[]]]>"
	    "]]</a>&amp;</iq><iq><x:y></x:y><z/></iq><x:z/><z/>" TAIL;
	static const char	 events[] = "H:a&b\n"
	    "K:name(" NS_COMPONENT "|iq |a=1>)\n"
	    "S:(" NS_COMPONENT "|iq>\xe2\x82\xac&(" NS_COMPONENT "|a>]]]"
	    "(" NS_COMPONENT "|b>)))\n"
	    "K:name(" NS_COMPONENT "|iq>)\n"
	    "K:name(|x:z>)\nS:(" NS_COMPONENT "|z>)\nE\n";
	enum stream_bad		 why;
	struct record		 r;
	struct stanza_feeder	*f;
	size_t			 at;

	for (at = 0; at < sizeof(xml); at++) {
		memset(&r, 0, sizeof(r));
		f = feeder_new(&handler, &r);
		cr_assert_eq(feeder_feed(f, xml, at, &why), 0);
		cr_assert_eq(feeder_feed(f, xml + at, sizeof(xml) - 1 - at,
		    &why), 0);
		cr_assert_str_eq(r.buf, events, "cut at %zu: %s", at, r.buf);
		feeder_free(f);
		free(r.buf);
	}
}

Test(stanza, random_splits, .timeout = 60)
{
	enum stream_bad		 why;
	struct record		 r;
	struct stanza_feeder	*f;
	unsigned int		 seed;
	size_t			 i, len, n;
	char			*xml;

	xml = mixed_stream();
	len = strlen(xml);
	for (seed = 1; seed <= 100; seed++) {
		unsigned int	 state = seed;

		memset(&r, 0, sizeof(r));
		f = feeder_new(&handler, &r);
		for (i = 0; i < len; i += n) {
			n = 1 + (size_t)rand_r(&state) % 3000;
			if (n > len - i)
				n = len - i;
			cr_assert_eq(feeder_feed(f, xml + i, n, &why), 0);
		}
		cr_assert_str_eq(r.buf, mixed_events, "seed %u", seed);
		feeder_free(f);
		free(r.buf);
	}
	free(xml);
}

/* Nothing may wait for bytes that come behind a complete tag. */
Test(stanza, long_tag_in_two_reads)
{
	enum stream_bad		 why;
	struct record		 r = { 0 };
	struct stanza_feeder	*f;
	char			*fill, *xml;
	size_t			 len;

	fill = times("0123456789abcdef", 1500);
	xml = join("<iq id='", fill, "'/>");
	len = strlen(xml);
	f = feeder_new(&handler, &r);
	cr_assert_eq(feeder_feed(f, HEAD, strlen(HEAD), &why), 0);
	cr_assert_eq(feeder_feed(f, xml, 16000, &why), 0);
	cr_assert_eq(r.stanzas, 0);
	cr_assert_eq(feeder_feed(f, xml + 16000, len - 16000, &why), 0);
	cr_assert_eq(r.stanzas, 1);
	feeder_free(f);
	free(r.buf);
	free(fill);
	free(xml);
}

/* One stanza, then an empty one; say what became of the first. */
static void
expect_fate(const char *xml, const char *fate)
{
	enum stream_bad	 why;
	struct record	 r;
	char		*whole;
	size_t		 piece;

	whole = join(HEAD, xml, "<last/>");
	for (piece = 1000; piece < 400000; piece *= 7) {
		cr_assert_eq(feed_pieces(&r, whole, strlen(whole), piece,
		    &why), 0, "%s", fate);
		cr_expect_eq(r.skipped, strcmp(fate, "S:") != 0, "%s", fate);
		cr_expect_eq(strncmp(r.buf + 6, fate, strlen(fate)), 0,
		    "%s but %.60s", fate, r.buf + 6);
		cr_expect_eq(r.stanzas + r.skipped, 2);
		cr_expect_not_null(strstr(r.buf, "S:(" NS_COMPONENT
		    "|last>)\n"));
		free(r.buf);
	}
	free(whole);
}

static void
expect_fate_of(const char *open, const char *rep, size_t n, const char *end,
    const char *fate)
{
	char	*mid, *xml;

	mid = times(rep, n);
	xml = join(open, mid, end);
	expect_fate(xml, fate);
	free(mid);
	free(xml);
}

Test(stanza, limit_of_bytes, .timeout = 60)
{
	/* <a></a> is 7 bytes. */
	expect_fate_of("<a>", "x", STANZA_BYTES_MAX - 7, "</a>", "S:");
	expect_fate_of("<a>", "x", STANZA_BYTES_MAX - 6, "</a>", "K:big");
	expect_fate_of("<a><b>", "x", STANZA_BYTES_MAX, "</b></a>", "K:big");
	expect_fate_of("<a b='", "x", STANZA_BYTES_MAX - 9, "'/>", "S:");
	expect_fate_of("<a b='", "x", STANZA_BYTES_MAX - 8, "'/>", "K:big");
	expect_fate_of("<a b='", "x", STANZA_BYTES_MAX, "'></a>", "K:big");
	expect_fate_of("<a><b c='", "x", STANZA_BYTES_MAX, "'/></a>",
	    "K:big");
	expect_fate_of("<a><b c='", "x", STANZA_BYTES_MAX, "'></b></a>",
	    "K:big");
	expect_fate_of("<a>", "<![CDATA[ ]]>", 10000, "</a>", "K:big");
	expect_fate_of("<a>", "<![CDATA[ ]]>", 5000, "</a>", "S:");
	expect_fate_of("<a>", "&lt;&#10;", 20000, "</a>", "K:big");
	expect_fate_of("<a", " ", STANZA_BYTES_MAX, "/>", "K:big");
}

Test(stanza, limit_of_depth)
{
	char	*up;

	up = times("</a>", STANZA_DEPTH_MAX);
	expect_fate_of("", "<a>", STANZA_DEPTH_MAX, up, "S:");
	free(up);
	up = times("</a>", STANZA_DEPTH_MAX + 1);
	expect_fate_of("", "<a>", STANZA_DEPTH_MAX + 1, up, "K:deep");
	free(up);
	up = times("</a>", 100000);
	expect_fate_of("", "<a>", 100000, up, "K:deep");
	free(up);
}

static char *
attributes(unsigned int n)
{
	unsigned int	 i;
	char		*all, *next;

	all = strdup("");
	for (i = 0; i < n; i++) {
		cr_assert_neq(asprintf(&next, "%s a%u='%u'", all, i, i), -1);
		free(all);
		all = next;
	}
	return (all);
}

Test(stanza, limit_of_attributes)
{
	char	*atts, *ns, *xml;

	atts = attributes(STANZA_ATTRS_MAX);
	expect_fate_of("<a", atts, 1, "/>", "S:");
	free(atts);
	atts = attributes(STANZA_ATTRS_MAX + 1);
	expect_fate_of("<a id='i' to='t'", atts, 1, "/>",
	    "K:many(" NS_COMPONENT "|a |id=i |to=t>)");
	expect_fate_of("<a id='i'><b", atts, 1, "></b></a>",
	    "K:many(" NS_COMPONENT "|a |id=i>)");
	expect_fate_of("<a id='i'><b", atts, 1, "/></a>",
	    "K:many(" NS_COMPONENT "|a |id=i>)");
	/* The namespace of the element, and what is too long to keep. */
	ns = times("x", 5000);
	xml = join("<y:a xmlns:y='urn:y' id='", ns, "' to='t'");
	expect_fate_of(xml, atts, 1, "/>", "K:many(urn:y|a |to=t>)");
	free(xml);
	free(ns);
	free(atts);
}

Test(stanza, limit_of_elements)
{
	expect_fate_of("<a>", "<b/>", STANZA_ELEMS_MAX - 1, "</a>", "S:");
	expect_fate_of("<a>", "<b/>", STANZA_ELEMS_MAX, "</a>", "K:many");
	expect_fate_of("<a>", "<b></b>", STANZA_ELEMS_MAX, "</a>", "K:many");
	expect_fate_of("<a>", "<b/>", 1000000, "</a>", "K:many");
}

Test(stanza, limit_of_namespaces)
{
	char		 xml[4096], one[64];
	unsigned int	 i;

	(void)strlcpy(xml, "<a id='i'>", sizeof(xml));
	for (i = 0; i < 30; i++) {
		(void)snprintf(one, sizeof(one), "<a xmlns:a%u='urn:a' "
		    "xmlns:b%u='urn:b' xmlns:c%u='urn:c'>", i, i, i);
		cr_assert(strlcat(xml, one, sizeof(xml)) < sizeof(xml));
	}
	for (i = 0; i < 31; i++)
		cr_assert(strlcat(xml, "</a>", sizeof(xml)) < sizeof(xml));
	expect_fate(xml, "K:many(" NS_COMPONENT "|a |id=i>)");
}

Test(stanza, a_single_tag_without_end, .timeout = 60)
{
	enum stream_bad		 why = STREAM_MEMORY;
	struct record		 r = { 0 };
	struct stanza_feeder	*f;
	size_t			 total = 0;
	char			*fill;
	long			 before;
	int			 result;

	fill = times(" a='b'", 10000);
	before = peak_kib();
	f = feeder_new(&handler, &r);
	cr_assert_eq(feeder_feed(f, HEAD "<a", strlen(HEAD) + 2, &why), 0);
	do {
		result = feeder_feed(f, fill, 60000, &why);
		total += 60000;
	} while (result == 0 && total < 100 * STANZA_TOKEN_MAX);
	cr_expect_eq(result, -1);
	cr_expect_eq(why, STREAM_POLICY);
	cr_expect(total <= STANZA_TOKEN_MAX + 2 * 65536);
	cr_expect(peak_kib() - before < 16 * 1024, "%ld KiB",
	    peak_kib() - before);
	feeder_free(f);
	free(r.buf);
	free(fill);
}

/* Names never seen before, in a million stanzas that are good. */
Test(stanza, memory_of_names, .timeout = 120)
{
	enum stream_bad		 why;
	struct record		 r = { 0 };
	struct stanza_feeder	*f;
	char			 xml[256];
	unsigned int		 i;
	long			 before = 0;

	f = feeder_new(&handler, &r);
	cr_assert_eq(feeder_feed(f, HEAD, strlen(HEAD), &why), 0);
	for (i = 0; i < 400000; i++) {
		(void)snprintf(xml, sizeof(xml), "<a%u b%u=''/>", i, i);
		cr_assert_eq(feeder_feed(f, xml, strlen(xml), &why), 0);
		r.len = 0;
		if (i == 40000)
			before = peak_kib();
	}
	cr_expect_eq(r.stanzas, 400000);
	cr_expect(peak_kib() - before < 4 * 1024, "%ld KiB",
	    peak_kib() - before);
	cr_assert_eq(feeder_feed(f, TAIL, strlen(TAIL), &why), 0);
	cr_expect_eq(r.ended, 1);
	feeder_free(f);
	free(r.buf);
}

/* A stanza with no end: deeper and deeper, ever new names. */
Test(stanza, memory_of_a_stanza_without_end, .timeout = 120)
{
	enum stream_bad		 why;
	struct record		 r = { 0 };
	struct stanza_feeder	*f;
	char			 xml[256];
	unsigned int		 i;
	long			 before = 0;

	f = feeder_new(&handler, &r);
	cr_assert_eq(feeder_feed(f, HEAD, strlen(HEAD), &why), 0);
	for (i = 0; i < 1000000; i++) {
		(void)snprintf(xml, sizeof(xml), "<a%u b%u='>'>x", i, i);
		cr_assert_eq(feeder_feed(f, xml, strlen(xml), &why), 0);
		if (i == 1000)
			before = peak_kib();
	}
	cr_expect_eq(r.stanzas, 0);
	cr_expect_eq(r.skipped, 1);
	cr_expect(peak_kib() - before < 1024, "%ld KiB",
	    peak_kib() - before);
	feeder_free(f);
	free(r.buf);
}

/* The tree outlives the feeder. */
static void
keep_stanza(struct stanza *s, void *arg)
{
	*(struct stanza **)arg = s;
}

static void
keep_header(const char *id, void *arg)
{
	(void)id;
	(void)arg;
}

Test(stanza, lookups)
{
	static const struct stanza_handler	 keep = {
		keep_header, keep_stanza, NULL, NULL
	};
	static const char	 xml[] = "<s:stream xmlns:s='" NS_STREAMS
	    "' xmlns='" NS_COMPONENT "' xmlns:f='urn:far'><iq x:id='2' "
	    "id='1' xmlns:x='urn:x' xml:lang='de'><q xmlns='urn:a'/><q/>"
	    "<f:q>t</f:q></iq>";
	struct stanza_feeder	*f;
	struct stanza		*s = NULL;
	const struct stanza	*c;
	enum stream_bad		 why;

	f = feeder_new(&keep, &s);
	cr_assert_eq(feeder_feed(f, xml, sizeof(xml) - 1, &why), 0);
	feeder_free(f);
	cr_assert_not_null(s);
	cr_expect(stanza_is(s, NS_COMPONENT, "iq"));
	cr_expect_not(stanza_is(s, NS_STREAMS, "iq"));
	cr_expect_str_eq(stanza_attr(s, "id"), "1");
	cr_expect_null(stanza_attr(s, "to"));
	cr_expect_null(stanza_attr(s, "lang"));
	cr_expect_str_eq(stanza_lang(s), "de");
	cr_expect_eq(stanza_child(s, "urn:a", "q"), s->child);
	cr_expect_eq(stanza_child(s, NS_COMPONENT, "q"), s->child->next);
	cr_expect_null(stanza_child(s, "urn:b", "q"));
	c = stanza_child(s, "urn:far", "q");
	cr_assert_not_null(c);
	cr_expect_str_eq(c->text, "t");
	cr_expect_null(stanza_lang(c));
	stanza_free(s);
}

Test(stanza, error_names)
{
	cr_expect_str_eq(stream_error_name(STREAM_NOT_WELL_FORMED),
	    "not-well-formed");
	cr_expect_str_eq(stream_error_name(STREAM_RESTRICTED_XML),
	    "restricted-xml");
	cr_expect_str_eq(stream_error_name(STREAM_POLICY),
	    "policy-violation");
	cr_expect_str_eq(stream_error_name(STREAM_BAD_HEADER),
	    "invalid-namespace");
	cr_expect_str_eq(stream_error_name(STREAM_ENCODING),
	    "unsupported-encoding");
	cr_expect_str_eq(stream_error_name(STREAM_MEMORY),
	    "resource-constraint");
}
