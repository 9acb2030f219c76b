/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nsmap.h"

#define NS_XMLNS	"http://www.w3.org/2000/xmlns/"

static const char *
find(const struct nsmap *m, const char *prefix, size_t len)
{
	size_t	 i;

	if (len == 3 && memcmp(prefix, "xml", 3) == 0)
		return (NS_XML);
	for (i = m->n; i > 0; i--)
		if (strlen(m->e[i - 1].prefix) == len &&
		    memcmp(m->e[i - 1].prefix, prefix, len) == 0)
			return (m->e[i - 1].uri);
	return (len == 0 ? "" : NULL);
}

/* The prefix that the attribute ${att} declares, or NULL if it does not. */
static const char *
declares(const char *att)
{
	if (strncmp(att, "xmlns", 5) != 0)
		return (NULL);
	if (att[5] == ':')
		return (att + 6);
	return (att[5] == '\0' ? att + 5 : NULL);
}

int
nsmap_is_decl(const char *att)
{
	return (declares(att) != NULL);
}

/*
 * What the server's parser would not take back in an error's echo: XML
 * Names 1.0 3 on the reserved names, and control characters, with which
 * parsers separate namespace and name inside.
 */
static int
is_bad(const char *prefix, const char *uri)
{
	if ((strcmp(prefix, "xml") == 0) != (strcmp(uri, NS_XML) == 0) ||
	    strcmp(prefix, "xmlns") == 0 || strcmp(uri, NS_XMLNS) == 0)
		return (1);
	for (; *uri != '\0'; uri++)
		if ((unsigned char)*uri < ' ')
			return (1);
	return (0);
}

int
nsmap_root(struct nsmap *m, const char **atts)
{
	const char		*prefix;
	struct nsmap_entry	*e;

	for (; *atts != NULL; atts += 2) {
		prefix = declares(atts[0]);
		if (prefix == NULL || strlen(prefix) > STREAM_URI_MAX ||
		    strlen(atts[1]) > STREAM_URI_MAX)
			continue;
		if (m->nroot == STANZA_ATTRS_MAX) {
			errno = E2BIG;
			return (-1);
		}
		e = &m->e[m->nroot];
		e->depth = 1;
		e->prefix = strdup(prefix);
		e->uri = strdup(atts[1]);
		m->n = ++m->nroot;
		if (e->prefix == NULL || e->uri == NULL)
			return (-1);
	}
	return (0);
}

void
nsmap_free(struct nsmap *m)
{
	size_t	 i;

	for (i = 0; i < m->nroot; i++) {
		free((void *)(uintptr_t)m->e[i].prefix);
		free((void *)(uintptr_t)m->e[i].uri);
	}
	m->n = m->nroot = 0;
}

int
nsmap_enter(struct nsmap *m, struct tree *t, size_t depth, const char **atts,
    enum stanza_bad *why)
{
	const char		*prefix;
	struct nsmap_entry	*e;

	for (; *atts != NULL; atts += 2) {
		prefix = declares(atts[0]);
		if (prefix == NULL)
			continue;
		if (m->n - m->nroot == STANZA_ATTRS_MAX) {
			*why = STANZA_TOO_MANY;
			return (1);
		}
		if (is_bad(prefix, atts[1])) {
			*why = STANZA_BAD_NAME;
			return (1);
		}
		e = &m->e[m->n];
		e->prefix = tree_str(t, prefix, strlen(prefix));
		e->uri = tree_str(t, atts[1], strlen(atts[1]));
		e->depth = depth;
		if (e->prefix == NULL || e->uri == NULL)
			return (-1);
		m->n++;
	}
	return (0);
}

void
nsmap_leave(struct nsmap *m, size_t depth)
{
	while (m->n > m->nroot && m->e[m->n - 1].depth == depth)
		m->n--;
}

void
nsmap_reset(struct nsmap *m)
{
	m->n = m->nroot;
}

const char *
nsmap_split(const struct nsmap *m, const char *raw, int is_attr,
    const char **ns)
{
	const char	*colon = strchr(raw, ':');

	if (colon == NULL) {
		*ns = is_attr ? "" : find(m, "", 0);
		return (raw);
	}
	if (colon == raw || colon[1] == '\0' || strchr(colon + 1, ':') != NULL)
		return (NULL);
	*ns = find(m, raw, (size_t)(colon - raw));
	return (*ns == NULL || **ns == '\0' ? NULL : colon + 1);
}

const char *
nsmap_keep(const struct nsmap *m, struct tree *t, const char *uri)
{
	size_t	 i;

	if (*uri == '\0')
		return ("");
	/* The usual ones cost no memory. */
	if (strcmp(uri, NS_COMPONENT) == 0)
		return (NS_COMPONENT);
	if (strcmp(uri, NS_STREAMS) == 0)
		return (NS_STREAMS);
	for (i = 0; i < m->nroot; i++)
		if (m->e[i].uri == uri)
			return (tree_str(t, uri, strlen(uri)));
	return (uri);		/* NS_XML, or from nsmap_enter() */
}
