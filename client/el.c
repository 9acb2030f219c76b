/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "el.h"
#include "ui.h"

static xmpp_ctx_t	*ctx;

void
el_context(xmpp_ctx_t *c)
{
	ctx = c;
}

xmpp_ctx_t *
el_get_context(void)
{
	return (ctx);
}

/* libstrophe reports nothing but lack of memory here. */
static void
must(int ok)
{
	if (!ok)
		exit(ui_fail(EXIT_USAGE, "out of memory"));
}

xmpp_stanza_t *
el_new(const char *name, const char *ns)
{
	xmpp_stanza_t	*e = xmpp_stanza_new(ctx);

	must(e != NULL);
	must(xmpp_stanza_set_name(e, name) == XMPP_EOK);
	if (ns != NULL)
		must(xmpp_stanza_set_ns(e, ns) == XMPP_EOK);
	return (e);
}

void
el_put(xmpp_stanza_t *parent, xmpp_stanza_t *child)
{
	must(xmpp_stanza_add_child_ex(parent, child, 0) == XMPP_EOK);
}

xmpp_stanza_t *
el_add(xmpp_stanza_t *parent, const char *name, const char *ns)
{
	xmpp_stanza_t	*e = el_new(name, ns);

	el_put(parent, e);
	return (e);
}

void
el_text(xmpp_stanza_t *e, const char *text)
{
	xmpp_stanza_t	*t = xmpp_stanza_new(ctx);

	must(t != NULL);
	must(xmpp_stanza_set_text(t, text) == XMPP_EOK);
	el_put(e, t);
}

void
el_num(xmpp_stanza_t *e, uint64_t n)
{
	char	 text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	el_text(e, text);
}

void
el_attr(xmpp_stanza_t *e, const char *name, const char *value)
{
	must(xmpp_stanza_set_attribute(e, name, value) == XMPP_EOK);
}

void
el_attr_num(xmpp_stanza_t *e, const char *name, uint64_t n)
{
	char	 text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	el_attr(e, name, text);
}

int
el_is(xmpp_stanza_t *e, const char *name, const char *ns)
{
	const char	*has;

	if (!xmpp_stanza_is_tag(e))
		return (0);
	has = xmpp_stanza_get_name(e);
	if (name != NULL && (has == NULL || strcmp(has, name) != 0))
		return (0);
	has = xmpp_stanza_get_ns(e);
	return (ns == NULL || (has != NULL && strcmp(has, ns) == 0));
}

xmpp_stanza_t *
el_child(xmpp_stanza_t *e, const char *name, const char *ns)
{
	xmpp_stanza_t	*c;

	if (e == NULL)
		return (NULL);
	for (c = xmpp_stanza_get_children(e); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, name, ns))
			return (c);
	}
	return (NULL);
}

int
el_get_text(xmpp_stanza_t *e, char *buf, size_t size)
{
	char	*all;
	size_t	 from, len;

	buf[0] = '\0';
	if (e == NULL || (all = xmpp_stanza_get_text(e)) == NULL)
		return (-1);
	from = strspn(all, " \t\r\n");
	len = strlen(all + from);
	while (len > 0 && strchr(" \t\r\n", all[from + len - 1]) != NULL)
		len--;
	if (len > 0 && len < size) {
		memcpy(buf, all + from, len);
		buf[len] = '\0';
	}
	xmpp_free(ctx, all);
	return (buf[0] == '\0' ? -1 : 0);
}

int
el_number(const char *text, uint64_t *value)
{
	uint64_t	 v = 0;
	size_t		 i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 15; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	if (i == 0 || text[i] != '\0')
		return (-1);
	*value = v;
	return (0);
}

uint16_t
el_get_port(xmpp_stanza_t *e)
{
	const char	*text;
	uint64_t	 port;

	if (e == NULL ||
	    (text = xmpp_stanza_get_attribute(e, "port")) == NULL ||
	    el_number(text, &port) == -1 || port > UINT16_MAX)
		return (0);
	return ((uint16_t)port);
}

static void
copy(char *buf, size_t size, const char *text)
{
	if (text == NULL || strlcpy(buf, text, size) >= size)
		buf[0] = '\0';
}

void
el_error(xmpp_stanza_t *stanza, struct el_error *e)
{
	xmpp_stanza_t	*error = el_child(stanza, "error", NULL), *c;

	memset(e, 0, sizeof(*e));
	copy(e->condition, sizeof(e->condition), "undefined-condition");
	if (error == NULL)
		return;
	copy(e->code, sizeof(e->code),
	    xmpp_stanza_get_attribute(error, "code"));
	copy(e->type, sizeof(e->type), xmpp_stanza_get_type(error));
	for (c = xmpp_stanza_get_children(error); c != NULL;
	    c = xmpp_stanza_get_next(c)) {
		if (el_is(c, "text", XMPP_NS_STANZAS_IETF))
			(void)el_get_text(c, e->text, sizeof(e->text));
		else if (el_is(c, NULL, XMPP_NS_STANZAS_IETF))
			copy(e->condition, sizeof(e->condition),
			    xmpp_stanza_get_name(c));
		else if (el_is(c, NULL, NS_PASSD))
			copy(e->app, sizeof(e->app), xmpp_stanza_get_name(c));
	}
}
