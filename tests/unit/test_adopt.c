/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "escrow.h"
#include "fake.h"
#include "health.h"
#include "mono.h"
#include "port.h"

/*
 * Control dies and another one takes over: the test is the workers, whose
 * channels outlive it, and the parent keeps what it was told to.
 */

#define ALICE	"alice@example.org/x"

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(adopt, .init = start, .fini = fake_stop, .timeout = 60);

static void
state(struct fake_worker *w, uint32_t flags, uint32_t sessions)
{
	struct msg_in		*in = fake_expect(w, MSG_SYNC);
	struct msg_state	 m;

	msg_init(&m, sizeof(m), MSG_STATE, w->id);
	m.epoch = in->sync.epoch;
	m.flags = flags;
	m.sessions = sessions;
	m.seq = w->seq;
	cr_assert_eq(msg_send(w->chan, &m, sizeof(m), NULL, 0), 0);
	fake_loop();
}

static void
session(struct fake_worker *w, uint32_t number, enum session_state what,
    uint16_t rendezvous, uint16_t legs)
{
	struct msg_session	 m;

	msg_init(&m, sizeof(m), MSG_SESSION, w->id);
	m.session = number;
	m.state = (uint32_t)what;
	m.ms = 1000;
	m.rendezvous = rendezvous;
	m.legs = legs;
	cr_assert_eq(addr_parse(&m.peer, "198.51.100.7"), 0);
	m.peer.port = 40100;
	if (what == SESSION_RELAY)
		cr_assert_eq(addr_parse(&m.leg, "203.0.113.9"), 0);
	cr_assert_eq(msg_send(w->chan, &m, sizeof(m), NULL, 0), 0);
	fake_loop();
}

static struct port *
port_of(const struct fake_worker *w)
{
	struct port	*p = registry_by_id(w->id);

	cr_assert_not_null(p);
	return (p);
}

Test(adopt, port_and_owner)
{
	struct fake_worker	 w;
	struct port		*p;
	int64_t			 expires;

	(void)fake_register(&w, ALICE, "<expire>600</expire>");
	expires = port_of(&w)->expires;
	fake_takeover();
	state(&w, STATE_LISTENING, 0);
	p = port_of(&w);
	cr_expect_eq(p->state, PORT_OPEN);
	cr_expect_eq(p->number, w.port);
	cr_expect_str_eq(p->owner->full, ALICE);
	cr_expect_eq(p->expires, expires, "the time left is not renewed");
	cr_expect_eq(p->asked, 600);
	cr_expect_eq(p->user->nports, 1);
	(void)fake_expect(&w, MSG_LIMITS);
	cr_expect_null(fake_sent());
	/* The number is taken, and the port works. */
	(void)fake_question(&w, 1);
	fake_close(&w);
}

Test(adopt, expiry_counts_on)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	fake_sleep(50000);
	fake_takeover();
	state(&w, STATE_LISTENING, 0);
	(void)fake_expect(&w, MSG_LIMITS);
	fake_sleep(9000);
	cr_expect(fake_quiet(&w));
	fake_sleep(1500);
	(void)fake_expect(&w, MSG_CLOSE);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set expire ", 11),
	    0);
	fake_close(&w);
}

/* Asked again under the same id; a late answer is an answer. */
Test(adopt, question_again)
{
	struct fake_worker	 w;
	char			 id[ASK_ID_LEN + 1];
	uint16_t		 rdv;
	const struct stanza	*s;

	(void)fake_register(&w, ALICE, "");
	rdv = fake_question(&w, 1);
	(void)strlcpy(id, fake_question_id, sizeof(id));
	fake_up = 0;
	fake_takeover();
	state(&w, STATE_LISTENING, 1);
	session(&w, 1, SESSION_ASKED, rdv, 0);
	(void)fake_expect(&w, MSG_LIMITS);
	cr_expect_null(fake_sent(), "the link is down");
	fake_up = 1;
	ask_link_up();
	cr_assert_not_null(s = fake_sent());
	cr_expect_str_eq(stanza_attr(s, "id"), id);
	cr_expect_null(fake_sent(), "once");
	ask_link_up();
	cr_expect_null(fake_sent(), "once is enough");
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
	fake_leg(&w, MSG_PAIRED, 1, 0);
	cr_expect_eq(registry_client(port_of(&w), 1)->state, CLIENT_RELAY);
	fake_close(&w);
}

/* The owner's connection waits: only the answer is missing. */
Test(adopt, leg_is_in)
{
	struct fake_worker	 w;
	uint16_t		 rdv;

	(void)fake_register(&w, ALICE, "");
	rdv = fake_question(&w, 1);
	fake_takeover();
	state(&w, STATE_LISTENING, 1);
	session(&w, 1, SESSION_ASKED, rdv, 1);
	(void)fake_expect(&w, MSG_LIMITS);
	cr_expect_null(fake_sent());
	fake_reply("result", ALICE, "");
	(void)fake_expect(&w, MSG_ANSWER);
	fake_close(&w);
}

/* The time for an answer is what is left of it. */
Test(adopt, answer_timeout_counts_on)
{
	struct fake_worker	 w;
	uint16_t		 rdv;

	(void)fake_register(&w, ALICE, "");
	rdv = fake_question(&w, 1);
	fake_takeover();
	state(&w, STATE_LISTENING, 1);
	session(&w, 1, SESSION_ASKED, rdv, 0);	/* for a second already */
	(void)fake_expect(&w, MSG_LIMITS);
	(void)fake_sent();
	fake_sleep(28500);
	cr_expect(fake_quiet(&w));
	fake_sleep(1000);
	(void)fake_expect(&w, MSG_DROP);
	fake_close(&w);
}

Test(adopt, relay_goes_on)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_takeover();
	state(&w, STATE_LISTENING, 1);
	session(&w, 5, SESSION_RELAY, 0, 0);
	cr_expect_eq(port_of(&w)->user->nsessions, 1);
	fake_ended(&w, 5, CAUSE_EOF, 10, 20);
	cr_expect_eq(fake_logged("cause=eof in=10 out=20"), 1);
	cr_expect_eq(port_of(&w)->user->nsessions, 0);
	fake_close(&w);
}

/* What began and ended in between comes again, and is told once. */
Test(adopt, ended_in_between)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	/* Its end is in the channel when control dies. */
	w.seq++;
	fake_takeover();
	state(&w, STATE_LISTENING, 0);
	w.seq--;
	fake_ended(&w, 1, CAUSE_PEER_GONE, 0, 0);
	cr_expect_eq(fake_logged("ended port="), 1);
	(void)fake_expect(&w, MSG_LIMITS);
	cr_expect(fake_quiet(&w));
	cr_expect_eq(w.acked, w.seq);
	cr_expect_eq(port_of(&w)->state, PORT_OPEN);
	fake_close(&w);
}

/* READY was not seen by anybody: the answer is still due. */
Test(adopt, registration_in_flight)
{
	struct fake_worker	 w;

	fake_iq("<iq type='set' id='r1' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='jabber:iq:pass'/></iq>");
	cr_assert(fake_spawn(&w));
	w.seq++;
	fake_up = 0;
	fake_takeover();
	state(&w, STATE_LISTENING, 0);
	w.seq--;
	fake_ready(&w);
	cr_expect_eq(port_of(&w)->state, PORT_OPEN);
	cr_expect_null(fake_sent());
	fake_up = 1;
	port_link_up();
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result ", 7), 0);
	port_link_up();
	cr_expect_null(fake_sent(), "once");
	fake_close(&w);
}

/* The worker says nothing, or something else. */
Test(adopt, no_state)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_takeover();
	fake_sleep(5100);
	cr_expect_eq(fake_logged("no STATE in time"), 1);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0, "his port is closed, and he is told");
}

/* A taken worker says that it has more than any worker can have. */
Test(adopt, too_many_sessions)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_takeover();
	state(&w, STATE_LISTENING, UINT32_MAX);
	cr_expect_eq(fake_logged("too many sessions"), 1);
	fake_sleep(2100);
	cr_expect_null(registry_by_number(w.port));
}

/* Or goes on for ever with what it says is old. */
Test(adopt, replay_without_end)
{
	struct fake_worker	 w;
	int			 i;

	(void)fake_register(&w, ALICE, "");
	fake_takeover();
	w.seq = UINT32_MAX;		/* what STATE says it has kept */
	state(&w, STATE_LISTENING, 0);
	w.seq = 1;
	for (i = 0; i < 4000 && fake_logged("again; killed") == 0; i++)
		fake_ended(&w, 1, CAUSE_EOF, 1, 1);
	cr_expect_lt(i, 2100);
	cr_expect_eq(fake_logged("too many events again"), 1);
	fake_sleep(2100);
	cr_expect_null(registry_by_number(w.port));
}

/* An answer to the question of an earlier control is none. */
Test(adopt, stale_epoch)
{
	struct fake_worker	 w;
	struct msg_state	 m;

	(void)fake_register(&w, ALICE, "");
	fake_takeover();
	msg_init(&m, sizeof(m), MSG_STATE, w.id);
	m.epoch = 4242;
	m.sessions = 3;
	cr_assert_eq(msg_send(w.chan, &m, sizeof(m), NULL, 0), 0);
	fake_loop();
	cr_expect_eq(port_of(&w)->sync, SYNC_STATE);
	state(&w, STATE_LISTENING, 0);
	cr_expect_eq(port_of(&w)->sync, SYNC_NONE);
	fake_close(&w);
}

Test(adopt, worker_died_too)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_close(&w);
	fake_takeover();
	/* How it ended nobody will say. */
	fake_sleep(2100);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(fake_nkept, 1, "the notice alone");
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
}

/* A notice keeps its id over any number of controls, three times at most. */
Test(adopt, notice_under_one_id)
{
	struct fake_worker	 w;
	const struct stanza	*s;
	char			 id[ASK_ID_LEN + 1];
	int			 i;

	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	fake_sleep(60100);
	cr_assert_not_null(s = fake_sent());
	(void)strlcpy(id, stanza_attr(s, "id"), sizeof(id));
	fake_close(&w);
	fake_loop();
	for (i = 0; i < 2; i++) {
		fake_takeover();
		cr_assert_not_null(s = fake_sent(), "try %d", i);
		cr_expect_str_eq(stanza_attr(s, "id"), id);
		cr_expect_null(fake_sent());
	}
	fake_takeover();
	cr_expect_null(fake_sent());
	fake_sleep(2100);
	cr_expect_eq(fake_nkept, 0);
}

Test(adopt, notice_answered_is_forgotten)
{
	struct fake_worker	 w;
	const struct stanza	*s;

	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	fake_sleep(60100);
	cr_assert_not_null(s = fake_sent());
	(void)strlcpy(fake_question_id, stanza_attr(s, "id"),
	    sizeof(fake_question_id));
	fake_reply("result", ALICE, "");
	fake_takeover();
	cr_expect_null(fake_sent());
	fake_close(&w);
	fake_loop();
	fake_sleep(2100);
	cr_expect_eq(fake_nkept, 0);
}

/* A closed port has its relay; its owner was told. */
Test(adopt, closed_port)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	fake_sleep(60100);
	while (fake_sent() != NULL)
		continue;
	(void)fake_expect(&w, MSG_CLOSE);
	fake_takeover();
	while (fake_sent() != NULL)
		continue;
	state(&w, 0, 1);
	session(&w, 1, SESSION_RELAY, 0, 0);
	(void)fake_expect(&w, MSG_CLOSE);
	cr_expect_eq(port_of(&w)->state, PORT_CLOSING);
	cr_expect_eq(port_of(&w)->user->nports, 0);
	cr_expect_null(fake_sent());
	fake_close(&w);
}

/* Whoever hangs is found out, also without a request that waits for him. */
Test(adopt, hanging_worker)
{
	struct fake_worker	 w, good;
	int			 i;

	(void)fake_register(&w, ALICE, "");
	(void)fake_register(&good, "bob@example.org/x", "");
	for (i = 0; i < 3 * (HEALTH_EACH + 1) + 1; i++) {
		struct msg_in	 in;
		struct msg_hdr	 pong;

		health_tick();
		fake_loop();
		while (fake_command(&good, &in)) {
			cr_assert_eq(in.hdr.type, MSG_PING);
			msg_init(&pong, sizeof(pong), MSG_PONG, good.id);
			cr_assert_eq(msg_send(good.chan, &pong, sizeof(pong),
			    NULL, 0), 0);
		}
		fake_loop();
	}
	cr_expect_eq(fake_logged("hangs"), 1);
	fake_sleep(2100);
	cr_expect_null(registry_by_id(w.id));
	cr_expect_not_null(registry_by_id(good.id));
	fake_close(&w);
	fake_close(&good);
}
