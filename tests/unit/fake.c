/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "escrow.h"
#include "fake.h"
#include "iq.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "slow.h"
#include "xmpp.h"

#define HEAD	"<stream:stream xmlns:stream='" NS_STREAMS "' xmlns='" \
		NS_COMPONENT "' id='1' from='" FAKE_US "'>"
#define SENT_MAX	12000

struct ctl		 ctl;
int			 fake_up, fake_full;
unsigned int		 fake_empty;
char			 fake_question_id[ASK_ID_LEN + 1];

static char		*sent[SENT_MAX];
static size_t		 sent_head, sent_tail;
static char		*current_xml;
static struct stanza	*current;
static int		 spawner_fd = -1;
static char		*log_text;
static size_t		 log_len;
static int64_t		 ahead;		/* of the real clock, ms */
static int64_t		 stepped;	/* the time of day, s */

#define KEPT_MAX	4096

static struct kept {
	struct msg_record	 m;
	size_t			 len;
	int			 fd;
} kept[KEPT_MAX];
static int		 parent_fd = -1;
static uint32_t		 last_kept, epoch;
int			 fake_nkept;

#define TOLD_MAX	64

static struct msg_in	 told[TOLD_MAX];	/* to the parent */
static size_t		 ntold;

/* ---- what the other modules would provide -------------------------------*/

/* libevent and mono_ms() read the clock by this. */
int	 clock_gettime(clockid_t, struct timespec *);

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (syscall(SYS_clock_gettime, id, ts) == -1)
		return (-1);
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE) {
		ts->tv_sec += (time_t)(ahead / 1000);
		ts->tv_nsec += (long)(ahead % 1000) * 1000000;
		if (ts->tv_nsec >= 1000000000) {
			ts->tv_sec++;
			ts->tv_nsec -= 1000000000;
		}
	} else
		ts->tv_sec += (time_t)stepped;
	return (0);
}

int
xmpp_is_up(void)
{
	return (fake_up);
}

int
xmpp_send(const struct xml_out *x)
{
	return (xmpp_send_as(x, XMPP_REQUEST));
}

int
xmpp_send_as(const struct xml_out *x, enum xmpp_class class)
{
	cr_assert_leq(class, XMPP_REQUEST);
	if (!fake_up || fake_full || xml_done(x) == -1)
		return (-1);
	cr_assert_lt(sent_tail, SENT_MAX);
	cr_assert_not_null(sent[sent_tail++] = strndup(x->buf, x->len));
	return (0);
}

int
xmpp_pong(const struct stanza *s)
{
	const char	*from = stanza_attr(s, "from");

	return (from != NULL && strcmp(from, FAKE_US) == 0);
}

void
ctl_ports_empty(void)
{
	fake_empty++;
}

static void
spawner_message(struct msg_in *in, void *arg)
{
	(void)arg;
	if (in->hdr.type == MSG_SPAWNED)
		port_spawned(&in->spawned);
	else
		port_exited(&in->exited);
}

static void
spawner_ended(const char *why, void *arg)
{
	(void)arg;
	cr_expect_null(why);
	chan_free(ctl.spawner);
	ctl.spawner = NULL;
}

static const struct chan_handler	 spawner_handler = {
	spawner_message, spawner_ended
};

static void
make_pools(void)
{
	ctl.ports = pool_new(ctl.conf->ports.lo, ctl.conf->ports.hi,
	    POOL_REST_MS);
	if (ctl.conf->owner_leg == LEG_RENDEZVOUS)
		ctl.rendezvous = pool_new(ctl.conf->rendezvous.lo,
		    ctl.conf->rendezvous.hi, 0);
}

/* ---- the parent: it keeps what it is told to keep -----------------------*/

static int
parent_find(uint32_t id)
{
	int	 i;

	for (i = 0; i < fake_nkept; i++) {
		if (kept[i].m.hdr.id == id)
			return (i);
	}
	return (-1);
}

static void
parent_release(uint32_t id)
{
	int	 i = parent_find(id);

	if (i == -1)
		return;
	if (kept[i].fd != -1)
		close(kept[i].fd);
	kept[i] = kept[--fake_nkept];
}

static void
parent_keep(struct msg_in *in)
{
	int	 i = parent_find(in->hdr.id);

	if (i == -1) {
		cr_assert_lt(fake_nkept, KEPT_MAX);
		i = fake_nkept++;
		kept[i].fd = -1;
	}
	memcpy(&kept[i].m, in->bytes, in->len);
	kept[i].len = in->len;
	if (in->nfds == 1) {
		if (kept[i].fd != -1)
			close(kept[i].fd);
		kept[i].fd = in->fds[0];
		in->fds[0] = -1;
	}
	if (in->hdr.id > last_kept)
		last_kept = in->hdr.id;
}

static void
parent_turn(void)
{
	static struct msg_in	 in;
	enum msg_result		 got;

	while (parent_fd != -1 && (got = msg_recv(parent_fd,
	    EDGE_CONTROL_PARENT, MSG_ST_RUN, &in)) != MSG_NOTHING) {
		if (got == MSG_EOF)
			return;
		cr_assert_eq(got, MSG_OK, "%s", in.why);
		if (in.hdr.type == MSG_ESCROW)
			parent_keep(&in);
		else if (in.hdr.type == MSG_RELEASE)
			parent_release(in.hdr.id);
		else {
			if (ntold == TOLD_MAX)	/* nobody asks */
				memmove(told, told + 1, --ntold *
				    sizeof(told[0]));
			told[ntold++] = in;
		}
		msg_close_fds(&in);
	}
}

static void
parent_message(struct msg_in *in, void *arg)
{
	(void)arg;
	if (in->hdr.type == MSG_EPOCH)
		escrow_epoch(&in->epoch);
	else if (in->hdr.type == MSG_ADOPT)
		adopt_record(in);
	else if (in->hdr.type == MSG_ORPHAN)
		port_orphan(&in->orphan);
}

static void
parent_ended(const char *why, void *arg)
{
	(void)arg;
	cr_assert_fail("parent: %s", why == NULL ? "gone" : why);
}

static const struct chan_handler	 parent_handler = {
	parent_message, parent_ended
};

static void
parent_start(void)
{
	int	 fds[2];

	cr_assert_eq(msg_pair(fds), 0);
	parent_fd = fds[1];
	ctl.parent = chan_new(fds[0], EDGE_PARENT_CONTROL, MSG_ST_RUN,
	    &parent_handler, NULL);
	cr_assert_not_null(ctl.parent);
	chan_queue_max(ctl.parent, 100000);
}

static void
fill_epoch(struct msg_epoch *m)
{
	msg_init(m, sizeof(*m), MSG_EPOCH, 0);
	m->epoch = ++epoch;
	m->last_id = last_kept;
	memset(m->key, 42, sizeof(m->key));
}

static void
parent_stop(void)
{
	chan_free(ctl.parent);
	ctl.parent = NULL;
	close(parent_fd);
	parent_fd = -1;
}

void
fake_takeover(void)
{
	struct msg_epoch	 m;
	int			 i;

	/* What the dead control holds is closed, and nothing is said. */
	parent_turn();
	parent_stop();
	parent_start();
	ctl.stopping = 1;
	while (registry_first() != NULL)
		registry_port_free(registry_first());
	ask_stop();
	ctl.stopping = 0;
	pool_free(ctl.ports);
	pool_free(ctl.rendezvous);
	make_pools();
	fill_epoch(&m);
	cr_assert_eq(msg_send(parent_fd, &m, sizeof(m), NULL, 0), 0);
	for (i = 0; i < fake_nkept; i++) {
		kept[i].m.hdr.type = MSG_ADOPT;
		cr_assert_eq(msg_send(parent_fd, &kept[i].m, kept[i].len,
		    &kept[i].fd, kept[i].fd == -1 ? 0 : 1), 0);
	}
	fake_loop();
}

/* ---- begin and end ------------------------------------------------------*/

static void
keep_log(enum log_level level, const char *line, void *arg)
{
	size_t	 n = strlen(line);

	(void)level;
	(void)arg;
	log_text = realloc(log_text, log_len + n + 2);
	cr_assert_not_null(log_text);
	memcpy(log_text + log_len, line, n);
	memcpy(log_text + log_len + n, "\n", 2);
	log_len += n + 1;
}

static void
conf_wrong(const char *text, void *arg)
{
	(void)arg;
	cr_assert_fail("%s", text);
}

void
fake_conf(const char *more)
{
	char		 text[4096];
	struct conf	*c;
	pid_t		 pid = getpid();
	FILE		*f;

	(void)snprintf(text, sizeof(text), "component \"" FAKE_US "\"\n"
	    "server 127.0.0.1 port 5347\nsecret file \"/nonexistent\"\n"
	    "ports 23100:23149\nrendezvous ports 23200:23219\n"
	    "listen on 127.%d.%d.%d advertise 203.0.113.7\n"
	    "allow \"example.org\"\nallow \"rooms.example.net\"\n%s\n",
	    77 + (int)(pid >> 16 & 63), (int)(pid >> 8 & 255),
	    (int)(pid & 255) % 254 + 1, more == NULL ? "" : more);
	cr_assert_not_null(f = fmemopen(text, strlen(text), "r"));
	c = conf_parse(f, "test", conf_wrong, NULL);
	fclose(f);
	cr_assert_not_null(c);
	conf_free(ctl.conf);
	ctl.conf = c;
}

void
fake_spawner_new(void)
{
	int	 fds[2];

	chan_free(ctl.spawner);
	if (spawner_fd != -1)
		close(spawner_fd);
	cr_assert_eq(msg_pair(fds), 0);
	spawner_fd = fds[1];
	ctl.spawner = chan_new(fds[0], EDGE_SPAWNER_CONTROL, MSG_ST_RUN,
	    &spawner_handler, NULL);
	cr_assert_not_null(ctl.spawner);
	ctl.spawner_no++;
	ctl.spawner_bad = 0;
	port_spawner_new();
}

void
fake_spawner_lost(void)
{
	if (spawner_fd != -1)
		close(spawner_fd);
	spawner_fd = -1;
	fake_loop();
}

int
fake_told_parent(struct msg_in *in)
{
	parent_turn();
	if (ntold == 0)
		return (0);
	*in = told[0];
	memmove(told, told + 1, --ntold * sizeof(told[0]));
	return (1);
}

void
fake_orphan(pid_t pid, int status)
{
	struct msg_orphan	 m;

	msg_init(&m, sizeof(m), MSG_ORPHAN, 0);
	m.pid = (int32_t)pid;
	m.status = status;
	cr_assert_eq(msg_send(parent_fd, &m, sizeof(m), NULL, 0), 0);
	fake_loop();
}

int
fake_spawner_fd(void)
{
	return (spawner_fd);
}

void
fake_start(const char *more)
{
	struct msg_epoch	 m;

	memset(&ctl, 0, sizeof(ctl));
	log_to(keep_log, NULL);
	log_set_level(LOG_LEVEL_DEBUG);
	fake_conf(more);
	cr_assert_not_null(event_init());
	ask_init();
	registry_init();
	ctl.started = mono_ms();
	make_pools();
	ctl.ports_max = 1000;
	parent_start();
	fill_epoch(&m);
	escrow_epoch(&m);
	fake_spawner_new();
	fake_up = 1;
	fake_full = 0;
	fake_empty = 0;
}

void
fake_stop(void)
{
	struct port	*p;
	int		 i;

	while ((p = registry_first()) != NULL)
		registry_port_free(p);
	/* Notices are given up in the end. */
	for (i = 0; i <= ASK_TRIES && ask_notices() > 0; i++) {
		fake_up = 1;
		fake_full = 0;
		ask_link_up();
		fake_sleep(ASK_NOTICE_MS + 100);
	}
	cr_expect_eq(ask_notices(), 0);
	while (fake_nkept > 0)
		parent_release(kept[0].m.hdr.id);
	parent_stop();
	chan_free(ctl.spawner);
	if (spawner_fd != -1)
		close(spawner_fd);
	spawner_fd = -1;
	ntold = 0;
	slow_clear();
	conf_free(ctl.conf);
	pool_free(ctl.ports);
	pool_free(ctl.rendezvous);
	memset(&ctl, 0, sizeof(ctl));
	event_base_free(NULL);
	while (fake_sent() != NULL)
		continue;
	free(log_text);
	log_text = NULL;
	log_len = 0;
}

void
fake_loop(void)
{
	int	 i;

	for (i = 0; i < 3; i++) {
		cr_assert_neq(event_loop(EVLOOP_NONBLOCK), -1);
		parent_turn();
	}
}

void
fake_sleep(int64_t ms)
{
	ahead += ms;
	fake_loop();
}

void
fake_step(int64_t seconds)
{
	stepped += seconds;
	fake_loop();
}

/* ---- the link -----------------------------------------------------------*/

static void
keep_stanza(struct stanza *s, void *arg)
{
	struct stanza	**last = arg;

	cr_assert_null(*last);
	*last = s;
}

static void
no_header(const char *id, void *arg)
{
	(void)id;
	(void)arg;
}

static void
no_skip(struct stanza *s, enum stanza_bad why, void *arg)
{
	(void)arg;
	stanza_free(s);
	cr_assert_fail("a stanza beyond limit %d", (int)why);
}

static void
no_end(void *arg)
{
	(void)arg;
}

struct stanza *
fake_parse(const char *xml)
{
	static const struct stanza_handler	 h = {
		no_header, keep_stanza, no_skip, no_end
	};
	struct stanza_feeder	*f;
	struct stanza		*s = NULL;
	enum stream_bad		 why;

	cr_assert_not_null(f = feeder_new(&h, &s));
	cr_assert_eq(feeder_feed(f, HEAD, sizeof(HEAD) - 1, &why), 0);
	cr_assert_eq(feeder_feed(f, xml, strlen(xml), &why), 0, "%s", xml);
	cr_assert_not_null(s, "not a stanza: %s", xml);
	feeder_free(f);
	return (s);
}

void
fake_iq(const char *fmt, ...)
{
	char		 xml[8192];
	struct stanza	*s;
	va_list		 ap;

	va_start(ap, fmt);
	cr_assert_lt(vsnprintf(xml, sizeof(xml), fmt, ap), (int)sizeof(xml));
	va_end(ap);
	s = fake_parse(xml);
	iq_stanza(s);
	stanza_free(s);
	fake_loop();
}

const struct stanza *
fake_sent(void)
{
	stanza_free(current);
	free(current_xml);
	current = NULL;
	current_xml = NULL;
	if (sent_head == sent_tail) {
		sent_head = sent_tail = 0;
		return (NULL);
	}
	current_xml = sent[sent_head++];
	current = fake_parse(current_xml);
	return (current);
}

const char *
fake_sent_xml(void)
{
	return (current_xml);
}

static void
describe_error(FILE *f, const struct stanza *e)
{
	const struct stanza	*c;

	fprintf(f, "error %s %s", stanza_attr(e, "code"),
	    stanza_attr(e, "type"));
	for (c = e->child; c != NULL; c = c->next) {
		if (stanza_is(c, NS_STANZAS, "text"))
			fprintf(f, " [%s]", c->text);
		else
			fprintf(f, " %s%s", strcmp(c->ns, NS_STANZAS) == 0 ?
			    "" : strcmp(c->ns, NS_PASSD) == 0 ? "+" : "?",
			    c->name);
		if (stanza_attr(c, "limit") != NULL)
			fprintf(f, "=%s", stanza_attr(c, "limit"));
		if (stanza_attr(c, "retry-after") != NULL)
			fprintf(f, "=%s", stanza_attr(c, "retry-after"));
	}
}

static void
describe_payload(FILE *f, const struct stanza *c)
{
	const struct stanza_attr	*a;

	fprintf(f, " %s%s", strcmp(c->ns, NS_PASSD) == 0 ? "+" : "", c->name);
	for (a = c->attr; a != NULL; a = a->next)
		fprintf(f, ",%s=%s", a->name, a->value);
	if (c->text[0] != '\0')
		fprintf(f, ":%s", c->text);
}

const char *
fake_describe(const struct stanza *s)
{
	static char		 text[4096];
	const struct stanza	*c;
	FILE			*f;

	if (s == NULL)
		return ("none");
	cr_assert_not_null(f = fmemopen(text, sizeof(text), "w"));
	if (strcmp(stanza_attr(s, "type"), "error") == 0)
		describe_error(f, s->child);
	else {
		fprintf(f, "%s", stanza_attr(s, "type"));
		if (s->child != NULL) {
			cr_assert_null(s->child->next);
			for (c = s->child->child; c != NULL; c = c->next)
				describe_payload(f, c);
		}
	}
	cr_assert_eq(fclose(f), 0);
	return (text);
}

/* ---- spawner and workers ------------------------------------------------*/

int
fake_spawn(struct fake_worker *w)
{
	static struct msg_in	 in;
	size_t			 i;

	memset(w, 0, sizeof(*w));
	w->chan = w->listener[0] = w->listener[1] = -1;
	if (msg_recv(spawner_fd, EDGE_CONTROL_SPAWNER, MSG_ST_RUN, &in) !=
	    MSG_OK)
		return (0);
	cr_assert_eq(in.hdr.type, MSG_SPAWN);
	w->id = in.hdr.id;
	w->port = in.limits.port;
	w->limits = in.limits;
	w->chan = in.fds[0];
	w->nlisteners = in.nfds - 1;
	for (i = 0; i < w->nlisteners; i++)
		w->listener[i] = in.fds[i + 1];
	return (1);
}

uint32_t
fake_killed(void)
{
	static struct msg_in	 in;

	if (msg_recv(spawner_fd, EDGE_CONTROL_SPAWNER, MSG_ST_RUN, &in) !=
	    MSG_OK)
		return (0);
	cr_assert_eq(in.hdr.type, MSG_KILL);
	return (in.hdr.id);
}

void
fake_spawner_says(enum msg_type type, uint32_t id, int value)
{
	struct msg_spawned	 s;
	struct msg_exited	 e;

	if (type == MSG_SPAWNED) {
		msg_init(&s, sizeof(s), type, id);
		s.pid = value > 0 ? value : -1;
		s.error = value > 0 ? 0 : -value;
		cr_assert_eq(msg_send(spawner_fd, &s, sizeof(s), NULL, 0), 0);
	} else {
		msg_init(&e, sizeof(e), type, id);
		e.status = value;
		cr_assert_eq(msg_send(spawner_fd, &e, sizeof(e), NULL, 0), 0);
	}
	fake_loop();
}

void
fake_event(struct fake_worker *w, void *m, size_t len)
{
	struct msg_hdr	*hdr = m;

	hdr->seq = ++w->seq;
	cr_assert_eq(msg_send(w->chan, m, len, NULL, 0), 0);
	fake_loop();
}

void
fake_ready(struct fake_worker *w)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_READY, w->id);
	fake_event(w, &m, sizeof(m));
}

void
fake_client(struct fake_worker *w, uint32_t session, const char *ip,
    uint16_t port)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), MSG_CLIENT, w->id);
	m.session = session;
	cr_assert_eq(addr_parse(&m.addr, ip), 0);
	m.addr.port = port;
	fake_event(w, &m, sizeof(m));
}

void
fake_leg(struct fake_worker *w, enum msg_type type, uint32_t session,
    uint32_t what)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), type, w->id);
	m.session = session;
	m.what = what;
	cr_assert_eq(addr_parse(&m.addr, "198.51.100.99"), 0);
	m.addr.port = 555;
	fake_event(w, &m, sizeof(m));
}

void
fake_ended(struct fake_worker *w, uint32_t session, enum cause cause,
    uint64_t in, uint64_t out)
{
	struct msg_ended	 m;

	msg_init(&m, sizeof(m), MSG_ENDED, w->id);
	m.session = session;
	cr_assert_eq(addr_parse(&m.peer, "198.51.100.7"), 0);
	m.cause = (uint32_t)cause;
	m.bytes_in = in;
	m.bytes_out = out;
	/* A relay that moved nothing says so with fake_event(). */
	m.ms = in != 0 || out != 0 ? 1234 : 0;
	fake_event(w, &m, sizeof(m));
}

void
fake_close(struct fake_worker *w)
{
	size_t	 i;

	for (i = 0; i < w->nlisteners; i++)
		close(w->listener[i]);
	w->nlisteners = 0;
	if (w->chan != -1)
		close(w->chan);
	w->chan = -1;
}

void
fake_exit(struct fake_worker *w, int status)
{
	fake_close(w);
	fake_spawner_says(MSG_EXITED, w->id, status);
}

int
fake_command(struct fake_worker *w, struct msg_in *in)
{
	while (msg_recv(w->chan, EDGE_CONTROL_WORKER, MSG_ST_RUN, in) ==
	    MSG_OK) {
		if (in->hdr.type != MSG_ACK)
			return (1);
		w->acked = in->ack.upto;
	}
	return (0);
}

struct msg_in *
fake_expect(struct fake_worker *w, enum msg_type type)
{
	static struct msg_in	 in;

	cr_assert(fake_command(w, &in), "no command for worker %u", w->id);
	cr_assert_eq(in.hdr.type, type, "command %u", in.hdr.type);
	cr_expect_eq(in.hdr.id, w->id);
	msg_close_fds(&in);
	return (&in);
}

int
fake_quiet(struct fake_worker *w)
{
	static struct msg_in	 in;

	return (!fake_command(w, &in));
}

uint16_t
fake_question(struct fake_worker *w, uint32_t session)
{
	const struct stanza	*s;
	struct port		*p = registry_by_id(w->id);
	char			 want[128];
	uint16_t		 rdv;

	cr_assert_not_null(p);
	fake_client(w, session, "198.51.100.7", 40100);
	rdv = registry_client(p, session)->rendezvous;
	cr_expect_eq(fake_expect(w, MSG_RENDEZVOUS)->rendezvous.session,
	    session);
	cr_assert_not_null(s = fake_sent());
	(void)snprintf(want, sizeof(want), "set client,port=40100:"
	    "198.51.100.7 proxy,port=%u:203.0.113.7", rdv);
	cr_expect_str_eq(fake_describe(s), want);
	cr_expect_str_eq(stanza_attr(s, "from"), FAKE_US);
	cr_assert_eq(strlcpy(fake_question_id, stanza_attr(s, "id"),
	    sizeof(fake_question_id)), ASK_ID_LEN);
	cr_expect_null(fake_sent());
	return (rdv);
}

void
fake_reply(const char *type, const char *from, const char *payload)
{
	fake_iq("<iq type='%s' id='%s' from='%s' to='" FAKE_US "'>%s</iq>",
	    type, fake_question_id, from, payload);
}

const char *
fake_register(struct fake_worker *w, const char *jid, const char *payload)
{
	fake_iq("<iq type='set' id='reg' from='%s' to='" FAKE_US "'>"
	    "<query xmlns='" NS_PASS "'>%s</query></iq>", jid, payload);
	cr_assert(fake_spawn(w), "%s", fake_describe(fake_sent()));
	fake_spawner_says(MSG_SPAWNED, w->id, 4000 + (int)w->id);
	fake_ready(w);
	return (fake_describe(fake_sent()));
}

int
fake_logged(const char *text)
{
	const char	*s = log_text;
	int		 n = 0;

	while (s != NULL && (s = strstr(s, text)) != NULL) {
		s++;
		n++;
	}
	return (n);
}

int
fake_fds(void)
{
	DIR	*dir;
	int	 n = 0, i;

	cr_assert((dir = opendir("/proc/self/fd")) != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	/* The parent's are not control's. */
	for (i = 0; i < fake_nkept; i++)
		n -= kept[i].fd != -1;
	return (n);
}
