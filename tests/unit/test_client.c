/* SPDX-License-Identifier: ISC */
/*
 * A stranger has connected: the question to the owner, his answer, and what
 * the worker says of it.
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

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(client, .init = start, .fini = fake_stop, .timeout = 60);

static void
expect_drop(struct fake_worker *w, uint32_t session, enum cause cause)
{
	struct msg_in	*in = fake_expect(w, MSG_DROP);

	cr_expect_eq(in->drop.session, session);
	cr_expect_eq(in->drop.cause, cause, "%s",
	    cause_name((enum cause)in->drop.cause));
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

/* ---- a session ----------------------------------------------------------*/

Test(client, whole_session)
{
	struct fake_worker	 w;
	const struct msg_answer	*m;
	uint16_t		 rdv;
	char			 want[256];

	(void)fake_register(&w, ALICE, "");
	rdv = fake_question(&w, 1);
	cr_expect_geq(rdv, ctl.conf->rendezvous.lo);
	cr_expect_leq(rdv, ctl.conf->rendezvous.hi);
	cr_expect_eq(rdv_left(), RDV - 1);
	(void)snprintf(want, sizeof(want), "client port=%u jid=" ALICE
	    " session=1 peer=198.51.100.7:40100 rendezvous=%u", w.port, rdv);
	cr_expect_eq(fake_logged(want), 1);
	cr_expect_eq(port_of(&w)->user->nsessions, 0);
	fake_reply("result", ALICE, "<query xmlns='" NS_PASS "'/>");
	m = &fake_expect(&w, MSG_ANSWER)->answer;
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
	cr_expect(fake_quiet(&w));
	/* The port listens on. */
	(void)fake_question(&w, 2);
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

	(void)fake_question(w, session);
	fake_reply("result", ALICE, accepts[i].payload);
	if (accepts[i].flags == -1) {
		expect_drop(w, session, CAUSE_DENIED);
		return;
	}
	m = &fake_expect(w, MSG_ANSWER)->answer;
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
	(void)fake_question(&w, 1);
	fake_reply("result", "alice@example.org/y", "");
	fake_reply("result", "alice@example.org", "");
	fake_reply("error", "alice@example.org", "");
	fake_reply("result", "mallory@example.org/x", "");
	fake_reply("error", "example.org", "");
	fake_question_id[31] ^= 1;
	fake_reply("result", ALICE, "");
	fake_question_id[31] ^= 1;
	cr_expect(fake_quiet(&w));
	/* The port moves on; who was asked has to answer. */
	fake_iq("<iq type='set' id='a' from='alice@example.org/y' to='"
	    FAKE_US "'>" PASS("<proxy port='%u'>" US "</proxy>") "</iq>",
	    w.port);
	(void)fake_sent();
	fake_reply("result", "alice@example.org/y", "");
	cr_expect(fake_quiet(&w));
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
	/* Once is enough. */
	fake_reply("error", ALICE, "");
	cr_expect(fake_quiet(&w));
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
		(void)fake_question(&w, i + 1);
		before = fake_logged("owner missing");
		fake_reply("error", ALICE, denials[i].payload);
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
	(void)fake_question(&w, 1);
	fake_reply("error", ALICE, ERR("cancel", "service-unavailable"));
	expect_drop(&w, 1, CAUSE_BOUNCED);
	fake_sleep(10100);
	cr_expect_eq(fake_expect(&w, MSG_CLOSE)->close.cause, CAUSE_OWNER_GONE);
}

/* The port has moved to a resource that is there (row 11). */
Test(client, bounced_after_the_port_has_moved)
{
	struct fake_worker	 w;

	(void)fake_register(&w, "alice@example.org/old", "");
	(void)fake_question(&w, 1);
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><proxy port='%u'>" US "</proxy>"
	    "</query></iq>", w.port);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result", 6), 0);
	fake_reply("error", "alice@example.org/old", ERR("cancel", "gone"));
	expect_drop(&w, 1, CAUSE_BOUNCED);
	cr_expect_eq(fake_logged("owner missing"), 0);
	fake_sleep(20000);
	cr_expect(fake_quiet(&w));
}

Test(client, no_answer)
{
	struct fake_worker	 w;

	fake_conf("timeout { answer 7s }");
	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	fake_sleep(6900);
	cr_expect(fake_quiet(&w));
	fake_sleep(200);
	(void)fake_expect(&w, MSG_DROP);
	fake_reply("result", ALICE, "");
	cr_expect(fake_quiet(&w), "too late");
	fake_ended(&w, 1, CAUSE_ANSWER_TIMEOUT, 0, 0);
	cr_expect_eq(rdv_left(), RDV);
	(void)fake_question(&w, 2);
}

/* Trap 8: the stranger has gone, the answer comes late. */
Test(client, gone_before_the_answer)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	cr_expect_eq(rdv_left(), RDV);
	fake_reply("result", ALICE, "");
	cr_expect(fake_quiet(&w));
	fake_sleep(60000);
	cr_expect(fake_quiet(&w));
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
	(void)fake_expect(&w, MSG_RENDEZVOUS);
	expect_drop(&w, 2, CAUSE_LINK_DOWN);
	fake_full = 0;
	cr_expect_eq(rdv_left(), RDV);
	(void)fake_question(&w, 3);
}

Test(client, no_rendezvous_port_left)
{
	struct fake_worker	 w;
	uint32_t		 i;

	fake_conf("quota default { pending 64 per port }");
	(void)fake_register(&w, ALICE, "");
	for (i = 1; i <= RDV; i++)
		(void)fake_question(&w, i);
	fake_client(&w, i, "198.51.100.7", 1);
	expect_drop(&w, i, CAUSE_ERROR);
	cr_expect_eq(fake_logged("no port left"), 1);
	fake_ended(&w, 7, CAUSE_PEER_GONE, 0, 0);
	(void)fake_question(&w, i + 1);
}

/* quota: sessions in all, over all ports of a user. */
Test(client, sessions_in_all)
{
	struct fake_worker	 a, b;
	char			 first[ASK_ID_LEN + 1];

	fake_conf("quota default { sessions 2 per port, 2 in all }");
	(void)fake_register(&a, ALICE, "");
	(void)fake_register(&b, ALICE, "");
	(void)fake_question(&a, 1);
	fake_reply("result", ALICE, "");
	(void)fake_expect(&a, MSG_ANSWER);
	(void)fake_question(&a, 2);
	(void)strlcpy(first, fake_question_id, sizeof(first));
	(void)fake_question(&b, 1);
	fake_reply("result", ALICE, "");
	(void)fake_expect(&b, MSG_ANSWER);
	/* Asked while there was room, accepted when there is none. */
	(void)strlcpy(fake_question_id, first, sizeof(fake_question_id));
	fake_reply("result", ALICE, "");
	expect_drop(&a, 2, CAUSE_BUSY);
	/* Not even asked. */
	fake_client(&b, 2, "198.51.100.8", 1);
	expect_drop(&b, 2, CAUSE_BUSY);
	cr_expect_null(fake_sent());
	fake_ended(&a, 1, CAUSE_CONNECT_TIMEOUT, 0, 0);
	(void)fake_question(&b, 3);
}

/* A reload has made it less while the worker's news was on its way. */
Test(client, pending_is_kept_here_too)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	(void)fake_question(&w, 2);
	fake_conf("quota default { pending 2 per port }");
	port_limits_all();
	fake_loop();
	(void)fake_expect(&w, MSG_LIMITS);
	fake_client(&w, 3, "198.51.100.9", 1);
	expect_drop(&w, 3, CAUSE_BUSY);
	cr_expect_null(fake_sent());
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	(void)fake_question(&w, 4);
}

/* ---- the port ends meanwhile --------------------------------------------*/

/* Trap 11. */
Test(client, expires_while_pending_and_while_relaying)
{
	struct fake_worker	 w;

	fake_conf("timeout { answer 1h }");
	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	(void)fake_question(&w, 1);
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	(void)fake_question(&w, 2);
	fake_sleep(61000);
	(void)fake_expect(&w, MSG_CLOSE);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set expire close ",
	    17), 0);
	/* One that was accepted by the worker before CLOSE reached it. */
	fake_client(&w, 3, "198.51.100.9", 1);
	cr_expect(fake_quiet(&w));
	cr_expect_null(fake_sent(), "nobody is asked any more");
	fake_ended(&w, 2, CAUSE_EXPIRED, 0, 0);
	fake_ended(&w, 3, CAUSE_EXPIRED, 0, 0);
	fake_reply("result", ALICE, "");
	cr_expect(fake_quiet(&w));
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
	(void)fake_question(&w, 1);
	fake_reply("error", ALICE, "");
	expect_drop(&w, 1, CAUSE_DENIED);
	cr_expect_eq(port_of(&w)->state, PORT_OPEN, "a denial is no use");
	(void)fake_question(&w, 2);
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
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
	(void)fake_question(&w, 1);
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	(void)fake_question(&w, 2);
	fake_exit(&w, SIGSEGV);
	cr_expect_eq(rdv_left(), RDV);
	cr_expect_eq(fake_logged("cause=worker-died in=0 out=0"), 2);
	cr_expect_eq(registry_count(), 0);
	fake_reply("result", ALICE, "");
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
	(void)fake_question(&w, 1);
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
	cr_expect(fake_quiet(&w));
	cr_expect_eq(fake_killed(), 0);
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
	cr_expect(fake_quiet(&w), "no rendezvous");
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	cr_expect_eq(fake_killed(), 0);
	fake_stop();
}
