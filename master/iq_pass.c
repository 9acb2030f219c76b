/* SPDX-License-Identifier: ISC */
#include <string.h>
#include <strings.h>

#include "ctl.h"
#include "iq.h"
#include "log.h"
#include "mono.h"
#include "port.h"

/*
 * Requests in jabber:iq:pass (XEP-0003 2 and 4).  The numbers in comments
 * are those of the rows of PROTOCOL.md section 1.
 */
struct request {
	int		 close;
	int		 oneshot;
	int		 has_expire;
	uint64_t	 expire;	/* seconds, at least 1 */
	const struct stanza *proxy;	/* NULL: none */
	uint16_t	 port;		/* of proxy */
	const char	*why;		/* what is wrong with it */
	enum iq_error	 error;
};

#define EXPIRE_HUGE	UINT64_C(1000000000000)	/* clamped in any case */

static const char *
skip_space(const char *s)
{
	return (s + strspn(s, " \t\r\n"));
}

/* 10: digits only; whatever is too large for a number is just large. */
static int
read_expire(const char *text, uint64_t *value)
{
	uint64_t	 v = 0;
	const char	*s = skip_space(text);

	if (*s < '0' || *s > '9')
		return (-1);
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v < EXPIRE_HUGE)
			v = v * 10 + (uint64_t)(*s - '0');
	}
	if (*skip_space(s) != '\0' || v == 0)
		return (-1);
	*value = v;
	return (0);
}

/* 2: one to five digits, 1 to 65535, nothing else. */
static int
read_port(const char *text, uint16_t *port)
{
	unsigned long	 v = 0;
	size_t		 i;

	if (text == NULL)
		return (-1);
	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 5; i++)
		v = v * 10 + (unsigned long)(text[i] - '0');
	if (i == 0 || text[i] != '\0' || v == 0 || v > UINT16_MAX)
		return (-1);
	*port = (uint16_t)v;
	return (0);
}

static void
bad(struct request *r, const char *why)
{
	r->why = why;
	r->error = IQ_BAD_REQUEST;
}

static void
read_child(struct request *r, const struct stanza *c)
{
	if (strcmp(c->name, "expire") == 0) {
		if (r->has_expire++)
			bad(r, "More than one expire.");
		else if (read_expire(c->text, &r->expire) == -1)
			bad(r, "The expire is not a number of seconds.");
	} else if (strcmp(c->name, "oneshot") == 0) {
		if (r->oneshot++)
			bad(r, "More than one oneshot.");
	} else if (strcmp(c->name, "close") == 0) {
		if (r->close++)
			bad(r, "More than one close.");
	} else if (strcmp(c->name, "proxy") == 0) {
		if (r->proxy != NULL)
			bad(r, "More than one proxy.");
		else if (read_port(stanza_attr(c, "port"), &r->port) == -1)
			bad(r, "The port of the proxy is not a port number.");
		r->proxy = c;
	} else {
		/*
		 * 12: server and client are ours to send.  What looks like a
		 * limit on who may connect is not taken and then not kept.
		 */
		bad(r, "Not an element of a request.");
	}
}

static int
read_request(struct request *r, const struct stanza *q)
{
	const struct stanza	*c;

	memset(r, 0, sizeof(*r));
	for (c = q->child; c != NULL && r->why == NULL; c = c->next) {
		if (strcmp(c->ns, NS_PASS) == 0)
			read_child(r, c);
		else if (strcmp(c->ns, NS_PASSD) == 0) {
			r->why = "This extension is not served.";
			r->error = IQ_NOT_IMPLEMENTED;
		}
		/* 12: others' namespaces are ignored (RFC 6120 8.4). */
	}
	if (r->why == NULL && r->close && r->proxy == NULL)
		bad(r, "Missing <proxy/> specification.");
	if (r->why == NULL && r->close && (r->has_expire || r->oneshot))
		bad(r, "A close goes with neither expire nor oneshot.");
	return (r->why == NULL ? 0 : -1);
}

/* 15: any address that we advertise, or our name. */
static int
is_our_address(const char *text)
{
	struct addr	 a;
	char		 buf[256];
	size_t		 len;

	text = skip_space(text);
	len = strcspn(text, " \t\r\n");
	if (*skip_space(text + len) != '\0' || len >= sizeof(buf))
		return (0);
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (addr_parse(&a, buf) == -1)
		return (strcasecmp(buf, ctl.conf->component->full) == 0);
	return ((ctl.conf->listen4.set &&
	    addr_same_ip(&a, &ctl.conf->listen4.advertise)) ||
	    (ctl.conf->listen6.set &&
	    addr_same_ip(&a, &ctl.conf->listen6.advertise)));
}

static void
refuse(const struct iq *iq, const char *what, enum iq_error error,
    const char *text)
{
	char	 who[512];

	log_info("refused jid=%s request=%s error=%s reason=\"%s\"",
	    jid_log(iq->from, who, sizeof(who)), what,
	    iq_error_condition(error), text == NULL ? "" : text);
	iq_fail(iq, error, text, 0);
}

/* 14: 405 for the address, then 404 for the port, then 401 for the owner. */
static struct port *
find_port(const struct iq *iq, const struct request *r, const char *what)
{
	struct port	*p = NULL;

	if (!is_our_address(r->proxy->text))
		refuse(iq, what, IQ_WRONG_ADDRESS, NULL);
	else if ((p = registry_by_number(r->port)) == NULL ||
	    p->state != PORT_OPEN)
		refuse(iq, what, IQ_NO_SUCH_PORT, NULL);
	else if (!registry_owns(p, iq->from))
		refuse(iq, what, IQ_NOT_AUTHORIZED, NULL);
	else
		return (p);
	return (NULL);
}

static void
close_port(const struct iq *iq, const struct request *r)
{
	struct xml_out	 x;
	struct port	*p;

	if ((p = find_port(iq, r, "close")) == NULL)
		return;
	port_close(p, CAUSE_CLOSED);
	iq_result(&x, iq);
	xml_elem(&x, "query", NS_PASS, NULL);
	iq_send(&x);
}

/* 13: whoever is let in as "any", or has no account, is his full JID only. */
static int
owns_by_full_jid(const struct jid *from, enum acl_kind kind)
{
	return (ctl.conf->owner_full || kind == ACL_ANY || !from->has_local);
}

static void
open_port(const struct iq *iq, const struct request *r)
{
	enum acl_kind	 kind;
	struct port	*p;

	if (ctl.stopping)
		refuse(iq, "register", IQ_DRAINING, NULL);
	else if (!conf_allowed(ctl.conf, iq->from, &kind))
		refuse(iq, "register", IQ_FORBIDDEN, NULL);
	else if (r->proxy == NULL)
		port_register(iq, r->expire, r->oneshot,
		    owns_by_full_jid(iq->from, kind));
	else if ((p = find_port(iq, r, "change")) != NULL)
		port_change(p, iq, r->expire, r->oneshot);
}

/* 20: the caller's own ports, and what he may have. */
static void
list_ports(const struct iq *iq)
{
	struct conf_quota	 quota;
	struct user		*u;
	struct port		*p;
	struct xml_out		 x;

	conf_quota_for(ctl.conf, iq->from, &quota);
	u = registry_user(iq->from, 0);
	iq_result(&x, iq);
	xml_open(&x, "query", NS_PASS);
	if (u != NULL) {
		TAILQ_FOREACH(p, &u->ports, of_user) {
			if (p->state == PORT_OPEN &&
			    registry_owns(p, iq->from))
				port_fill_server(&x, p);
		}
	}
	xml_open(&x, "usage", NS_PASSD);
	xml_attr_uint(&x, "ports", u == NULL ? 0 : u->nports);
	xml_attr_uint(&x, "limit", quota.ports);
	xml_attr_uint(&x, "sessions", u == NULL ? 0 : u->nsessions);
	xml_attr_uint(&x, "sessions-limit", quota.sessions_all);
	xml_close(&x);
	xml_close(&x);
	iq_send(&x);
}

void
pass_iq(const struct iq *iq, const struct stanza *q)
{
	struct request	 r;

	if (!iq->set)
		list_ports(iq);
	else if (read_request(&r, q) == -1)
		refuse(iq, "set", r.error, r.why);
	else if (r.close)
		close_port(iq, &r);
	else
		open_port(iq, &r);
}
