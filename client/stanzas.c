/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "jid.h"
#include "loop.h"
#include "session.h"
#include "session_impl.h"
#include "ui.h"
#include "xalloc.h"

/* An IQ of ours without an answer yet. */
struct pending {
	char			 id[20];
	char			*to;
	iq_fn			 fn;
	void			*arg;
	struct loop_timer	*timer;
	TAILQ_ENTRY(pending)	 entry;
};

struct handler {
	const char		*ns;
	session_iq_fn		 iq;
	session_fn		 fn;
	void			*arg;
	TAILQ_ENTRY(handler)	 entry;
};
TAILQ_HEAD(handlers, handler);

static TAILQ_HEAD(, pending)	 pending = TAILQ_HEAD_INITIALIZER(pending);
static struct handlers	 on_iq = TAILQ_HEAD_INITIALIZER(on_iq);
static struct handlers	 on_presence = TAILQ_HEAD_INITIALIZER(on_presence);
static struct handlers	 on_message = TAILQ_HEAD_INITIALIZER(on_message);

/* ---- JIDs ---------------------------------------------------------------- */

static int
compare(const char *a, const char *b, int (*same)(const struct jid *,
    const struct jid *))
{
	struct jid	*x, *y;
	int		 yes = 0;

	if (a == NULL || b == NULL)
		return (0);
	x = jid_parse(a);
	y = jid_parse(b);
	if (x != NULL && y != NULL)
		yes = same(x, y);
	jid_free(x);
	jid_free(y);
	return (yes);
}

int
session_same(const char *a, const char *b)
{
	return (compare(a, b, jid_same));
}

int
session_same_bare(const char *a, const char *b)
{
	return (compare(a, b, jid_same_bare));
}

/* ---- asking -------------------------------------------------------------- */

static void
finish(struct pending *p, enum iq_status status, xmpp_stanza_t *iq)
{
	TAILQ_REMOVE(&pending, p, entry);
	loop_timer_del(p->timer);
	p->fn(status, iq, p->arg);
	free(p->to);
	free(p);
}

static void
on_timeout(void *arg)
{
	struct pending	*p = arg;

	p->timer = NULL;
	finish(p, IQ_TIMEOUT, NULL);
}

void
session_send(xmpp_stanza_t *stanza)
{
	if (ss.conn != NULL && ss.state == ST_ONLINE)
		xmpp_send(ss.conn, stanza);
	xmpp_stanza_release(stanza);
}

void
session_iq(const char *type, const char *to, xmpp_stanza_t *child,
    int64_t ms, iq_fn fn, void *arg)
{
	struct pending	*p = xcalloc(1, sizeof(*p));
	xmpp_stanza_t	*iq = el_new("iq", NULL);

	(void)snprintf(p->id, sizeof(p->id), "%08x%08x", arc4random(),
	    arc4random());
	p->to = xstrdup(to != NULL ? to : ss.account->domain);
	p->fn = fn;
	p->arg = arg;
	el_attr(iq, "type", type);
	el_attr(iq, "id", p->id);
	el_attr(iq, "to", p->to);
	el_put(iq, child);
	TAILQ_INSERT_TAIL(&pending, p, entry);
	/* Offline the answer is IQ_TIMEOUT at once, but not from in here. */
	p->timer = loop_timer(ss.state == ST_ONLINE ? ms : 0, on_timeout, p);
	session_send(iq);
}

struct waiting {
	enum iq_status	 status;
	xmpp_stanza_t	*reply;
	int		 abandoned;
	int		 done;
};

static void
on_answer(enum iq_status status, xmpp_stanza_t *iq, void *arg)
{
	struct waiting	*w = arg;

	if (w->abandoned) {
		free(w);
		return;
	}
	w->status = status;
	if (iq != NULL)
		w->reply = xmpp_stanza_clone(iq);
	w->done = 1;
}

enum iq_status
session_ask(const char *type, const char *to, xmpp_stanza_t *child,
    int64_t ms, xmpp_stanza_t **reply)
{
	struct waiting	*w = xcalloc(1, sizeof(*w));
	enum iq_status	 status;

	*reply = NULL;
	session_iq(type, to, child, ms, on_answer, w);
	while (!w->done && loop_once(-1))
		;
	if (!w->done) {
		w->abandoned = 1;	/* on_answer() frees it */
		return (IQ_INTERRUPTED);
	}
	*reply = w->reply;
	status = w->status;
	free(w);
	return (status);
}

/* An answer counts if whoever was asked has sent it. */
static void
answered(xmpp_stanza_t *iq, const char *type)
{
	const char	*id = xmpp_stanza_get_id(iq);
	const char	*from = xmpp_stanza_get_from(iq);
	struct pending	*p;

	TAILQ_FOREACH(p, &pending, entry) {
		if (id != NULL && strcmp(p->id, id) == 0)
			break;
	}
	if (p == NULL)
		return;
	/* RFC 6120 8.1.2.1: without from it is from our account. */
	if (!session_same(from != NULL ? from : ss.account->jid, p->to) &&
	    !(from == NULL && strcmp(p->to, ss.account->domain) == 0))
		return;
	finish(p, strcmp(type, "result") == 0 ? IQ_RESULT : IQ_ERROR, iq);
}

/* ---- being asked --------------------------------------------------------- */

static xmpp_stanza_t *
answer_to(xmpp_stanza_t *iq, const char *type)
{
	xmpp_stanza_t	*reply = el_new("iq", NULL);
	const char	*id = xmpp_stanza_get_id(iq);
	const char	*from = xmpp_stanza_get_from(iq);

	el_attr(reply, "type", type);
	if (id != NULL)
		el_attr(reply, "id", id);
	if (from != NULL)
		el_attr(reply, "to", from);
	return (reply);
}

void
session_reply(xmpp_stanza_t *iq, xmpp_stanza_t *child)
{
	xmpp_stanza_t	*reply = answer_to(iq, "result");

	if (child != NULL)
		el_put(reply, child);
	session_send(reply);
}

void
session_refuse(xmpp_stanza_t *iq, const char *code, const char *type,
    const char *condition)
{
	xmpp_stanza_t	*reply = answer_to(iq, "error");
	xmpp_stanza_t	*error = el_add(reply, "error", NULL);

	el_attr(error, "code", code);
	el_attr(error, "type", type);
	(void)el_add(error, condition, XMPP_NS_STANZAS_IETF);
	session_send(reply);
}

static void
asked(xmpp_stanza_t *iq)
{
	xmpp_stanza_t	*child = el_child(iq, NULL, NULL);
	const char	*ns = child == NULL ? NULL : xmpp_stanza_get_ns(child);
	struct handler	*h;

	TAILQ_FOREACH(h, &on_iq, entry) {
		if (ns != NULL && strcmp(h->ns, ns) == 0 &&
		    h->iq(iq, child, h->arg))
			return;
	}
	session_refuse(iq, "503", "cancel", "service-unavailable");
}

static int
see_iq(xmpp_conn_t *conn, xmpp_stanza_t *iq, void *arg)
{
	const char	*type = xmpp_stanza_get_type(iq);

	(void)conn;
	(void)arg;
	loop_poke();
	if (type == NULL)
		return (1);
	if (strcmp(type, "get") == 0 || strcmp(type, "set") == 0)
		asked(iq);
	else if (strcmp(type, "result") == 0 || strcmp(type, "error") == 0)
		answered(iq, type);
	return (1);
}

static int
see_other(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct handlers	*list = arg;
	struct handler	*h;

	(void)conn;
	loop_poke();
	TAILQ_FOREACH(h, list, entry)
		h->fn(stanza, h->arg);
	return (1);
}

static void
add(struct handlers *list, const char *ns, session_iq_fn iq, session_fn fn,
    void *arg)
{
	struct handler	*h = xcalloc(1, sizeof(*h));

	h->ns = ns;
	h->iq = iq;
	h->fn = fn;
	h->arg = arg;
	TAILQ_INSERT_TAIL(list, h, entry);
}

void
session_on_iq(const char *ns, session_iq_fn fn, void *arg)
{
	add(&on_iq, ns, fn, NULL, arg);
}

void
session_on_presence(session_fn fn, void *arg)
{
	add(&on_presence, NULL, NULL, fn, arg);
}

void
session_on_message(session_fn fn, void *arg)
{
	add(&on_message, NULL, NULL, fn, arg);
}

void
session_stanzas_begin(xmpp_conn_t *conn)
{
	xmpp_handler_add(conn, see_iq, NULL, "iq", NULL, NULL);
	xmpp_handler_add(conn, see_other, NULL, "presence", NULL,
	    &on_presence);
	xmpp_handler_add(conn, see_other, NULL, "message", NULL, &on_message);
}

void
session_stanzas_lost(void)
{
	struct pending	*p;

	while ((p = TAILQ_FIRST(&pending)) != NULL)
		finish(p, IQ_LOST, NULL);
}

static void
forget(struct handlers *list)
{
	struct handler	*h;

	while ((h = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, h, entry);
		free(h);
	}
}

void
session_stanzas_end(void)
{
	session_stanzas_lost();
	forget(&on_iq);
	forget(&on_presence);
	forget(&on_message);
}
