/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "session.h"
#include "xalloc.h"

#define NODE		NS_PASSD	/* a name, no place */
#define FEATURES_MAX	16
#define GUESTS_MAX	256
#define NAME		"passcat"

struct guest {
	char			*jid;
	TAILQ_ENTRY(guest)	 entry;
};

static const char	*features[FEATURES_MAX] = {
	NS_CAPS, XMPP_NS_DISCO_INFO, NS_DECLOAK, NS_PING
};
static size_t			 nfeatures = 4;
static TAILQ_HEAD(, guest)	 guests = TAILQ_HEAD_INITIALIZER(guests);
static size_t			 nguests;

void
disco_feature(const char *ns)
{
	size_t	 i;

	for (i = 0; i < nfeatures; i++) {
		if (strcmp(features[i], ns) == 0)
			return;
	}
	if (nfeatures < FEATURES_MAX)
		features[nfeatures++] = ns;
}

static struct guest *
find(const char *jid)
{
	struct guest	*g;

	TAILQ_FOREACH(g, &guests, entry) {
		if (session_same(g->jid, jid))
			return (g);
	}
	return (NULL);
}

void
disco_let(const char *jid)
{
	struct guest	*g;

	if (find(jid) != NULL || nguests == GUESTS_MAX)
		return;
	g = xcalloc(1, sizeof(*g));
	g->jid = xstrdup(jid);
	TAILQ_INSERT_TAIL(&guests, g, entry);
	nguests++;
}

void
disco_forget(const char *jid)
{
	struct guest	*g = find(jid);

	if (g == NULL)
		return;
	TAILQ_REMOVE(&guests, g, entry);
	nguests--;
	free(g->jid);
	free(g);
}

static int
may_ask(xmpp_stanza_t *iq)
{
	const char	*from = xmpp_stanza_get_from(iq);

	return (from == NULL || session_same(from, session_domain()) ||
	    session_same(from, session_bare()) || find(from) != NULL);
}

static int
by_octets(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

/* XEP-0115 5.1; the identity's language is its own, see PROTOCOL.md 4. */
static char *
hash(void)
{
	unsigned char	 digest[XMPP_SHA1_DIGEST_SIZE];
	xmpp_sha1_t	*sha;
	xmpp_ctx_t	*ctx = el_get_context();
	char		*text;
	size_t		 i;

	qsort(features, nfeatures, sizeof(features[0]), by_octets);
	if ((sha = xmpp_sha1_new(ctx)) == NULL)
		return (NULL);
	xmpp_sha1_update(sha, (const unsigned char *)"client/console/en/"
	    NAME "<", sizeof("client/console/en/" NAME "<") - 1);
	for (i = 0; i < nfeatures; i++) {
		xmpp_sha1_update(sha, (const unsigned char *)features[i],
		    strlen(features[i]));
		xmpp_sha1_update(sha, (const unsigned char *)"<", 1);
	}
	xmpp_sha1_final(sha);
	xmpp_sha1_to_digest(sha, digest);
	xmpp_sha1_free(sha);
	text = xmpp_base64_encode(ctx, digest, sizeof(digest));
	return (text);
}

void
disco_caps(xmpp_stanza_t *presence)
{
	xmpp_stanza_t	*c = el_add(presence, "c", NS_CAPS);
	char		*ver = hash();

	el_attr(c, "hash", "sha-1");
	el_attr(c, "node", NODE);
	if (ver == NULL)
		return;
	el_attr(c, "ver", ver);
	xmpp_free(el_get_context(), ver);
}

static int
on_info(xmpp_stanza_t *iq, xmpp_stanza_t *asked, void *arg)
{
	xmpp_stanza_t	*query, *e;
	const char	*node;
	size_t		 i;

	(void)arg;
	if (strcmp(xmpp_stanza_get_type(iq), "get") != 0 || !may_ask(iq))
		return (0);
	query = el_new("query", XMPP_NS_DISCO_INFO);
	if ((node = xmpp_stanza_get_attribute(asked, "node")) != NULL)
		el_attr(query, "node", node);
	e = el_add(query, "identity", NULL);
	el_attr(e, "category", "client");
	el_attr(e, "type", "console");
	el_attr(e, "name", NAME);
	el_attr(e, "xml:lang", "en");
	for (i = 0; i < nfeatures; i++) {
		e = el_add(query, "feature", NULL);
		el_attr(e, "var", features[i]);
	}
	session_reply(iq, query);
	return (1);
}

static int
on_ping(xmpp_stanza_t *iq, xmpp_stanza_t *asked, void *arg)
{
	(void)asked;
	(void)arg;
	if (strcmp(xmpp_stanza_get_type(iq), "get") != 0 || !may_ask(iq))
		return (0);
	session_reply(iq, NULL);
	return (1);
}

void
disco_serve(void)
{
	session_on_iq(XMPP_NS_DISCO_INFO, on_info, NULL);
	session_on_iq(NS_PING, on_ping, NULL);
}
