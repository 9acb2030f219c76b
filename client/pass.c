/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "loop.h"
#include "mono.h"
#include "pass.h"
#include "ui.h"
#include "xalloc.h"

#define ASK_MS		20000
#define CLOSE_MS	1500
#define LEG_MS		20000	/* passd waits 30 s, unless told otherwise */

static const struct pass_port	*serving;
static const struct pass_events	*events;

/* ---- errors -------------------------------------------------------------- */

/* The reason in our own words, by what programs are meant to read. */
static const char *
advice(const struct el_error *e)
{
	static const struct {
		const char	*what, *text;
	} by_app[] = {
		{ "acl", "you may not use it; ask its operator, or try "
		    "another service with -s" },
		{ "too-many-ports", "you have as many ports as you may have; "
		    "see passcat list, and close one" },
		{ "no-ports", "all its ports are taken; try again later" },
		{ "rate-limited", "too many requests; try again in a "
		    "minute" },
		{ "quota", "your quota is used up; try again later" },
		{ "draining", "it is being stopped; try again in a minute" },
	}, by_condition[] = {
		{ "forbidden", "you may not use it; ask its operator, or see "
		    "passcat services" },
		{ "item-not-found", "there is no such port; see passcat "
		    "list" },
		{ "not-authorized", "that port is somebody else's" },
		{ "not-allowed", "your server does not let you reach it; see "
		    "passcat services" },
		{ "remote-server-not-found", "there is no such service; see "
		    "passcat services" },
		{ "remote-server-timeout", "it cannot be reached now; try "
		    "again later" },
		{ "service-unavailable", "it does not offer PASS; see passcat "
		    "services" },
	};
	size_t	 i;

	for (i = 0; i < sizeof(by_app) / sizeof(by_app[0]); i++) {
		if (strcmp(by_app[i].what, e->app) == 0)
			return (by_app[i].text);
	}
	if (strcmp(e->code, "502") == 0)
		return ("all its ports are taken; try again later");
	for (i = 0; i < sizeof(by_condition) / sizeof(by_condition[0]); i++) {
		if (strcmp(by_condition[i].what, e->condition) == 0)
			return (by_condition[i].text);
	}
	return ("see its operator");
}

int
pass_explain(const char *service, const struct el_error *e)
{
	return (ui_fail(EXIT_SERVICE, "%s refuses: %s (%s%s%s)", service,
	    advice(e), e->condition, e->text[0] != '\0' ? ": " : "",
	    e->text));
}

static int
no_answer(const char *service, enum iq_status status)
{
	if (status == IQ_INTERRUPTED)
		return (EXIT_TIMEOUT);
	if (status == IQ_LOST)
		return (ui_fail(EXIT_LOGIN, "the XMPP server closed the "
		    "stream; try again"));
	return (ui_fail(EXIT_TIMEOUT, "%s does not answer; try again, or "
	    "another service with -s", service));
}

/* ---- requests of ours ---------------------------------------------------- */

static void
read_granted(struct pass_port *p, xmpp_stanza_t *granted)
{
	const char	*text;
	uint64_t	 n;

	if (granted == NULL)
		return;
	p->token = 1;
	text = xmpp_stanza_get_attribute(granted, "expire");
	if (text != NULL && el_number(text, &n) == 0)
		p->expire = n;
	text = xmpp_stanza_get_attribute(granted, "sessions");
	if (text != NULL && el_number(text, &n) == 0)
		p->sessions = n;
}

/* Read the result of a registration or a change.  Return 0 or -1. */
static int
read_port(struct pass_port *p, xmpp_stanza_t *iq)
{
	xmpp_stanza_t	*query = el_child(iq, "query", NS_PASS), *c;
	char		 text[24];
	uint64_t	 n;

	p->nhosts = 0;
	p->expire = p->sessions = 0;
	if (query == NULL)
		return (-1);
	for (c = xmpp_stanza_get_children(query); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "server", NS_PASS) &&
		    p->nhosts < PASS_ADDRESSES && el_get_port(c) != 0 &&
		    el_get_text(c, p->host[p->nhosts], PASS_HOST_MAX) == 0) {
			p->port = el_get_port(c);
			p->nhosts++;
		} else if (el_is(c, "expire", NS_PASS) &&
		    el_get_text(c, text, sizeof(text)) == 0 &&
		    el_number(text, &n) == 0)
			p->expire = n;
	}
	read_granted(p, el_child(query, "granted", NS_PASSD));
	return (p->nhosts > 0 ? 0 : -1);
}

static xmpp_stanza_t *
make_query(const struct pass_port *p, uint64_t expire, int oneshot)
{
	xmpp_stanza_t	*query = el_new("query", NS_PASS), *proxy;

	if (expire != 0)
		el_num(el_add(query, "expire", NULL), expire);
	if (oneshot)
		(void)el_add(query, "oneshot", NULL);
	if (p != NULL) {
		proxy = el_add(query, "proxy", NULL);
		el_attr_num(proxy, "port", p->port);
		el_text(proxy, p->host[0]);
	}
	return (query);
}

int
pass_register(struct pass_port *p, const char *service, uint64_t expire,
    int oneshot)
{
	xmpp_stanza_t	*reply;
	struct el_error	 e;
	enum iq_status	 status;
	int		 bad = 0;

	memset(p, 0, sizeof(*p));
	(void)strlcpy(p->service, service, sizeof(p->service));
	status = session_ask("set", service, make_query(NULL, expire,
	    oneshot), ASK_MS, &reply);
	if (status == IQ_RESULT)
		bad = read_port(p, reply);
	else if (status == IQ_ERROR)
		el_error(reply, &e);
	if (reply != NULL)
		xmpp_stanza_release(reply);
	if (status == IQ_ERROR)
		return (pass_explain(service, &e));
	if (status != IQ_RESULT)
		return (no_answer(service, status));
	if (bad)
		return (ui_fail(EXIT_SERVICE, "%s has answered, but not with "
		    "a port", service));
	return (0);
}

int
pass_change(struct pass_port *p, uint64_t expire, int oneshot, int *gone)
{
	xmpp_stanza_t	*reply;
	struct pass_port new = *p;
	struct el_error	 e;
	enum iq_status	 status;
	int		 code = 0;

	*gone = 0;
	status = session_ask("set", p->service, make_query(p, expire,
	    oneshot), ASK_MS, &reply);
	if (status == IQ_RESULT) {
		if (read_port(&new, reply) == 0)
			*p = new;
	} else if (status == IQ_ERROR) {
		el_error(reply, &e);
		*gone = strcmp(e.condition, "item-not-found") == 0 ||
		    strcmp(e.condition, "not-authorized") == 0;
		code = EXIT_SERVICE;
	} else
		code = EXIT_TIMEOUT;
	if (reply != NULL)
		xmpp_stanza_release(reply);
	return (code);
}

static void
on_closed(enum iq_status status, xmpp_stanza_t *iq, void *arg)
{
	int	*done = arg;

	(void)iq;
	*done = status == IQ_RESULT ? 1 : -1;
}

int
pass_close(struct pass_port *p)
{
	static int	 done;
	xmpp_stanza_t	*query = el_new("query", NS_PASS), *proxy;
	int64_t		 end = mono_ms() + CLOSE_MS;

	(void)el_add(query, "close", NULL);
	proxy = el_add(query, "proxy", NULL);
	el_attr_num(proxy, "port", p->port);
	el_text(proxy, p->host[0]);
	done = 0;
	session_iq("set", p->service, query, CLOSE_MS, on_closed, &done);
	p->port = 0;
	while (done == 0 && mono_ms() < end)
		loop_linger(end);
	return (done == 1 ? 0 : done == -1 ? EXIT_SERVICE : EXIT_TIMEOUT);
}

static void
read_list(xmpp_stanza_t *iq, const char *service, struct pass_port *ports,
    size_t max, size_t *n, uint64_t *limit)
{
	xmpp_stanza_t	*query = el_child(iq, "query", NS_PASS), *c;
	struct pass_port *p;
	const char	*text;
	char		 host[PASS_HOST_MAX];
	size_t		 i;

	for (c = query == NULL ? NULL : xmpp_stanza_get_children(query);
	    c != NULL; c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "usage", NS_PASSD) && (text =
		    xmpp_stanza_get_attribute(c, "limit")) != NULL)
			(void)el_number(text, limit);
		if (!el_is(c, "server", NS_PASS) || el_get_port(c) == 0 ||
		    el_get_text(c, host, sizeof(host)) == -1)
			continue;
		/* The second address of a port follows its first. */
		for (i = 0; i < *n && ports[i].port != el_get_port(c); i++)
			;
		if (i == max)
			return;
		p = &ports[i];
		if (i == *n) {
			memset(p, 0, sizeof(*p));
			p->port = el_get_port(c);
			(void)strlcpy(p->service, service,
			    sizeof(p->service));
			(*n)++;
		}
		if (p->nhosts < PASS_ADDRESSES)
			(void)strlcpy(p->host[p->nhosts++], host,
			    sizeof(host));
	}
}

int
pass_list(const char *service, struct pass_port *ports, size_t max,
    uint64_t *limit)
{
	xmpp_stanza_t	*reply;
	struct el_error	 e;
	enum iq_status	 status;
	size_t		 n = 0;

	*limit = 0;
	status = session_ask("get", service, el_new("query", NS_PASS),
	    ASK_MS, &reply);
	if (status == IQ_RESULT)
		read_list(reply, service, ports, max, &n, limit);
	else if (status == IQ_ERROR)
		el_error(reply, &e);
	if (reply != NULL)
		xmpp_stanza_release(reply);
	if (status == IQ_RESULT)
		return ((int)n);
	return (-1 - (status == IQ_ERROR ? pass_explain(service, &e) :
	    no_answer(service, status)));
}

/* ---- requests of the service --------------------------------------------- */

/* An address and a port; the text has to be an address, since no name can
 * be looked up in the sandbox, and passd says addresses. */
static int
read_entity(xmpp_stanza_t *e, struct addr *a)
{
	char	 text[PASS_HOST_MAX];

	if (el_get_text(e, text, sizeof(text)) == -1 ||
	    addr_parse(a, text) == -1)
		return (-1);
	a->port = el_get_port(e);
	return (0);
}

static int
incoming(xmpp_stanza_t *iq, xmpp_stanza_t *client, xmpp_stanza_t *proxy)
{
	struct pass_request	*r = xcalloc(1, sizeof(*r));

	if (read_entity(client, &r->peer) == -1 ||
	    read_entity(proxy, &r->proxy) == -1 || r->proxy.port == 0) {
		free(r);
		session_refuse(iq, "400", "modify", "bad-request");
		return (1);
	}
	r->iq = xmpp_stanza_clone(iq);
	events->request(r, events->arg);
	return (1);
}

/*
 * A request, or a notice: PROTOCOL 1 and 1a, the proxy of a notice may stand
 * beside the query, and the close may be missing.
 */
static int
on_set(xmpp_stanza_t *iq, xmpp_stanza_t *query, void *arg)
{
	xmpp_stanza_t	*client, *proxy;
	const char	*type = xmpp_stanza_get_type(iq);
	enum pass_end	 end = PASS_CLOSED;

	(void)arg;
	if (strcmp(type, "set") != 0 || serving == NULL ||
	    !session_same(xmpp_stanza_get_from(iq), serving->service))
		return (0);
	client = el_child(query, "client", NS_PASS);
	if ((proxy = el_child(query, "proxy", NS_PASS)) == NULL)
		proxy = el_child(iq, "proxy", NULL);
	if (client != NULL && proxy != NULL)
		return (incoming(iq, client, proxy));
	session_reply(iq, el_new("query", NS_PASS));
	if (proxy != NULL && el_get_port(proxy) != serving->port)
		return (1);	/* of an earlier port */
	if (el_child(query, "oneshot", NS_PASS) != NULL)
		end = PASS_ONESHOT;
	else if (el_child(query, "expire", NS_PASS) != NULL)
		end = PASS_EXPIRED;
	else if (el_child(query, "close", NS_PASS) == NULL)
		return (1);
	events->closed(end, events->arg);
	return (1);
}

void
pass_serve(const struct pass_port *p, const struct pass_events *e)
{
	serving = p;
	events = e;
	session_on_iq(NS_PASS, on_set, NULL);
}

/* ---- the owner's leg ----------------------------------------------------- */

struct leg {
	int		 token;		/* it is to be sent */
	unsigned char	 bytes[PASS_TOKEN_LEN];
	pass_leg_fn	 fn;
	void		*arg;
};

static void
on_leg(int fd, int error, void *arg)
{
	struct leg	*leg = arg;

	/* Sixteen bytes always fit into a new socket. */
	if (fd != -1 && leg->token && send(fd, leg->bytes,
	    sizeof(leg->bytes), MSG_NOSIGNAL) != sizeof(leg->bytes)) {
		error = EPIPE;
		(void)close(fd);
		fd = -1;
	}
	leg->fn(fd, error, leg->arg);
	freezero(leg, sizeof(*leg));
}

void
pass_accept(struct pass_request *r, pass_leg_fn fn, void *arg)
{
	struct leg	*leg = xcalloc(1, sizeof(*leg));
	xmpp_stanza_t	*query = el_new("query", NS_PASS);
	char		 hex[2 * PASS_TOKEN_LEN + 1];
	size_t		 i;

	leg->token = serving->token;
	leg->fn = fn;
	leg->arg = arg;
	if (leg->token) {
		arc4random_buf(leg->bytes, sizeof(leg->bytes));
		for (i = 0; i < PASS_TOKEN_LEN; i++)
			(void)snprintf(hex + 2 * i, 3, "%02x", leg->bytes[i]);
		el_text(el_add(query, "leg", NS_PASSD), hex);
		explicit_bzero(hex, sizeof(hex));
	}
	session_reply(r->iq, query);
	xmpp_stanza_release(r->iq);
	r->iq = NULL;
	(void)dial(&r->proxy, LEG_MS, on_leg, leg);
}

void
pass_deny(struct pass_request *r)
{
	if (r->iq == NULL)
		return;
	session_refuse(r->iq, "401", "auth", "not-authorized");
	xmpp_stanza_release(r->iq);
	r->iq = NULL;
}

void
pass_forget(struct pass_request *r)
{
	if (r == NULL)
		return;
	if (r->iq != NULL)
		xmpp_stanza_release(r->iq);
	free(r);
}
