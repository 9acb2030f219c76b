/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "honest.h"
#include "msg.h"

struct honest		 honest[WORLD_WORKERS];
static uint16_t		 last_peer_port;
static size_t		 questions_known;

/* ---- sessions -----------------------------------------------------------*/

void
honest_start(void)
{
	memset(honest, 0, sizeof(honest));
	last_peer_port = 0;
	questions_known = 0;
}

struct honest *
honest_holder(uint16_t number)
{
	size_t	 i;

	for (i = world_nworkers; i-- > 0;) {
		if (world_workers[i].w.port == number)
			return (&honest[i]);
	}
	return (NULL);
}

struct session *
honest_by_peer(uint16_t peer_port)
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

void
honest_questions(void)
{
	struct world_question	*q;
	struct session		*s;

	for (; questions_known < world_nquestions; questions_known++) {
		q = &world_questions[questions_known];
		s = honest_by_peer(q->peer_port);
		FUZZ_CHECK(s != NULL && s->questions++ == 0,
		    "asked about %u again", q->peer_port);
		s->word = ASKED;
		FUZZ_CHECK(ctl.rendezvous == NULL ||
		    (q->proxy_port >= 23200 && q->proxy_port < 23220),
		    "proxy %u", q->proxy_port);
	}
}

/* ---- the log ------------------------------------------------------------*/

void
honest_log(const char *line)
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
	h = honest_holder((uint16_t)number);
	FUZZ_CHECK(h != NULL && (s = by_no(h, no)) != NULL &&
	    s->ends++ == 0, "%s", line);
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

	honest_questions();
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

void
honest_do_start(struct fuzz_in *in)
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

void
honest_do_client(struct fuzz_in *in)
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
	struct session	*s = by_no(of(k), in->drop.session);

	FUZZ_CHECK(s != NULL && s->decisions++ == 0, "DROP %u",
	    in->drop.session);
	switch (in->drop.cause) {
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
		    (int)s->word, in->drop.cause);
		break;
	}
	return (s->life == OVER ? 0 :
	    end_session(k, s, (enum cause)in->drop.cause));
}

static int
on_command(struct world_worker *k, const struct msg_in *in)
{
	struct session	*s;

	switch (in->hdr.type) {
	case MSG_ACK:
		return (0);
	case MSG_ANSWER:
		return (on_answer(k, in));
	case MSG_DROP:
		return (on_drop(k, in));
	case MSG_RENDEZVOUS:
		s = by_no(of(k), in->rendezvous.session);
		FUZZ_CHECK(s != NULL && s->rendezvous++ == 0 &&
		    in->nfds == k->w.nlisteners, "RENDEZVOUS");
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
		case MSG_LOST:
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

void
honest_do_read(struct fuzz_in *in)
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
void
honest_do_session(struct fuzz_in *in)
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
	if ((b & 3) == 0 && s->life != RELAYS && s->legs++ < MSG_LEGS_MAX)
		(void)say(k, MSG_LEG, s->no, 1 + (b >> 2 & 3));
	else if ((b & 3) < 3 && s->life == ANSWERED)
		do_pair(k, h, s);
	else if ((b & 3) == 3)
		(void)end_session(k, s, s->life == RELAYS ? CAUSE_EOF :
		    CAUSE_PEER_GONE);
}

void
honest_do_refused(struct fuzz_in *in)
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
void
honest_do_exit(struct fuzz_in *in)
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

void
honest_catch_up(void)
{
	size_t	 i;

	world_spawner_read();
	for (i = 0; i < world_nworkers; i++) {
		if (world_workers[i].up && world_workers[i].ready)
			read_commands(&world_workers[i], 1000);
	}
}

void
honest_check(void)
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

