/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "escrow.h"
#include "lack.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "xmpp.h"

#define BACKLOG		8	/* of a rendezvous port */

/* No worker has room for more, whatever its limits were. */
#define CLIENTS_MAX	(CONF_SESSIONS_MAX + CONF_PENDING_MAX)

/*
 * What a worker sent in time may be read late, all at once: so many
 * MSG_REFUSED, more than a socket holds.
 */
#define REFUSED_BURST	600

/* An address and port as "192.0.2.1:80" or "[2001:db8::1]:80". */
#define PEER_STRLEN	(ADDR_STRLEN + 9)

static const char *
peer(const struct addr *a, char buf[PEER_STRLEN])
{
	char	 ip[ADDR_STRLEN];

	(void)snprintf(buf, PEER_STRLEN,
	    a->family == ADDR_V6 ? "[%s]:%u" : "%s:%u", addr_format(a, ip),
	    (unsigned int)a->port);
	return (buf);
}

/* What begins every line about a client. */
static const char *
context(const struct client *c)
{
	static char	 buf[1024 + 256];
	char		 who[1024], at[PEER_STRLEN];

	(void)snprintf(buf, sizeof(buf), "port=%u jid=%s session=%u peer=%s",
	    (unsigned int)c->port->number,
	    jid_log(c->port->owner, who, sizeof(who)), c->session,
	    peer(&c->addr, at));
	return (buf);
}

static void
drop(const struct client *c, enum cause cause)
{
	struct msg_drop	 m;

	msg_init(&m, sizeof(m), MSG_DROP, c->port->id);
	m.session = c->session;
	m.cause = (uint32_t)cause;
	port_send(c->port, &m, sizeof(m), NULL, 0);
}

static void
give_rendezvous(struct client *c)
{
	if (c->rendezvous != 0)
		pool_give(ctl.rendezvous, c->rendezvous, mono_ms());
	c->rendezvous = 0;
}

static int
hex_digit(char ch)
{
	const char	*digits = "0123456789abcdef", *d;

	if (ch >= 'A' && ch <= 'F')
		ch = (char)(ch - 'A' + 'a');
	d = ch == '\0' ? NULL : strchr(digits, ch);
	return (d == NULL ? -1 : (int)(d - digits));
}

static int
read_token(const char *text, uint8_t token[LEG_TOKEN_LEN])
{
	size_t	 i;
	int	 hi, lo;

	text += strspn(text, " \t\r\n");
	for (i = 0; i < LEG_TOKEN_LEN; i++) {
		if ((hi = hex_digit(text[2 * i])) == -1 ||
		    (lo = hex_digit(text[2 * i + 1])) == -1)
			return (-1);
		token[i] = (uint8_t)(hi << 4 | lo);
	}
	text += 2 * LEG_TOKEN_LEN;
	return (text[strspn(text, " \t\r\n")] == '\0' ? 0 : -1);
}

static int
read_pin(const char *text, struct addr *a)
{
	char	 buf[ADDR_STRLEN];
	size_t	 len;

	text += strspn(text, " \t\r\n");
	len = strcspn(text, " \t\r\n");
	if (len >= sizeof(buf))
		return (-1);
	memcpy(buf, text, len);
	buf[len] = '\0';
	return (addr_parse(a, buf));
}

/*
 * What the owner says about his leg (row 4).  Return -1 if he says
 * something that cannot be kept: to go on without it would let in whom he
 * wanted to keep out.
 */
static int
read_answer(const struct stanza *s, struct msg_answer *m)
{
	const struct stanza	*q, *e;

	if ((q = stanza_child(s, NS_PASS, "query")) == NULL)
		return (0);
	if ((e = stanza_child(q, NS_PASS, "client")) != NULL) {
		m->flags |= ANSWER_PIN;
		if (read_pin(e->text, &m->addr) == -1)
			return (-1);
	}
	if ((e = stanza_child(q, NS_PASSD, "leg")) != NULL) {
		m->flags |= ANSWER_TOKEN;
		if (read_token(e->text, m->token) == -1)
			return (-1);
	}
	return (0);
}

static void
accepted(struct client *c, const struct stanza *s)
{
	struct port		*p = c->port;
	struct msg_answer	 m;

	msg_init(&m, sizeof(m), MSG_ANSWER, p->id);
	m.session = c->session;
	if (read_answer(s, &m) == -1) {
		log_info("answer %s malformed client or leg, dropped",
		    context(c));
		drop(c, CAUSE_DENIED);
	} else if (p->user->nsessions >= p->quota.sessions_all) {
		log_info("quota %s sessions=%u", context(c),
		    p->quota.sessions_all);
		drop(c, CAUSE_BUSY);
	} else {
		registry_client_state(c, CLIENT_ACCEPTED);
		port_send(p, &m, sizeof(m), NULL, 0);
	}
}

static int
has_condition(const struct stanza *error, const char *const *names)
{
	size_t	 i;

	for (i = 0; names[i] != NULL; i++) {
		if (stanza_child(error, NS_STANZAS, names[i]) != NULL)
			return (1);
	}
	return (0);
}

/*
 * It is whoever was asked that is missing: the port may have moved to
 * another resource meanwhile.
 */
static void
asked_left(const struct stanza *s)
{
	struct jid	*asked = jid_parse(stanza_attr(s, "from"));

	if (asked != NULL)
		port_owner_left(asked);
	jid_free(asked);
}

/* 7b and 18: did the owner say no, or did a server say it for him? */
static void
failed(struct client *c, const struct stanza *s)
{
	static const char *const	 gone[] = {
		"item-not-found", "gone", "service-unavailable",
		"recipient-unavailable", NULL
	};
	static const char *const	 remote[] = {
		"remote-server-not-found", "remote-server-timeout", NULL
	};
	const struct stanza		*e;
	const char			*type = NULL;

	if ((e = stanza_child(s, s->ns, "error")) != NULL)
		type = stanza_attr(e, "type");
	if (e != NULL && ((type != NULL && strcmp(type, "wait") == 0 &&
	    !has_condition(e, gone)) || has_condition(e, remote)))
		drop(c, CAUSE_BOUNCED);
	else if (e != NULL && has_condition(e, gone)) {
		drop(c, CAUSE_BOUNCED);
		asked_left(s);
	} else
		drop(c, CAUSE_DENIED);
}

static void
on_answer(enum ask_answer answer, const struct stanza *s, void *arg)
{
	struct client	*c = arg;

	c->ask = NULL;
	switch (answer) {
	case ASK_RESULT:
		accepted(c, s);
		break;
	case ASK_ERROR:
		failed(c, s);
		break;
	case ASK_TIMEOUT:
		drop(c, CAUSE_ANSWER_TIMEOUT);
		break;
	}
}

/*
 * Listen for the owner's leg before he is asked: his connection may be
 * faster than his answer (4a).
 */
static int
open_rendezvous(struct client *c)
{
	struct listeners	 l;
	struct msg_rendezvous	 m;

	if (ctl.conf->owner_leg == LEG_SAME_PORT)
		return (0);
	if (listeners_open(ctl.conf, ctl.rendezvous, mono_ms(), BACKLOG,
	    &l) == -1) {
		if (errno == ENOSPC)
			lack_note(LACK_RENDEZVOUS, "no port left");
		else
			lack_errno("rendezvous port");
		return (-1);
	}
	c->rendezvous = l.port;
	msg_init(&m, sizeof(m), MSG_RENDEZVOUS, c->port->id);
	m.session = c->session;
	m.port = l.port;
	port_send(c->port, &m, sizeof(m), l.fd, l.n);
	listeners_close(&l);
	return (0);
}

/* XEP-0003 3 */
static void
write_question(struct xml_out *x, const struct client *c, const char *id)
{
	struct port	*p = c->port;
	char		 buf[ADDR_STRLEN];

	iq_request(x, id, p->owner);
	xml_open(x, "query", NS_PASS);
	xml_open(x, "client", NULL);
	xml_attr_uint(x, "port", c->addr.port);
	xml_text(x, addr_format(&c->addr, buf));
	xml_close(x);
	port_fill_proxy(x, c->rendezvous != 0 ? c->rendezvous : p->number);
	xml_close(x);
	xml_close(x);
}

static void
ask_owner(struct client *c)
{
	struct xml_out	 x;
	char		 id[ASK_ID_LEN + 1];

	escrow_id(id, c->port->id, c->session);
	write_question(&x, c, id);
	c->ask = ask_question(id, c->port->owner, &x,
	    ctl.conf->timeout.answer, on_answer, c);
	xml_free(&x);
	if (c->ask == NULL)
		drop(c, CAUSE_LINK_DOWN);
}

/* The same for a client that waits for ${ms} already. */
static void
ask_owner_again(struct client *c, uint32_t ms, int held)
{
	struct xml_out	 x;
	uint32_t	 all = ctl.conf->timeout.answer;
	char		 id[ASK_ID_LEN + 1];

	escrow_id(id, c->port->id, c->session);
	write_question(&x, c, id);
	c->ask = ask_again(id, c->port->owner, held ? NULL : &x,
	    ms < all ? all - ms : 0, on_answer, c);
	xml_free(&x);
	if (c->ask == NULL)
		drop(c, CAUSE_ERROR);
}

/* How many clients ${p} has, and how many of them have no relay yet. */
static uint32_t
count(const struct port *p, uint32_t *undecided)
{
	const struct client	*c;
	uint32_t		 n = 0;

	*undecided = 0;
	TAILQ_FOREACH(c, &p->clients, entry) {
		n++;
		*undecided += c->state != CLIENT_RELAY;
	}
	return (n);
}

static int
is_ip(const struct addr *a)
{
	return (a->family == ADDR_V4 || a->family == ADDR_V6);
}

static void
on_client(struct port *p, const struct msg_client *m)
{
	struct client	*c;
	uint32_t	 undecided;

	if (registry_client(p, m->session) != NULL || !is_ip(&m->addr)) {
		port_kill(p, "CLIENT twice, or without address");
		return;
	}
	if (count(p, &undecided) >= CLIENTS_MAX) {
		port_kill(p, "too many clients");
		return;
	}
	if ((c = registry_client_new(p, m->session)) == NULL) {
		port_kill(p, "no memory for its clients");
		return;
	}
	c->addr = m->addr;
	if (p->state != PORT_OPEN)
		return;			/* CLOSE is on its way */
	if (!xmpp_is_up())
		drop(c, CAUSE_LINK_DOWN);
	/* The worker keeps to pending, but is not trusted with it. */
	else if (p->user->nsessions >= p->quota.sessions_all ||
	    undecided >= p->quota.pending)
		drop(c, CAUSE_BUSY);
	else if (open_rendezvous(c) == -1)
		drop(c, CAUSE_ERROR);
	else {
		log_info("client %s rendezvous=%u", context(c),
		    (unsigned int)c->rendezvous);
		ask_owner(c);
	}
}

static void
on_leg(struct port *p, const struct msg_client *m)
{
	static const char *const	 names[] = {
		[LEG_HELD] = "held", [LEG_SURPLUS] = "surplus",
		[LEG_WRONG_ADDR] = "wrong-address",
		[LEG_WRONG_TOKEN] = "wrong-token", [LEG_LEFT] = "left",
	};
	struct client			*c;
	char				 at[PEER_STRLEN];

	if ((c = registry_client(p, m->session)) == NULL ||
	    m->what < LEG_HELD || m->what > LEG_LEFT || !is_ip(&m->addr)) {
		port_kill(p, "LEG of no client, or without address");
		return;
	}
	if (++c->legs > MSG_LEGS_MAX) {
		port_kill(p, "too many LEG");
		return;
	}
	log_info("leg %s from=%s state=%s", context(c), peer(&m->addr, at),
	    names[m->what]);
}

static void
on_paired(struct port *p, const struct msg_client *m)
{
	struct client	*c;
	char		 at[PEER_STRLEN];

	if ((c = registry_client(p, m->session)) == NULL ||
	    c->state != CLIENT_ACCEPTED) {
		port_kill(p, "PAIRED without an answer");
		return;
	}
	if ((m->what & ~(uint32_t)PAIRED_ONESHOT) != 0 ||
	    ((m->what & PAIRED_ONESHOT) && !p->oneshot)) {
		port_kill(p, "PAIRED as nobody asked for");
		return;
	}
	registry_client_state(c, CLIENT_RELAY);
	c->leg = m->addr;
	give_rendezvous(c);
	port_watch_leaving(p);
	log_info("paired %s leg=%s", context(c), peer(&c->leg, at));
	if (m->what & PAIRED_ONESHOT)
		port_close(p, CAUSE_ONESHOT);
}

static void
log_ended(const struct client *c, enum cause cause, uint64_t in, uint64_t out,
    uint64_t ms)
{
	log_info("ended %s cause=%s in=%llu out=%llu seconds=%llu.%03u",
	    context(c), cause_name(cause), (unsigned long long)in,
	    (unsigned long long)out, (unsigned long long)(ms / 1000),
	    (unsigned int)(ms % 1000));
}

void
client_lost(struct client *c, enum cause cause)
{
	log_ended(c, cause, 0, 0, 0);
	give_rendezvous(c);
	registry_client_free(c);
}

static void
on_ended(struct port *p, const struct msg_ended *m)
{
	struct client	*c;

	if ((c = registry_client(p, m->session)) == NULL) {
		port_kill(p, "ENDED of no client");
		return;
	}
	if (c->state != CLIENT_RELAY && (m->bytes_in != 0 ||
	    m->bytes_out != 0 || m->ms != 0)) {
		port_kill(p, "bytes or time without a relay");
		return;
	}
	log_ended(c, (enum cause)m->cause, m->bytes_in, m->bytes_out, m->ms);
	give_rendezvous(c);
	registry_client_free(c);
	port_watch_leaving(p);
}

/* Each is a line in the log: nobody is to fill it. */
static int
refused_too_often(struct port *p)
{
	int64_t	 now = mono_ms();

	if (p->refused_due < now)
		p->refused_due = now;
	p->refused_due += MSG_REFUSED_MS;
	return (p->refused_due > now + REFUSED_BURST * MSG_REFUSED_MS);
}

void
client_adopt(struct port *p, const struct msg_session *m)
{
	struct client	*c;

	if (registry_client(p, m->session) != NULL ||
	    (m->peer.family != ADDR_V4 && m->peer.family != ADDR_V6) ||
	    m->state < SESSION_ASKED || m->state > SESSION_RELAY) {
		port_kill(p, "SESSION that cannot be");
		return;
	}
	if ((c = registry_client_new(p, m->session)) == NULL) {
		port_kill(p, "no memory for its clients");
		return;
	}
	c->addr = m->peer;
	c->leg = m->leg;
	if (m->rendezvous != 0 && ctl.rendezvous != NULL) {
		/* It is not to be trusted with the port of another. */
		if (pool_claim(ctl.rendezvous, m->rendezvous) == -1) {
			port_kill(p, "rendezvous port of another");
			return;
		}
		c->rendezvous = m->rendezvous;
	}
	if (m->state == SESSION_RELAY)
		registry_client_state(c, CLIENT_RELAY);
	else if (m->state == SESSION_ACCEPTED)
		registry_client_state(c, CLIENT_ACCEPTED);
	else if (p->state == PORT_OPEN) {
		log_info("client %s rendezvous=%u again", context(c),
		    (unsigned int)c->rendezvous);
		ask_owner_again(c, m->ms, m->legs > 0);
	}
}

void
client_adopted_end(struct port *p, const struct msg_ended *m)
{
	struct client	*c;

	/* What began and ended between two controls is told all the same. */
	if (registry_client(p, m->session) != NULL ||
	    (m->peer.family != ADDR_V4 && m->peer.family != ADDR_V6)) {
		port_kill(p, "ENDED of a session that goes on");
		return;
	}
	if ((c = registry_client_new(p, m->session)) == NULL)
		return;
	c->addr = m->peer;
	log_ended(c, (enum cause)m->cause, m->bytes_in, m->bytes_out, m->ms);
	registry_client_free(c);
}

static void
on_refused(struct port *p, const struct msg_refused *m)
{
	char	 who[1024], at[PEER_STRLEN];

	if (refused_too_often(p)) {
		port_kill(p, "too many REFUSED");
		return;
	}
	if (m->failed > 0) {
		(void)snprintf(who, sizeof(who), "port=%u",
		    (unsigned int)p->number);
		lack_notes(LACK_WORKERS, m->failed, who);
	}
	if (m->busy == 0 && m->pending == 0)
		return;
	log_info("refused port=%u jid=%s busy=%u pending=%u failed=%u "
	    "peer=%s", (unsigned int)p->number,
	    jid_log(p->owner, who, sizeof(who)), m->busy, m->pending,
	    m->failed, peer(&m->last, at));
}

void
client_event(struct port *p, const struct msg_in *in)
{
	switch (in->hdr.type) {
	case MSG_CLIENT:
		on_client(p, &in->client);
		break;
	case MSG_LEG:
		on_leg(p, &in->client);
		break;
	case MSG_PAIRED:
		on_paired(p, &in->client);
		break;
	case MSG_ENDED:
		on_ended(p, &in->ended);
		break;
	case MSG_REFUSED:
		on_refused(p, &in->refused);
		break;
	default:
		break;
	}
}
