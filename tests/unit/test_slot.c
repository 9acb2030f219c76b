/* SPDX-License-Identifier: ISC */
/*
 * A port's worker: strangers and relays, the limits of both, and how each
 * comes to an end (DESIGN.md section 2; rows 3 to 8 of PROTOCOL.md).
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "worker_rig.h"

TestSuite(slot, .timeout = 60);

#define PEER	"127.0.0.2"
#define OTHER	"127.0.0.3"
#define THIRD	"127.0.0.4"
#define OWNER	"127.0.0.9"

/* A stranger from ${from}, announced as ${session}. */
static int
stranger(struct rig *r, const char *from, uint32_t session)
{
	int	 fd = rig_connect(r->port, from);

	cr_assert_geq(fd, 0);
	rig_client(r, session, fd);
	return (fd);
}

/* One that is sent away. */
static void
refused(struct rig *r, const char *from)
{
	int	 fd = rig_connect(r->port, from);

	cr_assert_geq(fd, 0);
	rig_rst(fd);
}

/* Who was the last of those that were sent away? */
static void
last_refused(const struct rig *r, const char *from)
{
	struct addr	 a;

	cr_assert_eq(addr_parse(&a, from), 0);
	cr_expect(addr_same_ip(&r->in.refused.last, &a));
}

/* The owner says yes and connects. */
static int
join(struct rig *r, uint32_t session)
{
	uint16_t	 rdv = rig_rendezvous(r, session);
	int		 fd;

	rig_answer(r, session, NULL, NULL);
	cr_assert_geq(fd = rig_connect(rdv, OWNER), 0);
	rig_paired(r, session, fd, 0);
	cr_expect(rig_refused(rdv), "one accept, then it is closed");
	return (fd);
}

Test(slot, whole_session)
{
	struct rig	 r;
	int		 peer, owner;

	rig_start(&r, NULL);
	peer = stranger(&r, PEER, 1);
	/* The peer may speak first; nothing of it is lost. */
	rig_say(peer, "hello ");
	owner = join(&r, 1);
	rig_say(peer, "world");
	rig_hear(owner, "hello world");
	rig_say(owner, "yes");
	rig_hear(peer, "yes");
	/* Half-close is passed on after the last byte. */
	shutdown(peer, SHUT_WR);
	cr_expect_eq(recv(owner, (char [1]){ 0 }, 1, 0), 0);
	rig_say(owner, "?");
	rig_hear(peer, "?");
	close(owner);
	rig_fin(peer);
	rig_ended(&r, 1, CAUSE_EOF);
	cr_expect_eq(r.in.ended.bytes_in, 11);
	cr_expect_eq(r.in.ended.bytes_out, 4);
	cr_expect_gt(r.in.ended.ms, 0);
	/* The port listens on; numbers are not used again. */
	close(stranger(&r, PEER, 2));
	rig_stop(&r);
}

/* The peer has said all it has to say and closed before anybody answers. */
Test(slot, request_sent_and_closed)
{
	struct rig	 r;
	int		 peer, owner;

	rig_start(&r, NULL);
	peer = stranger(&r, PEER, 1);
	rig_say(peer, "GET /");
	shutdown(peer, SHUT_WR);
	rig_quiet(&r, 100);
	owner = join(&r, 1);
	rig_hear(owner, "GET /");
	rig_say(owner, "200");
	close(owner);
	rig_hear(peer, "200");
	rig_fin(peer);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_stop(&r);
}

/* Not a byte of an undecided client is read: its sender's window fills. */
Test(slot, undecided_are_not_read)
{
	static char	 bytes[65536];
	struct rig	 r;
	size_t		 n = 0;
	ssize_t		 got;
	int		 peer, i, size = 65536;

	rig_start(&r, NULL);
	cr_assert_geq(peer = rig_connect(r.port, PEER), 0);
	(void)setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	rig_client(&r, 1, peer);
	for (i = 0; i < 200; i++) {
		got = send(peer, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got > 0)
			n += (size_t)got;
		(void)poll(NULL, 0, 1);
	}
	cr_expect_lt(n, 8 * 1024 * 1024);
	cr_expect_lt(rig_cpu_ms(&r), 100);
	close(peer);
	rig_stop(&r);
}

Test(slot, both_families)
{
	struct sockaddr_in6	 sin6;
	struct addr		 a;
	struct rig		 r;
	int			 v4, v6;

	rig_start_v6(&r, NULL);
	v4 = stranger(&r, PEER, 1);
	cr_expect_eq(r.in.client.addr.family, ADDR_V4);
	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_addr = in6addr_loopback;
	sin6.sin6_port = htons(r.port);
	cr_assert_geq(v6 = socket(AF_INET6, SOCK_STREAM, 0), 0);
	cr_assert_eq(connect(v6, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	rig_client(&r, 2, v6);
	cr_assert_eq(addr_parse(&a, "::1"), 0);
	cr_expect(addr_same_ip(&r.in.client.addr, &a));
	close(v4);
	close(v6);
	rig_stop(&r);
}

/* ---- limits -------------------------------------------------------------*/

Test(slot, pending_and_one_per_address)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 a, b;

	rig_limits(&l);
	l.pending = 2;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	refused(&r, PEER);
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.pending, 1);
	last_refused(&r, PEER);
	b = stranger(&r, OTHER, 2);
	refused(&r, THIRD);
	refused(&r, OTHER);
	/* Those of a second in one. */
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.pending, 2);
	last_refused(&r, OTHER);
	cr_expect_eq(r.in.refused.busy, 0);
	cr_expect_eq(r.in.refused.failed, 0);
	/* As soon as one is gone there is room again. */
	rig_reset(a);
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	a = stranger(&r, PEER, 3);
	rig_drop(&r, 2, CAUSE_DENIED);
	rig_rst(b);
	rig_ended(&r, 2, CAUSE_DENIED);
	b = stranger(&r, THIRD, 4);
	close(a);
	close(b);
	rig_stop(&r);
}

/* Row 8: serial by default; the last session taken ends the others. */
Test(slot, busy)
{
	struct rig	 r;
	int		 a, b, owner;

	rig_start(&r, NULL);
	a = stranger(&r, PEER, 1);
	b = stranger(&r, OTHER, 2);
	owner = join(&r, 1);
	rig_ended(&r, 2, CAUSE_BUSY);
	rig_rst(b);
	refused(&r, OTHER);
	/* At once, then once a second. */
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.busy, 1);
	refused(&r, PEER);
	rig_quiet(&r, 500);
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.busy, 1);
	cr_expect_eq(r.in.refused.pending, 0);
	/* The relay did not notice. */
	rig_say(a, "1");
	rig_hear(owner, "1");
	rig_reset(owner);
	rig_rst(a);
	rig_ended(&r, 1, CAUSE_OWNER_RESET);
	a = stranger(&r, OTHER, 3);
	close(a);
	rig_stop(&r);
}

Test(slot, sessions_at_once)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 a, b, c, oa, ob;

	rig_limits(&l);
	l.sessions = 2;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	oa = join(&r, 1);
	b = stranger(&r, PEER, 2);
	c = stranger(&r, OTHER, 3);
	ob = join(&r, 2);
	rig_ended(&r, 3, CAUSE_BUSY);
	rig_rst(c);
	rig_say(a, "a");
	rig_say(b, "b");
	rig_hear(oa, "a");
	rig_hear(ob, "b");
	close(a);
	close(oa);
	rig_ended(&r, 1, CAUSE_EOF);
	c = stranger(&r, OTHER, 4);
	close(c);
	close(b);
	close(ob);
	rig_stop(&r);
}

/* Absolute state: repeated or changed in the middle of things. */
Test(slot, new_limits)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 a, b, c;

	rig_limits(&l);
	l.pending = 1;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	refused(&r, OTHER);
	rig_event(&r, MSG_REFUSED);
	l.pending = 3;
	rig_send(&r, &l, sizeof(l), MSG_LIMITS);
	(void)poll(NULL, 0, 50);
	b = stranger(&r, OTHER, 2);
	l.pending = 1;
	rig_send(&r, &l, sizeof(l), MSG_LIMITS);
	(void)poll(NULL, 0, 50);
	refused(&r, THIRD);
	rig_event(&r, MSG_REFUSED);
	rig_drop(&r, 1, CAUSE_DENIED);
	rig_ended(&r, 1, CAUSE_DENIED);
	rig_drop(&r, 2, CAUSE_DENIED);
	rig_ended(&r, 2, CAUSE_DENIED);
	/* Those of relays change in the middle of one, too. */
	c = stranger(&r, THIRD, 3);
	close(a);
	close(b);
	a = join(&r, 3);
	l.idle_ms = 50;
	rig_send(&r, &l, sizeof(l), MSG_LIMITS);
	rig_ended(&r, 3, CAUSE_IDLE);
	rig_rst(c);
	rig_rst(a);
	rig_stop(&r);
}

/* ---- ends ---------------------------------------------------------------*/

Test(slot, peer_goes_before_the_answer)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer;

	rig_start(&r, NULL);
	peer = stranger(&r, PEER, 1);
	rdv = rig_rendezvous(&r, 1);
	rig_reset(peer);
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	cr_expect_eq(r.in.ended.bytes_in, 0);
	cr_expect_eq(r.in.ended.ms, 0);
	/* Trap 8: no owner port is left open, and a late answer is nothing. */
	cr_expect(rig_refused(rdv));
	rig_answer(&r, 1, NULL, NULL);
	cr_expect(rig_refused(rig_rendezvous(&r, 1)));
	rig_quiet(&r, 50);
	rig_stop(&r);
}

/* Trap 9. */
Test(slot, owner_never_connects)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint16_t		 rdv;
	int			 peer;

	rig_limits(&l);
	l.connect_ms = 100;
	l.flags = LIMITS_ONESHOT;
	rig_start(&r, &l);
	peer = stranger(&r, PEER, 1);
	rdv = rig_rendezvous(&r, 1);
	/* The answer is control's to wait for. */
	rig_quiet(&r, 200);
	rig_answer(&r, 1, NULL, NULL);
	rig_ended(&r, 1, CAUSE_CONNECT_TIMEOUT);
	rig_rst(peer);
	cr_expect(rig_refused(rdv));
	/* Not used up by that. */
	peer = stranger(&r, PEER, 2);
	rig_drop(&r, 2, CAUSE_DENIED);
	rig_ended(&r, 2, CAUSE_DENIED);
	rig_rst(peer);
	close(stranger(&r, PEER, 3));
	rig_stop(&r);
}

/* Row 5: nobody may come in between, so it does not wait for control. */
Test(slot, oneshot)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint16_t		 rdv;
	int			 a, b, owner;

	rig_limits(&l);
	l.sessions = 5;
	l.flags = LIMITS_ONESHOT;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	b = stranger(&r, OTHER, 2);
	rdv = rig_rendezvous(&r, 1);
	rig_answer(&r, 1, NULL, NULL);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_paired(&r, 1, owner, PAIRED_ONESHOT);
	rig_ended(&r, 2, CAUSE_ONESHOT);
	rig_rst(b);
	cr_expect(rig_refused(r.port));
	rig_say(owner, "x");
	rig_hear(a, "x");
	close(owner);
	rig_fin(a);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_event(&r, MSG_GONE);
	rig_left(&r);
}

/* Armed while a relay runs: the next one uses it up. */
Test(slot, oneshot_armed_late)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 a, b, oa, ob;

	rig_limits(&l);
	l.sessions = 2;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	oa = join(&r, 1);
	l.flags = LIMITS_ONESHOT;
	rig_send(&r, &l, sizeof(l), MSG_LIMITS);
	(void)poll(NULL, 0, 50);
	b = stranger(&r, PEER, 2);
	rig_answer(&r, 2, NULL, NULL);
	/* The answer first, the rendezvous too late: it is ignored. */
	cr_expect(rig_refused(rig_rendezvous(&r, 2)));
	rig_drop(&r, 2, CAUSE_DENIED);
	rig_ended(&r, 2, CAUSE_DENIED);
	rig_rst(b);
	b = stranger(&r, PEER, 3);
	{
		uint16_t	 rdv = rig_rendezvous(&r, 3);

		rig_answer(&r, 3, NULL, NULL);
		cr_assert_geq(ob = rig_connect(rdv, OWNER), 0);
	}
	rig_paired(&r, 3, ob, PAIRED_ONESHOT);
	rig_say(a, "a");
	rig_hear(oa, "a");
	close(a);
	close(oa);
	rig_ended(&r, 1, CAUSE_EOF);
	close(b);
	close(ob);
	rig_ended(&r, 3, CAUSE_EOF);
	rig_event(&r, MSG_GONE);
	rig_left(&r);
}

/* DROP of whatever it is, with the cause that control names. */
Test(slot, drop)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner;

	rig_start(&r, NULL);
	rig_drop(&r, 1, CAUSE_DENIED);
	peer = stranger(&r, PEER, 1);
	rdv = rig_rendezvous(&r, 1);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_leg(&r, 1, LEG_HELD, owner);
	rig_drop(&r, 1, CAUSE_ANSWER_TIMEOUT);
	rig_ended(&r, 1, CAUSE_ANSWER_TIMEOUT);
	rig_rst(peer);
	rig_rst(owner);
	cr_expect(rig_refused(rdv));
	peer = stranger(&r, PEER, 2);
	rdv = rig_rendezvous(&r, 2);
	rig_answer(&r, 2, NULL, NULL);
	rig_drop(&r, 2, CAUSE_OWNER_GONE);
	rig_ended(&r, 2, CAUSE_OWNER_GONE);
	rig_rst(peer);
	peer = stranger(&r, PEER, 3);
	owner = join(&r, 3);
	rig_drop(&r, 3, CAUSE_QUOTA);
	rig_ended(&r, 3, CAUSE_QUOTA);
	rig_rst(peer);
	rig_rst(owner);
	/* Once. */
	rig_drop(&r, 3, CAUSE_QUOTA);
	rig_quiet(&r, 50);
	rig_stop(&r);
}

/* Rows 6 and 7: undecided ones go with the port, relays stay. */
Test(slot, closed_with_a_relay_and_pending)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 a, b, owner;

	rig_limits(&l);
	l.sessions = 2;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	owner = join(&r, 1);
	b = stranger(&r, OTHER, 2);
	rig_close(&r, CAUSE_EXPIRED, 0, 0);
	rig_ended(&r, 2, CAUSE_EXPIRED);
	rig_rst(b);
	cr_expect(rig_refused(r.port));
	rig_quiet(&r, 100);
	rig_say(a, "still");
	rig_hear(owner, "still");
	close(a);
	close(owner);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_event(&r, MSG_GONE);
	rig_left(&r);
}

Test(slot, closed_with_a_grace_for_relays)
{
	struct rig	 r;
	int		 a, owner;

	rig_start(&r, NULL);
	a = stranger(&r, PEER, 1);
	owner = join(&r, 1);
	rig_close(&r, CAUSE_SHUTDOWN, CLOSE_RELAYS, 300);
	rig_quiet(&r, 150);
	rig_say(a, "last words");
	rig_hear(owner, "last words");
	rig_ended(&r, 1, CAUSE_SHUTDOWN);
	cr_expect_eq(r.in.ended.bytes_in, 10);
	rig_rst(a);
	rig_rst(owner);
	rig_event(&r, MSG_GONE);
	rig_left(&r);
}

/* A RST is passed on as one. */
Test(slot, reset)
{
	struct rig	 r;
	int		 a, owner;

	rig_start(&r, NULL);
	a = stranger(&r, PEER, 1);
	owner = join(&r, 1);
	rig_reset(a);
	rig_rst(owner);
	rig_ended(&r, 1, CAUSE_PEER_RESET);
	rig_stop(&r);
}

/* Two hundred sessions, one after the other: nothing is left of them. */
Test(slot, many_in_sequence)
{
	struct rig	 r;
	uint32_t	 i;
	int		 a, owner;

	rig_start_files(&r, NULL, 16);
	for (i = 1; i <= 200; i++) {
		a = stranger(&r, PEER, i);
		owner = join(&r, i);
		rig_say(a, "ping");
		rig_hear(owner, "ping");
		close(a);
		close(owner);
		rig_ended(&r, i, CAUSE_EOF);
	}
	rig_stop(&r);
}
