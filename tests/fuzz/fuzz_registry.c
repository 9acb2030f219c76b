/* SPDX-License-Identifier: ISC */
/*
 * The IQ dispatcher, ports and clients, over a model of the registry.  An
 * input is a list of steps: users register, change, close and list ports,
 * accept and deny; honest workers start, report clients, relay, end and die;
 * the spawner, the link and the time come and go.  Beside what world.c
 * checks:
 *
 * - each request gets the very answer that PROTOCOL.md calls for;
 * - a port closes only for a reason that holds, and at the latest when its
 *   time is over;
 * - each client is put to the owner at most once, decided at most once, and
 *   as he said;
 * - no honest worker is ever killed for a violation.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "honest.h"
#include "iq.h"
#include "mono.h"
#include "port.h"
#include "registry.h"
#include "slow.h"
#include "world.h"

#define STEPS_MAX	400

static uint16_t		 closing;	/* the owner asks for it now */
static int		 stopped;
static int		 conf_no;

static const char *const	 confs[] = {
	NULL,
	"quota default { sessions 3 per port, 5 in all ports 2 "
	    "lifetime 2m }\n",
	"owner full\nquota default { pending 1 per port }\n"
	    "timeout { answer 3s owner-gone 1s }\n",
	"deny \"bob@example.org\"\nquota \"alice@example.org\" { ports 9 }\n",
	"quota default { sessions 1 per port, 1 in all pending 9 per port "
	    "ports 5 }\n",
	/* Those that a running passd does not take. */
	"owner leg same-port\n",
	"listen on ::1 advertise 2001:db8::7\n",
};
#define CONFS		7
#define CONFS_RELOAD	5
#define CONF_V6		6

/* ---- why a port closes --------------------------------------------------*/

static void
on_closed(struct world_port *p)
{
	struct honest	*h = honest_holder(p->number);
	int64_t		 now = world_now();

	FUZZ_CHECK(h != NULL, "port %u", p->number);
	if (strcmp(p->cause, "closed") == 0)
		FUZZ_CHECK(closing == p->number, "closed by nobody");
	else if (strcmp(p->cause, "expired") == 0)
		FUZZ_CHECK(now >= p->expires, "expired early");
	else if (strcmp(p->cause, "owner-gone") == 0)
		FUZZ_CHECK(p->gone_at != -1 && now >= p->gone_at,
		    "owner is there");
	else if (strcmp(p->cause, "oneshot") == 0)
		FUZZ_CHECK(h->oneshot, "no relay yet");
	else if (strcmp(p->cause, "worker-died") == 0)
		FUZZ_CHECK(!world_workers[h - honest].up, "it lives");
	else
		FUZZ_CHECK(strcmp(p->cause, "shutdown") == 0 && stopped, "%s",
		    p->cause);
}

/* ---- users --------------------------------------------------------------*/

static int
pick_user(struct fuzz_in *in)
{
	return (fuzz_u8(in) % WORLD_USERS);
}

static int
full_owner(int user)
{
	return (world_users[user].full || ctl.conf->owner_full);
}

static int
allowed(int user)
{
	return (world_users[user].allowed &&
	    !(conf_no == 3 && world_users[user].group == 1));
}

/*
 * Ownership is settled when the port is asked for, not by the configuration
 * of later: full_of[] remembers it by the number, full_at[] by the port.
 */
static int		 full_of[WORLD_PORTS];
static int		 full_at[WORLD_WORKERS];
static size_t		 ports_known;

static void
new_ports(void)
{
	for (; ports_known < world_nports; ports_known++)
		full_at[ports_known] =
		    full_of[world_ports[ports_known].number - WORLD_FIRST];
}

static int
owns(const struct world_port *p, int user)
{
	return (full_at[p - world_ports] ? p->user == user :
	    world_users[p->user].group == world_users[user].group);
}

/* The code of the error that a request about a port gets, or 0. */
static int
want_for_port(int user, uint16_t number, const char *address)
{
	struct world_port	*p;

	if (strcmp(address, WORLD_US) != 0 && strcmp(address, FAKE_US) != 0 &&
	    strcmp(address, " ::ffff:" WORLD_US " ") != 0)
		return (405);
	if ((p = world_port(number)) == NULL)
		return (404);
	return (owns(p, user) ? 0 : 401);
}

static uint16_t
pick_number(struct fuzz_in *in)
{
	uint8_t	 b = fuzz_u8(in);

	if (b >= 0xf0 || world_nports == 0)
		return ((uint16_t)(WORLD_FIRST + b % WORLD_PORTS));
	return (world_ports[b % world_nports].number);
}

static const char *
pick_address(struct fuzz_in *in)
{
	static const char *const	 addresses[] = {
		WORLD_US, WORLD_US, WORLD_US, FAKE_US,
		" ::ffff:" WORLD_US " ", "203.0.113.8", "", "elsewhere.example"
	};

	return (addresses[fuzz_u8(in) % 8]);
}

/* A request that contradicts itself gets 400 whatever else it says. */
static void
do_twice(struct fuzz_in *in)
{
	static const char *const	 twice[] = {
		"<expire>60</expire><expire>60</expire>",
		"<oneshot/><oneshot/>", "<close/><close/>",
		"<proxy port='23100'>" WORLD_US "</proxy><proxy port='23100'>"
		    WORLD_US "</proxy>",
		"<proxy>" WORLD_US "</proxy>", "<expire/>",
		"<expire>0</expire>", "<expire>1 2</expire>",
	};
	int	 user = pick_user(in);

	(void)world_iq(user, "set", 400, "<query xmlns='" NS_PASS "'>%s"
	    "</query>", twice[fuzz_u8(in) % 8]);
}

static const char *
pick_controls(struct fuzz_in *in)
{
	static const char *const	 controls[] = {
		"", "<oneshot/>", "<expire>60</expire>",
		"<expire>3</expire>", "<expire>90</expire><oneshot/>",
		"<expire> 99999999999999999999 </expire>",
		"<x xmlns='urn:x'/>", "<expire>700</expire>"
	};

	return (controls[fuzz_u8(in) % 8]);
}

static int
want_register(int user)
{
	struct jid		*j = jid_parse(world_users[user].jid);
	struct conf_quota	 quota;
	struct user		*u;
	int			 want = -1;

	FUZZ_CHECK(j != NULL, "%s", world_users[user].jid);
	conf_quota_for(ctl.conf, j, &quota);
	u = registry_user(j, 0);
	if (stopped)
		want = 503;
	else if (!allowed(user))
		want = 403;
	else if (slow_left(j, full_owner(user)) != 0 ||
	    (u != NULL && u->nports >= quota.ports))
		want = 500;
	else if (pool_left(ctl.ports, world_now()) == 0)
		want = 502;
	jid_free(j);
	return (want);
}

static void
do_register(struct fuzz_in *in)
{
	int		 user = pick_user(in), want;
	const char	*controls = pick_controls(in);
	size_t		 before = registry_count();
	struct port	*p, *last;
	struct world_request *r;

	if (!world_room())
		return;
	want = want_register(user);
	if (world_iq(user, "set", want, "<query xmlns='" NS_PASS
	    "'>%s</query>", controls) == -1)
		return;
	if (registry_count() == before) {
		/* The numbers left may all be held by workers given up. */
		r = &world_requests[world_nrequests - 1];
		FUZZ_CHECK(want != -1 || r->got == 502 || r->lossy,
		    "not registered: %d", r->got);
		return;
	}
	FUZZ_CHECK(want == -1 && registry_count() == before + 1,
	    "registered");
	for (p = last = registry_first(); p != NULL; p = registry_next(p))
		last = p;
	full_of[last->number - WORLD_FIRST] = full_owner(user);
}

static void
do_change(struct fuzz_in *in)
{
	int		 user = pick_user(in), want;
	const char	*controls = pick_controls(in);
	uint16_t	 number = pick_number(in);
	const char	*address = pick_address(in);

	want = want_for_port(user, number, address);
	if (!allowed(user))
		want = 403;
	if (stopped)
		want = 503;
	(void)world_iq(user, "set", want, "<query xmlns='" NS_PASS "'>%s"
	    "<proxy port='%u'>%s</proxy></query>", controls, number, address);
}

static void
do_close(struct fuzz_in *in)
{
	int		 user = pick_user(in), want;
	uint16_t	 number = pick_number(in);
	const char	*address = pick_address(in);

	want = want_for_port(user, number, address);
	closing = want == 0 ? number : 0;
	if (world_iq(user, "set", want, "<query xmlns='" NS_PASS "'><close/>"
	    "<proxy port='%u'>%s</proxy></query>", number, address) == 0)
		FUZZ_CHECK(want != 0 || world_port(number) == NULL,
		    "not closed");
	closing = 0;
}

static void
do_other_iq(struct fuzz_in *in)
{
	static const struct {
		const char	*type;
		int		 want;
		const char	*payload;
	} others[] = {
		{ "get", 0, "<query xmlns='" NS_PASS "'/>" },
		{ "get", 0, "<ping xmlns='" NS_PING "'/>" },
		{ "get", 0, "<query xmlns='" NS_DISCO_INFO "'/>" },
		{ "get", 404, "<query xmlns='" NS_DISCO_INFO "' node='x'/>" },
		{ "get", 0, "<query xmlns='" NS_DISCO_ITEMS "'/>" },
		{ "get", 0, "<query xmlns='" NS_VERSION "'/>" },
		{ "get", 0, "<query xmlns='" NS_LAST "'/>" },
		{ "set", 501, "<ping xmlns='" NS_PING "'/>" },
		{ "set", 503, "<query xmlns='urn:x'/>" },
		{ "get", 400, "" },
		{ "set", 400, "<query xmlns='" NS_PASS "'/><close/>" },
		{ "set", 400, "<query xmlns='" NS_PASS "'><close/></query>" },
		{ "set", 400, "<query xmlns='" NS_PASS "'><expire>-1</expire>"
		    "</query>" },
		{ "set", 400, "<query xmlns='" NS_PASS "'><server/></query>" },
		{ "set", 501, "<query xmlns='" NS_PASS "'><peers xmlns='"
		    NS_PASSD "'/></query>" },
		{ "do", 400, "<query xmlns='" NS_PASS "'/>" },
		{ "set", 400, "<query xmlns='" NS_PASS "'><proxy port='0'>"
		    WORLD_US "</proxy></query>" },
		{ "set", 400, "<query xmlns='" NS_PASS "'><close/><oneshot/>"
		    "<proxy port='23100'>" WORLD_US "</proxy></query>" },
	};
	int	 user = pick_user(in);
	size_t	 i = fuzz_u8(in) % (sizeof(others) / sizeof(others[0]));

	if (fuzz_u8(in) < 224)
		(void)world_iq(user, others[i].type, others[i].want, "%s",
		    others[i].payload);
	else if (others[i].want != 0)
		(void)world_iq_to(user, FAKE_US "' xml:lang='de",
		    others[i].type, others[i].want, others[i].payload);
	else
		(void)world_skipped(user, others[i].type, 500);
}

/* Nobody but the service itself is at home in its domain. */
static void
do_elsewhere(struct fuzz_in *in)
{
	static const struct {
		const char	*to;
		int		 want;
	} others[] = {
		{ "admin@" FAKE_US, 503 }, { FAKE_US "/x", 503 },
		{ "@", 400 }, { "PASS.Example.ORG", 0 },
		{ "elsewhere.example", 503 },
	};
	int	 user = pick_user(in);
	size_t	 i = fuzz_u8(in) % (sizeof(others) / sizeof(others[0]));

	(void)world_iq_to(user, others[i].to, "get", others[i].want,
	    "<query xmlns='" NS_PASS "'/>");
}

static void
do_answer(struct fuzz_in *in)
{
	static const struct {
		const char	*type;
		enum word	 word;
		const char	*payload;
	} answers[] = {
		{ "result", ACCEPTED, "" },
		{ "result", ACCEPTED, "<query xmlns='" NS_PASS "'/>" },
		{ "result", ACCEPTED, "<query xmlns='" NS_PASS "'><client>"
		    " 192.0.2.1</client></query>" },
		{ "result", ACCEPTED, "<query xmlns='" NS_PASS "'><leg xmlns='"
		    NS_PASSD "'>00112233445566778899aAbBcCdDeEfF</leg>"
		    "</query>" },
		{ "result", MALFORMED, "<query xmlns='" NS_PASS "'><leg "
		    "xmlns='" NS_PASSD "'>0011</leg></query>" },
		{ "error", DENIED, "" },
		{ "error", DENIED, "<error code='401' type='auth'>"
		    "<not-authorized xmlns='" NS_STANZAS "'/></error>" },
		{ "error", BOUNCED, "<error type='cancel'><item-not-found "
		    "xmlns='" NS_STANZAS "'/></error>" },
		{ "error", BOUNCED, "<error type='wait'>"
		    "<recipient-unavailable xmlns='" NS_STANZAS "'/></error>" },
		{ "error", BOUNCED, "<error type='wait'>"
		    "<internal-server-error xmlns='" NS_STANZAS "'/></error>" },
		{ "error", BOUNCED, "<error type='cancel'>"
		    "<remote-server-not-found xmlns='" NS_STANZAS
		    "'/></error>" },
	};
	struct world_question	*q;
	struct session		*s;
	int			 user;
	size_t			 i;
	uint8_t			 b = fuzz_u8(in);

	if (world_nquestions == 0)
		return;
	/* Mostly the latest ones. */
	q = &world_questions[world_nquestions - 1 -
	    b % 8 % world_nquestions];
	i = fuzz_u8(in) % (sizeof(answers) / sizeof(answers[0]));
	user = b & 0x80 ? pick_user(in) : q->user;
	FUZZ_CHECK((s = honest_by_peer(q->peer_port)) != NULL, "session");
	/* Whoever was not asked has no say, nor has a second answer. */
	FUZZ_CHECK(!q->answered || !world_awaited(q), "two answers");
	if (user == q->user && fake_up && world_awaited(q)) {
		s->word = answers[i].word;
		if (i == 7 || i == 8)
			world_missing(q->user);
	}
	world_answer(q, user, answers[i].type, answers[i].payload);
}

/* ---- the rest of the world ----------------------------------------------*/

static void
do_time(struct fuzz_in *in)
{
	static const int32_t	 times[] = {
		1, 900, 2100, 5100, 10100, 29000, 31000, 60000, 61000,
		125000, 7200000, 86400000
	};

	world_sleep(times[fuzz_u8(in) % 12]);
}

static void
do_spawner(struct fuzz_in *in)
{
	if (world_spawner_alive() && fuzz_u8(in) & 1)
		world_spawner_lost();
	else if (world_room())
		world_spawner_new();
}

static void
do_conf(struct fuzz_in *in)
{
	uint8_t	 b = fuzz_u8(in) % CONFS_RELOAD;

	if (conf_no >= CONFS_RELOAD)
		return;
	conf_no = b;
	fake_conf(confs[conf_no]);
	port_limits_all();
	world_turn();
}

static void
do_stop(void)
{
	if (stopped)
		return;
	stopped = ctl.stopping = 1;
	port_stop_all(ctl.conf->timeout.stop);
	world_turn();
}

static void
step(struct fuzz_in *in)
{
	uint8_t	 op = fuzz_u8(in);

	switch (op % 24) {
	case 0: case 1: case 2:
		do_register(in);
		break;
	case 3:
		do_change(in);
		break;
	case 4:
		do_close(in);
		break;
	case 5:
		if (op < 128)
			do_other_iq(in);
		else if (op < 192)
			do_elsewhere(in);
		else
			do_twice(in);
		break;
	case 6: case 7: case 8:
		honest_do_start(in);
		break;
	case 9: case 10: case 11:
		honest_do_client(in);
		break;
	case 12: case 13:
		do_answer(in);
		break;
	case 14: case 15:
		honest_do_read(in);
		break;
	case 16: case 17:
		honest_do_session(in);
		break;
	case 18:
		honest_do_exit(in);
		break;
	case 19:
		do_time(in);
		break;
	case 20:
		if (op < 128)
			world_seen(pick_user(in));
		else
			world_left(pick_user(in));
		break;
	case 21:
		if (op < 128)
			world_link(!fake_up);
		else
			world_full(!fake_full);
		break;
	case 22:
		if (op < 64)
			do_conf(in);
		else if (op < 224)
			do_spawner(in);
		else
			do_stop();
		break;
	case 23:
		honest_do_refused(in);
		break;
	}
	honest_questions();
	new_ports();
}

/* Is there an IPv6 loopback address? */
static int
have_v6(void)
{
	struct sockaddr_storage	 ss;
	struct addr		 a;
	int			 fd, r;

	FUZZ_CHECK(addr_parse(&a, "::1") == 0, "::1");
	if ((fd = socket(AF_INET6, SOCK_STREAM, 0)) == -1)
		return (0);
	r = bind(fd, (struct sockaddr *)&ss, addr_to_sa(&a, &ss));
	close(fd);
	return (r == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };
	unsigned int	 n;

	honest_start();
	ports_known = 0;
	closing = 0;
	stopped = 0;
	conf_no = fuzz_u8(&in) % CONFS;
	if (conf_no == CONF_V6 && !have_v6())
		conf_no = 0;
	world_on_closed = on_closed;
	world_on_log = honest_log;
	world_start(confs[conf_no]);
	for (n = 1; in.left > 0 && n <= STEPS_MAX; n++) {
		step(&in);
		if (n % 32 == 0)
			honest_catch_up();
	}
	honest_catch_up();
	honest_check();
	world_end();
	return (0);
}
