/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "lack.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "slow.h"

#define START_MS	5000	/* for a spawner, and a worker's READY */
#define BURY_MS		2000	/* for the spawner to say how it ended */
#define LEAVE_MS	10000	/* to go, once nothing is left to do */
#define BACKLOG		64

/* SIGSYS: the worker was taken, or passd has a fault on this system. */
#define CAGED	": killed by the filter of system calls, please report it, " \
		"with passd -V"

static void	port_message(struct msg_in *, void *);
static void	port_ended(const char *, void *);

static const struct chan_handler	 worker_handler = {
	port_message, port_ended
};

static const char *
owner(const struct port *p)
{
	static char	 buf[1024];

	return (jid_log(p->owner, buf, sizeof(buf)));
}

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval	 tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	(void)evtimer_add(ev, &tv);
}

void
port_send(struct port *p, const void *m, size_t len, const int *fds,
    size_t nfds)
{
	/* If it fails the end of the channel is on its way. */
	if (p->chan != NULL)
		(void)chan_send(p->chan, m, len, fds, nfds);
}

static void
fill_limits(const struct port *p, struct msg_limits *m, enum msg_type type)
{
	const struct conf	*c = ctl.conf;

	msg_init(m, sizeof(*m), type, p->id);
	m->port = p->number;
	m->sessions = (uint16_t)p->quota.sessions_port;
	m->pending = (uint16_t)p->quota.pending;
	m->connect_ms = c->timeout.connect;
	m->idle_ms = c->timeout.idle;
	m->half_close_ms = c->timeout.half_close;
	if (p->oneshot)
		m->flags |= LIMITS_ONESHOT;
	if (c->owner_leg == LEG_SAME_PORT)
		m->flags |= LIMITS_SAME_PORT;
}

static void
send_limits(struct port *p)
{
	struct msg_limits	 m;

	fill_limits(p, &m, MSG_LIMITS);
	port_send(p, &m, sizeof(m), NULL, 0);
}

static void
send_close(struct port *p, enum cause cause, int relays, uint32_t grace_ms)
{
	struct msg_close	 m;

	msg_init(&m, sizeof(m), MSG_CLOSE, p->id);
	m.cause = (uint32_t)cause;
	m.flags = relays ? CLOSE_RELAYS : 0;
	m.grace_ms = grace_ms;
	port_send(p, &m, sizeof(m), NULL, 0);
}

static void
tell_parent(const void *m, size_t len)
{
	if (ctl.parent == NULL || chan_send(ctl.parent, m, len, NULL, 0) == -1)
		log_debug("parent does not read");
}

static void
kill_worker(const struct port *p)
{
	struct msg_hdr	 m;
	struct msg_reap	 reap;

	if (ctl.spawner != NULL && p->spawner == ctl.spawner_no) {
		msg_init(&m, sizeof(m), MSG_KILL, p->id);
		(void)chan_send(ctl.spawner, &m, sizeof(m), NULL, 0);
	} else if (p->pid != 0 && !p->exited) {
		msg_init(&reap, sizeof(reap), MSG_REAP, p->id);
		reap.pid = (int32_t)p->pid;
		tell_parent(&reap, sizeof(reap));
	}
}

/*
 * Kill the worker and do not wait for it: without a spawner nobody may be
 * there to do it.  Its channel is closed from the event loop, since this may
 * be called from within one of its messages.
 */
static void
cut_off(struct port *p)
{
	kill_worker(p);
	if (p->chan == NULL)
		return;
	p->kill_wanted = 1;
	set_timer(&p->timer, 0);
}

void
port_kill(struct port *p, const char *why)
{
	log_error("worker port=%u pid=%d violation: %s; killed",
	    (unsigned int)p->number, (int)p->pid, why);
	cut_off(p);
}

/* The addresses that clients are told: v4 first, then v6. */
static void
write_address(struct xml_out *x, const char *name, uint16_t port,
    const struct conf_listen *l)
{
	char	 buf[ADDR_STRLEN];

	xml_open(x, name, NULL);
	xml_attr_uint(x, "port", port);
	xml_text(x, addr_format(&l->advertise, buf));
	xml_close(x);
}

void
port_fill_server(struct xml_out *x, const struct port *p)
{
	if (ctl.conf->listen4.set)
		write_address(x, "server", p->number, &ctl.conf->listen4);
	if (ctl.conf->listen6.set)
		write_address(x, "server", p->number, &ctl.conf->listen6);
}

void
port_fill_proxy(struct xml_out *x, uint16_t number)
{
	write_address(x, "proxy", number, ctl.conf->listen4.set ?
	    &ctl.conf->listen4 : &ctl.conf->listen6);
}

static void
write_expire(struct xml_out *x, unsigned long long seconds)
{
	char	 text[24];

	(void)snprintf(text, sizeof(text), "%llu", seconds);
	xml_elem(x, "expire", NULL, text);
}

/*
 * The result of a registration or a change.  <expire/> only where a limit
 * applied: a client gets just what the XEP shows unless it has to know.
 */
static void
answer_registration(const struct port *p, const struct iq *iq)
{
	struct xml_out		 x;
	unsigned long long	 left;
	int64_t			 ms = p->expires - mono_ms();

	left = ms <= 0 ? 0 : ((unsigned long long)ms + 999) / 1000;
	iq_result(&x, iq);
	xml_open(&x, "query", NS_PASS);
	port_fill_server(&x, p);
	if (p->asked == 0 || p->asked > left)
		write_expire(&x, left);
	xml_open(&x, "granted", NS_PASSD);
	xml_attr_uint(&x, "expire", left);
	xml_attr_uint(&x, "sessions",
	    p->oneshot ? 1 : p->quota.sessions_port);
	xml_close(&x);
	xml_close(&x);
	iq_send(&x);
}

/* XEP-0003 4.1 and 4.2: all inside <query/> (row 1). */
static void
notify(const struct port *p, enum cause cause)
{
	struct xml_out	 x;
	char		 id[ASK_ID_LEN + 1];

	if (cause == CAUSE_CLOSED || cause == CAUSE_OWNER_GONE)
		return;			/* he knows, or cannot be told */
	ask_new_id(id);
	iq_request(&x, id, p->owner);
	xml_open(&x, "query", NS_PASS);
	if (cause == CAUSE_EXPIRED)
		xml_elem(&x, "expire", NULL, NULL);
	else if (cause == CAUSE_ONESHOT)
		xml_elem(&x, "oneshot", NULL, NULL);
	xml_elem(&x, "close", NULL, NULL);
	port_fill_proxy(&x, p->number);
	xml_close(&x);
	xml_close(&x);
	if (ask_notice(id, p->owner, &x) == -1)
		lack_note(LACK_NOTICES, "too many wait, one is lost");
	xml_free(&x);
}

/* A port that is closed lives on with its relays, and no longer. */
void
port_watch_leaving(struct port *p)
{
	const struct client	*c;

	if (p->state != PORT_CLOSING || p->kill_wanted)
		return;
	TAILQ_FOREACH(c, &p->clients, entry) {
		if (c->state == CLIENT_RELAY)
			break;
	}
	if (c != NULL)
		(void)evtimer_del(&p->timer);
	else if (!evtimer_pending(&p->timer, NULL))
		set_timer(&p->timer, LEAVE_MS);
}

static void
closed(struct port *p, enum cause cause, enum port_state state)
{
	registry_port_closed(p, state);
	/* The timer of a worker that is cut off is not ours to stop. */
	if (!p->kill_wanted)
		(void)evtimer_del(&p->timer);
	port_watch_leaving(p);
	(void)evtimer_del(&p->gone_timer);
	log_info("closed port=%u jid=%s cause=%s", (unsigned int)p->number,
	    owner(p), cause_name(cause));
	notify(p, cause);
}

void
port_close(struct port *p, enum cause cause)
{
	if (p->state != PORT_OPEN)
		return;
	send_close(p, cause, 0, 0);
	closed(p, cause, PORT_CLOSING);
}

/* Answer the registration with an error and let the worker go. */
static void
give_up(struct port *p, enum iq_error error)
{
	if (p->request != NULL)
		iq_fail(p->request, error, NULL, 0);
	iq_free(p->request);
	p->request = NULL;
	registry_port_closed(p, PORT_CLOSING);
	(void)evtimer_del(&p->timer);
	cut_off(p);
	if (p->chan != NULL)
		return;
	/* It was waiting for a spawner: there is no worker to wait for. */
	registry_port_closed(p, PORT_DEAD);
	if (p->pid == 0)
		p->said_gone = p->exited = 1;
	set_timer(&p->timer, 0);
}

static void
log_death(const struct port *p)
{
	if (!p->exited)
		log_error("worker died port=%u pid=%d jid=%s status=unknown",
		    (unsigned int)p->number, (int)p->pid, owner(p));
	else if (WIFSIGNALED(p->status))
		log_error("worker died port=%u pid=%d jid=%s signal=%d (%s)%s",
		    (unsigned int)p->number, (int)p->pid, owner(p),
		    WTERMSIG(p->status), strsignal(WTERMSIG(p->status)),
		    WTERMSIG(p->status) == SIGSYS ? CAGED : "");
	else
		log_error("worker died port=%u pid=%d jid=%s status=%d",
		    (unsigned int)p->number, (int)p->pid, owner(p),
		    WEXITSTATUS(p->status));
}

static void
bury(struct port *p)
{
	if (!p->said_gone)
		log_death(p);
	pool_give(ctl.ports, p->number, mono_ms());
	registry_port_free(p);
	if (registry_count() == 0)
		ctl_ports_empty();
}

/* The channel to the worker has ended, and with it the worker, or soon. */
static void
port_ended(const char *why, void *arg)
{
	struct port	*p = arg;
	struct client	*c;

	if (why != NULL)
		port_kill(p, why);
	chan_free(p->chan);
	p->chan = NULL;
	while ((c = TAILQ_FIRST(&p->clients)) != NULL)
		client_lost(c, CAUSE_WORKER_DIED);
	if (p->state == PORT_STARTING) {
		/*
		 * Nobody says that there was a worker: the spawner has gone
		 * before it came to it.  Then the next one starts it.
		 */
		if (why == NULL && p->pid == 0 && !p->exited)
			return;
		give_up(p, IQ_INTERNAL);
	} else if (p->state == PORT_OPEN)
		closed(p, CAUSE_WORKER_DIED, PORT_DEAD);
	registry_port_closed(p, PORT_DEAD);
	if (p->exited)
		bury(p);
	else
		set_timer(&p->timer, BURY_MS);
}

/* Its channel has ended, but nobody has said that its process did. */
static void
overdue(struct port *p)
{
	if (p->exited || p->kill_wanted) {
		bury(p);
		return;
	}
	p->kill_wanted = 1;
	kill_worker(p);
	set_timer(&p->timer, BURY_MS);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct port	*p = arg;

	(void)fd;
	(void)what;
	if (p->kill_wanted && p->chan != NULL) {
		port_ended(NULL, p);
		return;
	}
	switch (p->state) {
	case PORT_STARTING:
		log_error("worker port=%u did not start in time",
		    (unsigned int)p->number);
		give_up(p, IQ_INTERNAL);
		break;
	case PORT_OPEN:
		port_close(p, CAUSE_EXPIRED);
		break;
	case PORT_CLOSING:
		log_error("worker port=%u pid=%d did not leave in time; killed",
		    (unsigned int)p->number, (int)p->pid);
		cut_off(p);
		break;
	case PORT_DEAD:
		overdue(p);
		break;
	}
}

static void
on_gone_timer(int fd, short what, void *arg)
{
	struct port	*p = arg;

	(void)fd;
	(void)what;
	port_close(p, CAUSE_OWNER_GONE);
}

static void
ready(struct port *p)
{
	listeners_close(&p->listeners);
	chan_states(p->chan, MSG_ST_RUN);
	if (p->state != PORT_STARTING)
		return;			/* given up meanwhile */
	p->state = PORT_OPEN;
	set_timer(&p->timer, p->expires - mono_ms());
	log_info("registered port=%u jid=%s expire=%lld oneshot=%s",
	    (unsigned int)p->number, owner(p),
	    (long long)(p->expires - p->registered) / 1000,
	    p->oneshot ? "yes" : "no");
	answer_registration(p, p->request);
	iq_free(p->request);
	p->request = NULL;
}

/* It goes when it listens no more and every client has ended. */
static void
gone(struct port *p)
{
	if (p->state == PORT_OPEN || !TAILQ_EMPTY(&p->clients))
		port_kill(p, "GONE before its time");
	else
		p->said_gone = 1;
}

static void
port_message(struct msg_in *in, void *arg)
{
	struct port	*p = arg;

	if (p->kill_wanted)
		return;			/* on its way out already */
	if (in->hdr.id != p->id || in->hdr.seq != p->last_seq + 1) {
		port_kill(p, in->hdr.id != p->id ? "id of another" :
		    "sequence number");
		return;
	}
	p->last_seq++;
	if (p->said_gone) {
		port_kill(p, "event after GONE");
		return;
	}
	switch (in->hdr.type) {
	case MSG_READY:
		ready(p);
		break;
	case MSG_GONE:
		gone(p);
		break;
	default:
		client_event(p, in);
		break;
	}
}

/*
 * Hand channel and listeners to the spawner; without one, the next one gets
 * them.  Return 0 or -1.
 */
static int
spawn(struct port *p)
{
	struct msg_limits	 m;
	int			 fds[MSG_FDS_MAX], pair[2];
	size_t			 i;

	if (ctl.spawner == NULL) {
		log_debug("port=%u waits for a spawner",
		    (unsigned int)p->number);
		return (0);
	}
	if (msg_pair(pair) == -1)
		return (-1);
	p->chan = chan_new(pair[0], EDGE_WORKER_CONTROL, MSG_ST_START,
	    &worker_handler, p);
	if (p->chan == NULL) {
		(void)close(pair[1]);
		return (-1);
	}
	fds[0] = pair[1];
	for (i = 0; i < p->listeners.n; i++)
		fds[i + 1] = p->listeners.fd[i];
	fill_limits(p, &m, MSG_SPAWN);
	p->spawner = ctl.spawner_no;
	/* If it is going it reads no more: the channel's end tells us. */
	(void)chan_send(ctl.spawner, &m, sizeof(m), fds, p->listeners.n + 1);
	(void)close(pair[1]);
	return (0);
}

void
port_spawner_new(void)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		if (p->state != PORT_STARTING || p->chan != NULL ||
		    p->pid != 0 || p->exited)
			continue;
		set_timer(&p->timer, START_MS);
		if (spawn(p) == -1)
			give_up(p, IQ_INTERNAL);
	}
}

void
port_spawner_bad(void)
{
	struct msg_hdr	 m;

	if (ctl.spawner_bad)
		return;
	ctl.spawner_bad = 1;
	msg_init(&m, sizeof(m), MSG_RESPAWN, 0);
	tell_parent(&m, sizeof(m));
}

/* Return a port for ${iq} with listeners and number, or say why not. */
static struct port *
port_new(const struct iq *iq, const struct conf_quota *quota,
    enum iq_error *error)
{
	struct listeners	 l;
	struct port		*p;

	*error = IQ_NO_PORTS;
	if (registry_count() >= ctl.ports_max || lack_files()) {
		lack_note(LACK_DESCRIPTORS, "too few for one more port");
		return (NULL);
	}
	if (listeners_open(ctl.conf, ctl.ports, mono_ms(), BACKLOG, &l) ==
	    -1) {
		if (errno == ENOSPC) {
			lack_note(LACK_PORTS, NULL);
			return (NULL);
		}
		lack_errno("cannot listen");
		if (errno != EMFILE && errno != ENFILE)
			*error = IQ_INTERNAL;
		return (NULL);
	}
	*error = IQ_INTERNAL;
	if ((p = registry_port_new(iq->from)) == NULL) {
		lack_errno("registration");
		listeners_close(&l);
		pool_give(ctl.ports, l.port, mono_ms());
		return (NULL);
	}
	p->listeners = l;
	p->quota = *quota;
	registry_port_number(p, l.port);
	evtimer_set(&p->timer, on_timer, p);
	evtimer_set(&p->gone_timer, on_gone_timer, p);
	return (p);
}

static void
refuse(const struct iq *iq, enum iq_error error, unsigned long limit)
{
	char	 who[1024];

	/* For want of something, and told as that: once a minute. */
	if (error == IQ_NO_PORTS || error == IQ_INTERNAL)
		log_debug("refused jid=%s request=register error=%s",
		    jid_log(iq->from, who, sizeof(who)),
		    iq_error_condition(error));
	else
		log_info("refused jid=%s request=register error=%s limit=%lu",
		    jid_log(iq->from, who, sizeof(who)),
		    iq_error_condition(error), limit);
	iq_fail(iq, error, NULL, limit);
}

void
port_register(const struct iq *iq, uint64_t expire, int oneshot,
    int full_owner)
{
	struct conf_quota	 quota;
	struct user		*u;
	struct port		*p;
	enum iq_error		 error;
	unsigned int		 left;

	/* Not logged: that he has to wait was, when his worker crashed. */
	if ((left = slow_left(iq->from, full_owner)) != 0) {
		iq_fail(iq, IQ_RATE, "A port of yours has failed. "
		    "Try again later.", left);
		return;
	}
	conf_quota_for(ctl.conf, iq->from, &quota);
	u = registry_user(iq->from, 0);
	if (u != NULL && u->nports >= quota.ports) {
		refuse(iq, IQ_TOO_MANY_PORTS, quota.ports);
		return;
	}
	if ((p = port_new(iq, &quota, &error)) == NULL) {
		refuse(iq, error, 0);
		return;
	}
	p->full_owner = full_owner;
	p->oneshot = oneshot;
	p->asked = expire;
	if (expire == 0 || expire > quota.lifetime)
		expire = quota.lifetime;
	p->expires = p->registered + (int64_t)expire * 1000;
	if ((p->request = iq_dup(iq)) == NULL || spawn(p) == -1) {
		lack_note(LACK_OTHER, ctl.spawner == NULL ? "no spawner" :
		    "cannot ask for a worker");
		refuse(iq, IQ_INTERNAL, 0);
		pool_give(ctl.ports, p->number, mono_ms());
		registry_port_free(p);
		return;
	}
	set_timer(&p->timer, START_MS);
}

void
port_change(struct port *p, const struct iq *iq, uint64_t expire, int oneshot)
{
	struct jid	*moved;
	int64_t		 latest;

	if (!jid_same(p->owner, iq->from)) {
		if ((moved = jid_dup(iq->from)) == NULL) {
			iq_fail(iq, IQ_INTERNAL, NULL, 0);
			return;
		}
		jid_free(p->owner);
		p->owner = moved;
		(void)evtimer_del(&p->gone_timer);
	}
	if (expire != 0) {
		/* The lifetime is the most that a port may live, in all. */
		latest = p->registered + (int64_t)p->quota.lifetime * 1000;
		p->asked = expire;
		if (expire > p->quota.lifetime)
			expire = p->quota.lifetime;
		p->expires = mono_ms() + (int64_t)expire * 1000;
		if (p->expires > latest)
			p->expires = latest;
		if (!p->kill_wanted)
			set_timer(&p->timer, p->expires - mono_ms());
	}
	if (oneshot && !p->oneshot) {
		p->oneshot = 1;
		send_limits(p);
	}
	log_info("changed port=%u jid=%s expire=%lld oneshot=%s",
	    (unsigned int)p->number, owner(p),
	    (long long)(p->expires - mono_ms() + 999) / 1000,
	    p->oneshot ? "yes" : "no");
	answer_registration(p, iq);
}

static void
start_gone_timer(struct port *p)
{
	if (p->state != PORT_OPEN || evtimer_pending(&p->gone_timer, NULL))
		return;
	log_info("owner missing port=%u jid=%s grace=%us",
	    (unsigned int)p->number, owner(p),
	    ctl.conf->timeout.owner_gone / 1000);
	set_timer(&p->gone_timer, ctl.conf->timeout.owner_gone);
}

void
port_owner_left(const struct jid *jid)
{
	struct user	*u = registry_user(jid, 0);
	struct port	*p;

	if (u == NULL)
		return;
	TAILQ_FOREACH(p, &u->ports, of_user) {
		if (jid_same(p->owner, jid))
			start_gone_timer(p);
	}
}

void
port_owner_seen(const struct jid *jid)
{
	struct user	*u = registry_user(jid, 0);
	struct port	*p;

	if (u == NULL)
		return;
	TAILQ_FOREACH(p, &u->ports, of_user) {
		if (jid_same(p->owner, jid))
			(void)evtimer_del(&p->gone_timer);
	}
}

void
port_spawned(const struct msg_spawned *m)
{
	struct port	*p = registry_by_id(m->hdr.id);

	if (p == NULL)
		return;
	registry_port_pid(p, m->pid > 0 ? m->pid : 0);
	if (m->error == 0) {
		log_debug("worker started port=%u pid=%d",
		    (unsigned int)p->number, (int)p->pid);
		return;
	}
	errno = m->error;
	lack_errno("worker not started");
	p->said_gone = 1;		/* there is no death to tell of */
	p->exited = 1;
	/* Nobody holds the other end of the channel: its end follows. */
	if (p->state == PORT_STARTING && p->chan == NULL)
		give_up(p, IQ_INTERNAL);
}

/* What an attempt to take a worker over ends with, if it does not succeed. */
static int
is_crash(int status)
{
	if (!WIFSIGNALED(status))
		return (0);
	switch (WTERMSIG(status)) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGABRT:
	case SIGSYS:
		return (1);
	default:
		return (0);
	}
}

/*
 * Who did this may have learnt the address layout, which all workers of a
 * spawner share, or may want another try.
 */
static void
crashed(const struct port *p)
{
	unsigned int	 wait;

	wait = slow_crash(p->owner, p->full_owner);
	log_warn("crash port=%u jid=%s next registration in=%us",
	    (unsigned int)p->number, owner(p), wait);
	if (p->spawner == ctl.spawner_no)
		port_spawner_bad();
}

static void
exited(struct port *p, int status)
{
	p->exited = 1;
	p->status = status;
	if (is_crash(status))
		crashed(p);
	if (p->chan != NULL)
		return;			/* its end follows */
	if (p->state == PORT_STARTING)
		give_up(p, IQ_INTERNAL);
	else if (p->state == PORT_DEAD)
		bury(p);
}

void
port_exited(const struct msg_exited *m)
{
	struct port	*p = registry_by_id(m->hdr.id);

	if (p != NULL && !p->exited)
		exited(p, m->status);
}

void
port_orphan(const struct msg_orphan *m)
{
	struct port	*p;

	if (m->pid > 0 && (p = registry_by_pid((pid_t)m->pid)) != NULL)
		exited(p, m->status);
}

void
port_limits_all(void)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		conf_quota_for(ctl.conf, p->owner, &p->quota);
		send_limits(p);
	}
}

void
port_stop_all(uint32_t grace_ms)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		send_close(p, CAUSE_SHUTDOWN, 1, grace_ms);
		if (p->state == PORT_STARTING)
			give_up(p, IQ_DRAINING);
		else if (p->state == PORT_OPEN)
			closed(p, CAUSE_SHUTDOWN, PORT_CLOSING);
	}
}
