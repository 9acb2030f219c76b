/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/syscall.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "iq.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "registry.h"
#include "world.h"

const struct world_user	 world_users[] = {
	{ "alice@example.org/x", "alice@example.org/x", 0, 0, 1 },
	{ "alice@example.org/y'\"<> &", "alice@example.org/y&apos;\"&lt;> "
	    "&amp;", 0, 0, 1 },
	{ "bob@example.org/x", "bob@example.org/x", 1, 0, 1 },
	{ "rooms.example.net/n", "rooms.example.net/n", 2, 1, 1 },
	{ "rooms.example.net/\xc3\xbc", "rooms.example.net/\xc3\xbc", 2, 1,
	    1 },
	{ "carol@elsewhere.example/x", "carol@elsewhere.example/x", 3, 0, 0 },
	{ "alice@example.org", "alice@example.org", 0, 0, 1 },
};

struct world_request	 world_requests[WORLD_REQUESTS];
size_t			 world_nrequests;
struct world_question	 world_questions[WORLD_QUESTIONS];
size_t			 world_nquestions;
struct world_port	 world_ports[WORLD_WORKERS];
size_t			 world_nports;
struct world_worker	 world_workers[WORLD_WORKERS];
size_t			 world_nworkers;

void	(*world_on_closed)(struct world_port *);
void	(*world_on_log)(const char *);

static int		 fds_before, spawner_no, stream_no;

long	 world_syscall(long, ...);

/*
 * What fake.c reads the clock by: one that stands still, so that nothing
 * depends on how fast this machine is.
 */
long
world_syscall(long number, ...)
{
	struct timespec	*ts;
	clockid_t	 id;
	va_list		 ap;

	FUZZ_CHECK(number == SYS_clock_gettime, "system call %ld", number);
	va_start(ap, number);
	id = va_arg(ap, clockid_t);
	ts = va_arg(ap, struct timespec *);
	va_end(ap);
	if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE)
		return (syscall(SYS_clock_gettime, id, ts));
	ts->tv_sec = 1000;
	ts->tv_nsec = 0;
	return (0);
}

int64_t
world_now(void)
{
	return (mono_ms());
}

/* ---- what control logs --------------------------------------------------*/

static int
user_of(const char *jid)
{
	char	 log[1024];
	int	 i;

	for (i = 0; i < WORLD_USERS; i++) {
		if (strcmp(log_safe(world_users[i].jid, log, sizeof(log)),
		    jid) == 0)
			return (i);
	}
	fuzz_fail(__FILE__, __LINE__, "user_of", "%s", jid);
}

/* " ${key}=value" of a line, up to the next blank. */
static const char *
value(const char *line, const char *key)
{
	static char	 buf[2][1024];
	static int	 turn;
	const char	*s = line;
	size_t		 len = strlen(key);

	while ((s = strchr(s, ' ')) != NULL) {
		s++;
		if (strncmp(s, key, len) != 0 || s[len] != '=')
			continue;
		s += len + 1;
		len = strcspn(s, " ");
		turn = !turn;
		FUZZ_CHECK(len < sizeof(buf[0]), "%s", line);
		memcpy(buf[turn], s, len);
		buf[turn][len] = '\0';
		return (buf[turn]);
	}
	fuzz_fail(__FILE__, __LINE__, key, "not in: %s", line);
}

struct world_port *
world_port(uint16_t number)
{
	size_t	 i;

	for (i = 0; i < world_nports; i++) {
		if (world_ports[i].number == number &&
		    world_ports[i].state == WORLD_OPEN)
			return (&world_ports[i]);
	}
	return (NULL);
}

static uint16_t
number_of(const char *line)
{
	return ((uint16_t)strtoul(value(line, "port"), NULL, 10));
}

static void
on_registered(const char *line)
{
	struct world_port	*p = &world_ports[world_nports];

	FUZZ_CHECK(world_port(number_of(line)) == NULL, "owned twice: %s",
	    line);
	FUZZ_CHECK(world_nports < WORLD_WORKERS, "%s", line);
	world_nports++;
	memset(p, 0, sizeof(*p));
	p->number = number_of(line);
	FUZZ_CHECK(p->number >= WORLD_FIRST &&
	    p->number < WORLD_FIRST + WORLD_PORTS, "%s", line);
	p->user = user_of(value(line, "jid"));
	/* It counts from the request, which was some seconds ago. */
	p->expires = world_now() +
	    strtoll(value(line, "expire"), NULL, 10) * 1000 - 11000;
	p->gone_at = -1;
}

static void
on_changed(const char *line)
{
	struct world_port	*p = world_port(number_of(line));
	int			 user = user_of(value(line, "jid"));

	FUZZ_CHECK(p != NULL, "%s", line);
	p->expires = world_now() +
	    strtoll(value(line, "expire"), NULL, 10) * 1000 - 1000;
	if (p->user != user)
		p->gone_at = -1;
	p->user = user;
}

static void
on_closed(const char *line)
{
	struct world_port	*p = world_port(number_of(line));

	FUZZ_CHECK(p != NULL, "closed twice: %s", line);
	FUZZ_CHECK(p->user == user_of(value(line, "jid")), "%s", line);
	(void)strlcpy(p->cause, value(line, "cause"), sizeof(p->cause));
	if (world_on_closed != NULL)
		world_on_closed(p);
	p->state = WORLD_CLOSED;
	p->due = strcmp(p->cause, "closed") != 0 &&
	    strcmp(p->cause, "owner-gone") != 0;
}

static void
on_log(enum log_level level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	if (getenv("WORLD_LOG") != NULL)
		fprintf(stderr, "%lld %s\n", (long long)world_now(), line);
	if (strncmp(line, "registered ", 11) == 0)
		on_registered(line);
	else if (strncmp(line, "changed ", 8) == 0)
		on_changed(line);
	else if (strncmp(line, "closed ", 7) == 0)
		on_closed(line);
	if (world_on_log != NULL)
		world_on_log(line);
}

/* ---- what control sends to users ----------------------------------------*/

static int
user_to(const struct stanza *s)
{
	const char	*to = stanza_attr(s, "to");
	int		 i;

	FUZZ_CHECK(to != NULL, "%s", fake_sent_xml());
	for (i = 0; i < WORLD_USERS; i++) {
		if (strcmp(world_users[i].jid, to) == 0)
			return (i);
	}
	fuzz_fail(__FILE__, __LINE__, "user_to", "%s", fake_sent_xml());
}

static uint16_t
port_attr(const struct stanza *q, const char *name)
{
	const struct stanza	*e = stanza_child(q, NS_PASS, name);

	FUZZ_CHECK(e != NULL && stanza_attr(e, "port") != NULL, "%s",
	    fake_sent_xml());
	return ((uint16_t)strtoul(stanza_attr(e, "port"), NULL, 10));
}

static void
on_answer(const struct stanza *s, const char *type, const char *id)
{
	const struct stanza	*e = s->child;
	struct world_request	*r;
	size_t			 n;

	FUZZ_CHECK(id != NULL && id[0] == 'r', "%s", fake_sent_xml());
	n = strtoul(id + 1, NULL, 10);
	FUZZ_CHECK(n < world_nrequests, "%s", fake_sent_xml());
	r = &world_requests[n];
	FUZZ_CHECK(r->answers == 0, "answered twice: %s", fake_sent_xml());
	FUZZ_CHECK(user_to(s) == r->user, "%s", fake_sent_xml());
	r->answers++;
	if (strcmp(type, "error") == 0) {
		FUZZ_CHECK(e != NULL && stanza_attr(e, "code") != NULL, "%s",
		    fake_sent_xml());
		r->got = (int)strtol(stanza_attr(e, "code"), NULL, 10);
	}
	FUZZ_CHECK(r->want == -1 || r->want == r->got, "not %d: %s", r->want,
	    fake_sent_xml());
}

static void
on_question(const struct stanza *s, const struct stanza *q, const char *id)
{
	struct world_question	*n = &world_questions[world_nquestions];
	size_t			 i;

	FUZZ_CHECK(world_nquestions < WORLD_QUESTIONS, "questions");
	for (i = 0; i < world_nquestions; i++)
		FUZZ_CHECK(strcmp(world_questions[i].id, id) != 0, "%s",
		    fake_sent_xml());
	world_nquestions++;
	memset(n, 0, sizeof(*n));
	(void)strlcpy(n->id, id, sizeof(n->id));
	n->user = user_to(s);
	n->peer_port = port_attr(q, "client");
	n->proxy_port = port_attr(q, "proxy");
}

/* The port that this notice is about: the first that has none yet. */
static struct world_port *
notified(uint16_t number)
{
	size_t	 i;

	for (i = 0; i < world_nports; i++) {
		if (world_ports[i].number == number && world_ports[i].due &&
		    world_ports[i].notices == 0)
			return (&world_ports[i]);
	}
	return (NULL);
}

static void
on_notice(const struct stanza *s, const struct stanza *q, const char *id)
{
	struct world_port	*p;
	size_t			 i;

	for (i = 0; i < world_nports; i++) {
		if (strcmp(world_ports[i].id, id) == 0) {
			FUZZ_CHECK(++world_ports[i].notices <= ASK_TRIES &&
			    !world_ports[i].acked, "%s", fake_sent_xml());
			FUZZ_CHECK(world_ports[i].stream != stream_no,
			    "again: %s", fake_sent_xml());
			world_ports[i].stream = stream_no;
			return;
		}
	}
	p = notified(port_attr(q, "proxy"));
	FUZZ_CHECK(p != NULL, "a notice too many: %s", fake_sent_xml());
	FUZZ_CHECK(p->user == user_to(s), "%s", fake_sent_xml());
	FUZZ_CHECK((stanza_child(q, NS_PASS, "expire") != NULL) ==
	    (strcmp(p->cause, "expired") == 0) &&
	    (stanza_child(q, NS_PASS, "oneshot") != NULL) ==
	    (strcmp(p->cause, "oneshot") == 0), "%s: %s", p->cause,
	    fake_sent_xml());
	p->notices = 1;
	p->stream = stream_no;
	(void)strlcpy(p->id, id, sizeof(p->id));
}

static void
take_sent(void)
{
	const struct stanza	*s, *q;
	const char		*type, *id;

	while ((s = fake_sent()) != NULL) {
		if (getenv("WORLD_LOG") != NULL)
			fprintf(stderr, "  > %s\n", fake_sent_xml());
		type = stanza_attr(s, "type");
		id = stanza_attr(s, "id");
		FUZZ_CHECK(stanza_is(s, NS_COMPONENT, "iq") && type != NULL,
		    "%s", fake_sent_xml());
		if (strcmp(type, "set") != 0) {
			on_answer(s, type, id);
			continue;
		}
		q = stanza_child(s, NS_PASS, "query");
		FUZZ_CHECK(q != NULL && q->next == NULL && s->child == q &&
		    id != NULL && strlen(id) == ASK_ID_LEN, "%s",
		    fake_sent_xml());
		if (stanza_child(q, NS_PASS, "client") != NULL)
			on_question(s, q, id);
		else {
			FUZZ_CHECK(stanza_child(q, NS_PASS, "close") != NULL,
			    "%s", fake_sent_xml());
			on_notice(s, q, id);
		}
	}
}

/* ---- the registry against the books -------------------------------------*/

static unsigned int
check_clients(const struct port *p, unsigned char *rdvs)
{
	const struct client	*c;
	unsigned int		 n = 0;
	int			 i;

	TAILQ_FOREACH(c, &p->clients, entry) {
		FUZZ_CHECK(c->port == p, "client of another");
		if (c->state != CLIENT_ASKED)
			n++;
		FUZZ_CHECK(c->ask == NULL || c->state == CLIENT_ASKED,
		    "asked in state %d", (int)c->state);
		if (c->rendezvous == 0)
			continue;
		FUZZ_CHECK(c->state != CLIENT_RELAY, "rendezvous of a relay");
		i = c->rendezvous - ctl.conf->rendezvous.lo;
		FUZZ_CHECK(i >= 0 && i < WORLD_RDVS && !rdvs[i],
		    "rendezvous port %u", c->rendezvous);
		rdvs[i] = 1;
	}
	return (n);
}

static void
check_users(void)
{
	struct port	*p, *o;
	struct user	*u;
	struct client	*c;
	unsigned int	 nports, nsessions;
	int		 found;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		u = p->user;
		nports = nsessions = 0;
		found = 0;
		TAILQ_FOREACH(o, &u->ports, of_user) {
			FUZZ_CHECK(o->user == u, "user");
			found |= o == p;
			nports += o->state == PORT_STARTING ||
			    o->state == PORT_OPEN;
			TAILQ_FOREACH(c, &o->clients, entry)
				nsessions += c->state != CLIENT_ASKED;
		}
		FUZZ_CHECK(found && u->nports == nports &&
		    u->nsessions == nsessions, "%u ports, counted %u; "
		    "%u sessions, counted %u", u->nports, nports,
		    u->nsessions, nsessions);
		FUZZ_CHECK(registry_user(p->owner, 0) == u, "owner");
	}
}

/* A port that nothing drives any further would stay for ever. */
static void
check_state(struct port *p)
{
	struct world_port	*w;

	switch (p->state) {
	case PORT_STARTING:
		/* Without a channel it waits for a spawner. */
		FUZZ_CHECK(p->request != NULL &&
		    evtimer_pending(&p->timer, NULL), "starting");
		break;
	case PORT_OPEN:
		w = world_port(p->number);
		/* An answer that is due waits for the link. */
		FUZZ_CHECK((p->request == NULL || !fake_up) &&
		    p->chan != NULL &&
		    evtimer_pending(&p->timer, NULL), "open");
		FUZZ_CHECK(w != NULL, "port %u open, not registered",
		    p->number);
		FUZZ_CHECK(strcmp(world_users[w->user].jid, p->owner->full)
		    == 0, "%s", p->owner->full);
		FUZZ_CHECK(p->listeners.n == 0, "listeners kept");
		break;
	case PORT_CLOSING:
	case PORT_DEAD:
		FUZZ_CHECK(p->request == NULL, "request kept");
		FUZZ_CHECK(p->chan != NULL ||
		    evtimer_pending(&p->timer, NULL), "port %u in state %d "
		    "for ever", p->number, (int)p->state);
		break;
	}
}

static void
check_registry(void)
{
	unsigned char	 numbers[WORLD_PORTS], rdvs[WORLD_RDVS];
	struct port	*p;
	size_t		 i, n = 0, nopen = 0, nrdv = 0;
	int		 k, listens;

	memset(numbers, 0, sizeof(numbers));
	memset(rdvs, 0, sizeof(rdvs));
	for (p = registry_first(); p != NULL; p = registry_next(p), n++) {
		k = p->number - WORLD_FIRST;
		FUZZ_CHECK(k >= 0 && k < WORLD_PORTS && !numbers[k],
		    "number %u owned twice", p->number);
		numbers[k] = 1;
		FUZZ_CHECK(registry_by_id(p->id) == p, "id %u", p->id);
		listens = p->state == PORT_STARTING || p->state == PORT_OPEN;
		FUZZ_CHECK((registry_by_number(p->number) == p) == listens,
		    "number %u", p->number);
		nopen += p->state == PORT_OPEN;
		(void)check_clients(p, rdvs);
		check_state(p);
	}
	check_users();
	FUZZ_CHECK(registry_count() == n, "%u ports, counted %zu",
	    registry_count(), n);
	FUZZ_CHECK(pool_left(ctl.ports, world_now() + POOL_REST_MS) ==
	    WORLD_PORTS - n, "a number is lost");
	for (i = 0; i < WORLD_RDVS; i++)
		nrdv += rdvs[i];
	if (ctl.rendezvous != NULL)
		FUZZ_CHECK(pool_left(ctl.rendezvous, world_now()) ==
		    WORLD_RDVS - nrdv, "a rendezvous port is lost");
	for (i = 0; i < world_nports; i++)
		nopen -= world_ports[i].state == WORLD_OPEN;
	FUZZ_CHECK(nopen == 0, "open ports and logged ones differ");
}

/* What the clock has to have done by now. */
static void
check_deadlines(void)
{
	struct world_port	*p;
	size_t			 i;

	for (i = 0; i < world_nports; i++) {
		p = &world_ports[i];
		if (p->state != WORLD_OPEN)
			continue;
		FUZZ_CHECK(world_now() <= p->expires + 13000, "port %u lives "
		    "too long", p->number);
		FUZZ_CHECK(p->gone_at == -1 || world_now() <= p->gone_at +
		    1000, "port %u of nobody", p->number);
	}
}

void
world_turn(void)
{
	fake_loop();
	take_sent();
	check_registry();
}

void
world_sleep(int64_t ms)
{
	int64_t	 step = ms / 16 < 500 ? 500 : ms / 16;

	for (; ms > 0; ms -= step) {
		fake_sleep(ms < step ? ms : step);
		take_sent();
	}
	world_turn();
	check_deadlines();
}

/* ---- users --------------------------------------------------------------*/

/* A sign of life, as control sees it. */
static void
seen(int user)
{
	size_t	 i;

	for (i = 0; i < world_nports; i++) {
		if (world_ports[i].user == user)
			world_ports[i].gone_at = -1;
	}
}

void
world_missing(int user)
{
	size_t	 i;

	for (i = 0; i < world_nports; i++) {
		if (world_ports[i].state == WORLD_OPEN &&
		    world_ports[i].user == user &&
		    world_ports[i].gone_at == -1)
			world_ports[i].gone_at = world_now() +
			    (int64_t)ctl.conf->timeout.owner_gone;
	}
}

/* Make a note of one more request; NULL: there cannot be one now. */
static struct world_request *
request(int user, const char *type, int want, const char *payload)
{
	struct world_request	*r = &world_requests[world_nrequests];

	if (!fake_up || world_nrequests == WORLD_REQUESTS)
		return (NULL);
	world_nrequests++;
	memset(r, 0, sizeof(*r));
	r->user = user;
	r->want = want;
	r->lossy = fake_full;
	if (getenv("WORLD_LOG") != NULL)
		fprintf(stderr, "  < %s %s: %s\n", world_users[user].jid,
		    type, payload);
	return (r);
}

int
world_iq_to(int user, const char *to, const char *type, int want,
    const char *payload)
{
	struct world_request	*r = request(user, type, want, payload);

	if (r == NULL)
		return (-1);
	seen(user);
	fake_iq("<iq type='%s' id='r%zu' from='%s' to='%s'>%s</iq>", type,
	    (size_t)(r - world_requests), world_users[user].xml, to, payload);
	world_turn();
	return (0);
}

int
world_iq(int user, const char *type, int want, const char *fmt, ...)
{
	char	 payload[2048];
	va_list	 ap;

	va_start(ap, fmt);
	FUZZ_CHECK(vsnprintf(payload, sizeof(payload), fmt, ap) <
	    (int)sizeof(payload), "payload");
	va_end(ap);
	return (world_iq_to(user, FAKE_US, type, want, payload));
}

int
world_skipped(int user, const char *type, int want)
{
	struct world_request	*r = request(user, type, want, "skipped");
	struct stanza		*s;
	char			 xml[1024];

	if (r == NULL)
		return (-1);
	(void)snprintf(xml, sizeof(xml), "<iq type='%s' id='r%zu' from='%s' "
	    "to='" FAKE_US "'/>", type, (size_t)(r - world_requests),
	    world_users[user].xml);
	s = fake_parse(xml);
	iq_skipped(s);
	stanza_free(s);
	world_turn();
	return (0);
}

int
world_awaited(const struct world_question *q)
{
	struct port	*p;
	struct client	*c;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		TAILQ_FOREACH(c, &p->clients, entry) {
			if (c->addr.port == q->peer_port && c->ask != NULL)
				return (1);
		}
	}
	return (0);
}

void
world_answer(struct world_question *q, int user, const char *type,
    const char *payload)
{
	if (!fake_up)
		return;
	if (strcmp(type, "result") == 0)
		seen(user);
	if (user == q->user)
		q->answered = 1;
	if (getenv("WORLD_LOG") != NULL)
		fprintf(stderr, "  < %s %s: %s\n", world_users[user].jid,
		    type, payload);
	fake_iq("<iq type='%s' id='%s' from='%s' to='" FAKE_US "'>%s</iq>",
	    type, q->id, world_users[user].xml, payload);
	world_turn();
}

void
world_seen(int user)
{
	struct jid	*j = jid_parse(world_users[user].jid);

	FUZZ_CHECK(j != NULL, "%s", world_users[user].jid);
	seen(user);
	port_owner_seen(j);
	jid_free(j);
	world_turn();
}

void
world_left(int user)
{
	struct jid	*j = jid_parse(world_users[user].jid);

	FUZZ_CHECK(j != NULL, "%s", world_users[user].jid);
	world_missing(user);
	port_owner_left(j);
	jid_free(j);
	world_turn();
}

static void
mark_lossy(void)
{
	size_t	 i;

	for (i = 0; i < world_nrequests; i++) {
		if (world_requests[i].answers == 0)
			world_requests[i].lossy = 1;
	}
}

void
world_link(int up)
{
	if (up == fake_up)
		return;
	fake_up = up;
	stream_no += up;
	if (up) {
		ask_link_up();
		port_link_up();
	} else
		mark_lossy();
	world_turn();
}

void
world_full(int full)
{
	fake_full = full;
	mark_lossy();
	world_turn();
}

/* ---- spawner and workers ------------------------------------------------*/

/* A spawner that is new may be told to start again what the last lost. */
int
world_room(void)
{
	return (world_nworkers + registry_count() < WORLD_WORKERS - 1);
}

int
world_spawner_alive(void)
{
	return (ctl.spawner != NULL);
}

void
world_spawner_lost(void)
{
	chan_free(ctl.spawner);
	ctl.spawner = NULL;
	world_turn();
}

void
world_spawner_new(void)
{
	world_spawner_read();
	fake_spawner_new();
	spawner_no++;
	world_turn();
}

static void
on_spawn(struct msg_in *in)
{
	struct world_worker	*k = &world_workers[world_nworkers];
	size_t			 i;

	FUZZ_CHECK(world_nworkers < WORLD_WORKERS, "workers");
	world_nworkers++;
	memset(k, 0, sizeof(*k));
	k->w.id = in->hdr.id;
	k->w.port = in->limits.port;
	k->w.limits = in->limits;
	k->w.chan = in->fds[0];
	k->w.nlisteners = in->nfds - 1;
	for (i = 0; i < k->w.nlisteners; i++)
		k->w.listener[i] = in->fds[i + 1];
	k->spawner = spawner_no;
	k->up = 1;
	in->nfds = 0;
}

void
world_spawner_read(void)
{
	static struct msg_in	 in;
	size_t			 i;

	while (msg_recv(fake_spawner_fd(), EDGE_CONTROL_SPAWNER, MSG_ST_RUN,
	    &in) == MSG_OK) {
		if (in.hdr.type == MSG_SPAWN) {
			on_spawn(&in);
			continue;
		}
		for (i = 0; i < world_nworkers; i++) {
			if (world_workers[i].w.id == in.hdr.id)
				world_workers[i].kills++;
		}
	}
}

void
world_spawner_says(enum msg_type type, uint32_t id, int n)
{
	if (ctl.spawner != NULL)
		fake_spawner_says(type, id, n);
	world_turn();
}

int
world_event(struct world_worker *k, void *m, size_t len)
{
	struct msg_hdr	*hdr = m;

	hdr->id = k->w.id;
	hdr->seq = ++k->w.seq;
	if (msg_send(k->w.chan, m, len, NULL, 0) == -1) {
		FUZZ_CHECK(errno == EPIPE || errno == ECONNRESET, "errno %d",
		    errno);
		return (-1);
	}
	world_turn();
	return (0);
}

void
world_die(struct world_worker *k, int status, int tell)
{
	if (!k->up)
		return;
	k->up = 0;
	fake_close(&k->w);
	if (tell && k->spawner == spawner_no)
		world_spawner_says(MSG_EXITED, k->w.id, status);
	else
		world_turn();
}

/* ---- begin and end ------------------------------------------------------*/

void
world_start(const char *conf)
{
	fuzz_seed(1);
	fds_before = fuzz_fds();
	world_nrequests = world_nquestions = 0;
	world_nports = world_nworkers = 0;
	spawner_no = stream_no = 0;
	fake_start(conf);
	log_to(on_log, NULL);
}

static void
answer_notices(void)
{
	struct world_port	*p;
	size_t			 i;

	for (i = 0; i < world_nports; i++) {
		p = &world_ports[i];
		FUZZ_CHECK(p->state == WORLD_CLOSED, "port %u not closed",
		    p->number);
		FUZZ_CHECK((p->notices > 0) == p->due, "port %u, %s: %d "
		    "notices", p->number, p->cause, p->notices);
		if (p->notices > 0)
			fake_iq("<iq type='result' id='%s' from='%s' to='"
			    FAKE_US "'/>", p->id,
			    world_users[p->user].xml);
		p->acked = 1;
	}
	world_turn();
	FUZZ_CHECK(ask_notices() == 0, "%u notices", ask_notices());
}

void
world_end(void)
{
	size_t	 i;

	world_full(0);
	world_link(1);
	world_spawner_read();
	for (i = 0; i < world_nworkers; i++)
		world_die(&world_workers[i], SIGKILL, i & 1);
	/*
	 * Those of whom nobody told are killed, and buried; full queues are
	 * tried again.
	 */
	world_sleep(2100);
	world_spawner_read();
	world_sleep(2100);
	/* Who waits for a spawner waits in vain. */
	world_sleep(5100);
	FUZZ_CHECK(registry_count() == 0, "%u ports", registry_count());
	world_sleep(ASK_NOTICE_MS);
	answer_notices();
	for (i = 0; i < world_nrequests; i++)
		FUZZ_CHECK(world_requests[i].answers == 1 ||
		    world_requests[i].lossy, "request %zu has no answer", i);
	world_sleep(POOL_REST_MS);
	FUZZ_CHECK(pool_left(ctl.ports, world_now()) == WORLD_PORTS,
	    "a number is lost");
	world_spawner_read();
	fake_stop();
	FUZZ_CHECK(fuzz_fds() == fds_before, "%d descriptors more",
	    fuzz_fds() - fds_before);
}
