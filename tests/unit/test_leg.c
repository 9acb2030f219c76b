/* SPDX-License-Identifier: ISC */
/*
 * Who is the owner's leg?  Rows 4 and 4a of PROTOCOL.md, traps 1 and 10.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "worker_rig.h"

TestSuite(leg, .timeout = 60);

#define PEER	"127.0.0.2"
#define OWNER	"127.0.0.9"
#define THIEF	"127.0.0.66"
#define LEGS	4		/* held at most */

static const char	 token[] = "0123456789abcdef";

/* A client that has been announced, and its rendezvous port. */
static int
client(struct rig *r, const struct msg_limits *l, uint16_t *rdv)
{
	int	 fd;

	rig_start(r, l);
	cr_assert_geq(fd = rig_connect(r->port, PEER), 0);
	rig_client(r, 1, fd);
	*rdv = rig_rendezvous(r, 1);
	return (fd);
}

static int
leg(struct rig *r, uint16_t rdv, const char *from, enum leg_what what)
{
	int	 fd = rig_connect(rdv, from);

	cr_assert_geq(fd, 0);
	rig_leg(r, 1, what, fd);
	return (fd);
}

static void
talk(int peer, int owner)
{
	rig_say(peer, "to the owner");
	rig_hear(owner, "to the owner");
	rig_say(owner, "to the peer");
	rig_hear(peer, "to the peer");
}

static void
finish(struct rig *r, int peer, int owner)
{
	close(peer);
	close(owner);
	rig_ended(r, 1, CAUSE_EOF);
	rig_stop(r);
}

/* The TCP connection regularly overtakes the IQ. */
Test(leg, before_the_answer)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner;

	peer = client(&r, NULL, &rdv);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	/* It is not read before the answer, nor is anything sent to it. */
	rig_say(owner, "early");
	rig_say(peer, "bird");
	rig_quiet(&r, 100);
	cr_expect_eq(recv(owner, (char [1]){ 0 }, 1, MSG_DONTWAIT), -1);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, owner, 0);
	rig_hear(peer, "early");
	rig_hear(owner, "bird");
	cr_expect(rig_refused(rdv));
	talk(peer, owner);
	finish(&r, peer, owner);
}

Test(leg, after_the_answer)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, NULL, NULL);
	(void)poll(NULL, 0, 50);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_event(&r, MSG_PAIRED);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* A second answer changes nothing. */
Test(leg, answered_twice)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, thief;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, OWNER, NULL);
	rig_answer(&r, 1, NULL, NULL);
	rig_answer(&r, 2, NULL, NULL);
	(void)poll(NULL, 0, 50);
	thief = leg(&r, rdv, THIEF, LEG_WRONG_ADDR);
	rig_rst(thief);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_paired(&r, 1, owner, 0);
	rig_answer(&r, 1, NULL, NULL);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* Several, and nothing tells them apart: none gets the peer. */
Test(leg, contested)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, thief;

	peer = client(&r, NULL, &rdv);
	thief = leg(&r, rdv, THIEF, LEG_HELD);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	rig_answer(&r, 1, NULL, NULL);
	rig_ended(&r, 1, CAUSE_CONTESTED);
	rig_rst(peer);
	rig_rst(owner);
	rig_rst(thief);
	cr_expect(rig_refused(rdv));
	rig_stop(&r);
}

/* Even two of the same address are two. */
Test(leg, contested_by_one_address)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, again;

	peer = client(&r, NULL, &rdv);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	again = leg(&r, rdv, OWNER, LEG_HELD);
	rig_answer(&r, 1, OWNER, NULL);
	rig_ended(&r, 1, CAUSE_CONTESTED);
	rig_rst(peer);
	rig_rst(owner);
	rig_rst(again);
	rig_stop(&r);
}

Test(leg, one_that_left_does_not_count)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, thief;

	peer = client(&r, NULL, &rdv);
	thief = leg(&r, rdv, THIEF, LEG_HELD);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	rig_reset(thief);
	rig_leg(&r, 1, LEG_LEFT, -1);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

Test(leg, no_more_than_four_are_held)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, legs[LEGS], i;

	peer = client(&r, NULL, &rdv);
	for (i = 0; i < LEGS; i++)
		legs[i] = leg(&r, rdv, OWNER, LEG_HELD);
	for (i = 0; i < 3; i++)
		rig_rst(leg(&r, rdv, THIEF, LEG_SURPLUS));
	rig_answer(&r, 1, NULL, NULL);
	rig_ended(&r, 1, CAUSE_CONTESTED);
	for (i = 0; i < LEGS; i++)
		rig_rst(legs[i]);
	rig_rst(peer);
	rig_stop(&r);
}

/* Whoever finds the rendezvous port cannot fill a log. */
Test(leg, reports_are_bounded)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, i, n = 0;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, OWNER, NULL);
	(void)poll(NULL, 0, 50);
	for (i = 0; i < 50; i++)
		rig_rst(rig_connect(rdv, THIEF));
	rig_drop(&r, 1, CAUSE_DENIED);
	for (;;) {
		rig_event(&r, n < 8 ? MSG_LEG : MSG_ENDED);
		if (r.in.hdr.type == MSG_ENDED)
			break;
		cr_expect_eq(r.in.client.what, LEG_WRONG_ADDR);
		n++;
	}
	cr_expect_eq(n, 8);
	rig_rst(peer);
	rig_stop(&r);
}

/* ---- an address ---------------------------------------------------------*/

Test(leg, pinned)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, thief;

	/* Early ones of the wrong address go when the answer comes. */
	peer = client(&r, NULL, &rdv);
	thief = leg(&r, rdv, THIEF, LEG_HELD);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	rig_answer(&r, 1, OWNER, NULL);
	rig_leg(&r, 1, LEG_WRONG_ADDR, thief);
	rig_rst(thief);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

Test(leg, pinned_and_late)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, OWNER, NULL);
	(void)poll(NULL, 0, 50);
	rig_rst(leg(&r, rdv, THIEF, LEG_WRONG_ADDR));
	rig_rst(leg(&r, rdv, THIEF, LEG_WRONG_ADDR));
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* The port of the declared address does not count, the family does. */
Test(leg, pinned_to_another_family)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint16_t		 rdv;
	int			 peer;

	rig_limits(&l);
	l.connect_ms = 300;
	peer = client(&r, &l, &rdv);
	rig_answer(&r, 1, "2001:db8::1", NULL);
	(void)poll(NULL, 0, 50);
	rig_rst(leg(&r, rdv, OWNER, LEG_WRONG_ADDR));
	rig_ended(&r, 1, CAUSE_CONNECT_TIMEOUT);
	rig_rst(peer);
	rig_stop(&r);
}

/* ---- a token ------------------------------------------------------------*/

/* In one piece with what follows, or byte by byte. */
static void
token_in_pieces(size_t piece, int early)
{
	char		 all[64];
	struct rig	 r;
	uint16_t	 rdv;
	size_t		 i, n;
	int		 peer, owner = -1;

	(void)strlcpy(all, token, sizeof(all));
	(void)strlcat(all, "payload", sizeof(all));
	peer = client(&r, NULL, &rdv);
	if (early)
		owner = leg(&r, rdv, OWNER, LEG_HELD);
	else {
		rig_answer(&r, 1, NULL, token);
		(void)poll(NULL, 0, 50);
		cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	}
	for (i = 0; i < strlen(all); i += n) {
		n = piece < strlen(all) - i ? piece : strlen(all) - i;
		cr_assert_eq(send(owner, all + i, n, 0), (ssize_t)n);
		if (piece < 16 && i < 16)
			(void)poll(NULL, 0, 5);
	}
	if (early)
		rig_answer(&r, 1, NULL, token);
	rig_paired(&r, 1, owner, 0);
	/* The token is not relayed, what comes behind it is. */
	rig_hear(peer, "payload");
	talk(peer, owner);
	close(owner);
	rig_fin(peer);
	rig_ended(&r, 1, CAUSE_EOF);
	cr_expect_eq(r.in.ended.bytes_out, 7 + 11);
	rig_stop(&r);
}

Test(leg, token)
{
	token_in_pieces(64, 0);
	token_in_pieces(64, 1);
	token_in_pieces(16, 0);
	token_in_pieces(15, 0);
	token_in_pieces(1, 0);
	token_in_pieces(1, 1);
}

Test(leg, wrong_token)
{
	static const char *const	 wrong[] = {
		"0123456789abcdeF", "x123456789abcdef", "0123456789abcdeg...",
		"GET / HTTP/1.1\r\nHost: x\r\n"
	};
	struct rig			 r;
	uint16_t			 rdv;
	int64_t				 began;
	size_t				 i;
	int				 peer, owner;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, NULL, token);
	(void)poll(NULL, 0, 50);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_assert_geq(owner = rig_connect(rdv, THIEF), 0);
		rig_say(owner, wrong[i]);
		rig_leg(&r, 1, LEG_WRONG_TOKEN, owner);
		rig_rst(owner);
	}
	/* Some of it, then the end, which is not waited with. */
	began = mono_ms();
	cr_assert_geq(owner = rig_connect(rdv, THIEF), 0);
	rig_say(owner, "0123456789abcde");
	shutdown(owner, SHUT_WR);
	rig_leg(&r, 1, LEG_WRONG_TOKEN, owner);
	rig_rst(owner);
	cr_expect_lt(mono_ms() - began, 2500);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_say(owner, token);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* The token and the end of what there is to say, in one packet. */
Test(leg, token_data_and_fin)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner;

	peer = client(&r, NULL, &rdv);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	rig_say(owner, "0123456789abcdefall");
	shutdown(owner, SHUT_WR);
	rig_answer(&r, 1, NULL, token);
	rig_paired(&r, 1, owner, 0);
	rig_hear(peer, "all");
	rig_fin(peer);
	rig_fin(owner);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_stop(&r);
}

/* The right one among early ones; the others are reset. */
Test(leg, token_decides_between_early_legs)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, silent, wrong;

	peer = client(&r, NULL, &rdv);
	silent = leg(&r, rdv, THIEF, LEG_HELD);
	wrong = leg(&r, rdv, THIEF, LEG_HELD);
	owner = leg(&r, rdv, OWNER, LEG_HELD);
	rig_say(wrong, "xxxxxxxxxxxxxxxx");
	rig_answer(&r, 1, NULL, token);
	rig_leg(&r, 1, LEG_WRONG_TOKEN, wrong);
	rig_rst(wrong);
	rig_quiet(&r, 50);
	rig_say(owner, token);
	rig_paired(&r, 1, owner, 0);
	rig_rst(silent);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* A token and a pin: the token from elsewhere does not help. */
Test(leg, token_from_the_wrong_address)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, thief;

	peer = client(&r, NULL, &rdv);
	thief = leg(&r, rdv, THIEF, LEG_HELD);
	rig_say(thief, token);
	rig_answer(&r, 1, OWNER, token);
	rig_leg(&r, 1, LEG_WRONG_ADDR, thief);
	rig_rst(thief);
	thief = rig_connect(rdv, THIEF);
	rig_leg(&r, 1, LEG_WRONG_ADDR, thief);
	rig_rst(thief);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_say(owner, token);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* Silent connections do not keep the owner out, however many they are. */
Test(leg, silent_ones_make_room)
{
	struct rig	 r;
	uint16_t	 rdv;
	int		 peer, owner, silent[LEGS], i;

	peer = client(&r, NULL, &rdv);
	rig_answer(&r, 1, NULL, token);
	(void)poll(NULL, 0, 50);
	for (i = 0; i < LEGS; i++)
		cr_assert_geq(silent[i] = rig_connect(rdv, THIEF), 0);
	rig_quiet(&r, 50);
	cr_assert_geq(owner = rig_connect(rdv, OWNER), 0);
	rig_leg(&r, 1, LEG_WRONG_TOKEN, silent[0]);
	rig_rst(silent[0]);
	rig_say(owner, token);
	rig_paired(&r, 1, owner, 0);
	for (i = 1; i < LEGS; i++)
		rig_rst(silent[i]);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* Five seconds to show it, then it makes way. */
Test(leg, slow_token)
{
	struct rig	 r;
	uint16_t	 rdv;
	int64_t		 began;
	int		 peer, slow;

	peer = client(&r, NULL, &rdv);
	slow = leg(&r, rdv, THIEF, LEG_HELD);
	rig_quiet(&r, 200);
	/* They count from the answer: before it nobody had to hurry. */
	began = mono_ms();
	rig_answer(&r, 1, NULL, token);
	rig_say(slow, "0123");
	rig_quiet(&r, 4700);
	rig_leg(&r, 1, LEG_WRONG_TOKEN, slow);
	cr_expect_geq(mono_ms() - began, 4990);
	rig_rst(slow);
	cr_expect_lt(rig_cpu_ms(&r), 100);
	close(peer);
	rig_stop(&r);
}

/* ---- owner leg same-port ------------------------------------------------*/

static int
same_port(struct rig *r)
{
	struct msg_limits	 l;
	int			 fd;

	rig_limits(&l);
	l.pending = 1;
	l.flags = LIMITS_SAME_PORT;
	rig_start(r, &l);
	cr_assert_geq(fd = rig_connect(r->port, PEER), 0);
	rig_client(r, 1, fd);
	return (fd);
}

Test(leg, same_port)
{
	struct rig	 r;
	int		 peer, owner;

	peer = same_port(&r);
	rig_answer(&r, 1, NULL, NULL);
	(void)poll(NULL, 0, 50);
	cr_assert_geq(owner = rig_connect(r.port, OWNER), 0);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	/* While it is busy, nobody is anything. */
	rig_rst(rig_connect(r.port, OWNER));
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.busy, 1);
	close(peer);
	close(owner);
	rig_ended(&r, 1, CAUSE_EOF);
	/* Then the next one is a client again. */
	cr_assert_geq(peer = rig_connect(r.port, OWNER), 0);
	rig_client(&r, 2, peer);
	close(peer);
	rig_stop(&r);
}

Test(leg, same_port_early)
{
	struct rig	 r;
	int		 peer, owner;

	peer = same_port(&r);
	owner = leg(&r, r.port, OWNER, LEG_HELD);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, owner, 0);
	talk(peer, owner);
	finish(&r, peer, owner);
}

/* Two strangers at once: the second may be the owner, or not. */
Test(leg, same_port_contested)
{
	struct rig	 r;
	int		 peer, owner, other;

	peer = same_port(&r);
	other = leg(&r, r.port, THIEF, LEG_HELD);
	owner = leg(&r, r.port, OWNER, LEG_HELD);
	rig_answer(&r, 1, NULL, NULL);
	rig_ended(&r, 1, CAUSE_CONTESTED);
	rig_rst(peer);
	rig_rst(owner);
	rig_rst(other);
	rig_stop(&r);
}

Test(leg, same_port_with_token)
{
	struct rig	 r;
	int		 peer, owner, other;

	peer = same_port(&r);
	other = leg(&r, r.port, THIEF, LEG_HELD);
	rig_answer(&r, 1, NULL, token);
	(void)poll(NULL, 0, 50);
	cr_assert_geq(owner = rig_connect(r.port, OWNER), 0);
	rig_say(owner, token);
	rig_paired(&r, 1, owner, 0);
	rig_rst(other);
	talk(peer, owner);
	finish(&r, peer, owner);
}
