/* SPDX-License-Identifier: ISC */
/*
 * Requests and what is answered: PROTOCOL.md section 1 as far as it is about
 * reading them, section 2, and the traps of section 9.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "iq.h"
#include "registry.h"

#define ALICE	"alice@example.org/x"
#define BOB	"bob@example.org/y"
#define EN	"xml:lang='en'"

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(iq, .init = start, .fini = fake_stop, .timeout = 60);

/* ---- any IQ -------------------------------------------------------------*/

/* What is answered to an IQ that is neither registration nor change. */
static const char *
ask(const char *xml)
{
	fake_iq("%s", xml);
	return (fake_describe(fake_sent()));
}

#define IQ(type, payload)						\
	"<iq type='" type "' id='a' from='" ALICE "' to='" FAKE_US "'>"	\
	payload "</iq>"
#define QUERY(ns, inside)	"<query xmlns='" ns "'>" inside "</query>"

static const char	 one_child[] = "error 400 modify bad-request "
    "[An IQ has a type and exactly one child.]";
static const char	 not_served[] = "error 503 cancel service-unavailable "
    "[Not served here.]";
static const char	 not_implemented[] = "error 501 cancel "
    "feature-not-implemented [Not implemented.]";
static const char	 no_node[] = "error 404 cancel item-not-found "
    "[No such node.]";

static const struct {
	const char	*xml;
	const char	*answer;
} any[] = {
	/* Trap 4: no child, two, and XMPPFramework's registration. */
	{ IQ("set", ""), one_child },
	{ IQ("get", ""), one_child },
	{ IQ("set", "text"), one_child },
	{ IQ("set", QUERY(NS_PASS, "") QUERY(NS_PASS, "")), one_child },
	{ IQ("set", QUERY(NS_PASS, "") "<expire>1200</expire>"), one_child },
	{ IQ("set", "<x xmlns='urn:x'/>" QUERY(NS_PASS, "")), one_child },
	{ IQ("set", "<expire>1200</expire>"), not_served },
	/* Types. */
	{ IQ("", QUERY(NS_PASS, "")), one_child },
	{ IQ("SET", QUERY(NS_PASS, "")), one_child },
	{ IQ("probe", QUERY(NS_PASS, "")), one_child },
	{ "<iq id='a' from='" ALICE "' to='" FAKE_US "'>"
	    QUERY(NS_PASS, "") "</iq>", one_child },
	/* Never an error to an answer. */
	{ IQ("result", ""), "none" },
	{ IQ("result", QUERY(NS_PASS, "")), "none" },
	{ IQ("error", QUERY(NS_PASS, "") "<error type='cancel'/>"), "none" },
	{ "<iq type='result' from='" ALICE "'/>", "none" },
	{ "<iq type='result' id='a'/>", "none" },
	{ "<iq type='error' id='a' from='@@'/>", "none" },
	/* Nobody to answer to. */
	{ "<iq type='set' id='a'>" QUERY(NS_PASS, "") "</iq>", "none" },
	{ "<iq type='set' id='a' from='@x'>" QUERY(NS_PASS, "") "</iq>",
	    "none" },
	/* What is served, and what is not. */
	{ IQ("get", QUERY("jabber:iq:private", "")), not_served },
	{ IQ("get", "<pass xmlns='" NS_PASS "'/>"), not_served },
	{ IQ("get", "<query/>"), not_served },
	{ IQ("get", "<ping xmlns='" NS_PING "'/>"), "result" },
	{ IQ("set", "<ping xmlns='" NS_PING "'/>"), not_implemented },
	{ IQ("set", QUERY(NS_DISCO_INFO, "")), not_implemented },
	{ IQ("set", QUERY(NS_DISCO_ITEMS, "")), not_implemented },
	{ IQ("set", QUERY(NS_VERSION, "")), not_implemented },
	{ IQ("set", QUERY(NS_LAST, "")), not_implemented },
	{ IQ("get", QUERY(NS_DISCO_ITEMS, "")), "result" },
	{ IQ("get", "<query xmlns='" NS_DISCO_ITEMS "' node='x'/>"), no_node },
	{ IQ("get", "<query xmlns='" NS_DISCO_INFO "' node='x'/>"), no_node },
	{ IQ("get", "<query xmlns='" NS_DISCO_INFO "' node=''/>"), no_node },
	{ IQ("get", QUERY(NS_VERSION, "")), "result name:" PACKAGE_NAME
	    " version:" PACKAGE_VERSION },
	{ IQ("get", QUERY(NS_DISCO_INFO, "")), "result identity,"
	    "category=proxy,type=pass,name=Proxy Accept Socket Service,"
	    "lang=en feature,var=" NS_DISCO_INFO " feature,var="
	    NS_DISCO_ITEMS " feature,var=" NS_PASS " feature,var=" NS_LAST
	    " feature,var=" NS_VERSION " feature,var=" NS_PING },
	/* There are no users here, nor resources. */
	{ "<iq type='get' id='a' from='" ALICE "' to='x@" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", not_served },
	{ "<iq type='get' id='a' from='" ALICE "' to='" FAKE_US "/x'>"
	    "<ping xmlns='" NS_PING "'/></iq>", not_served },
	{ "<iq type='get' id='a' from='" ALICE "' to='PASS.Example.ORG'>"
	    "<ping xmlns='" NS_PING "'/></iq>", "result" },
	{ "<iq type='get' id='a' from='" ALICE "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", "result" },
	/* Texts are English: whoever wants another language gets none. */
	{ "<iq type='set' id='a' xml:lang='de' from='" ALICE "' to='" FAKE_US
	    "'/>", "error 400 modify bad-request" },
	{ "<iq type='set' id='a' xml:lang='en-GB' from='" ALICE "' to='"
	    FAKE_US "'/>", one_child },
	{ "<iq type='set' id='a' xml:lang='' from='" ALICE "' to='" FAKE_US
	    "'/>", one_child },
};

Test(iq, any_request)
{
	const char	*got;
	size_t		 i;

	for (i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
		got = ask(any[i].xml);
		cr_expect_str_eq(got, any[i].answer, "%s\n  got  %s\n  want %s",
		    any[i].xml, got, any[i].answer);
		cr_expect_null(fake_sent(), "two answers to %s", any[i].xml);
	}
	cr_expect_eq(registry_count(), 0);
}

/* To the letter, once: the order of XEP-0086 and RFC 6120 8.3.2. */
Test(iq, error_to_the_letter)
{
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/></query></iq>");
	cr_assert_not_null(fake_sent());
	cr_expect_str_eq(fake_sent_xml(),
	    "<iq type='error' id='a' from='" FAKE_US "' to='" ALICE "'>"
	    "<error code='400' type='modify'>"
	    "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' " EN ">"
	    "Missing &lt;proxy/&gt; specification.</text></error></iq>");
}

Test(iq, ids_and_addresses_of_an_answer)
{
	char			 id[5000];
	const struct stanza	*s;

	fake_iq("<iq type='get' id='&lt;&apos;&amp;&quot; \xc3\xbc' "
	    "from='Alice@EXAMPLE.org/a &lt;&amp;&quot;\xc3\xbc' to='" FAKE_US
	    "/r'><x xmlns='urn:x'/></iq>");
	cr_assert_not_null(s = fake_sent());
	cr_expect_str_eq(stanza_attr(s, "id"), "<'&\" \xc3\xbc");
	cr_expect_str_eq(stanza_attr(s, "to"),
	    "alice@example.org/a <&\"\xc3\xbc");
	cr_expect_str_eq(stanza_attr(s, "from"), FAKE_US "/r");
	/* Without an id: answered without; an endless one: just as well. */
	fake_iq("<iq type='get' from='" ALICE "' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>");
	cr_assert_not_null(s = fake_sent());
	cr_expect_null(stanza_attr(s, "id"));
	memset(id, 'i', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	fake_iq("<iq type='get' id='%s' from='" ALICE "' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", id);
	cr_assert_not_null(s = fake_sent());
	cr_expect_null(stanza_attr(s, "id"));
	id[4000] = '\0';
	fake_iq("<iq type='get' id='%s' from='" ALICE "' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", id);
	cr_assert_not_null(s = fake_sent());
	cr_expect_str_eq(stanza_attr(s, "id"), id);
}

/* Trap 18: the longest JID there is. */
Test(iq, longest_jid)
{
	char			 from[1100];
	const struct stanza	*s;

	memset(from, 'r', sizeof(from));
	memcpy(from, "a@example.org/", 14);
	from[14 + 1023] = '\0';
	fake_iq("<iq type='get' id='a' from='%s' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", from);
	cr_assert_not_null(s = fake_sent());
	cr_expect_str_eq(stanza_attr(s, "to"), from);
	from[14 + 1023] = 'r';
	from[14 + 1024] = '\0';
	fake_iq("<iq type='get' id='a' from='%s' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>", from);
	cr_expect_null(fake_sent());
}

static const char *
skip(const char *xml)
{
	struct stanza	*s = fake_parse(xml);

	iq_skipped(s);
	stanza_free(s);
	return (fake_describe(fake_sent()));
}

Test(iq, skipped)
{
	cr_expect_str_eq(skip(IQ("set", "")), "error 500 wait "
	    "policy-violation [The stanza is beyond a limit of this "
	    "service.]");
	cr_expect_str_eq(skip(IQ("get", "")), "error 500 wait "
	    "policy-violation [The stanza is beyond a limit of this "
	    "service.]");
	cr_expect_str_eq(skip(IQ("result", "")), "none");
	cr_expect_str_eq(skip(IQ("error", "")), "none");
	cr_expect_str_eq(skip(IQ("", "")), "none");
	cr_expect_str_eq(skip("<iq type='set' id='a'/>"), "none");
}

Test(iq, last_counts_since_the_start)
{
	const struct stanza	*s;

	fake_sleep(123456);
	fake_iq(IQ("get", QUERY(NS_LAST, "")));
	cr_assert_not_null(s = fake_sent());
	cr_expect_str_eq(stanza_attr(s->child, "seconds"), "123");
}

Test(iq, contacts)
{
	fake_conf("contact abuse \"mailto:abuse@example.org\"\n"
	    "contact abuse \"xmpp:abuse@example.org\"\n"
	    "contact security \"https://example.org/s?a=1&b=2\"");
	fake_iq(IQ("get", QUERY(NS_DISCO_INFO, "")));
	cr_assert_not_null(fake_sent());
	cr_expect_not_null(strstr(fake_sent_xml(), "<x xmlns='jabber:x:data' "
	    "type='result'><field var='FORM_TYPE' type='hidden'><value>"
	    "http://jabber.org/network/serverinfo</value></field>"
	    "<field var='abuse-addresses' type='list-multi'>"
	    "<value>mailto:abuse@example.org</value>"
	    "<value>xmpp:abuse@example.org</value></field>"
	    "<field var='security-addresses' type='list-multi'>"
	    "<value>https://example.org/s?a=1&amp;b=2</value></field></x>"),
	    "%s", fake_sent_xml());
}

/* ---- requests in jabber:iq:pass -----------------------------------------*/

#define BAD_PORT	"error 400 modify bad-request "			\
	"[The port of the proxy is not a port number.]"
#define BAD_EXPIRE	"error 400 modify bad-request "			\
	"[The expire is not a number of seconds.]"
#define NOT_ELEMENT	"error 400 modify bad-request "			\
	"[Not an element of a request.]"
#define NO_MORE(what)	"error 400 modify bad-request [More than one " what ".]"
#define NO_PROXY	"error 400 modify bad-request "			\
	"[Missing <proxy/> specification.]"
#define CLOSE_WITH	"error 400 modify bad-request "			\
	"[A close goes with neither expire nor oneshot.]"
#define E401		"error 401 auth not-authorized "		\
	"[Port not registered to your JID.]"
#define E404		"error 404 cancel item-not-found "		\
	"[Port not found in registry.]"
#define E405		"error 405 cancel not-allowed "			\
	"[Proxy IP does not match.]"
#define E501		"error 501 cancel feature-not-implemented "	\
	"[This extension is not served.]"
#define US		"203.0.113.7"
#define CLOSE(port)	"<close/><proxy port='" port "'>" US "</proxy>"
#define AT(addr)	"<close/><proxy port='$P'>" addr "</proxy>"
#define CHANGE(x)	x "<proxy port='$P'>" US "</proxy>"
#define NEW(more)	"result server,port=$N:" US more
#define SAME(more)	"result server,port=$P:" US more
#define GRANTED(s)	" +granted,expire=" s ",sessions=1"

/*
 * $P is Alice's port, $Q Bob's, $F one that nobody has, $N the one that is
 * given to the request.  The request is Alice's.
 */
static const struct {
	const char	*query;
	const char	*answer;
} requests[] = {
	/* Row 9: no expire, or more than allowed: told what it came to. */
	{ "", NEW(" expire:86400" GRANTED("86400")) },
	{ "<oneshot/>", NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>600</expire>", NEW(GRANTED("600")) },
	{ "<expire>600</expire><oneshot/>", NEW(GRANTED("600")) },
	{ "<oneshot/><expire>600</expire>", NEW(GRANTED("600")) },
	{ "<expire>86400</expire>", NEW(GRANTED("86400")) },
	{ "<expire>86401</expire>", NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>1</expire>", NEW(GRANTED("1")) },
	/* Row 10, trap 5. */
	{ "<expire/>", BAD_EXPIRE },
	{ "<expire></expire>", BAD_EXPIRE },
	{ "<expire> </expire>", BAD_EXPIRE },
	{ "<expire>0</expire>", BAD_EXPIRE },
	{ "<expire>000</expire>", BAD_EXPIRE },
	{ "<expire>-1</expire>", BAD_EXPIRE },
	{ "<expire>+5</expire>", BAD_EXPIRE },
	{ "<expire>5s</expire>", BAD_EXPIRE },
	{ "<expire>5 6</expire>", BAD_EXPIRE },
	{ "<expire>5.0</expire>", BAD_EXPIRE },
	{ "<expire>1e3</expire>", BAD_EXPIRE },
	{ "<expire>0x10</expire>", BAD_EXPIRE },
	{ "<expire>\xd9\xa5</expire>", BAD_EXPIRE },
	{ "<expire>\xc2\xa0" "5</expire>", BAD_EXPIRE },
	{ "<expire> 5 </expire>", NEW(GRANTED("5")) },
	{ "<expire>\n\t60\r\n</expire>", NEW(GRANTED("60")) },
	{ "<expire>00060</expire>", NEW(GRANTED("60")) },
	{ "<expire>4294967296</expire>",
	    NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>18446744073709551615</expire>",
	    NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>18446744073709551616</expire>",
	    NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>18446744073709551617</expire>",
	    NEW(" expire:86400" GRANTED("86400")) },
	{ "<expire>1000000000000000000000000000000</expire>",
	    NEW(" expire:86400" GRANTED("86400")) },
	/* Row 12. */
	{ "<server port='7'>" US "</server>", NOT_ELEMENT },
	{ "<client port='7'>198.51.100.1</client>", NOT_ELEMENT },
	{ "<expires>5</expires>", NOT_ELEMENT },
	{ "<Expire>5</Expire>", NOT_ELEMENT },
	{ "<expire>600</expire><expire>600</expire>", NO_MORE("expire") },
	{ "<oneshot/><oneshot/>", NO_MORE("oneshot") },
	{ CLOSE("$P") "<close/>", NO_MORE("close") },
	{ CHANGE("<proxy port='$P'>" US "</proxy>"), NO_MORE("proxy") },
	{ CLOSE("$P") "<expire>600</expire>", CLOSE_WITH },
	{ CLOSE("$P") "<oneshot/>", CLOSE_WITH },
	{ "<x xmlns='urn:x'/><expire>600</expire><close xmlns='urn:x'/>",
	    NEW(GRANTED("600")) },
	{ "<x xmlns='urn:x'><expire>9</expire></x>",
	    NEW(" expire:86400" GRANTED("86400")) },
	/* A limit that is not kept is not taken, either. */
	{ "<peers xmlns='" NS_PASSD "'><allow>192.0.2.0/24</allow></peers>",
	    E501 },
	{ CHANGE("<peers xmlns='" NS_PASSD "'/>"), E501 },
	/* Row 2, trap 6. */
	{ CLOSE(""), BAD_PORT },
	{ CLOSE("0"), BAD_PORT },
	{ CLOSE("00000"), BAD_PORT },
	{ CLOSE("65536"), BAD_PORT },
	{ CLOSE("99999"), BAD_PORT },
	{ CLOSE("-1"), BAD_PORT },
	{ CLOSE("+1"), BAD_PORT },
	{ CLOSE("$P "), BAD_PORT },
	{ CLOSE(" $P"), BAD_PORT },
	{ CLOSE("0$P"), BAD_PORT },
	{ CLOSE("1$P"), BAD_PORT },
	{ CLOSE("$P.0"), BAD_PORT },
	{ CLOSE("0x1"), BAD_PORT },
	{ CLOSE("\xd9\xa5"), BAD_PORT },
	{ CLOSE("18446744073709551617"), BAD_PORT },
	{ "<close/><proxy>" US "</proxy>", BAD_PORT },
	{ CLOSE("65535"), E404 },
	{ CLOSE("1"), E404 },
	{ CLOSE("$P"), "result" },
	/* Row 14: 400, 405, 404, 401, in this order. */
	{ "<close/>", NO_PROXY },
	{ "<close/><expire>600</expire>", NO_PROXY },
	{ "<close/><proxy port='x'>192.0.2.1</proxy>", BAD_PORT },
	{ "<close/><proxy port='$F'>192.0.2.1</proxy>", E405 },
	{ "<close/><proxy port='$Q'>192.0.2.1</proxy>", E405 },
	{ CLOSE("$F"), E404 },
	{ CLOSE("$Q"), E401 },
	{ "<proxy port='$F'>192.0.2.1</proxy>", E405 },
	{ "<proxy port='$F'>" US "</proxy>", E404 },
	{ "<proxy port='$Q'>" US "</proxy>", E401 },
	/* Row 15, trap 7. */
	{ AT(" " US "\n"), "result" },
	{ AT("::ffff:" US), "result" },
	{ AT("::FFFF:cb00:7107"), "result" },
	{ AT(FAKE_US), "result" },
	{ AT("PASS.EXAMPLE.ORG"), "result" },
	{ AT(""), E405 },
	{ AT(" "), E405 },
	{ AT("203.0.113.8"), E405 },
	{ AT(US " " US), E405 },
	{ AT(US "."), E405 },
	{ AT(US ":$P"), E405 },
	{ AT("[::ffff:" US "]"), E405 },
	{ AT("2001:db8::7"), E405 },
	{ AT("0.0.0.0"), E405 },
	{ AT("127.0.0.1"), E405 },
	{ AT("example.org"), E405 },
	{ AT("pass.example.orgg"), E405 },
	/* Row 11: a proxy without close changes that port. */
	{ "<proxy port='$P'>" US "</proxy>",
	    SAME(" expire:86400" GRANTED("86400")) },
	{ CHANGE("<expire>600</expire>"), SAME(GRANTED("600")) },
	{ CHANGE("<oneshot/>"), SAME(" expire:86400" GRANTED("86400")) },
	{ CHANGE("<expire>600</expire><oneshot/>"), SAME(GRANTED("600")) },
	{ CHANGE("<expire>999999</expire>"),
	    SAME(" expire:86400" GRANTED("86400")) },
	{ CHANGE("<expire/>"), BAD_EXPIRE },
	{ CHANGE("<expire>0</expire>"), BAD_EXPIRE },
};

/* ${text} with $P, $Q, $F and $N put in. */
static const char *
expand(const char *text, const uint16_t numbers[4], char *buf, size_t size)
{
	static const char	 names[] = "PQFN";
	const char		*n;
	FILE			*f;

	cr_assert_not_null(f = fmemopen(buf, size, "w"));
	for (; *text != '\0'; text++) {
		n = *text == '$' ? strchr(names, text[1]) : NULL;
		if (n == NULL)
			fputc(*text, f);
		else {
			fprintf(f, "%u", numbers[n - names]);
			text++;
		}
	}
	fputc('\0', f);
	cr_assert_eq(fclose(f), 0);
	return (buf);
}

static uint16_t
nobodys_port(void)
{
	uint16_t	 port = ctl.conf->ports.lo;

	while (registry_by_number(port) != NULL)
		port++;
	return (port);
}

static void
request(const char *query, const char *answer)
{
	struct fake_worker	 p, q, n;
	char			 xml[1024], want[1024], got[1024];
	uint16_t		 numbers[4];

	fake_start(NULL);
	(void)fake_register(&p, ALICE, "");
	(void)fake_register(&q, BOB, "");
	numbers[0] = p.port;
	numbers[1] = q.port;
	numbers[2] = nobodys_port();
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'>%s</query></iq>",
	    expand(query, numbers, xml, sizeof(xml)));
	if (fake_spawn(&n))
		fake_ready(&n);
	numbers[3] = n.port;
	(void)strlcpy(got, fake_describe(fake_sent()), sizeof(got));
	(void)expand(answer, numbers, want, sizeof(want));
	cr_expect_str_eq(got, want, "%s\n  got  %s\n  want %s", xml, got,
	    want);
	cr_expect_null(fake_sent());
	cr_expect_eq(registry_by_number(p.port) != NULL,
	    strcmp(answer, "result") != 0);
	cr_expect_not_null(registry_by_number(q.port));
	fake_stop();
	fake_close(&n);
	fake_close(&p);
	fake_close(&q);
}

Test(requests, table, .timeout = 60)
{
	int	 before = fake_fds();
	size_t	 i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		request(requests[i].query, requests[i].answer);
	cr_expect_eq(fake_fds(), before);
}

/* The same from another resource, and what the owner's mode changes. */
static const char *
close_as(uint16_t port, const char *jid)
{
	fake_iq("<iq type='set' id='a' from='%s' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/><proxy port='%u'>" US
	    "</proxy></query></iq>", jid, port);
	return (fake_describe(fake_sent()));
}

/* Row 13. */
Test(iq, owner_bare)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	cr_expect_str_eq(close_as(w.port, BOB), E401);
	cr_expect_str_eq(close_as(w.port, "example.org"), E401);
	cr_expect_str_eq(close_as(w.port, "alice@example.com/x"), E401);
	cr_expect_str_eq(close_as(w.port, "alice@example.org/y"), "result");
	cr_expect_str_eq(close_as(w.port, ALICE), E404);
}

Test(iq, owner_full)
{
	struct fake_worker	 w;

	fake_conf("owner full");
	(void)fake_register(&w, ALICE, "");
	cr_expect_str_eq(close_as(w.port, "alice@example.org/y"), E401);
	cr_expect_str_eq(close_as(w.port, "alice@example.org"), E401);
	cr_expect_str_eq(close_as(w.port, ALICE), "result");
}

/* Whoever was let in as "any" may share his bare JID, as in a room. */
Test(iq, owner_by_any)
{
	struct fake_worker	 w;

	fake_conf("allow any");
	(void)fake_register(&w, "room@rooms.test/nick", "");
	cr_expect_str_eq(close_as(w.port, "room@rooms.test/other"), E401);
	cr_expect_str_eq(close_as(w.port, "room@rooms.test/nick"), "result");
	(void)fake_register(&w, "gateway.test/1", "");
	cr_expect_str_eq(close_as(w.port, "gateway.test/2"), E401);
	cr_expect_str_eq(close_as(w.port, "gateway.test/1"), "result");
	(void)fake_register(&w, ALICE, "");
	cr_expect_str_eq(close_as(w.port, "alice@example.org/y"), "result");
}

/* Section 2: 403. */
Test(iq, not_allowed)
{
	static const char	 e403[] = "error 403 auth forbidden "
	    "[You may not register ports here.] +acl";
	struct fake_worker	 w;

	cr_expect_str_eq(ask("<iq type='set' id='a' from='m@example.com/x' "
	    "to='" FAKE_US "'>" QUERY(NS_PASS, "") "</iq>"), e403);
	cr_expect_eq(fake_logged("refused jid=m@example.com/x "
	    "request=register error=forbidden"), 1);
	/* Banned after the registration: no change, but still a close. */
	(void)fake_register(&w, ALICE, "");
	fake_conf("deny \"alice@example.org\"");
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><expire>9</expire><proxy port='%u'>"
	    US "</proxy></query></iq>", w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), e403);
	cr_expect_str_eq(close_as(w.port, ALICE), "result");
}

/* Row 20: his own, never another's. */
Test(iq, get_lists_ports)
{
	struct fake_worker	 a, b, c;
	char			 want[256];

	cr_expect_str_eq(ask(IQ("get", QUERY(NS_PASS, ""))), "result "
	    "+usage,ports=0,limit=4,sessions=0,sessions-limit=8");
	(void)fake_register(&a, ALICE, "");
	(void)fake_register(&b, "alice@example.org/other", "");
	(void)fake_register(&c, BOB, "");
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " server,port=%u:" US " +usage,ports=2,limit=4,sessions=0,"
	    "sessions-limit=8", a.port, b.port);
	cr_expect_str_eq(ask(IQ("get", QUERY(NS_PASS, ""))), want);
	/* Whatever is asked: there is nothing to choose from. */
	cr_expect_str_eq(ask(IQ("get", QUERY(NS_PASS, "<close/>"))), want);
	cr_expect_str_eq(close_as(a.port, ALICE), "result");
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " +usage,ports=1,limit=4,sessions=0,sessions-limit=8", b.port);
	cr_expect_str_eq(ask(IQ("get", QUERY(NS_PASS, ""))), want);
	/* Allowed to nobody any more: his own ports he may see. */
	fake_conf("deny \"alice@example.org\"");
	cr_expect_str_eq(ask(IQ("get", QUERY(NS_PASS, ""))), want);
}

/* Both families, v4 first, whatever the one it listens on. */
Test(iq, advertised_addresses)
{
	struct fake_worker	 w;
	char			 want[256];
	const char		*got;

	fake_conf("listen on ::1 advertise 2001:db8::7");
	got = fake_register(&w, ALICE, "<expire>60</expire>");
	cr_expect_eq(w.nlisteners, 2);
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " server,port=%u:2001:db8::7 +granted,expire=60,sessions=1",
	    w.port, w.port);
	cr_expect_str_eq(got, want);
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/><proxy port='%u'>"
	    "2001:DB8:0::0007</proxy></query></iq>", w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), "result");
}
