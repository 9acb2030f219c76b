/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "session.h"
#include "svc.h"
#include "ui.h"
#include "xalloc.h"

#define ASK_MS		10000
#define ITEMS_MAX	64	/* of a server that we ask */

struct search {
	struct svc_list	*list;
	size_t		 asked;
	size_t		 open;
};

/* One of the items asked. */
struct item {
	struct search	*search;
	char		*jid;
};

static void
read_form(struct svc *s, xmpp_stanza_t *x)
{
	struct limit	*l;
	xmpp_stanza_t	*field;
	const char	*var;
	char		 value[256];

	for (field = xmpp_stanza_get_children(x); field != NULL;
	    field = xmpp_stanza_get_next(field)) {
		if (!el_is(field, "field", NULL) || (var =
		    xmpp_stanza_get_attribute(field, "var")) == NULL ||
		    strcmp(var, "FORM_TYPE") == 0 ||
		    el_get_text(el_child(field, "value", NULL), value,
		    sizeof(value)) == -1)
			continue;
		l = xcalloc(1, sizeof(*l));
		l->name = xstrdup(var);
		l->value = xstrdup(value);
		STAILQ_INSERT_TAIL(&s->limits, l, entry);
	}
}

/* What an item says about itself; NULL if it is no PASS service. */
static struct svc *
read_info(const char *jid, xmpp_stanza_t *iq)
{
	xmpp_stanza_t	*query = el_child(iq, "query",
			    XMPP_NS_DISCO_INFO), *c;
	struct svc	*s;
	const char	*var, *name = NULL;
	int		 is = 0;

	if (query == NULL)
		return (NULL);
	for (c = xmpp_stanza_get_children(query); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "feature", NULL)) {
			var = xmpp_stanza_get_attribute(c, "var");
			if (var != NULL && strcmp(var, NS_PASS) == 0)
				is = 1;
		} else if (el_is(c, "identity", NULL) && name == NULL)
			name = xmpp_stanza_get_attribute(c, "name");
	}
	if (!is)
		return (NULL);
	s = xcalloc(1, sizeof(*s));
	s->jid = xstrdup(jid);
	s->name = name == NULL ? NULL : xstrdup(name);
	STAILQ_INIT(&s->limits);
	for (c = xmpp_stanza_get_children(query); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "x", NS_DATA))
			read_form(s, c);
	}
	return (s);
}

static void
on_info(enum iq_status status, xmpp_stanza_t *iq, void *arg)
{
	struct item	*item = arg;
	struct svc	*s = NULL;

	if (status == IQ_RESULT && item->search->list != NULL)
		s = read_info(item->jid, iq);
	if (s != NULL)
		STAILQ_INSERT_TAIL(item->search->list, s, entry);
	item->search->open--;
	free(item->jid);
	free(item);
}

static void
ask_item(struct search *search, const char *jid)
{
	struct item	*item;

	if (jid == NULL || search->asked == ITEMS_MAX)
		return;
	search->asked++;
	search->open++;
	item = xcalloc(1, sizeof(*item));
	item->search = search;
	item->jid = xstrdup(jid);
	session_iq("get", jid, el_new("query", XMPP_NS_DISCO_INFO), ASK_MS,
	    on_info, item);
}

int
svc_find(struct svc_list *list)
{
	static struct search	 search;	/* answers may come late */
	xmpp_stanza_t		*reply, *c;
	enum iq_status		 status;

	STAILQ_INIT(list);
	memset(&search, 0, sizeof(search));
	search.list = list;
	status = session_ask("get", NULL, el_new("query",
	    XMPP_NS_DISCO_ITEMS), ASK_MS, &reply);
	if (status != IQ_RESULT) {
		if (reply != NULL)
			xmpp_stanza_release(reply);
		return (ui_fail(EXIT_SERVICE, "%s does not say which services "
		    "it has; name one with -s", session_domain()));
	}
	c = el_child(reply, "query", XMPP_NS_DISCO_ITEMS);
	for (c = c == NULL ? NULL : xmpp_stanza_get_children(c); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "item", NULL) &&
		    xmpp_stanza_get_attribute(c, "node") == NULL)
			ask_item(&search,
			    xmpp_stanza_get_attribute(c, "jid"));
	}
	xmpp_stanza_release(reply);
	while (search.open > 0 && loop_once(-1))
		;
	search.list = NULL;	/* interrupted: what comes now is late */
	return (0);
}

void
svc_clear(struct svc_list *list)
{
	struct limit	*l;
	struct svc	*s;

	while ((s = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		while ((l = STAILQ_FIRST(&s->limits)) != NULL) {
			STAILQ_REMOVE_HEAD(&s->limits, entry);
			free(l->name);
			free(l->value);
			free(l);
		}
		free(s->jid);
		free(s->name);
		free(s);
	}
}

int
svc_choose(const char *given, char *service, size_t size)
{
	static struct svc_list	 list;
	struct svc		*s;
	int			 status;

	if (given != NULL) {
		if (strlcpy(service, given, size) < size)
			return (0);
		return (ui_fail(EXIT_USAGE, "the name of the service is too "
		    "long"));
	}
	if ((status = svc_find(&list)) != 0)
		return (status);
	if ((s = STAILQ_FIRST(&list)) == NULL ||
	    strlcpy(service, s->jid, size) >= size)
		status = ui_fail(EXIT_SERVICE, "%s has no PASS service that "
		    "it tells of; name one with -s", session_domain());
	svc_clear(&list);
	return (status);
}
