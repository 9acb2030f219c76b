/* SPDX-License-Identifier: ISC */
/*
 * Workers that crash: a new spawner, owners that have to wait, and workers
 * whose spawner has gone (DESIGN.md section 1).
 */
#include <sys/types.h>

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "iq.h"
#include "mono.h"
#include "port.h"
#include "registry.h"
#include "slow.h"

#define ALICE	"alice@example.org/x"
#define BOB	"bob@example.org/x"
#define SLOWED	"error 500 wait policy-violation "			\
	"[A port of yours has failed. Try again later.] +rate-limited="

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(crash, .init = start, .fini = fake_stop, .timeout = 60);

static const char *
set(const char *jid, const char *payload)
{
	fake_iq("<iq type='set' id='a' from='%s' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'>%s</query></iq>", jid, payload);
	return (fake_describe(fake_sent()));
}

/* What the parent was told: that message, and no other. */
static struct msg_in *
told(enum msg_type type)
{
	static struct msg_in	 in;

	cr_assert(fake_told_parent(&in), "the parent was not told");
	cr_assert_eq(in.hdr.type, type, "the parent was told %u",
	    in.hdr.type);
	return (&in);
}

static void
told_nothing(void)
{
	static struct msg_in	 in;

	cr_expect_not(fake_told_parent(&in), "the parent was told %u",
	    in.hdr.type);
}

/* A registration, a worker, its crash, and the notice. */
static void
crash(const char *jid, int sig)
{
	struct fake_worker	 w;
	const char		*got = fake_register(&w, jid, "");

	cr_assert_eq(strncmp(got, "result ", 7), 0, "%s", got);
	fake_exit(&w, sig);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
}

/* ---- owners that have to wait -------------------------------------------*/

static struct jid	*alice, *bob;

static void
start_slow(void)
{
	start();
	cr_assert_not_null(alice = jid_parse(ALICE));
	cr_assert_not_null(bob = jid_parse(BOB));
}

static void
stop_slow(void)
{
	jid_free(alice);
	jid_free(bob);
	fake_stop();
}

TestSuite(slow, .init = start_slow, .fini = stop_slow, .timeout = 60);

Test(slow, doubles_up_to_five_minutes)
{
	static const unsigned int	 want[] = {
		1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300
	};
	size_t				 i;

	cr_expect_eq(slow_left(alice, 0), 0);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		cr_expect_eq(slow_crash(alice, 0), want[i]);
		cr_expect_eq(slow_left(alice, 0), want[i]);
		cr_expect_eq(slow_left(bob, 0), 0);
		fake_sleep((int64_t)want[i] * 1000 - 900);
		cr_expect_eq(slow_left(alice, 0), 1, "rounded up");
		fake_sleep(1000);
		cr_expect_eq(slow_left(alice, 0), 0);
	}
	cr_expect_eq(slow_owners(), 1);
}

Test(slow, forgotten_after_a_quiet_hour)
{
	(void)slow_crash(alice, 0);
	(void)slow_crash(alice, 0);
	fake_sleep(SLOW_FORGET_S * 1000 - 1000);
	/* An hour since the last one, not since the first. */
	cr_expect_eq(slow_crash(alice, 0), 4);
	fake_sleep(SLOW_FORGET_S * 1000 - 1000);
	cr_expect_eq(slow_owners(), 1);
	fake_sleep(1100);
	cr_expect_eq(slow_owners(), 0);
	cr_expect_eq(slow_crash(alice, 0), 1);
}

Test(slow, bare_and_full)
{
	struct jid	*other = jid_parse("alice@example.org/y");

	(void)slow_crash(alice, 0);
	cr_expect_eq(slow_left(other, 0), 1);
	cr_expect_eq(slow_left(other, 1), 0);
	cr_expect_eq(slow_left(alice, 1), 0);
	(void)slow_crash(alice, 1);
	(void)slow_crash(alice, 1);
	cr_expect_eq(slow_left(alice, 1), 2);
	cr_expect_eq(slow_left(other, 1), 0);
	cr_expect_eq(slow_left(alice, 0), 1);
	jid_free(other);
}

/* As many as there is room for; the one that was quiet longest goes. */
Test(slow, bounded)
{
	struct jid	*jid;
	char		 text[64];
	int		 i;

	(void)slow_crash(alice, 0);
	(void)slow_crash(bob, 0);
	for (i = 0; i < SLOW_OWNERS_MAX - 2; i++) {
		(void)snprintf(text, sizeof(text), "u%d@example.org", i);
		cr_assert_not_null(jid = jid_parse(text));
		(void)slow_crash(jid, 0);
		jid_free(jid);
	}
	cr_expect_eq(slow_owners(), SLOW_OWNERS_MAX);
	(void)slow_crash(alice, 0);
	cr_assert_not_null(jid = jid_parse("one@too.many"));
	cr_expect_eq(slow_crash(jid, 0), 1);
	jid_free(jid);
	cr_expect_eq(slow_owners(), SLOW_OWNERS_MAX);
	cr_expect_eq(slow_left(bob, 0), 0, "the oldest");
	cr_expect_eq(slow_left(alice, 0), 2);
	slow_clear();
	cr_expect_eq(slow_owners(), 0);
	cr_expect_eq(slow_left(alice, 0), 0);
}

Test(crash, owner_waits)
{
	struct fake_worker	 w;

	crash(ALICE, SIGSEGV);
	cr_expect_eq(fake_logged("crash port="), 1);
	cr_expect_eq(fake_logged("next registration in=1s"), 1);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "1");
	cr_expect_str_eq(set("alice@example.org/y", ""), SLOWED "1");
	cr_expect_eq(fake_logged("refused"), 0, "it is in the log already");
	(void)fake_register(&w, BOB, "");
	fake_sleep(1000);
	crash(ALICE, SIGABRT);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "2");
	fake_sleep(600);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "2");
	fake_sleep(600);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "1");
	fake_sleep(900);
	/* What he has he may still change and close. */
	(void)fake_register(&w, ALICE, "");
	(void)slow_crash(registry_by_id(w.id)->owner, 0);
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/><proxy port='%u'>203.0.113.7"
	    "</proxy></query></iq>", w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), "result");
}

Test(crash, full_jid_waits)
{
	struct fake_worker	 w;

	fake_conf("owner full");
	crash(ALICE, SIGBUS);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "1");
	(void)fake_register(&w, "alice@example.org/y", "");
}

Test(crash, what_is_none)
{
	static const int	 status[] = {
		0, 1 << 8, SIGKILL, SIGTERM, SIGSEGV << 8
	};
	struct fake_worker	 w;
	size_t			 i;

	for (i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		(void)fake_register(&w, ALICE, "");
		fake_exit(&w, status[i]);
		(void)fake_sent();
	}
	cr_expect_eq(fake_logged("crash port="), 0);
	told_nothing();
}

/* ---- a new spawner ------------------------------------------------------*/

Test(crash, each_of_the_signals)
{
	static const int	 sigs[] = {
		SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGSYS
	};
	size_t			 i;

	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		crash(ALICE, sigs[i]);
		(void)told(MSG_RESPAWN);
		told_nothing();
		fake_spawner_new();
		fake_sleep(SLOW_MOST_S * 1000);
	}
	cr_expect_eq(fake_logged("crash port="), 5);
}

/* As often as one likes: the parent hears of it once a spawner. */
Test(crash, asked_for_once)
{
	crash(ALICE, SIGSEGV);
	crash(BOB, SIGSEGV);
	fake_sleep(1100);
	crash(ALICE, SIGSEGV);
	(void)told(MSG_RESPAWN);
	told_nothing();
	fake_spawner_new();
	fake_sleep(2100);
	crash(ALICE, SIGSEGV);
	(void)told(MSG_RESPAWN);
	told_nothing();
}

/* The news may come when the channel has ended, and a crash in the start. */
Test(crash, before_ready)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	fake_exit(&w, SIGSEGV);
	(void)told(MSG_RESPAWN);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "error 500 wait", 14),
	    0);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "1");
}

/* The same, told in another order: channel, SPAWNED, EXITED. */
Test(crash, before_ready_and_silent)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_close(&w);
	fake_loop();
	cr_expect_null(fake_sent());
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	cr_expect_null(fake_sent());
	fake_spawner_says(MSG_EXITED, w.id, SIGSEGV);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "error 500 wait", 14),
	    0);
	cr_expect_eq(fake_logged("signal=11"), 1);
	fake_loop();
	cr_expect_eq(registry_count(), 0);
}

/* A spawner that lives, but cannot be talked to, is of no use. */
Test(crash, spawner_that_lies)
{
	struct fake_worker	 w, next;
	struct msg_hdr		 m;

	(void)fake_register(&w, ALICE, "");
	msg_init(&m, sizeof(m), MSG_GONE, w.id);
	cr_assert_eq(msg_send(fake_spawner_fd(), &m, sizeof(m), NULL, 0), 0);
	port_spawner_bad();		/* as control.c does at its end */
	(void)told(MSG_RESPAWN);
	port_spawner_bad();
	told_nothing();
	fake_spawner_new();
	(void)fake_register(&next, ALICE, "");
	cr_expect(fake_quiet(&w));
}

/* What the old one did not come to is for the next one. */
Test(crash, registration_goes_to_the_next_spawner)
{
	struct fake_worker	 lost, other, w;
	int			 before = fake_fds();

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_expect_str_eq(set(BOB, ""), "none");
	cr_assert(fake_spawn(&lost));
	fake_close(&lost);		/* read, and not forked */
	fake_spawner_lost();		/* the other was not even read */
	cr_expect_null(fake_sent());
	fake_spawner_new();
	cr_assert(fake_spawn(&w));
	fake_spawner_says(MSG_SPAWNED, w.id, 4001);
	fake_ready(&w);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result ", 7), 0);
	cr_assert(fake_spawn(&other));
	fake_spawner_says(MSG_SPAWNED, other.id, 4002);
	fake_ready(&other);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result ", 7), 0);
	fake_close(&w);
	fake_close(&other);
	cr_assert_not(fake_spawn(&w));
	fake_loop();
	fake_sleep(2100);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	while (fake_sent() != NULL)
		continue;
	cr_expect_eq(fake_fds(), before);
}

Test(crash, stop_while_one_waits)
{
	int	 before;

	fake_spawner_lost();
	before = fake_fds();
	cr_expect_str_eq(set(ALICE, ""), "none");
	ctl.stopping = 1;
	port_stop_all(1000);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "error 503", 9), 0);
	fake_loop();
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(fake_empty, 1);
	cr_expect_eq(fake_fds(), before);
}

/* ---- workers without a spawner ------------------------------------------*/

static void
end_of_nobody(struct fake_worker *w)
{
	fake_ended(w, 77, CAUSE_EOF, 0, 0);
}

/* They work, they close, and they are killed, by the parent. */
Test(crash, orphans)
{
	struct fake_worker	 w[3], next;
	uint16_t		 rdv;
	int			 i;

	for (i = 0; i < 3; i++)
		(void)fake_register(&w[i], ALICE, "");
	crash(BOB, SIGSEGV);
	(void)told(MSG_RESPAWN);
	fake_spawner_lost();
	fake_spawner_new();
	rdv = fake_question(&w[0], 1);
	cr_expect_neq(rdv, 0);
	fake_iq("<iq type='set' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'><close/><proxy port='%u'>203.0.113.7"
	    "</proxy></query></iq>", w[1].port);
	cr_expect_str_eq(fake_describe(fake_sent()), "result");
	(void)fake_expect(&w[1], MSG_CLOSE);
	/* A violation: nobody but the parent can kill it. */
	end_of_nobody(&w[2]);
	cr_expect_eq(fake_killed(), 0, "the new spawner was asked");
	cr_expect_eq(told(MSG_REAP)->reap.pid, 4000 + (int)w[2].id);
	fake_close(&w[2]);
	fake_orphan(4000 + (pid_t)w[2].id, SIGKILL);
	(void)fake_sent();
	cr_expect_eq(registry_count(), 2);
	cr_expect_eq(fake_logged("signal=9"), 1);
	/* One of the new spawner is its business. */
	fake_sleep(2000);
	(void)fake_register(&next, BOB, "");
	end_of_nobody(&next);
	cr_expect_eq(fake_killed(), next.id);
	told_nothing();
}

/*
 * It was of the old layout: that is no reason to replace the new spawner;
 * but its owner has to wait.
 */
Test(crash, orphan_crashes)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_spawner_lost();
	fake_spawner_new();
	fake_close(&w);
	fake_orphan(4000 + (pid_t)w.id, SIGSEGV);
	told_nothing();
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
	cr_expect_str_eq(set(ALICE, ""), SLOWED "1");
	cr_expect_eq(registry_count(), 0);
}

/* Numbers of processes come again: the older one is meant. */
Test(crash, orphan_with_the_number_of_another)
{
	struct fake_worker	 old, new;

	(void)fake_register(&old, ALICE, "");
	fake_spawner_lost();
	fake_spawner_new();
	cr_expect_str_eq(set(BOB, ""), "none");
	cr_assert(fake_spawn(&new));
	fake_spawner_says(MSG_SPAWNED, new.id, 4000 + (int)old.id);
	fake_ready(&new);
	(void)fake_sent();
	fake_close(&old);
	fake_orphan(4000 + (pid_t)old.id, SIGKILL);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "set close ", 10),
	    0);
	cr_expect_eq(registry_count(), 1);
	cr_expect_not_null(registry_by_id(new.id));
	/* Of nobody that is known: no harm. */
	fake_orphan(1, SIGSEGV);
	fake_orphan(0, SIGSEGV);
	fake_orphan(-1, SIGSEGV);
	cr_expect_eq(registry_count(), 1);
	cr_expect_eq(fake_logged("crash port="), 0);
}

/* Forged twice: it died once. */
Test(crash, exited_twice)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_spawner_says(MSG_EXITED, w.id, SIGSEGV);
	fake_spawner_says(MSG_EXITED, w.id, SIGSEGV);
	fake_orphan(4000 + (pid_t)w.id, SIGSEGV);
	cr_expect_eq(fake_logged("crash port="), 1);
}
