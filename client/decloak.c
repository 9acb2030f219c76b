/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decloak.h"
#include "disco.h"
#include "gate.h"
#include "jid.h"
#include "loop.h"
#include "mono.h"
#include "session.h"
#include "ui.h"
#include "xalloc.h"

#define MORE_MS		2000	/* for a person's other clients */
#define INFO_MS		5000
#define SHOWN_MAX	64	/* to whom we have shown ourselves */
#define ANSWER_MS	5000	/* one answer a JID in this time: no loops */

/* The names under which it is in use; PROTOCOL.md section 5. */
static const char *const names[] = {
	NS_DECLOAK, "urn:xmpp:temppres:0", "urn:xmpp:decloaking:0",
	"http://telepathy.freedesktop.org/xmpp/protocol/decloak",
};

struct shown {
	char			*jid;
	int64_t			 when;
	TAILQ_ENTRY(shown)	 entry;
};
static TAILQ_HEAD(, shown)	 shown = TAILQ_HEAD_INITIALIZER(shown);
static size_t			 nshown;
static const struct options	*policy;

static struct {
	const char		*peer;	/* NULL: nobody is looked for */
	struct decloak_peer	*found;
	size_t			 max;
	size_t			 n;
	size_t			 open;	/* questions without an answer */
	int			 refused;
	int64_t			 until;
} search;

/* ---- showing ourselves --------------------------------------------------- */

static struct shown *
was_shown(const char *jid)
{
	struct shown	*s;

	TAILQ_FOREACH(s, &shown, entry) {
		if (session_same(s->jid, jid))
			return (s);
	}
	return (NULL);
}

static void
send_unavailable(const char *to)
{
	xmpp_stanza_t	*p = el_new("presence", NULL);

	el_attr(p, "to", to);
	el_attr(p, "type", "unavailable");
	session_send(p);
}

static void
hide(struct shown *s)
{
	TAILQ_REMOVE(&shown, s, entry);
	nshown--;
	disco_forget(s->jid);
	free(s->jid);
	free(s);
}

/* Directed presence with capabilities; with ${reason} it is a request. */
static void
show(const char *to, int request, const char *reason)
{
	xmpp_stanza_t	*p = el_new("presence", NULL), *d;
	struct shown	*s;

	el_attr(p, "to", to);
	disco_caps(p);
	if (request) {
		d = el_add(p, "decloak", NS_DECLOAK);
		if (reason != NULL)
			el_attr(d, "reason", reason);
	}
	session_send(p);
	if ((s = was_shown(to)) == NULL) {
		if (nshown == SHOWN_MAX) {
			send_unavailable(TAILQ_FIRST(&shown)->jid);
			hide(TAILQ_FIRST(&shown));
		}
		s = xcalloc(1, sizeof(*s));
		s->jid = xstrdup(to);
		TAILQ_INSERT_TAIL(&shown, s, entry);
		nshown++;
		disco_let(to);
	}
	s->when = mono_ms();
}

void
decloak_end(void)
{
	struct shown	*s;

	while ((s = TAILQ_FIRST(&shown)) != NULL) {
		send_unavailable(s->jid);
		hide(s);
	}
}

/* ---- being asked --------------------------------------------------------- */

static int
is_request(xmpp_stanza_t *presence)
{
	size_t	 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (el_child(presence, NULL, names[i]) != NULL)
			return (1);
	}
	return (0);
}

/* Whether ${from} is named: by JID, or by domain. */
static int
is_named(const char *from, int *ask)
{
	struct jid	*j = jid_parse(from), *rule;
	size_t		 i;
	int		 yes = 0;

	*ask = 0;
	for (i = 0; j != NULL && policy != NULL && i < policy->ndecloak;
	    i++) {
		if (strcmp(policy->decloak[i], "ask") == 0) {
			*ask = 1;
			continue;
		}
		if ((rule = jid_parse(policy->decloak[i])) == NULL)
			continue;
		if (rule->has_local)
			yes |= rule->resource != NULL ? jid_same(rule, j) :
			    jid_same_bare(rule, j);
		else
			yes |= rule->domain_len == j->domain_len &&
			    memcmp(rule->domain, j->domain,
			    j->domain_len) == 0;
		jid_free(rule);
	}
	jid_free(j);
	return (yes);
}

static void
told(const char *name, const char *from)
{
	struct event	 e;

	ui_event(&e, name);
	ui_str(&e, "jid", from);
	ui_end(&e);
}

static void
on_answer(int yes, const char *why, void *arg)
{
	char	*from = arg;

	if (yes) {
		show(from, 0, NULL);
		told("decloaked", from);
		ui_say("%s now sees that you are here", from);
	} else {
		told("cloaked", from);
		ui_say("%s is not told that you are here: %s", from, why);
	}
	free(from);
}

static void
asked(const char *from)
{
	struct shown	*s = was_shown(from);
	char		 text[512];
	int		 ask;

	if (s != NULL && mono_ms() - s->when < ANSWER_MS)
		return;
	if (is_named(from, &ask)) {
		on_answer(1, "", xstrdup(from));
		return;
	}
	if (!ask) {
		ui_debug("%s asks whether you are here, and gets no answer",
		    from);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s asks whether you are here.  "
	    "Tell? [y/N] ", from);
	gate_question(text, on_answer, xstrdup(from));
}

/* ---- finding ------------------------------------------------------------- */

static void
on_info(enum iq_status status, xmpp_stanza_t *iq, void *arg)
{
	struct decloak_peer	*p = arg;
	xmpp_stanza_t		*c;
	const char		*var;

	if (search.peer == NULL)
		return;		/* too late */
	search.open--;
	c = status != IQ_RESULT ? NULL :
	    el_child(iq, "query", XMPP_NS_DISCO_INFO);
	p->asked = c != NULL;
	(void)strlcpy(p->features, " ", sizeof(p->features));
	for (c = c == NULL ? NULL : xmpp_stanza_get_children(c); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		var = el_is(c, "feature", NULL) ?
		    xmpp_stanza_get_attribute(c, "var") : NULL;
		if (var == NULL || strlen(p->features) + strlen(var) + 2 >
		    sizeof(p->features))
			continue;
		(void)strlcat(p->features, var, sizeof(p->features));
		(void)strlcat(p->features, " ", sizeof(p->features));
	}
}

static void
add(const char *jid)
{
	struct decloak_peer	*p;
	size_t			 i;

	for (i = 0; i < search.n; i++) {
		if (session_same(search.found[i].jid, jid))
			return;
	}
	if (search.n == search.max || session_same(jid, session_jid()))
		return;
	p = &search.found[search.n];
	memset(p, 0, sizeof(*p));
	if (strlcpy(p->jid, jid, sizeof(p->jid)) >= sizeof(p->jid))
		return;
	search.n++;
	search.open++;
	if (search.until > mono_ms() + MORE_MS)
		search.until = mono_ms() + MORE_MS;
	disco_let(jid);
	session_iq("get", jid, el_new("query", XMPP_NS_DISCO_INFO), INFO_MS,
	    on_info, p);
}

/* ---- presence ------------------------------------------------------------ */

static void
on_presence(xmpp_stanza_t *presence, void *arg)
{
	const char	*type = xmpp_stanza_get_type(presence);
	const char	*from = xmpp_stanza_get_from(presence);
	struct shown	*s;

	(void)arg;
	if (from == NULL)
		return;
	if (type != NULL) {
		if (strcmp(type, "unavailable") == 0 &&
		    (s = was_shown(from)) != NULL)
			hide(s);
		if (strcmp(type, "error") == 0 && search.peer != NULL &&
		    session_same_bare(from, search.peer))
			search.refused = 1;
		return;
	}
	if (search.peer != NULL && session_same_bare(from, search.peer) &&
	    strchr(from, '/') != NULL)
		add(from);
	if (is_request(presence) && !session_same_bare(from, session_bare()))
		asked(from);
}

void
decloak_serve(const struct options *o)
{
	static int	 serving;
	size_t		 i;

	policy = o;
	for (i = 0; i < o->ndecloak; i++) {
		if (strcmp(o->decloak[i], "ask") == 0 && !gate_terminal())
			ui_warn("no terminal to ask on, so nobody will be "
			    "told that you are here");
	}
	if (!serving)
		session_on_presence(on_presence, NULL);
	serving = 1;
}

void
decloak_begin(void)
{
	xmpp_stanza_t	*p;

	if (policy == NULL || policy->ndecloak == 0)
		return;
	p = el_new("presence", NULL);
	el_text(el_add(p, "priority", NULL), "-1");
	session_send(p);
}

int
decloak_has(const struct decloak_peer *p, const char *ns)
{
	const char	*at = p->features;
	size_t		 len = strlen(ns);

	for (; (at = strstr(at, ns)) != NULL; at++) {
		if (at > p->features && at[-1] == ' ' && at[len] == ' ')
			return (1);
	}
	return (0);
}

int
decloak_find(const char *peer, const char *reason, int64_t ms,
    struct decloak_peer *found, size_t max)
{
	struct jid	*j = jid_parse(peer);
	size_t		 n;
	int		 known;

	if (j == NULL)
		return (-1 - ui_fail(EXIT_USAGE, "%s: not an address, such "
		    "as bob@example.org", peer));
	known = j->resource != NULL || !j->has_local;
	jid_free(j);
	memset(&search, 0, sizeof(search));
	search.peer = peer;
	search.found = found;
	search.max = max;
	search.until = mono_ms() + ms;
	if (known)
		add(peer);
	else
		show(peer, 1, reason);
	while (!search.refused && (!known || search.open > 0) &&
	    loop_once(search.until))
		;
	while (search.open > 0 && loop_once(-1))
		;
	n = search.n;
	search.peer = NULL;
	return ((int)n);
}
