/* SPDX-License-Identifier: ISC */
/*
 * Workers that are not what they should be: whoever has taken one gets
 * nothing by it, and other ports do not notice.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "mono.h"
#include "registry.h"

#define ALICE	"alice@example.org/x"
#define RDV	20		/* rendezvous ports that there are */

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(hostile, .init = start, .fini = fake_stop, .timeout = 60);

static size_t
rdv_left(void)
{
	return (pool_left(ctl.rendezvous, mono_ms()));
}

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
leg_without_address(struct fake_worker *w)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), MSG_LEG, w->id);
	m.session = 1;
	m.what = LEG_HELD;
	fake_event(w, &m, sizeof(m));
}

static void
legs_without_end(struct fake_worker *w)
{
	int	 i;

	for (i = 0; i < MSG_LEGS_MAX; i++)
		fake_leg(w, MSG_LEG, 1, LEG_SURPLUS);
	cr_assert_eq(fake_killed(), 0);
	fake_leg(w, MSG_LEG, 1, LEG_SURPLUS);
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

/* The port would be closed, and the owner told of what he never armed. */
static void
paired_oneshot_unasked(struct fake_worker *w)
{
	fake_leg(w, MSG_PAIRED, 2, PAIRED_ONESHOT);
}

static void
paired_with_odd_flags(struct fake_worker *w)
{
	fake_leg(w, MSG_PAIRED, 2, 0x2);
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
time_without_relay(struct fake_worker *w)
{
	struct msg_ended	 m;

	msg_init(&m, sizeof(m), MSG_ENDED, w->id);
	m.session = 2;
	m.cause = CAUSE_EOF;
	m.ms = 1;
	fake_event(w, &m, sizeof(m));
}

/* One a second, or all those of ten minutes when control was slow. */
static void
refused_without_end(struct fake_worker *w)
{
	struct msg_refused	 m;
	int			 i;

	for (i = 0; i <= 600; i++) {
		cr_assert_eq(fake_killed(), 0, "%d", i);
		msg_init(&m, sizeof(m), MSG_REFUSED, w->id);
		m.busy = 1;
		fake_event(w, &m, sizeof(m));
	}
}

static void
gone_too_early(struct fake_worker *w)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_GONE, w->id);
	fake_event(w, &m, sizeof(m));
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
	{ leg_without_address, "without address" },
	{ legs_without_end, "too many LEG" },
	{ paired_unknown, "PAIRED without an answer" },
	{ paired_without_answer, "PAIRED without an answer" },
	{ paired_twice, "PAIRED without an answer" },
	{ paired_oneshot_unasked, "PAIRED as nobody asked for" },
	{ paired_with_odd_flags, "PAIRED as nobody asked for" },
	{ ended_unknown, "ENDED of no client" },
	{ bytes_in_without_relay, "without a relay" },
	{ bytes_out_without_relay, "without a relay" },
	{ time_without_relay, "without a relay" },
	{ refused_without_end, "too many REFUSED" },
	{ gone_too_early, "GONE before its time" },
	{ wrong_message, "wrong type" },
	{ wrong_length, "wrong length" },
	{ descriptor, "wrong number of descriptors" },
};

static void
three_sessions(struct fake_worker *w)
{
	struct msg_in	 in;

	(void)fake_question(w, 3);
	fake_reply("result", ALICE, "");
	fake_leg(w, MSG_PAIRED, 3, 0);
	cr_assert(fake_command(w, &in));
	(void)fake_question(w, 2);
	fake_reply("result", ALICE, "");
	cr_assert(fake_command(w, &in));
	(void)fake_question(w, 1);
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
	cr_expect(fake_quiet(&other));
	(void)fake_question(&other, 1);
	fake_close(&other);
	fake_loop();
	fake_sleep(2100);
	cr_expect_eq(fake_fds(), before);
	fake_stop();
}

Test(violations, each, .timeout = 60)
{
	size_t	 i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		violate(i);
}

/* Nobody there to kill it: its channel is closed, and it is heard no more. */
Test(hostile, violation_without_a_spawner)
{
	struct fake_worker	 w;
	struct msg_in		 in;

	(void)fake_register(&w, ALICE, "");
	chan_free(ctl.spawner);
	ctl.spawner = NULL;
	ended_unknown(&w);
	fake_sleep(10);
	cr_expect(fake_quiet(&w));
	cr_expect_eq(msg_recv(w.chan, EDGE_CONTROL_WORKER, MSG_ST_RUN, &in),
	    MSG_EOF);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
}

/* What comes behind the violation in the same breath does not count. */
Test(hostile, nothing_after_a_violation_counts)
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

static void
close_by_owner(struct fake_worker *w)
{
	fake_iq("<iq type='set' id='c' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/><proxy port='%u'>203.0.113.7"
	    "</proxy></query></iq>", (unsigned int)w->port);
	cr_expect_str_eq(fake_describe(fake_sent()), "result");
}

Test(hostile, events_after_the_end)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	close_by_owner(&w);
	gone_too_early(&w);			/* now it is in time */
	cr_expect_eq(fake_killed(), 0);
	event(&w, MSG_CLIENT, 1);
	cr_expect_eq(fake_killed(), w.id);
	cr_expect_eq(fake_logged("event after GONE"), 1);
	cr_expect_eq(fake_logged("client port="), 0);
}

Test(hostile, gone_with_clients_left)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	close_by_owner(&w);
	gone_too_early(&w);
	cr_expect_eq(fake_killed(), w.id);
	cr_expect_eq(fake_logged("GONE before its time"), 1);
}

/* It would hold the port, and everybody would think it closed. */
Test(hostile, stays_after_close)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	close_by_owner(&w);
	fake_sleep(9000);
	cr_expect_eq(fake_killed(), 0);
	fake_sleep(1100);
	cr_expect_eq(fake_killed(), w.id);
	cr_expect_eq(fake_logged("did not leave in time"), 1);
	fake_exit(&w, SIGKILL);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(rdv_left(), RDV);
}

/* A relay that runs is a reason to stay, for as long as it does. */
Test(hostile, stays_for_its_relays_only)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)fake_question(&w, 1);
	fake_reply("result", ALICE, "");
	close_by_owner(&w);
	fake_sleep(5000);
	fake_leg(&w, MSG_PAIRED, 1, 0);		/* it crossed the close */
	fake_sleep(60000);
	cr_expect_eq(fake_killed(), 0);
	fake_ended(&w, 1, CAUSE_EOF, 1, 1);
	fake_sleep(10100);
	cr_expect_eq(fake_killed(), w.id);
	cr_expect_eq(fake_logged("did not leave in time"), 1);
}

/* Without its channel it could live for ever, unheard. */
Test(hostile, closes_its_channel_and_lives)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)close(w.chan);
	w.chan = -1;
	fake_loop();
	cr_expect_eq(fake_logged("cause=worker-died"), 1);
	cr_expect_eq(fake_killed(), 0);
	fake_sleep(2100);
	cr_expect_eq(fake_killed(), w.id);
	cr_expect_eq(registry_count(), 1);
	fake_exit(&w, SIGKILL);
	cr_expect_eq(fake_logged("signal=9"), 1);
	cr_expect_eq(registry_count(), 0);
}
