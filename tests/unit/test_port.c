/* SPDX-License-Identifier: ISC */
/*
 * The life of a port, from its registration to the end of its worker, and
 * whatever may go wrong on the way (DESIGN.md section 2).
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "fake.h"
#include "lack.h"
#include "iq.h"
#include "mono.h"
#include "port.h"
#include "registry.h"

#define ALICE	"alice@example.org/x"
#define US	"203.0.113.7"

#define E500	"error 500 wait internal-server-error "			\
	"[Internal failure. Try again later.]"
#define E502	"error 502 wait service-unavailable "			\
	"[No more ports available. Try again later.] +no-ports"
#define E503	"error 503 cancel service-unavailable "			\
	"[The service is shutting down.] +draining"

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(port, .init = start, .fini = fake_stop, .timeout = 60);

static const char *
set(const char *jid, const char *payload)
{
	fake_iq("<iq type='set' id='a' from='%s' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'>%s</query></iq>", jid, payload);
	return (fake_describe(fake_sent()));
}

static const char *
set_proxy(const char *jid, const char *payload, uint16_t port)
{
	fake_iq("<iq type='set' id='a' from='%s' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'>%s<proxy port='%u'>" US "</proxy>"
	    "</query></iq>", jid, payload, port);
	return (fake_describe(fake_sent()));
}

/* Can anybody connect to the registered port? */
static int
reachable(uint16_t port)
{
	struct sockaddr_storage	 ss;
	struct addr		 a = ctl.conf->listen4.bind;
	socklen_t		 len;
	int			 fd, r;

	a.port = port;
	cr_assert_neq(len = addr_to_sa(&a, &ss), 0);
	cr_assert_geq(fd = socket(AF_INET, SOCK_STREAM, 0), 0);
	r = connect(fd, (struct sockaddr *)&ss, len);
	close(fd);
	return (r == 0);
}

static void
gone(struct fake_worker *w)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_GONE, w->id);
	fake_event(w, &m, sizeof(m));
	fake_exit(w, 0);
}

/* The notice of a closed port, and the owner's answer to it. */
static void
take_notice(uint16_t port, const char *what)
{
	const struct stanza	*s = fake_sent();
	char			 want[128], id[ASK_ID_LEN + 1];

	cr_assert_not_null(s, "no notice");
	(void)snprintf(want, sizeof(want), "set%s close proxy,port=%u:" US,
	    what, port);
	cr_expect_str_eq(fake_describe(s), want);
	cr_expect_str_eq(stanza_attr(s, "to"), ALICE);
	cr_expect_str_eq(stanza_attr(s, "from"), FAKE_US);
	cr_assert_eq(strlcpy(id, stanza_attr(s, "id"), sizeof(id)),
	    ASK_ID_LEN);
	cr_expect_eq(ask_notices(), 1);
	fake_iq("<iq type='result' id='%s' from='" ALICE "' to='" FAKE_US
	    "'/>", id);
	cr_expect_eq(ask_notices(), 0);
}

static void
expect_notice(uint16_t port, const char *what)
{
	take_notice(port, what);
	cr_expect_null(fake_sent());
}

/* ---- registration -------------------------------------------------------*/

Test(port, whole_life)
{
	struct fake_worker	 w;
	int			 before = fake_fds();
	char			 want[128];

	/* Nothing is answered before the worker is ready. */
	cr_expect_str_eq(set(ALICE, "<expire>600</expire>"), "none");
	cr_assert(fake_spawn(&w));
	cr_expect_eq(w.nlisteners, 1);
	cr_expect(reachable(w.port), "listens before it is told");
	cr_expect_eq(w.limits.sessions, 1);
	cr_expect_eq(w.limits.pending, 4);
	cr_expect_eq(w.limits.flags, 0);
	cr_expect_eq(w.limits.connect_ms, 30000);
	cr_expect_eq(w.limits.idle_ms, 600000);
	cr_expect_eq(w.limits.half_close_ms, 60000);
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	cr_expect_null(fake_sent());
	cr_expect_eq(fake_fds(), before + 4, "two ends, two copies");
	fake_ready(&w);
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " +granted,expire=600,sessions=1", w.port);
	cr_expect_str_eq(fake_describe(fake_sent()), want);
	cr_expect_eq(fake_fds(), before + 3, "control's listener is closed");
	cr_expect(reachable(w.port));
	(void)snprintf(want, sizeof(want), "registered port=%u jid=" ALICE
	    " expire=600 oneshot=no", w.port);
	cr_expect_eq(fake_logged(want), 1, "%s", want);
	cr_expect(fake_quiet(&w));

	fake_sleep(599 * 1000);
	cr_expect(fake_quiet(&w));
	fake_sleep(1100);
	cr_expect_eq(fake_expect(&w, MSG_CLOSE)->close.cause, CAUSE_EXPIRED);
	expect_notice(w.port, " expire");
	(void)snprintf(want, sizeof(want), "closed port=%u jid=" ALICE
	    " cause=expired", w.port);
	cr_expect_eq(fake_logged(want), 1);
	cr_expect_eq(registry_count(), 1, "until the worker has gone");
	cr_expect_eq(fake_empty, 0);
	gone(&w);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(fake_empty, 1);
	cr_expect_eq(fake_fds(), before);
	cr_expect_eq(fake_logged("died"), 0);
	/* The number rests for a minute. */
	cr_expect_eq(pool_left(ctl.ports, mono_ms()), 49);
	cr_expect_eq(pool_left(ctl.ports, mono_ms() + POOL_REST_MS), 50);
}

Test(port, limits_of_the_configuration)
{
	struct fake_worker	 w;

	fake_conf("quota default { sessions 3 per port, 5 in all pending 2 "
	    "per port lifetime 2h }\n"
	    "quota \"alice@example.org\" { pending 9 per port }\n"
	    "timeout { connect 7s idle 8s half-close 9s }");
	(void)fake_register(&w, ALICE, "<oneshot/>");
	cr_expect_eq(w.limits.sessions, 3);
	cr_expect_eq(w.limits.pending, 9);
	cr_expect_eq(w.limits.flags, LIMITS_ONESHOT);
	cr_expect_eq(w.limits.connect_ms, 7000);
	cr_expect_eq(w.limits.idle_ms, 8000);
	cr_expect_eq(w.limits.half_close_ms, 9000);
	(void)fake_register(&w, "bob@example.org/x", "");
	cr_expect_eq(w.limits.pending, 2);
	fake_sleep(2 * 3600 * 1000 + 100);
	(void)fake_expect(&w, MSG_CLOSE);
}

/* ---- what may go wrong at the start -------------------------------------*/

static void
expect_no_trace(void)
{
	cr_expect_eq(registry_count(), 0);
	cr_expect_null(fake_sent(), "one answer is enough");
	cr_expect_eq(ask_notices(), 0, "of a port that never was");
	cr_expect_eq(pool_left(ctl.ports, mono_ms() + POOL_REST_MS), 50);
}

/* It waits for one, but not for ever. */
Test(port, no_spawner)
{
	int	 before;

	fake_spawner_lost();
	before = fake_fds();
	cr_expect_str_eq(set(ALICE, ""), "none");
	fake_sleep(4900);
	cr_expect_null(fake_sent());
	fake_sleep(200);
	cr_expect_str_eq(fake_describe(fake_sent()), E500);
	cr_expect_eq(fake_fds(), before);
	expect_no_trace();
	cr_expect_eq(fake_logged("died"), 0);
}

/* It dies with what it had not read; the next one starts the worker. */
Test(port, spawner_lost_with_a_registration)
{
	struct fake_worker	 w;
	uint16_t		 port;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	port = w.port;
	fake_close(&w);
	fake_loop();
	cr_expect_null(fake_sent());
	fake_spawner_new();
	cr_assert(fake_spawn(&w));
	cr_expect_eq(w.port, port);
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	fake_ready(&w);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result ", 7), 0);
	fake_close(&w);
}

Test(port, fork_failed)
{
	struct fake_worker	 w;
	int			 before = fake_fds();

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_close(&w);
	fake_spawner_says(MSG_SPAWNED, w.id, -EAGAIN);
	cr_expect_str_eq(fake_describe(fake_sent()), E500);
	fake_sleep(2100);
	expect_no_trace();
	cr_expect_eq(fake_fds(), before);
	cr_expect_eq(fake_logged("not started: "), 1);
	cr_expect_eq(fake_logged("died"), 0);
}

Test(port, dies_before_ready)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	fake_exit(&w, SIGSEGV);
	cr_expect_str_eq(fake_describe(fake_sent()), E500);
	cr_expect_eq(fake_logged("signal=11"), 1);
	expect_no_trace();
}

/* The spawner's news may come before the channel's end, and after. */
Test(port, dies_before_ready_the_other_way_round)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_spawner_says(MSG_SPAWNED, w.id, 4711);
	fake_spawner_says(MSG_EXITED, w.id, SIGKILL);
	cr_expect_eq(registry_count(), 1);
	fake_close(&w);
	fake_loop();
	cr_expect_str_eq(fake_describe(fake_sent()), E500);
	expect_no_trace();
}

Test(port, never_ready)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&w));
	fake_sleep(4900);
	cr_expect_null(fake_sent());
	cr_expect_eq(fake_killed(), 0);
	fake_sleep(200);
	cr_expect_str_eq(fake_describe(fake_sent()), E500);
	cr_expect_eq(fake_killed(), w.id);
	/* Nobody waits for its end, should the spawner not find it. */
	cr_expect_not(reachable(w.port) && registry_by_number(w.port));
	fake_exit(&w, SIGKILL);
	cr_expect_eq(fake_killed(), 0);
	expect_no_trace();
}

Test(port, no_descriptors)
{
	struct rlimit	 was, none;
	int		 lowest, i;

	cr_assert_geq(lowest = dup(0), 0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	/* The last ones are for those who have ports. */
	for (i = 0; i < LACK_FILES_SPARE; i++) {
		none.rlim_cur = (rlim_t)(lowest + i);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
		cr_expect_str_eq(set(ALICE, ""), E502);
	}
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	expect_no_trace();
	cr_expect_eq(fake_logged("lack of="), 1);
	cr_expect_eq(fake_logged("lack of=descriptors times=1: "), 1);
	/* One line a minute. */
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fake_sleep(LACK_LINE_MS - 1000);
	cr_expect_str_eq(set(ALICE, ""), E502);
	cr_expect_eq(fake_logged("lack of="), 1);
	fake_sleep(1000);
	cr_expect_str_eq(set(ALICE, ""), E502);
	cr_expect_eq(fake_logged("lack of="), 2);
	cr_expect_eq(fake_logged("lack of=descriptors times=17: "), 1);
	none.rlim_cur = (rlim_t)(lowest + LACK_FILES_SPARE);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_expect_str_eq(set(ALICE, ""), "none");
}

/* The answer is lost, the port is not: he may ask for it, or wait. */
Test(port, ready_while_the_link_is_down)
{
	struct fake_worker	 w;

	cr_expect_str_eq(set(ALICE, "<expire>60</expire>"), "none");
	cr_assert(fake_spawn(&w));
	fake_up = 0;
	fake_ready(&w);
	cr_expect_eq(fake_logged("registered port="), 1);
	fake_sleep(61 * 1000);
	(void)fake_expect(&w, MSG_CLOSE);
	cr_expect_eq(ask_notices(), 1);
	cr_expect_null(fake_sent());
	fake_up = 1;
	ask_link_up();
	expect_notice(w.port, " expire");
}

Test(port, spawner_does_not_tell_of_the_end)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	fake_close(&w);
	fake_loop();
	expect_notice(w.port, "");
	cr_expect_eq(registry_count(), 1);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 1);
	cr_expect_eq(fake_killed(), w.id);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 0);
	cr_expect_eq(fake_logged("status=unknown"), 1);
	/* It tells after all. */
	fake_spawner_says(MSG_EXITED, w.id, 0);
	fake_spawner_says(MSG_SPAWNED, w.id, 4);
}

/* ---- quotas (section 2 of PROTOCOL.md) ----------------------------------*/

Test(port, too_many_ports)
{
	struct fake_worker	 w[4], other;
	int			 i;

	for (i = 0; i < 3; i++)
		(void)fake_register(&w[i], ALICE, "");
	/* One that is being started counts, too. */
	cr_expect_str_eq(set("alice@example.org/y", ""), "none");
	cr_expect_str_eq(set("alice@example.org/z", ""), "error 500 wait "
	    "resource-constraint [You have too many ports. Close one first.]"
	    " +too-many-ports=4");
	cr_expect_eq(fake_logged("error=resource-constraint limit=4"), 1);
	cr_assert(fake_spawn(&w[3]));
	fake_ready(&w[3]);
	(void)fake_sent();
	(void)fake_register(&other, "bob@example.org/x", "");
	/* A port that is closed does not count, though its relays go on. */
	cr_expect_str_eq(set_proxy(ALICE, "<close/>", w[0].port), "result");
	(void)fake_register(&other, ALICE, "");
}

Test(port, no_more_ports)
{
	struct fake_worker	 w;
	char			 jid[64];
	int			 i;

	for (i = 0; i < 50; i++) {
		(void)snprintf(jid, sizeof(jid), "u%d@example.org/x", i);
		cr_expect(strncmp(fake_register(&w, jid, ""), "result", 6) ==
		    0);
		if (i != 20)
			continue;
		/* One of them comes back, and rests. */
		(void)set_proxy(jid, "<close/>", w.port);
		gone(&w);
	}
	cr_expect_eq(pool_left(ctl.ports, mono_ms()), 0);
	cr_expect_str_eq(set(ALICE, ""), E502);
	cr_expect_eq(registry_count(), 49);
	fake_sleep(POOL_REST_MS + 100);
	(void)fake_register(&w, ALICE, "");
}

Test(port, no_more_descriptors_foreseen)
{
	struct fake_worker	 w;

	ctl.ports_max = 1;
	(void)fake_register(&w, ALICE, "");
	cr_expect_str_eq(set(ALICE, ""), E502);
	cr_expect_eq(pool_left(ctl.ports, 0), 49);
}

/* The administrator has to hear of it, not the user. */
Test(port, address_is_not_ours)
{
	cr_assert_eq(addr_parse(&ctl.conf->listen4.bind, "192.0.2.1"), 0);
	cr_expect_str_eq(set(ALICE, ""), E500);
	cr_expect_eq(fake_logged("cannot listen: "), 1);
}

Test(port, draining)
{
	ctl.stopping = 1;
	cr_expect_str_eq(set(ALICE, ""), E503);
	expect_no_trace();
}

/* ---- change and close ---------------------------------------------------*/

Test(port, closed_by_its_owner)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "<expire>5</expire>");
	cr_expect_str_eq(set_proxy(ALICE, "<close/>", w.port), "result");
	cr_expect_eq(fake_expect(&w, MSG_CLOSE)->close.cause, CAUSE_CLOSED);
	cr_expect_eq(ask_notices(), 0, "he knows");
	cr_expect_eq(fake_logged("cause=closed"), 1);
	/* Neither expiry nor a second close does anything more. */
	fake_sleep(6 * 1000);
	cr_expect(fake_quiet(&w));
	cr_expect_null(fake_sent());
	gone(&w);
	cr_expect_eq(registry_count(), 0);
}

Test(port, expire_counts_from_the_change)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "<expire>600</expire>");
	fake_sleep(500 * 1000);
	(void)set_proxy(ALICE, "<expire>300</expire>", w.port);
	fake_sleep(299 * 1000);
	cr_expect(fake_quiet(&w));
	fake_sleep(1100);
	(void)fake_expect(&w, MSG_CLOSE);
	expect_notice(w.port, " expire");
}

/* Whoever sets the clock ends nothing, and keeps nothing alive. */
Test(port, time_of_day_is_set)
{
	static const int64_t	 steps[] = {
		3600, -7200, 86400LL * 365 * 30, -86400LL * 365 * 40
	};
	struct fake_worker	 w;
	size_t			 i;

	(void)fake_register(&w, ALICE, "<expire>60</expire>");
	fake_client(&w, 1, "198.51.100.7", 40100);
	(void)fake_expect(&w, MSG_RENDEZVOUS);
	cr_assert_not_null(fake_sent());
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		fake_step(steps[i]);
		fake_sleep(1000);
		cr_expect(fake_quiet(&w));
	}
	/* The answer is due after 30 seconds, the port's end after 60. */
	fake_sleep(25 * 1000);
	cr_expect(fake_quiet(&w));
	fake_sleep(1100);
	cr_expect_eq(fake_expect(&w, MSG_DROP)->drop.cause,
	    CAUSE_ANSWER_TIMEOUT);
	fake_step(-3600);
	fake_sleep(28 * 1000);
	cr_expect(fake_quiet(&w));
	fake_sleep(2000);
	(void)fake_expect(&w, MSG_CLOSE);
	expect_notice(w.port, " expire");
}

/* The lifetime is the most that a port may live, in all. */
Test(port, change_does_not_make_it_live_for_ever)
{
	struct fake_worker	 w;
	char			 want[128];

	(void)fake_register(&w, ALICE, "");
	fake_sleep(80000 * INT64_C(1000));
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " expire:6400 +granted,expire=6400,sessions=1", w.port);
	cr_expect_str_eq(set_proxy(ALICE, "<expire>86400</expire>", w.port),
	    want);
	/* Asked without an expire: what is left of the old one. */
	fake_sleep(400 * 1000);
	(void)snprintf(want, sizeof(want), "result server,port=%u:" US
	    " expire:6000 +granted,expire=6000,sessions=1", w.port);
	cr_expect_str_eq(set_proxy(ALICE, "", w.port), want);
	fake_sleep(6000 * 1000);
	(void)fake_expect(&w, MSG_CLOSE);
}

Test(port, oneshot_is_armed_once)
{
	struct fake_worker	 w;

	(void)fake_register(&w, ALICE, "");
	(void)set_proxy(ALICE, "<oneshot/>", w.port);
	cr_expect_eq(fake_expect(&w, MSG_LIMITS)->limits.flags, LIMITS_ONESHOT);
	(void)set_proxy(ALICE, "<oneshot/>", w.port);
	/* Nothing in a change takes it back. */
	(void)set_proxy(ALICE, "<expire>600</expire>", w.port);
	cr_expect(fake_quiet(&w));
}

/* Row 11: the port moves to the resource that asks; so do its notices. */
Test(port, change_moves_the_port)
{
	struct fake_worker	 w;

	(void)fake_register(&w, "alice@example.org/old", "<expire>60</expire>");
	(void)set_proxy(ALICE, "", w.port);
	fake_sleep(61 * 1000);
	expect_notice(w.port, " expire");
}

/* ---- the end of a worker ------------------------------------------------*/

Test(port, worker_killed)
{
	struct fake_worker	 w, other;

	(void)fake_register(&w, ALICE, "");
	(void)fake_register(&other, "bob@example.org/x", "");
	fake_exit(&w, SIGKILL);
	expect_notice(w.port, "");
	cr_expect_eq(fake_logged("signal=9 (Killed)"), 1);
	cr_expect_eq(fake_logged("cause=worker-died"), 1);
	cr_expect_eq(registry_count(), 1);
	cr_expect(fake_quiet(&other));
	/* By exit: a status, whatever it is. */
	fake_exit(&other, 3 << 8);
	cr_expect_eq(fake_logged("status=3"), 1);
}

/* ---- the owner's presence -----------------------------------------------*/

static struct jid	*owner;

static void
start_missing(struct fake_worker *w)
{
	(void)fake_register(w, ALICE, "");
	cr_assert_not_null(owner = jid_parse(ALICE));
	port_owner_left(owner);
	port_owner_left(owner);
	cr_expect_eq(fake_logged("owner missing"), 1);
}

Test(port, owner_gone)
{
	struct fake_worker	 w, other;

	(void)fake_register(&other, "alice@example.org/y", "");
	start_missing(&w);
	fake_sleep(9900);
	cr_expect(fake_quiet(&w));
	fake_sleep(200);
	cr_expect_eq(fake_expect(&w, MSG_CLOSE)->close.cause, CAUSE_OWNER_GONE);
	cr_expect_eq(ask_notices(), 0, "he cannot be told");
	cr_expect(fake_quiet(&other));
	jid_free(owner);
}

Test(port, owner_seen_in_time)
{
	struct fake_worker	 w;

	start_missing(&w);
	fake_sleep(9000);
	port_owner_seen(owner);
	fake_sleep(20000);
	cr_expect(fake_quiet(&w));
	/* Any request of his is a sign of life; another resource's is not. */
	port_owner_left(owner);
	fake_iq("<iq type='get' id='a' from='" ALICE "' to='" FAKE_US "'>"
	    "<ping xmlns='" NS_PING "'/></iq>");
	fake_sleep(20000);
	cr_expect(fake_quiet(&w));
	port_owner_left(owner);
	fake_iq("<iq type='get' id='a' from='alice@example.org/y' to='"
	    FAKE_US "'><ping xmlns='" NS_PING "'/></iq>");
	/* Nor is an error, which his server may have sent for him. */
	fake_iq("<iq type='error' id='a' from='" ALICE "' to='" FAKE_US
	    "'/>");
	fake_sleep(10100);
	(void)fake_expect(&w, MSG_CLOSE);
	jid_free(owner);
}

Test(port, port_moved_in_time)
{
	struct fake_worker	 w;

	start_missing(&w);
	(void)set_proxy("alice@example.org/new", "", w.port);
	fake_sleep(20000);
	cr_expect(fake_quiet(&w));
	port_owner_left(owner);
	fake_sleep(20000);
	cr_expect(fake_quiet(&w), "the old resource does not count any more");
	jid_free(owner);
}

/* ---- all of them --------------------------------------------------------*/

Test(port, new_limits_for_all)
{
	struct fake_worker	 a, b;

	(void)fake_register(&a, ALICE, "<oneshot/>");
	(void)fake_register(&b, "bob@example.org/x", "");
	fake_conf("quota default { pending 7 per port }\ntimeout { idle 5s }");
	port_limits_all();
	fake_loop();
	cr_expect_eq(fake_expect(&a, MSG_LIMITS)->limits.pending, 7);
	cr_expect_eq(fake_expect(&b, MSG_LIMITS)->limits.idle_ms, 5000);
	cr_expect(fake_quiet(&a));
	cr_expect_eq(fake_logged("closed"), 0);
}

Test(port, stop)
{
	struct fake_worker	 open, closing, starting;
	struct msg_in		*in;

	(void)fake_register(&open, ALICE, "");
	(void)fake_register(&closing, ALICE, "");
	(void)set_proxy(ALICE, "<close/>", closing.port);
	(void)fake_expect(&closing, MSG_CLOSE);
	cr_expect_str_eq(set(ALICE, ""), "none");
	cr_assert(fake_spawn(&starting));
	ctl.stopping = 1;
	port_stop_all(10000);
	fake_loop();
	in = fake_expect(&open, MSG_CLOSE);
	cr_expect_eq(in->close.cause, CAUSE_SHUTDOWN);
	cr_expect_eq(in->close.flags, CLOSE_RELAYS);
	cr_expect_eq(in->close.grace_ms, 10000);
	cr_expect_eq(fake_expect(&closing, MSG_CLOSE)->close.flags,
	    CLOSE_RELAYS);
	cr_expect_eq(fake_killed(), starting.id);
	/* In the order of their ids. */
	take_notice(open.port, "");
	cr_expect_str_eq(fake_describe(fake_sent()), E503);
	cr_expect_eq(fake_empty, 0);
	gone(&open);
	gone(&closing);
	cr_expect_eq(fake_empty, 0);
	fake_exit(&starting, SIGKILL);
	cr_expect_eq(fake_empty, 1);
	cr_expect_eq(registry_count(), 0);
}

/* A spawner that comes and goes: ports stay, new ones wait for the next. */
Test(port, spawner_lost)
{
	struct fake_worker	 w, next;

	(void)fake_register(&w, ALICE, "");
	fake_spawner_lost();
	cr_expect_str_eq(set(ALICE, ""), "none");
	fake_sleep(4000);
	fake_spawner_new();
	cr_assert(fake_spawn(&next));
	/* Its time to start begins with the spawner. */
	fake_sleep(4000);
	fake_ready(&next);
	cr_expect_eq(strncmp(fake_describe(fake_sent()), "result ", 7), 0);
	cr_expect_str_eq(set_proxy(ALICE, "<close/>", w.port), "result");
	(void)fake_expect(&w, MSG_CLOSE);
	fake_close(&w);
	fake_loop();
	fake_sleep(2100);
	fake_sleep(2100);
	cr_expect_eq(registry_count(), 1);
}
