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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "iq.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "registry.h"
#include "world.h"

#define STEPS_MAX	400
#define SESSIONS	16	/* remembered per worker */

/* What the owner has said of a client. */
enum word { UNASKED, ASKED, ACCEPTED, DENIED, BOUNCED, MALFORMED };

enum life { ALIVE, ANSWERED, RELAYS, OVER };

struct session {
	uint32_t	 no;
	uint16_t	 peer_port;	/* tells clients apart */
	enum life	 life;
	enum word	 word;
	int		 decisions;	/* ANSWER or DROP */
	int		 rendezvous;
	int		 questions;
	int		 ends;		/* lines in the log */
};

struct honest {				/* beside world_workers[] */
	struct session	 s[SESSIONS];
	size_t		 n;
	int		 leaving;	/* listens no more */
	int		 oneshot;	/* closed by its one relay */
};

static struct honest	 honest[WORLD_WORKERS];
static uint16_t		 last_peer_port;
static size_t		 questions_known;
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
};
#define CONFS	4

/* ---- sessions -----------------------------------------------------------*/

/* The worker that holds the port with this number, or NULL. */
static struct honest *
holder(uint16_t number)
{
	size_t	 i;

	for (i = world_nworkers; i-- > 0;) {
		if (world_workers[i].w.port == number)
			return (&honest[i]);
	}
	return (NULL);
}

static struct session *
by_peer(uint16_t peer_port)
{
	size_t	 i, k;

	for (i = 0; i < world_nworkers; i++) {
		for (k = 0; k < honest[i].n; k++) {
			if (honest[i].s[k].peer_port == peer_port)
				return (&honest[i].s[k]);
		}
	}
	return (NULL);
}

static struct session *
by_no(struct honest *h, uint32_t no)
{
	return (no >= 1 && no <= h->n ? &h->s[no - 1] : NULL);
}

static unsigned int
count(const struct honest *h, int relays)
{
	unsigned int	 n = 0;
	size_t		 i;

	for (i = 0; i < h->n; i++)
		n += relays ? h->s[i].life == RELAYS :
		    h->s[i].life == ALIVE || h->s[i].life == ANSWERED;
	return (n);
}

/* Questions that have come since. */
static void
new_questions(void)
{
	struct world_question	*q;
	struct session		*s;

	for (; questions_known < world_nquestions; questions_known++) {
		q = &world_questions[questions_known];
		s = by_peer(q->peer_port);
		FUZZ_CHECK(s != NULL && s->questions++ == 0,
		    "asked about %u again", q->peer_port);
		s->word = ASKED;
		FUZZ_CHECK(ctl.rendezvous == NULL ||
		    (q->proxy_port >= 23200 && q->proxy_port < 23220),
		    "proxy %u", q->proxy_port);
	}
}

/* ---- the log ------------------------------------------------------------*/

static void
on_log(const char *line)
{
	struct honest	*h;
	struct session	*s;
	unsigned int	 number, no;
	const char	*at;

	FUZZ_CHECK(strstr(line, " violation") == NULL, "%s", line);
	if (sscanf(line, "ended port=%u", &number) != 1 ||
	    (at = strstr(line, " session=")) == NULL)
		return;
	no = (unsigned int)strtoul(at + 9, NULL, 10);
	h = holder((uint16_t)number);
	FUZZ_CHECK(h != NULL && (s = by_no(h, no)) != NULL &&
	    s->ends++ == 0, "%s", line);
}

static void
on_closed(struct world_port *p)
{
	struct honest	*h = holder(p->number);
	int64_t		 now = world_now();

	FUZZ_CHECK(h != NULL, "port %u", p->number);
	if (strcmp(p->cause, "closed") == 0)
		FUZZ_CHECK(closing == p->number, "closed by nobody");
	else if (strcmp(p->cause, "expired") == 0)
		FUZZ_CHECK(now >= p->expires, "expired early");
	else if (strcmp(p->cause, "owner-gone") == 0)
		FUZZ_CHECK(p->missing != -1 && now >= p->missing +
		    (int64_t)ctl.conf->timeout.owner_gone, "owner is there");
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
	else if (u != NULL && u->nports >= quota.ports)
		want = 500;
	else if (pool_left(ctl.ports, world_now()) == 0)
		want = 502;
	else if (!world_spawner_alive())
		want = 500;
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

	if (world_nworkers >= WORLD_WORKERS - 1)
		return;
	want = want_register(user);
	if (world_iq(user, "set", want, "<query xmlns='" NS_PASS
	    "'>%s</query>", controls) == -1)
		return;
	FUZZ_CHECK(registry_count() == before + (want == -1), "registration");
	if (want != -1)
		return;
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

	(void)world_iq(user, others[i].type, others[i].want, "%s",
	    others[i].payload);
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
	FUZZ_CHECK((s = by_peer(q->peer_port)) != NULL, "session");
	/* Whoever was not asked has no say, nor has a second answer. */
	FUZZ_CHECK(!q->answered || !world_awaited(q), "two answers");
	if (user == q->user && fake_up && world_awaited(q)) {
		s->word = answers[i].word;
		if (i == 7 || i == 8)
			world_missing(q->user);
	}
	world_answer(q, user, answers[i].type, answers[i].payload);
}

/* ---- workers ------------------------------------------------------------*/

/* A worker in a random state, that is the process lives, or NULL. */
static struct world_worker *
pick_worker(struct fuzz_in *in)
{
	uint8_t	 b = fuzz_u8(in);
	size_t	 i;

	if (world_nworkers == 0)
		return (NULL);
	for (i = 0; i < world_nworkers; i++) {
		if (world_workers[(b + i) % world_nworkers].up)
			return (&world_workers[(b + i) % world_nworkers]);
	}
	return (NULL);
}

static struct honest *
of(const struct world_worker *k)
{
	return (&honest[k - world_workers]);
}

/* Control has closed the channel: nobody is asked any more. */
static void
lost_control(struct world_worker *k)
{
	struct honest	*h = of(k);
	size_t		 i;

	h->leaving = 1;
	for (i = 0; i < h->n; i++)
		h->s[i].life = OVER;
	world_die(k, 0, 1);
}

static int
event(struct world_worker *k, void *m, size_t len)
{
	int	 r = world_event(k, m, len);

	new_questions();
	new_ports();
	if (r == -1)
		lost_control(k);
	return (r);
}

static int
say(struct world_worker *k, enum msg_type type, uint32_t session,
    uint32_t what)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), type, k->w.id);
	m.session = session;
	m.what = what;
	FUZZ_CHECK(addr_parse(&m.addr, "198.51.100.9") == 0, "address");
	m.addr.port = 5;
	return (event(k, &m, sizeof(m)));
}

static int
say_hdr(struct world_worker *k, enum msg_type type)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), type, k->w.id);
	return (event(k, &m, sizeof(m)));
}

static int
end_session(struct world_worker *k, struct session *s, enum cause cause)
{
	struct msg_ended	 m;

	msg_init(&m, sizeof(m), MSG_ENDED, k->w.id);
	m.session = s->no;
	m.cause = (uint32_t)cause;
	if (s->life == RELAYS) {
		m.bytes_in = m.bytes_out = 1000;
		m.ms = 10;
	}
	s->life = OVER;
	return (event(k, &m, sizeof(m)));
}

static int
end_undecided(struct world_worker *k, enum cause cause)
{
	struct honest	*h = of(k);
	size_t		 i;

	for (i = 0; i < h->n && k->up; i++) {
		if ((h->s[i].life == ALIVE || h->s[i].life == ANSWERED) &&
		    end_session(k, &h->s[i], cause) == -1)
			return (-1);
	}
	return (k->up ? 0 : -1);
}

static void
do_start(struct fuzz_in *in)
{
	struct world_worker	*k;
	uint8_t			 b;

	world_spawner_read();
	if ((k = pick_worker(in)) == NULL || k->ready || k->kills > 0)
		return;
	b = fuzz_u8(in);
	if (b < 16) {
		/* fork(2) fails: the other ends are closed, then it is told. */
		world_die(k, 0, 0);
		world_spawner_says(MSG_SPAWNED, k->w.id, -11);
		return;
	}
	if (b < 192)
		world_spawner_says(MSG_SPAWNED, k->w.id, 4711);
	k->ready = 1;
	(void)say_hdr(k, MSG_READY);
}

static void
do_client(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);
	struct msg_client	 m;
	struct honest		*h;
	struct session		*s;

	if (k == NULL || !k->ready)
		return;
	h = of(k);
	if (h->leaving || h->n == SESSIONS || last_peer_port == UINT16_MAX ||
	    world_nquestions == WORLD_QUESTIONS ||
	    count(h, 1) >= k->w.limits.sessions ||
	    count(h, 0) >= k->w.limits.pending)
		return;
	s = &h->s[h->n++];
	memset(s, 0, sizeof(*s));
	s->no = (uint32_t)h->n;
	s->peer_port = ++last_peer_port;
	msg_init(&m, sizeof(m), MSG_CLIENT, k->w.id);
	m.session = s->no;
	FUZZ_CHECK(addr_parse(&m.addr, fuzz_u8(in) & 1 ? "198.51.100.7" :
	    "2001:db8::7") == 0, "address");
	m.addr.port = s->peer_port;
	(void)event(k, &m, sizeof(m));
}

static int
on_answer(struct world_worker *k, const struct msg_in *in)
{
	struct session	*s = by_no(of(k), in->answer.session);

	FUZZ_CHECK(s != NULL && s->decisions++ == 0, "ANSWER %u",
	    in->answer.session);
	FUZZ_CHECK(s->word == ACCEPTED, "he said %d", (int)s->word);
	FUZZ_CHECK(ctl.rendezvous == NULL || s->rendezvous == 1,
	    "no rendezvous");
	if (s->life == ALIVE)
		s->life = ANSWERED;
	return (0);
}

static int
on_drop(struct world_worker *k, const struct msg_in *in)
{
	struct session	*s = by_no(of(k), in->session.session);

	FUZZ_CHECK(s != NULL && s->decisions++ == 0, "DROP %u",
	    in->session.session);
	switch (in->session.cause) {
	case CAUSE_DENIED:
		FUZZ_CHECK(s->word == DENIED || s->word == MALFORMED,
		    "he said %d", (int)s->word);
		break;
	case CAUSE_BOUNCED:
		FUZZ_CHECK(s->word == BOUNCED, "he said %d", (int)s->word);
		break;
	case CAUSE_ANSWER_TIMEOUT:
		FUZZ_CHECK(s->word == ASKED, "he said %d", (int)s->word);
		break;
	case CAUSE_BUSY:
		FUZZ_CHECK(s->word == ACCEPTED || s->word == UNASKED,
		    "he said %d", (int)s->word);
		break;
	default:
		FUZZ_CHECK(s->word == UNASKED, "he said %d, cause %u",
		    (int)s->word, in->session.cause);
		break;
	}
	return (s->life == OVER ? 0 :
	    end_session(k, s, (enum cause)in->session.cause));
}

static int
on_command(struct world_worker *k, const struct msg_in *in)
{
	struct session	*s;

	switch (in->hdr.type) {
	case MSG_ANSWER:
		return (on_answer(k, in));
	case MSG_DROP:
		return (on_drop(k, in));
	case MSG_RENDEZVOUS:
		s = by_no(of(k), in->session.session);
		FUZZ_CHECK(s != NULL && s->rendezvous++ == 0 &&
		    in->nfds == 1, "RENDEZVOUS");
		return (0);
	case MSG_LIMITS:
		FUZZ_CHECK(in->limits.port == k->w.port, "LIMITS");
		k->w.limits = in->limits;
		return (0);
	default:
		FUZZ_CHECK(in->hdr.type == MSG_CLOSE, "%u", in->hdr.type);
		of(k)->leaving = 1;
		return (end_undecided(k, (enum cause)in->close.cause));
	}
}

/* It reads up to ${n} commands. */
static void
read_commands(struct world_worker *k, unsigned int n)
{
	struct msg_in	*in = malloc(sizeof(*in));

	FUZZ_CHECK(in != NULL, "memory");
	while (n-- > 0 && k->up) {
		switch (msg_recv(k->w.chan, EDGE_CONTROL_WORKER, MSG_ST_RUN,
		    in)) {
		case MSG_OK:
			FUZZ_CHECK(in->hdr.id == k->w.id, "id %u",
			    in->hdr.id);
			(void)on_command(k, in);
			msg_close_fds(in);
			break;
		case MSG_NOTHING:
			n = 0;
			break;
		case MSG_BAD:
			FUZZ_CHECK(0, "control sent %s", in->why);
			break;
		case MSG_EOF:
			lost_control(k);
			break;
		}
	}
	free(in);
}

static void
do_read(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);

	if (k != NULL && k->ready)
		read_commands(k, 1u << (fuzz_u8(in) & 7));
}

static void
do_pair(struct world_worker *k, struct honest *h, struct session *s)
{
	int	 oneshot = k->w.limits.flags & LIMITS_ONESHOT;

	s->life = RELAYS;
	if (oneshot)
		h->leaving = h->oneshot = 1;
	if (say(k, MSG_PAIRED, s->no, oneshot ? PAIRED_ONESHOT : 0) == -1)
		return;
	if (oneshot)
		(void)end_undecided(k, CAUSE_ONESHOT);
	else if (count(h, 1) >= k->w.limits.sessions)
		(void)end_undecided(k, CAUSE_BUSY);
}

/* Something happens to a session: its leg comes, it is paired, it ends. */
static void
do_session(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);
	struct honest		*h;
	struct session		*s;
	uint8_t			 b = fuzz_u8(in);

	if (k == NULL || (h = of(k))->n == 0)
		return;
	s = &h->s[(b >> 4) % h->n];
	if (s->life == OVER)
		return;
	if ((b & 3) == 0 && s->life != RELAYS)
		(void)say(k, MSG_LEG, s->no, 1 + (b >> 2 & 3));
	else if ((b & 3) < 3 && s->life == ANSWERED)
		do_pair(k, h, s);
	else if ((b & 3) == 3)
		(void)end_session(k, s, s->life == RELAYS ? CAUSE_EOF :
		    CAUSE_PEER_GONE);
}

static void
do_refused(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);
	struct msg_refused	 m;

	if (k == NULL || !k->ready)
		return;
	msg_init(&m, sizeof(m), MSG_REFUSED, k->w.id);
	m.busy = 1;
	(void)event(k, &m, sizeof(m));
}

/* It leaves in order if it may, and dies if it is told to. */
static void
do_exit(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);
	uint8_t			 b = fuzz_u8(in);

	world_spawner_read();
	if (k == NULL)
		return;
	if (k->kills > 0 || b < 24) {
		of(k)->leaving = 1;
		world_die(k, b & 1 ? SIGSEGV : SIGKILL, b & 2);
	} else if (of(k)->leaving && count(of(k), 0) + count(of(k), 1) == 0) {
		if (say_hdr(k, MSG_GONE) == 0)
			world_die(k, 0, 1);
	}
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
	else
		world_spawner_new();
}

static void
do_conf(struct fuzz_in *in)
{
	conf_no = fuzz_u8(in) % CONFS;
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
		do_other_iq(in);
		break;
	case 6: case 7: case 8:
		do_start(in);
		break;
	case 9: case 10: case 11:
		do_client(in);
		break;
	case 12: case 13:
		do_answer(in);
		break;
	case 14: case 15:
		do_read(in);
		break;
	case 16: case 17:
		do_session(in);
		break;
	case 18:
		do_exit(in);
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
		do_refused(in);
		break;
	}
	new_questions();
	new_ports();
}

/* So that no queue of control ever fills: that is the hostile one's part. */
static void
catch_up(void)
{
	size_t	 i;

	world_spawner_read();
	for (i = 0; i < world_nworkers; i++) {
		if (world_workers[i].up && world_workers[i].ready)
			read_commands(&world_workers[i], 1000);
	}
}

/*
 * In the end: every client of a worker that is there was decided on, or has
 * ended, or its owner has still to answer.
 */
static void
check_sessions(void)
{
	struct session	*s;
	size_t		 i, k;

	for (i = 0; i < world_nworkers; i++) {
		for (k = 0; k < honest[i].n; k++) {
			s = &honest[i].s[k];
			FUZZ_CHECK(s->ends <= 1, "ended %d times", s->ends);
			FUZZ_CHECK(!world_workers[i].up || s->life != ALIVE ||
			    s->decisions == 1 || s->word == ASKED,
			    "session %u is forgotten", s->no);
			FUZZ_CHECK(!world_workers[i].up ||
			    s->life != OVER || s->ends == 1,
			    "session %u has no end", s->no);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };
	unsigned int	 n;

	memset(honest, 0, sizeof(honest));
	last_peer_port = 0;
	questions_known = ports_known = 0;
	closing = 0;
	stopped = 0;
	conf_no = fuzz_u8(&in) % CONFS;
	world_on_closed = on_closed;
	world_on_log = on_log;
	world_start(confs[conf_no]);
	for (n = 1; in.left > 0 && n <= STEPS_MAX; n++) {
		step(&in);
		if (n % 32 == 0)
			catch_up();
	}
	catch_up();
	check_sessions();
	world_end();
	return (0);
}
