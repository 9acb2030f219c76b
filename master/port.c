/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "escrow.h"
#include "lack.h"
#include "log.h"
#include "mono.h"
#include "notice.h"
#include "port.h"
#include "slow.h"
#include "xmpp.h"

#define START_MS	5000	/* for a spawner, and a worker's READY */
#define LEAVE_MS	10000	/* to go, once nothing is left to do */
#define BACKLOG		64

const char *
port_owner(const struct port *p)
{
	static char	 buf[1024];

	return (jid_log(p->owner, buf, sizeof(buf)));
}

void
port_timer(struct event *ev, int64_t ms)
{
	struct timeval	 tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	(void)evtimer_add(ev, &tv);
}

void
port_start_timer(struct port *p)
{
	port_timer(&p->timer, START_MS);
}

void
port_set_timer(struct port *p)
{
	/* The timer of a worker that is cut off is not ours. */
	if (!p->kill_wanted)
		port_timer(&p->timer, p->expires - mono_ms());
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
		port_timer(&p->timer, LEAVE_MS);
}

void
port_closed(struct port *p, enum cause cause, enum port_state state)
{
	/* First the notice: whoever reads "closed" takes it for told. */
	notice_closed(p, cause);
	/* An answer that waited for the link is outdated: the notice waits. */
	iq_free(p->request);
	p->request = NULL;
	registry_port_closed(p, state);
	p->close_cause = cause;
	escrow_port(p, -1);
	/* The timer of a worker that is cut off is not ours to stop. */
	if (!p->kill_wanted)
		(void)evtimer_del(&p->timer);
	port_watch_leaving(p);
	(void)evtimer_del(&p->gone_timer);
	log_info("closed port=%u jid=%s cause=%s", (unsigned int)p->number,
	    port_owner(p), cause_name(cause));
}

void
port_close(struct port *p, enum cause cause)
{
	if (p->state != PORT_OPEN)
		return;
	port_send_close(p, cause, 0, 0);
	port_closed(p, cause, PORT_CLOSING);
}

/* Answer the registration with an error and let the worker go. */
void
port_give_up(struct port *p, enum iq_error error)
{
	if (p->request != NULL)
		iq_fail(p->request, error, NULL, 0);
	iq_free(p->request);
	p->request = NULL;
	registry_port_closed(p, PORT_CLOSING);
	p->close_cause = CAUSE_ERROR;
	escrow_port(p, -1);
	(void)evtimer_del(&p->timer);
	port_cut_off(p);
	if (p->chan != NULL)
		return;
	/* It was waiting for a spawner: there is no worker to wait for. */
	registry_port_closed(p, PORT_DEAD);
	if (p->pid == 0)
		p->said_gone = p->exited = 1;
	port_timer(&p->timer, 0);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct port	*p = arg;

	(void)fd;
	(void)what;
	if (p->kill_wanted && p->chan != NULL) {
		port_lost(p);
		return;
	}
	if (p->sync != SYNC_NONE) {
		port_kill(p, "no STATE in time");
		return;
	}
	switch (p->state) {
	case PORT_STARTING:
		log_error("worker port=%u did not start in time",
		    (unsigned int)p->number);
		port_give_up(p, IQ_INTERNAL);
		break;
	case PORT_OPEN:
		port_close(p, CAUSE_EXPIRED);
		break;
	case PORT_CLOSING:
		log_error("worker port=%u pid=%d did not leave in time; killed",
		    (unsigned int)p->number, (int)p->pid);
		port_cut_off(p);
		break;
	case PORT_DEAD:
		port_overdue(p);
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

void
port_hold(struct port *p, uint16_t number)
{
	registry_port_number(p, number);
	evtimer_set(&p->timer, on_timer, p);
	evtimer_set(&p->gone_timer, on_gone_timer, p);
}

/* Without a link the answer waits: it is due. */
static void
answer(struct port *p)
{
	if (p->request == NULL || !xmpp_is_up())
		return;
	answer_registration(p, p->request);
	iq_free(p->request);
	p->request = NULL;
}

void
port_ready(struct port *p)
{
	listeners_close(&p->listeners);
	if (p->state != PORT_STARTING)
		return;			/* given up meanwhile */
	p->state = PORT_OPEN;
	port_set_timer(p);
	log_info("registered port=%u jid=%s expire=%lld oneshot=%s",
	    (unsigned int)p->number, port_owner(p),
	    (long long)(p->expires - p->registered) / 1000,
	    p->oneshot ? "yes" : "no");
	answer(p);
	escrow_port(p, -1);
}

void
port_link_up(void)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		if (p->state == PORT_OPEN && p->request != NULL) {
			answer(p);
			escrow_port(p, -1);
		}
	}
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
	if ((p = registry_port_new(iq->from, 0)) == NULL) {
		lack_errno("registration");
		listeners_close(&l);
		pool_give(ctl.ports, l.port, mono_ms());
		return (NULL);
	}
	p->listeners = l;
	p->quota = *quota;
	port_hold(p, l.port);
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
	if ((p->request = iq_dup(iq)) == NULL || port_spawn(p) == -1) {
		lack_note(LACK_OTHER, ctl.spawner == NULL ? "no spawner" :
		    "cannot ask for a worker");
		refuse(iq, IQ_INTERNAL, 0);
		pool_give(ctl.ports, p->number, mono_ms());
		port_release(p);
		registry_port_free(p);
		return;
	}
	port_start_timer(p);
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
		port_set_timer(p);
	}
	if (oneshot && !p->oneshot) {
		p->oneshot = 1;
		port_send_limits(p);
	}
	log_info("changed port=%u jid=%s expire=%lld oneshot=%s",
	    (unsigned int)p->number, port_owner(p),
	    (long long)(p->expires - mono_ms() + 999) / 1000,
	    p->oneshot ? "yes" : "no");
	escrow_port(p, -1);
	answer_registration(p, iq);
}

static void
start_gone_timer(struct port *p)
{
	if (p->state != PORT_OPEN || evtimer_pending(&p->gone_timer, NULL))
		return;
	log_info("owner missing port=%u jid=%s grace=%us",
	    (unsigned int)p->number, port_owner(p),
	    ctl.conf->timeout.owner_gone / 1000);
	port_timer(&p->gone_timer, ctl.conf->timeout.owner_gone);
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
port_limits_all(void)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		conf_quota_for(ctl.conf, p->owner, &p->quota);
		port_send_limits(p);
	}
}

void
port_stop_all(uint32_t grace_ms)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		port_send_close(p, CAUSE_SHUTDOWN, 1, grace_ms);
		if (p->state == PORT_STARTING)
			port_give_up(p, IQ_DRAINING);
		else if (p->state == PORT_OPEN)
			port_closed(p, CAUSE_SHUTDOWN, PORT_CLOSING);
	}
}
