/* SPDX-License-Identifier: ISC */
/*
 * A stranger has connected: the question to the owner, his answer, and what
 * the worker says of it; then workers that do not keep to it.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "fake.h"
#include "iq.h"
#include "mono.h"
#include "port.h"
#include "registry.h"

#define ALICE	"alice@example.org/x"
#define US	"203.0.113.7"
#define RDV	20		/* rendezvous ports that there are */

static char	 question_id[ASK_ID_LEN + 1];

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(client, .init = start, .fini = fake_stop, .timeout = 60);

static struct msg_in *
command(struct fake_worker *w, enum msg_type type)
{
	static struct msg_in	 in;

	cr_assert(fake_command(w, &in), "no command for worker %u", w->id);
	cr_assert_eq(in.hdr.type, type, "command %u", in.hdr.type);
	cr_expect_eq(in.hdr.id, w->id);
	msg_close_fds(&in);
	return (&in);
}

static int
quiet(struct fake_worker *w)
{
	static struct msg_in	 in;

	return (!fake_command(w, &in));
}

static void
expect_drop(struct fake_worker *w, uint32_t session, enum cause cause)
{
	struct msg_in	*in = command(w, MSG_DROP);

	cr_expect_eq(in->session.session, session);
	cr_expect_eq(in->session.cause, cause, "%s",
	    cause_name((enum cause)in->session.cause));
	fake_ended(w, session, cause, 0, 0);
}

static struct port *
port_of(const struct fake_worker *w)
{
	struct port	*p = registry_by_id(w->id);

	cr_assert_not_null(p);
	return (p);
}

static size_t
rdv_left(void)
{
	return (pool_left(ctl.rendezvous, mono_ms()));
}

/*
 * A stranger connects to ${w}: the rendezvous listeners reach the worker,
 * the question reaches the owner.  Return the rendezvous port.
 */
static uint16_t
connect_client(struct fake_worker *w, uint32_t session)
{
	const struct stanza	*s;
	char			 want[128];
	uint16_t		 rdv;

	fake_client(w, session, "198.51.100.7", 40100);
	rdv = registry_client(port_of(w), session)->rendezvous;
	cr_expect_eq(command(w, MSG_RENDEZVOUS)->session.session, session);
	cr_assert_not_null(s = fake_sent());
	(void)snprintf(want, sizeof(want), "set client,port=40100:"
	    "198.51.100.7 proxy,port=%u:" US, rdv);
	cr_expect_str_eq(fake_describe(s), want);
	cr_expect_str_eq(stanza_attr(s, "from"), FAKE_US);
	cr_assert_eq(strlcpy(question_id, stanza_attr(s, "id"),
	    sizeof(question_id)), ASK_ID_LEN);
	cr_expect_null(fake_sent());
	return (rdv);
}

static void
reply(const char *type, const char *from, const char *payload)
{
	fake_iq("<iq type='%s' id='%s' from='%s' to='" FAKE_US "'>%s</iq>",
	    type, question_id, from, payload);
}

/* ---- a session ----------------------------------------------------------*/

Test(client, whole_session)
{
	struct fake_worker	 w;
	const struct msg_answer	*m;
	uint16_t		 rdv;
	char			 want[256];

	(void)fake_register(&w, ALICE, "");
	rdv = connect_client(&w, 1);
	cr_expect_geq(rdv, ctl.conf->rendezvous.lo);
	cr_expect_leq(rdv, ctl.conf->rendezvous.hi);
	cr_expect_eq(rdv_left(), RDV - 1);
	(void)snprintf(want, sizeof(want), "client port=%u jid=" ALICE
	    " session=1 peer=198.51.100.7:40100 rendezvous=%u", w.port, rdv);
	cr_expect_eq(fake_logged(want), 1);
	cr_expect_eq(port_of(&w)->user->nsessions, 0);
	reply("result", ALICE, "<query xmlns='" NS_PASS "'/>");
	m = &command(&w, MSG_ANSWER)->answer;
	cr_expect_eq(m->session, 1);
	cr_expect_eq(m->flags, 0);
	cr_expect_eq(port_of(&w)->user->nsessions, 1);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	cr_expect_eq(rdv_left(), RDV, "free again");
	cr_expect_eq(fake_logged("peer=198.51.100.7:40100 "
	    "leg=198.51.100.99:555"), 1);
	fake_ended(&w, 1, CAUSE_EOF, 123, UINT64_MAX);
	(void)snprintf(want, sizeof(want), "ended port=%u jid=" ALICE
	    " session=1 peer=198.51.100.7:40100 cause=eof in=123 "
	    "out=18446744073709551615 seconds=1.234", w.port);
	cr_expect_eq(fake_logged(want), 1);
	cr_expect_eq(port_of(&w)->user->nsessions, 0);
	cr_expect_null(registry_client(port_of(&w), 1));
	cr_expect(quiet(&w));
	/* The port listens on. */
	(void)connect_client(&w, 2);
	cr_expect_eq(fake_killed(), 0);
}

Test(client, v6_peer)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_client(&w, 1, "2001:db8::5", 65535);
	cr_expect_eq(strncmp(fake_describe(fake_sent()),
	    "set client,port=65535:2001:db8::5 proxy,port=", 45), 0);
	cr_expect_eq(fake_logged("peer=[2001:db8::5]:65535"), 1);
}

/* Row 4: the proxy's one address is v4 where there is one. */
Test(client, rendezvous_in_both_families)
{
	struct fake_worker	 w;
	struct msg_in		 in;

	fake_conf("listen on ::1 advertise 2001:db8::7");
	(void)fake_register(&w, ALICE, "");
	fake_client(&w, 1, "2001:db8::5", 1);
	cr_assert(fake_command(&w, &in));
	cr_expect_eq(in.nfds, 2);
	msg_close_fds(&in);
	cr_expect_not_null(strstr(fake_describe(fake_sent()), ":" US));
}

/* ---- answers ------------------------------------------------------------*/

#define PASS(x)		"<query xmlns='" NS_PASS "'>" x "</query>"
#define CLIENT(x)	PASS("<client>" x "</client>")
#define LEG(x)		PASS("<leg xmlns='" NS_PASSD "'>" x "</leg>")
#define HEX		"00112233445566778899aAbBcCdDeEfF"

/* Rows 4 and 17; "" for no pin, flags -1 for "dropped". */
static const struct {
	const char	*payload;
	int		 flags;
	const char	*pin;
} accepts[] = {
	{ "", 0, "" },
	{ PASS(""), 0, "" },
	{ PASS("") PASS(""), 0, "" },
	{ "<x xmlns='urn:x'/>", 0, "" },
	{ PASS("<x xmlns='urn:x'/><client xmlns='urn:x'>no</client>"), 0, "" },
	{ PASS("<proxy port='1'>192.0.2.1</proxy>"), 0, "" },
	{ CLIENT("192.0.2.1"), ANSWER_PIN, "192.0.2.1" },
	{ PASS("<client port='9'>192.0.2.1</client>"), ANSWER_PIN,
	    "192.0.2.1" },
	{ CLIENT("\n 2001:db8::1\t"), ANSWER_PIN, "2001:db8::1" },
	{ CLIENT("::ffff:192.0.2.1"), ANSWER_PIN, "192.0.2.1" },
	{ LEG(HEX), ANSWER_TOKEN, "" },
	{ LEG(" " HEX "\n"), ANSWER_TOKEN, "" },
	{ PASS("<client>192.0.2.1</client><leg xmlns='" NS_PASSD "'>" HEX
	    "</leg>"), ANSWER_PIN | ANSWER_TOKEN, "192.0.2.1" },
	/* What cannot be kept is no reason to let anybody in. */
	{ CLIENT(""), -1, "" },
	{ CLIENT("example.org"), -1, "" },
	{ CLIENT("192.0.2.256"), -1, "" },
	{ CLIENT("fe80::1%eth0"), -1, "" },
	{ CLIENT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"),
	    -1, "" },
	{ LEG(""), -1, "" },
	{ LEG("00112233445566778899aabbccddeef"), -1, "" },
	{ LEG(HEX "0"), -1, "" },
	{ LEG(HEX HEX), -1, "" },
	{ LEG("00112233445566778899aabbccddee g"), -1, "" },
	{ LEG("0x112233445566778899aabbccddeeff"), -1, "" },
	{ LEG("0011223344556677 8899aabbccddeeff"), -1, "" },
	{ LEG("-0112233445566778899aabbccddeeff"), -1, "" },
};

static void
accept_with(struct fake_worker *w, uint32_t session, size_t i)
{
	static const uint8_t	 token[LEG_TOKEN_LEN] = { 0, 0x11, 0x22, 0x33,
		    0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
		    0xee, 0xff };
	const struct msg_answer	*m;
	struct addr		 a;

	(void)connect_client(w, session);
	reply("result", ALICE, accepts[i].payload);
	if (accepts[i].flags == -1) {
		expect_drop(w, session, CAUSE_DENIED);
		return;
	}
	m = &command(w, MSG_ANSWER)->answer;
	cr_expect_eq(m->session, session);
	cr_expect_eq(m->flags, (uint32_t)accepts[i].flags, "%s",
	    accepts[i].payload);
	if (m->flags & ANSWER_PIN) {
		cr_assert_eq(addr_parse(&a, accepts[i].pin), 0);
		cr_expect(addr_same_ip(&a, &m->addr));
	} else
		cr_expect_eq(m->addr.family, ADDR_NONE);
	if (m->flags & ANSWER_TOKEN)
		cr_expect_arr_eq(m->token, token, LEG_TOKEN_LEN);
	fake_ended(w, session, CAUSE_CONNECT_TIMEOUT, 0, 0);
}

Test(client, accepted)
{
	struct fake_worker	 w;
	uint32_t		 i;

	(void)fake_register(&w, ALICE, "");
	for (i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++)
		accept_with(&w, i + 1, i);
	cr_expect_eq(port_of(&w)->user->nsessions, 0);
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(fake_logged("malformed"), 13);
}

/* Trap 3: by whom and under which id. */
Test(client, answers_of_others)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	reply("result", "alice@example.org/y", "");
	reply("result", "alice@example.org", "");
	reply("error", "alice@example.org", "");
	reply("result", "mallory@example.org/x", "");
	reply("error", "example.org", "");
	question_id[31] ^= 1;
	reply("result", ALICE, "");
	question_id[31] ^= 1;
	cr_expect(quiet(&w));
	/* The port moves on; who was asked has to answer. */
	fake_iq("<iq type='set' id='a' from='alice@example.org/y' to='"
	    FAKE_US "'>" PASS("<proxy port='%u'>" US "</proxy>") "</iq>",
	    w.port);
	(void)fake_sent();
	reply("result", "alice@example.org/y", "");
	cr_expect(quiet(&w));
	reply("result", ALICE, "");
	(void)command(&w, MSG_ANSWER);
	/* Once is enough. */
	reply("error", ALICE, "");
	cr_expect(quiet(&w));
}

#define STANZA(cond)	"<" cond " xmlns='" NS_STANZAS "'/>"
#define ERR(type, cond)	"<error type='" type "'>" STANZA(cond) "</error>"
#define ERROR_TEXT	"<text xmlns='" NS_STANZAS "'>gone</text>"

/* Rows 7b, 16 and 18. */
static const struct {
	const char	*payload;
	enum cause	 cause;
	int		 missing;	/* he seems to have gone */
} denials[] = {
	/* The XEP's own, Net::Jabber's, and the barest. */
	{ PASS("<client port='1'>192.0.2.1</client>") "<error code='401' "
	    "type='auth'>" STANZA("not-authorized") "</error>",
	    CAUSE_DENIED, 0 },
	{ "<error code='401'>Unauthorized</error>" PASS(""),
	    CAUSE_DENIED, 0 },
	{ "", CAUSE_DENIED, 0 },
	{ PASS(""), CAUSE_DENIED, 0 },
	{ "<error/>", CAUSE_DENIED, 0 },
	{ "<error type='wait' xmlns='urn:x'/>", CAUSE_DENIED, 0 },
	{ "<error type='cancel'>" ERROR_TEXT "</error>", CAUSE_DENIED, 0 },
	{ ERR("auth", "not-authorized"), CAUSE_DENIED, 0 },
	{ ERR("auth", "forbidden"), CAUSE_DENIED, 0 },
	{ ERR("cancel", "not-allowed"), CAUSE_DENIED, 0 },
	{ ERR("cancel", "feature-not-implemented"), CAUSE_DENIED, 0 },
	{ ERR("modify", "not-acceptable"), CAUSE_DENIED, 0 },
	{ ERR("modify", "bad-request"), CAUSE_DENIED, 0 },
	/* A server says it for him. */
	{ ERR("cancel", "service-unavailable"), CAUSE_BOUNCED, 1 },
	{ ERR("cancel", "item-not-found"), CAUSE_BOUNCED, 1 },
	{ ERR("cancel", "gone"), CAUSE_BOUNCED, 1 },
	{ ERR("modify", "gone"), CAUSE_BOUNCED, 1 },
	{ ERR("wait", "recipient-unavailable"), CAUSE_BOUNCED, 1 },
	{ "<error code='503' type='cancel'>" STANZA("service-unavailable")
	    ERROR_TEXT "</error>" PASS(""), CAUSE_BOUNCED, 1 },
	/* That request only. */
	{ ERR("cancel", "remote-server-not-found"), CAUSE_BOUNCED, 0 },
	{ ERR("wait", "remote-server-timeout"), CAUSE_BOUNCED, 0 },
	{ ERR("cancel", "remote-server-timeout"), CAUSE_BOUNCED, 0 },
	{ ERR("wait", "resource-constraint"), CAUSE_BOUNCED, 0 },
	{ ERR("wait", "internal-server-error"), CAUSE_BOUNCED, 0 },
	{ ERR("wait", "policy-violation"), CAUSE_BOUNCED, 0 },
	{ "<error type='wait'/>", CAUSE_BOUNCED, 0 },
};

Test(client, denied)
{
	struct fake_worker	 w;
	struct jid		*alice = jid_parse(ALICE);
	uint32_t		 i;
	int			 before;

	(void)fake_register(&w, ALICE, "");
	for (i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
		(void)connect_client(&w, i + 1);
		before = fake_logged("owner missing");
		reply("error", ALICE, denials[i].payload);
		expect_drop(&w, i + 1, denials[i].cause);
		cr_expect_eq(fake_logged("owner missing") - before,
		    denials[i].missing, "%s", denials[i].payload);
		port_owner_seen(alice);
	}
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(port_of(&w)->state, PORT_OPEN, "it listens on");
	jid_free(alice);
}

Test(client, bounced_and_not_seen_again)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	reply("error", ALICE, ERR("cancel", "service-unavailable"));
	expect_drop(&w, 1, CAUSE_BOUNCED);
	fake_sleep(10100);
	cr_expect_eq(command(&w, MSG_CLOSE)->close.cause, CAUSE_OWNER_GONE);
}

/* The port has moved to a resource that is there (row 11). */
Test(client, bounced_after_the_port_has_moved)
{
	struct fake_worker	 w;

	(void)fake_register(&w, "alice@example.org/old", "");
	(void)connect_client(&w, 1);
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><proxy port='%u'>" US "</proxy>"
	    "</query></iq>", w.port);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result", 6), 0);
	reply("error", "alice@example.org/old", ERR("cancel", "gone"));
	expect_drop(&w, 1, CAUSE_BOUNCED);
	cr_expect_eq(fake_logged("owner missing"), 0);
	fake_sleep(20000);
	cr_expect(quiet(&w));
}

Test(client, no_answer)
{
	struct fake_worker	 w;

	fake_conf("timeout { answer 7s }");
	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	fake_sleep(6900);
	cr_expect(quiet(&w));
	fake_sleep(200);
	(void)command(&w, MSG_DROP);
	reply("result", ALICE, "");
	cr_expect(quiet(&w), "too late");
	fake_ended(&w, 1, CAUSE_ANSWER_TIMEOUT, 0, 0);
	cr_expect_eq(rdv_left(), RDV);
	(void)connect_client(&w, 2);
}

/* Trap 8: the stranger has gone, the answer comes late. */
Test(client, gone_before_the_answer)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	cr_expect_eq(rdv_left(), RDV);
	reply("result", ALICE, "");
	cr_expect(quiet(&w));
	fake_sleep(60000);
	cr_expect(quiet(&w));
	cr_expect_eq(fake_logged("cause=peer-gone in=0 out=0"), 1);
}

/* ---- when the owner cannot be asked -------------------------------------*/

Test(client, link_down)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_up = 0;
	fake_client(&w, 1, "198.51.100.7", 1);
	expect_drop(&w, 1, CAUSE_LINK_DOWN);
	fake_up = 1;
	fake_full = 1;
	fake_client(&w, 2, "198.51.100.7", 1);
	(void)command(&w, MSG_RENDEZVOUS);
	expect_drop(&w, 2, CAUSE_LINK_DOWN);
	fake_full = 0;
	cr_expect_eq(rdv_left(), RDV);
	(void)connect_client(&w, 3);
}

Test(client, no_rendezvous_port_left)
{
	struct fake_worker	 w;
	uint32_t		 i;

	fake_conf("quota default { pending 64 per port }");
	(void)fake_register(&w, ALICE, "");
	for (i = 1; i <= RDV; i++)
		(void)connect_client(&w, i);
	fake_client(&w, i, "198.51.100.7", 1);
	expect_drop(&w, i, CAUSE_ERROR);
	cr_expect_eq(fake_logged("no port left"), 1);
	fake_ended(&w, 7, CAUSE_PEER_GONE, 0, 0);
	(void)connect_client(&w, i + 1);
}

/* quota: sessions in all, over all ports of a user. */
Test(client, sessions_in_all)
{
	struct fake_worker	 a, b;
	char			 first[ASK_ID_LEN + 1];

	fake_conf("quota default { sessions 2 per port, 2 in all }");
	(void)fake_register(&a, ALICE, "");
	(void)fake_register(&b, ALICE, "");
	(void)connect_client(&a, 1);
	reply("result", ALICE, "");
	(void)command(&a, MSG_ANSWER);
	(void)connect_client(&a, 2);
	(void)strlcpy(first, question_id, sizeof(first));
	(void)connect_client(&b, 1);
	reply("result", ALICE, "");
	(void)command(&b, MSG_ANSWER);
	/* Asked while there was room, accepted when there is none. */
	(void)strlcpy(question_id, first, sizeof(question_id));
	reply("result", ALICE, "");
	expect_drop(&a, 2, CAUSE_BUSY);
	/* Not even asked. */
	fake_client(&b, 2, "198.51.100.8", 1);
	expect_drop(&b, 2, CAUSE_BUSY);
	cr_expect_null(fake_sent());
	fake_ended(&a, 1, CAUSE_CONNECT_TIMEOUT, 0, 0);
	(void)connect_client(&b, 3);
}

/* A reload has made it less while the worker's news was on its way. */
Test(client, pending_is_kept_here_too)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	(void)connect_client(&w, 2);
	fake_conf("quota default { pending 2 per port }");
	port_limits_all();
	fake_loop();
	(void)command(&w, MSG_LIMITS);
	fake_client(&w, 3, "198.51.100.9", 1);
	expect_drop(&w, 3, CAUSE_BUSY);
	cr_expect_null(fake_sent());
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	(void)connect_client(&w, 4);
}

/* ---- the port ends meanwhile --------------------------------------------*/

/* Trap 11. */
Test(client, expires_while_pending_and_while_relaying)
{
	struct fake_worker	 w;

	fake_conf("timeout { answer 1h }");
	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	(void)connect_client(&w, 1);
	reply("result", ALICE, "");
	(void)command(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	(void)connect_client(&w, 2);
	fake_sleep(61000);
	(void)command(&w, MSG_CLOSE);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set expire close ",
	    17), 0);
	/* One that was accepted by the worker before CLOSE reached it. */
	fake_client(&w, 3, "198.51.100.9", 1);
	cr_expect(quiet(&w));
	cr_expect_null(fake_sent(), "nobody is asked any more");
	fake_ended(&w, 2, CAUSE_EXPIRED, 0, 0);
	fake_ended(&w, 3, CAUSE_EXPIRED, 0, 0);
	reply("result", ALICE, "");
	cr_expect(quiet(&w));
	/* The relay goes on. */
	cr_expect_eq(port_of(&w)->user->nsessions, 1);
	fake_ended(&w, 1, CAUSE_EOF, 5, 6);
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(fake_killed(), 0);
}

/* Rows 5 and 6. */
Test(client, oneshot)
{
	struct fake_worker	 w;
	char			 want[64];

	(void)fake_register(&w, ALICE, "<oneshot/>");
	(void)connect_client(&w, 1);
	reply("error", ALICE, "");
	expect_drop(&w, 1, CAUSE_DENIED);
	cr_expect_eq(port_of(&w)->state, PORT_OPEN, "a denial is no use");
	(void)connect_client(&w, 2);
	reply("result", ALICE, "");
	(void)command(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 2, PAIRED_ONESHOT);
	(void)snprintf(want, sizeof(want), "set oneshot close proxy,port=%u:"
	    US, w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), want);
	cr_expect_eq(port_of(&w)->state, PORT_CLOSING);
	cr_expect_eq(fake_logged("cause=oneshot"), 1);
	fake_sleep(86400 * INT64_C(1000));
	cr_expect_eq(fake_logged("cause=expired"), 0);
	fake_ended(&w, 2, CAUSE_EOF, 0, 0);
}

Test(client, worker_dies_with_them)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	reply("result", ALICE, "");
	(void)command(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	(void)connect_client(&w, 2);
	fake_exit(&w, SIGSEGV);
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(fake_logged("cause=worker-died in=0 out=0"), 2);
	cr_expect_eq(registry_count(), 0);
	reply("result", ALICE, "");
}

/* ---- what is logged only ------------------------------------------------*/

Test(client, legs_and_refusals)
{
	static const char *const	 states[] = { "held", "surplus",
		    "wrong-address", "wrong-token", "left" };
	struct fake_worker		 w;
	struct msg_refused		 m;
	char				 want[64];
	uint32_t			 i;

	(void)fake_register(&w, ALICE, "");
	(void)connect_client(&w, 1);
	for (i = LEG_HELD; i <= LEG_LEFT; i++) {
		fake_leg(&w, MSG_LEG, 1, i);
		(void)snprintf(want, sizeof(want),
		    "from=198.51.100.99:555 state=%s", states[i - 1]);
		cr_expect_eq(fake_logged(want), 1);
	}
	msg_init(&m, sizeof(m), MSG_REFUSED, w.id);
	m.busy = 1;
	m.pending = UINT32_MAX;
	m.last.family = 77;
	fake_event(&w, &m, sizeof(m));
	cr_expect_eq(fake_logged("busy=1 pending=4294967295 failed=0 "
	    "peer=none:0"), 1);
	cr_expect(quiet(&w));
	cr_expect_eq(fake_killed(), 0);
}

/* ---- workers that are not what they should be ---------------------------*/

/* Session 1 has been asked about, 2 is accepted, 3 a relay. */
static void
event(struct fake_worker *w, enum msg_type type, uint32_t session)
{
	fake_leg(w, type, session, 0);
}

static void
wrong_seq(struct fake_worker *w)
{
	w->seq++;
	event(w, MSG_CLIENT, 9);
}

static void
seq_twice(struct fake_worker *w)
{
	w->seq--;
	event(w, MSG_CLIENT, 9);
}

static void
wrong_id(struct fake_worker *w)
{
	w->id++;
	event(w, MSG_CLIENT, 9);
	w->id--;
}

static void
ready_twice(struct fake_worker *w)
{
	fake_ready(w);
}

static void
client_twice(struct fake_worker *w)
{
	event(w, MSG_CLIENT, 3);
}

static void
client_without_address(struct fake_worker *w)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), MSG_CLIENT, w->id);
	m.session = 9;
	fake_event(w, &m, sizeof(m));
}

static void
client_of_no_family(struct fake_worker *w)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), MSG_CLIENT, w->id);
	m.session = 9;
	m.addr.family = 5;
	fake_event(w, &m, sizeof(m));
}

/* More than any worker has room for: 317 more than the three. */
static void
clients_without_end(struct fake_worker *w)
{
	struct msg_in	 in;
	uint32_t	 i;

	for (i = 4; i <= CONF_SESSIONS_MAX + CONF_PENDING_MAX; i++) {
		event(w, MSG_CLIENT, i);
		cr_assert_eq(fake_killed(), 0);
		while (fake_command(w, &in))
			msg_close_fds(&in);
	}
	cr_expect_gt(rdv_left(), RDV - 5);
	event(w, MSG_CLIENT, i);
}

static void
leg_of_nobody(struct fake_worker *w)
{
	fake_leg(w, MSG_LEG, 9, LEG_HELD);
}

static void
leg_of_no_kind(struct fake_worker *w)
{
	fake_leg(w, MSG_LEG, 1, 0);
}

static void
leg_of_no_kind_either(struct fake_worker *w)
{
	fake_leg(w, MSG_LEG, 1, LEG_LEFT + 1);
}

static void
paired_unknown(struct fake_worker *w)
{
	event(w, MSG_PAIRED, 9);
}

static void
paired_without_answer(struct fake_worker *w)
{
	event(w, MSG_PAIRED, 1);
}

static void
paired_twice(struct fake_worker *w)
{
	event(w, MSG_PAIRED, 3);
}

static void
ended_unknown(struct fake_worker *w)
{
	fake_ended(w, 9, CAUSE_EOF, 0, 0);
}

static void
bytes_in_without_relay(struct fake_worker *w)
{
	fake_ended(w, 1, CAUSE_EOF, 1, 0);
}

static void
bytes_out_without_relay(struct fake_worker *w)
{
	fake_ended(w, 2, CAUSE_EOF, 0, 1);
}

static void
wrong_message(struct fake_worker *w)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_STOP, w->id);
	fake_event(w, &m, sizeof(m));
}

static void
wrong_length(struct fake_worker *w)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), MSG_GONE, w->id);
	fake_event(w, &m, sizeof(m));
}

static void
descriptor(struct fake_worker *w)
{
	struct msg_hdr	 m;
	int		 fd = 0;

	msg_init(&m, sizeof(m), MSG_GONE, w->id);
	m.seq = ++w->seq;
	cr_assert_eq(msg_send(w->chan, &m, sizeof(m), &fd, 1), 0);
	fake_loop();
}

static const struct {
	void		(*fn)(struct fake_worker *);
	const char	*why;
} hostile[] = {
	{ wrong_seq, "sequence number" },
	{ seq_twice, "sequence number" },
	{ wrong_id, "id of another" },
	{ ready_twice, "not allowed in this state" },
	{ client_twice, "CLIENT twice" },
	{ client_without_address, "without address" },
	{ client_of_no_family, "without address" },
	{ clients_without_end, "too many clients" },
	{ leg_of_nobody, "LEG of no client" },
	{ leg_of_no_kind, "LEG of no client" },
	{ leg_of_no_kind_either, "LEG of no client" },
	{ paired_unknown, "PAIRED without an answer" },
	{ paired_without_answer, "PAIRED without an answer" },
	{ paired_twice, "PAIRED without an answer" },
	{ ended_unknown, "ENDED of no client" },
	{ bytes_in_without_relay, "bytes without a relay" },
	{ bytes_out_without_relay, "bytes without a relay" },
	{ wrong_message, "wrong type" },
	{ wrong_length, "wrong length" },
	{ descriptor, "wrong number of descriptors" },
};

static void
three_sessions(struct fake_worker *w)
{
	struct msg_in	 in;

	(void)connect_client(w, 3);
	reply("result", ALICE, "");
	fake_leg(w, MSG_PAIRED, 3, 0);
	cr_assert(fake_command(w, &in));
	(void)connect_client(w, 2);
	reply("result", ALICE, "");
	cr_assert(fake_command(w, &in));
	(void)connect_client(w, 1);
}

/* It dies, and the other worker, and its session, do not notice. */
static void
violate(size_t i)
{
	struct fake_worker	 w, other;
	int			 before;

	fake_start("quota default { sessions 2 per port }");
	before = fake_fds();
	(void)fake_register(&other, "bob@example.org/x", "");
	(void)fake_register(&w, ALICE, "");
	three_sessions(&w);
	hostile[i].fn(&w);
	cr_expect_eq(fake_killed(), w.id, "%s", hostile[i].why);
	cr_expect_eq(fake_killed(), 0);
	cr_expect_eq(fake_logged("violation"), 1);
	cr_expect_eq(fake_logged(hostile[i].why), 1, "%s", hostile[i].why);
	fake_exit(&w, SIGKILL);
	while (fake_sent() != NULL)
		continue;
	cr_expect_eq(registry_count(), 1);
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(fake_logged("closed port="), 1);
	cr_expect(quiet(&other));
	(void)connect_client(&other, 1);
	fake_close(&other);
	fake_loop();
	fake_sleep(2100);
	cr_expect_eq(fake_fds(), before);
	fake_stop();
}

Test(hostile, workers, .timeout = 60)
{
	size_t	 i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		violate(i);
}

/* Nobody there to kill it: its channel is closed, and it is heard no more. */
Test(client, violation_without_a_spawner)
{
	struct fake_worker	 w;
	struct msg_in		 in;

	(void)fake_register(&w, ALICE, "");
	chan_free(ctl.spawner);
	ctl.spawner = NULL;
	ended_unknown(&w);
	cr_expect_eq(msg_recv(w.chan, EDGE_CONTROL_WORKER, MSG_ST_RUN, &in),
	    MSG_EOF);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
}

/* What comes behind the violation in the same breath does not count. */
Test(client, nothing_after_a_violation_counts)
{
	struct fake_worker	 w;
	struct msg_ended	 bad;
	struct msg_client	 m;

	(void)fake_register(&w, ALICE, "");
	msg_init(&bad, sizeof(bad), MSG_ENDED, w.id);
	bad.hdr.seq = ++w.seq;
	bad.session = 9;
	cr_assert_eq(msg_send(w.chan, &bad, sizeof(bad), NULL, 0), 0);
	msg_init(&m, sizeof(m), MSG_CLIENT, w.id);
	m.session = 1;
	cr_assert_eq(addr_parse(&m.addr, "198.51.100.7"), 0);
	fake_event(&w, &m, sizeof(m));
	cr_expect_eq(fake_logged("client port="), 0);
	cr_expect_eq(rdv_left(), RDV);
}

/* ---- owner leg same-port ------------------------------------------------*/

Test(same_port, asks_for_the_registered_port, .timeout = 60)
{
	struct fake_worker	 w;
	char			 want[128];

	fake_start("owner leg same-port\nquota default { sessions 1 per port "
	    "pending 1 per port }");
	cr_expect_null(ctl.rendezvous);
	(void)fake_register(&w, ALICE, "");
	cr_expect_eq(w.limits.flags, LIMITS_SAME_PORT);
	fake_client(&w, 1, "198.51.100.7", 40100);
	(void)snprintf(want, sizeof(want), "set client,port=40100:"
	    "198.51.100.7 proxy,port=%u:" US, w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), want);
	cr_expect(quiet(&w), "no rendezvous");
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	cr_expect_eq(fake_killed(), 0);
	fake_stop();
}
