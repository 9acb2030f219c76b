/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"
#include "worker_rig.h"

/*
 * A worker whose control dies: it goes on, keeps what was not acknowledged,
 * and tells the next control all of it.
 */

TestSuite(sync, .timeout = 60);

#define PEER	"127.0.0.2"
#define OTHER	"127.0.0.3"
#define OWNER	"127.0.0.9"

static int
stranger(struct rig *r, const char *from, uint32_t session)
{
	int	 fd = rig_connect(r->port, from);

	cr_assert_geq(fd, 0);
	rig_client(r, session, fd);
	return (fd);
}

static int
join(struct rig *r, uint32_t session)
{
	uint16_t	 rdv = rig_rendezvous(r, session);
	int		 fd;

	rig_answer(r, session, NULL, NULL);
	cr_assert_geq(fd = rig_connect(rdv, OWNER), 0);
	rig_paired(r, session, fd, 0);
	return (fd);
}

static void
ask(struct rig *r, uint32_t epoch)
{
	struct msg_sync	 m;

	memset(&m, 0, sizeof(m));
	m.epoch = epoch;
	rig_send(r, &m, sizeof(m), MSG_SYNC);
}

/* The STATE for ${epoch} comes, with so many sessions. */
static void
expect_state(struct rig *r, uint32_t epoch, uint32_t flags, uint32_t sessions)
{
	rig_event(r, MSG_STATE);
	cr_expect_eq(r->in.state.epoch, epoch);
	cr_expect_eq(r->in.state.flags, flags);
	cr_expect_eq(r->in.state.sessions, sessions);
}

static void
expect_session(struct rig *r, uint32_t session, enum session_state state)
{
	rig_event(r, MSG_SESSION);
	cr_expect_eq(r->in.session.session, session);
	cr_expect_eq(r->in.session.state, state);
	cr_expect_eq(r->in.session.peer.family, ADDR_V4);
}

Test(sync, nothing_to_tell)
{
	struct rig	 r;

	rig_start(&r, NULL);
	ask(&r, 7);
	expect_state(&r, 7, STATE_LISTENING, 0);
	cr_expect_eq(r.in.state.seq, r.seq);
	rig_quiet(&r, 100);
	close(stranger(&r, PEER, 1));
	rig_stop(&r);
}

Test(sync, every_kind_of_session)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint16_t		 rdv;
	int			 relay, owner, asked, leg;

	rig_limits(&l);
	l.sessions = 3;
	rig_start(&r, &l);
	relay = stranger(&r, PEER, 1);
	owner = join(&r, 1);
	rig_say(relay, "hello");
	rig_hear(owner, "hello");
	asked = stranger(&r, OTHER, 2);
	rdv = rig_rendezvous(&r, 2);
	cr_assert_geq(leg = rig_connect(rdv, OWNER), 0);
	rig_leg(&r, 2, LEG_HELD, leg);

	ask(&r, 2);
	expect_state(&r, 2, STATE_LISTENING, 2);
	expect_session(&r, 1, SESSION_RELAY);
	cr_expect_eq(r.in.session.bytes_in, 5);
	cr_expect_eq(r.in.session.bytes_out, 0);
	cr_expect_eq(r.in.session.leg.family, ADDR_V4);
	expect_session(&r, 2, SESSION_ASKED);
	cr_expect_eq(r.in.session.rendezvous, rdv);
	cr_expect_eq(r.in.session.legs, 1);

	/* The leg was kept, and an answer makes it one. */
	rig_answer(&r, 2, NULL, NULL);
	rig_paired(&r, 2, leg, 0);
	rig_say(asked, "x");
	rig_hear(leg, "x");
	close(relay);
	close(owner);
	close(asked);
	close(leg);
	rig_stop(&r);
}

/* What was not acknowledged comes again, behind the state. */
Test(sync, events_come_again)
{
	struct rig	 r;
	uint64_t	 before;
	int		 fd;

	rig_start(&r, NULL);
	r.silent = 1;
	before = r.seq;
	fd = stranger(&r, PEER, 1);
	rig_reset(fd);
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	ask(&r, 2);
	expect_state(&r, 2, STATE_LISTENING, 0);
	cr_expect_eq(r.in.state.seq, before + 2);
	r.seq = before;
	rig_event(&r, MSG_CLIENT);
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	cr_expect_eq(r.in.ended.peer.family, ADDR_V4, "says whose it was");
	/* Half acknowledged: the rest once more. */
	rig_ack(&r, before + 1);
	ask(&r, 3);
	expect_state(&r, 3, STATE_LISTENING, 0);
	r.seq = before + 1;
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	rig_ack(&r, r.seq);
	ask(&r, 4);
	expect_state(&r, 4, STATE_LISTENING, 0);
	rig_quiet(&r, 100);
	r.silent = 0;
	rig_stop(&r);
}

/* It leaves when its last word was applied, not when it was sent. */
Test(sync, leaves_when_acknowledged)
{
	struct rig	 r;

	rig_start(&r, NULL);
	r.silent = 1;
	rig_close(&r, CAUSE_CLOSED, 0, 0);
	rig_event(&r, MSG_GONE);
	(void)poll(NULL, 0, 200);
	cr_expect_eq(kill(r.pid, 0), 0);
	ask(&r, 2);
	expect_state(&r, 2, 0, 0);
	r.seq--;
	rig_event(&r, MSG_GONE);
	rig_ack(&r, r.seq);
	rig_left(&r);
}

/* Nobody reads for a while: the state is of the moment of the question. */
Test(sync, state_of_one_moment)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 fd, i;

	rig_limits(&l);
	l.pending = 8;
	rig_start(&r, &l);
	fd = stranger(&r, PEER, 1);
	for (i = 0; i < 50; i++)
		ask(&r, (uint32_t)i + 2);
	/* A question replaces those before it, as far as they were not met. */
	for (i = 0; i != 51;) {
		rig_event(&r, MSG_STATE);
		i = (int)r.in.state.epoch;
		cr_assert_eq(r.in.state.sessions, 1);
		expect_session(&r, 1, SESSION_ASKED);
	}
	close(fd);
	rig_stop(&r);
}

Test(sync, ping)
{
	struct msg_hdr	 m;
	struct rig	 r;

	rig_start(&r, NULL);
	rig_send(&r, &m, sizeof(m), MSG_PING);
	rig_event(&r, MSG_PONG);
	cr_expect_eq(r.in.hdr.seq, 0);
	rig_stop(&r);
}
