/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ask.h"
#include "ctl.h"
#include "iq.h"
#include "lack.h"
#include "log.h"
#include "port.h"
#include "xmpp.h"

struct service {
	const char	*ns;
	const char	*name;		/* of the payload element */
	int		 get;		/* types that are served */
	int		 set;
	void		(*fn)(const struct iq *, const struct stanza *);
};

static const struct service services[] = {
	{ NS_PASS, "query", 1, 1, pass_iq },
	{ NS_DISCO_INFO, "query", 1, 0, disco_info_iq },
	{ NS_DISCO_ITEMS, "query", 1, 0, disco_items_iq },
	{ NS_PING, "ping", 1, 0, ping_iq },
	{ NS_VERSION, "query", 1, 0, version_iq },
	{ NS_LAST, "query", 1, 0, last_iq },
};

struct error_row {
	unsigned int	 code;		/* XEP-0086 */
	const char	*type;
	const char	*condition;	/* RFC 6120 8.3.3 */
	const char	*child;		/* in NS_PASSD, or NULL */
	const char	*text;
};

static const struct error_row errors[IQ_ERRORS] = {
	[IQ_BAD_REQUEST] = { 400, "modify", "bad-request", NULL,
	    "Bad request." },
	[IQ_NOT_AUTHORIZED] = { 401, "auth", "not-authorized", NULL,
	    "Port not registered to your JID." },
	[IQ_FORBIDDEN] = { 403, "auth", "forbidden", "acl",
	    "You may not register ports here." },
	[IQ_NO_SUCH_PORT] = { 404, "cancel", "item-not-found", NULL,
	    "Port not found in registry." },
	[IQ_NO_SUCH_NODE] = { 404, "cancel", "item-not-found", NULL,
	    "No such node." },
	[IQ_WRONG_ADDRESS] = { 405, "cancel", "not-allowed", NULL,
	    "Proxy IP does not match." },
	[IQ_INTERNAL] = { 500, "wait", "internal-server-error", NULL,
	    "Internal failure. Try again later." },
	[IQ_TOO_MANY_PORTS] = { 500, "wait", "resource-constraint",
	    "too-many-ports", "You have too many ports. Close one first." },
	[IQ_NOT_IMPLEMENTED] = { 501, "cancel", "feature-not-implemented",
	    NULL, "Not implemented." },
	[IQ_NO_PORTS] = { 502, "wait", "service-unavailable", "no-ports",
	    "No more ports available. Try again later." },
	[IQ_UNAVAILABLE] = { 503, "cancel", "service-unavailable", NULL,
	    "Not served here." },
	[IQ_DRAINING] = { 503, "cancel", "service-unavailable", "draining",
	    "The service is shutting down." },
	[IQ_TOO_BIG] = { 500, "wait", "policy-violation", NULL,
	    "The stanza is beyond a limit of this service." },
	[IQ_RATE] = { 500, "wait", "policy-violation", "rate-limited",
	    "Not so often. Try again later." },
};

const char *
iq_error_condition(enum iq_error error)
{
	return (errors[error].condition);
}

void
iq_free(struct iq *iq)
{
	if (iq == NULL)
		return;
	jid_free(iq->from);
	free(iq->id);
	free(iq->to);
	free(iq);
}

struct iq *
iq_new(const struct jid *from, const char *id, const char *to)
{
	struct iq	*iq;

	if ((iq = calloc(1, sizeof(*iq))) == NULL)
		return (NULL);
	iq->from = jid_dup(from);
	iq->id = id == NULL ? NULL : strdup(id);
	iq->to = strdup(to);
	if (iq->from == NULL || iq->to == NULL ||
	    (id != NULL && iq->id == NULL)) {
		iq_free(iq);
		return (NULL);
	}
	return (iq);
}

struct iq *
iq_dup(const struct iq *iq)
{
	struct iq	*copy;

	if ((copy = iq_new(iq->from, iq->id, iq->to)) == NULL)
		return (NULL);
	copy->set = iq->set;
	copy->english = iq->english;
	return (copy);
}

static void
begin(struct xml_out *x, const char *type, const char *id, const char *from,
    const char *to)
{
	xml_init(x);
	xml_open(x, "iq", NULL);
	xml_attr(x, "type", type);
	xml_attr(x, "id", id);
	xml_attr(x, "from", from);
	xml_attr(x, "to", to);
}

void
iq_result(struct xml_out *x, const struct iq *iq)
{
	begin(x, "result", iq->id, iq->to, iq->from->full);
}

void
iq_request(struct xml_out *x, const char *id, const struct jid *to)
{
	begin(x, "set", id, ctl.conf->component->full, to->full);
}

static void
send_as(struct xml_out *x, enum xmpp_class class)
{
	xml_close(x);
	if (xmpp_send_as(x, class) == 0)
		;
	else if (xmpp_is_up() && xml_done(x) == 0)
		lack_note(LACK_OUTPUT, "the server does not read, answers "
		    "are dropped");
	else
		log_debug("answer lost: the link is down");
	xml_free(x);
}

void
iq_send(struct xml_out *x)
{
	send_as(x, XMPP_ANSWER);
}

void
iq_send_error(struct xml_out *x)
{
	send_as(x, XMPP_REFUSAL);
}

void
iq_fail(const struct iq *iq, enum iq_error error, const char *text,
    unsigned long limit)
{
	const struct error_row	*e = &errors[error];
	struct xml_out		 x;

	begin(&x, "error", iq->id, iq->to, iq->from->full);
	xml_open(&x, "error", NULL);
	xml_attr_uint(&x, "code", e->code);
	xml_attr(&x, "type", e->type);
	xml_elem(&x, e->condition, NS_STANZAS, NULL);
	if (iq->english) {
		xml_open(&x, "text", NS_STANZAS);
		xml_attr(&x, "xml:lang", "en");
		xml_text(&x, text != NULL ? text : e->text);
		xml_close(&x);
	}
	if (e->child != NULL) {
		xml_open(&x, e->child, NS_PASSD);
		if (limit != 0)
			xml_attr_uint(&x, error == IQ_RATE ? "retry-after" :
			    "limit", limit);
		xml_close(&x);
	}
	xml_close(&x);
	iq_send_error(&x);
}

/* Texts are English: whoever asked in another language gets none. */
static int
wants_english(const char *lang)
{
	return (lang == NULL || lang[0] == '\0' ||
	    strncasecmp(lang, "en", 2) == 0);
}

/* Fill ${iq} from ${s}, borrowing all but iq->from, the caller's to free. */
static int
borrow(struct iq *iq, const struct stanza *s, char *id, size_t size)
{
	const char	*from = stanza_attr(s, "from");
	const char	*to = stanza_attr(s, "to");
	const char	*text = stanza_attr(s, "id");

	memset(iq, 0, sizeof(*iq));
	if (from == NULL || (iq->from = jid_parse(from)) == NULL)
		return (-1);
	/* An id that is too long to be kept is as good as none. */
	if (text != NULL && strlcpy(id, text, size) < size)
		iq->id = id;
	iq->to = strdup(to != NULL ? to : ctl.conf->component->full);
	iq->english = wants_english(stanza_lang(s));
	if (iq->to == NULL) {
		jid_free(iq->from);
		return (-1);
	}
	return (0);
}

static void
give_back(struct iq *iq)
{
	jid_free(iq->from);
	free(iq->to);
}

static const struct service *
find_service(const struct stanza *q)
{
	size_t	 i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (stanza_is(q, services[i].ns, services[i].name))
			return (&services[i]);
	}
	return (NULL);
}

static void
serve(struct iq *iq, const struct stanza *q)
{
	const struct service	*v;
	struct jid		*to;
	int			 ours;

	/* Users and resources of our domain do not exist (RFC 6120 10.5). */
	if ((to = jid_parse(iq->to)) == NULL) {
		iq_fail(iq, IQ_BAD_REQUEST, NULL, 0);
		return;
	}
	ours = jid_same(to, ctl.conf->component);
	jid_free(to);
	if (!ours || (v = find_service(q)) == NULL)
		iq_fail(iq, IQ_UNAVAILABLE, NULL, 0);
	else if (iq->set ? !v->set : !v->get)
		iq_fail(iq, IQ_NOT_IMPLEMENTED, NULL, 0);
	else
		v->fn(iq, q);
}

/* The type of an IQ: 'g'et, 's'et, 'r'esult, 'e'rror, or 0. */
static char
iq_type(const struct stanza *s)
{
	static const char *const	 types[] = {
		"get", "set", "result", "error"
	};
	const char			*type = stanza_attr(s, "type");
	size_t				 i;

	for (i = 0; type != NULL && i < 4; i++) {
		if (strcmp(type, types[i]) == 0)
			return (types[i][0]);
	}
	return (0);
}

static void
answer(const struct stanza *s)
{
	const char	*from = stanza_attr(s, "from");
	struct jid	*jid;

	if (xmpp_pong(s) || from == NULL || (jid = jid_parse(from)) == NULL)
		return;
	/* An error may be a bounce of his server: no sign of life. */
	if (iq_type(s) == 'r')
		port_owner_seen(jid);
	if (!ask_answered(s, jid))
		log_debug("answer to nothing that was asked");
	jid_free(jid);
}

void
iq_stanza(const struct stanza *s)
{
	struct iq	 iq;
	char		 id[STANZA_KEEP_MAX];
	char		 type = iq_type(s);

	if (type == 'r' || type == 'e') {
		answer(s);
		return;
	}
	if (borrow(&iq, s, id, sizeof(id)) == -1)
		return;			/* nobody to answer */
	iq.set = type == 's';
	port_owner_seen(iq.from);
	/* RFC 6120 8.2.3: exactly one child. */
	if (type == 0 || s->child == NULL || s->child->next != NULL)
		iq_fail(&iq, IQ_BAD_REQUEST,
		    "An IQ has a type and exactly one child.", 0);
	else
		serve(&iq, s->child);
	give_back(&iq);
}

void
iq_skipped(const struct stanza *s)
{
	struct iq	 iq;
	char		 id[STANZA_KEEP_MAX];
	char		 type = iq_type(s);

	if (type != 'g' && type != 's')
		return;
	if (borrow(&iq, s, id, sizeof(id)) == -1)
		return;
	iq_fail(&iq, IQ_TOO_BIG, NULL, 0);
	give_back(&iq);
}
