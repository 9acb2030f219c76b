/* SPDX-License-Identifier: ISC */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "fname.h"
#include "offer.h"
#include "ui.h"

#define HEX_LEN		(2 * PROOF_SECRET_LEN)

/* An IPv6 address needs brackets in a URL. */
static void
put_url(xmpp_stanza_t *query, const struct offer *o)
{
	char	 url[PASS_HOST_MAX + 32];
	int	 v6 = strchr(o->host[0], ':') != NULL;

	(void)snprintf(url, sizeof(url), "tcp://%s%s%s:%u", v6 ? "[" : "",
	    o->host[0], v6 ? "]" : "", o->port);
	el_text(el_add(query, "url", NULL), url);
}

xmpp_stanza_t *
offer_build(const struct offer *o)
{
	xmpp_stanza_t	*query = el_new("query", NS_OOB), *t, *a;
	char		 hex[HEX_LEN + 1];
	size_t		 i;

	put_url(query, o);
	el_text(el_add(query, "desc", NULL), o->title);
	t = el_add(query, "transfer", NS_PASSD);
	el_attr_num(t, "files", o->total.files);
	el_attr_num(t, "dirs", o->total.dirs);
	el_attr_num(t, "bytes", o->total.bytes);
	for (i = 0; i < o->nhosts; i++) {
		a = el_add(t, "address", NULL);
		el_attr_num(a, "port", o->port);
		el_text(a, o->host[i]);
	}
	sodium_bin2hex(hex, sizeof(hex), o->secret, sizeof(o->secret));
	el_text(el_add(t, "secret", NULL), hex);
	sodium_memzero(hex, sizeof(hex));
	return (query);
}

static int
read_number(xmpp_stanza_t *t, const char *name, uint64_t *value)
{
	const char	*text = xmpp_stanza_get_attribute(t, name);

	return (text == NULL ? -1 : el_number(text, value));
}

static int
read_secret(xmpp_stanza_t *t, struct offer *o)
{
	char		 hex[HEX_LEN + 1];
	size_t		 len;
	int		 bad;

	bad = el_get_text(el_child(t, "secret", NULL), hex,
	    sizeof(hex)) == -1 || strlen(hex) != HEX_LEN ||
	    sodium_hex2bin(o->secret, sizeof(o->secret), hex, HEX_LEN, NULL,
	    &len, NULL) != 0 || len != sizeof(o->secret);
	sodium_memzero(hex, sizeof(hex));
	return (bad ? -1 : 0);
}

static int
read_addresses(xmpp_stanza_t *t, struct offer *o)
{
	xmpp_stanza_t	*a;

	for (a = xmpp_stanza_get_children(t); a != NULL;
	    a = xmpp_stanza_get_next(a)) {
		if (!el_is(a, "address", NULL) || o->nhosts == PASS_ADDRESSES)
			continue;
		if ((o->port = el_get_port(a)) == 0 ||
		    el_get_text(a, o->host[o->nhosts],
		    sizeof(o->host[0])) == -1)
			return (-1);
		o->nhosts++;
	}
	return (o->nhosts > 0 ? 0 : -1);
}

int
offer_read(xmpp_stanza_t *query, struct offer *o)
{
	xmpp_stanza_t	*t = el_child(query, "transfer", NS_PASSD);
	char		 desc[1024];

	memset(o, 0, sizeof(*o));
	if (t == NULL || read_number(t, "files", &o->total.files) == -1 ||
	    read_number(t, "dirs", &o->total.dirs) == -1 ||
	    read_number(t, "bytes", &o->total.bytes) == -1 ||
	    read_addresses(t, o) == -1 || read_secret(t, o) == -1)
		return (-1);
	/* It was made fit to be shown, but by whom? */
	(void)el_get_text(el_child(query, "desc", NULL), desc, sizeof(desc));
	(void)fname_show(desc[0] == '\0' ? "something" : desc, o->title,
	    sizeof(o->title));
	return (0);
}

const char *
offer_text(const struct offer *o, char *buf, size_t size)
{
	char	 bytes[32], dirs[48] = "";

	if (o->total.dirs > 0)
		(void)snprintf(dirs, sizeof(dirs), "%llu director%s, ",
		    (unsigned long long)o->total.dirs,
		    o->total.dirs == 1 ? "y" : "ies");
	(void)snprintf(buf, size, "%s (%s%llu file%s, %s)", o->title, dirs,
	    (unsigned long long)o->total.files,
	    o->total.files == 1 ? "" : "s",
	    ui_size(o->total.bytes, bytes, sizeof(bytes)));
	return (buf);
}
