/* SPDX-License-Identifier: ISC */
#ifndef MASTER_NSMAP_H
#define MASTER_NSMAP_H

#include <stddef.h>

#include "stanza.h"
#include "tree.h"

/*
 * The XML namespace prefixes in scope (XML Names 1.0) at one place of a
 * stream.  For the feeder.
 */
struct nsmap {
	struct nsmap_entry {
		const char	*prefix;	/* "": the default namespace */
		const char	*uri;
		size_t		 depth;		/* of the declaring element */
	}		 e[2 * STANZA_ATTRS_MAX];	/* innermost last */
	size_t		 n;
	size_t		 nroot;		/* of these declared on the root */
};

/*
 * nsmap_root(m, atts):
 * Take over the declarations among the attributes ${atts} of the stream's
 * root (expat's form: name and value in turn, then NULL); the map owns its
 * copies.  Over-long ones are left out.  Return 0, or -1 with errno E2BIG
 * or ENOMEM.
 */
int		 nsmap_root(struct nsmap *, const char **);

/* nsmap_free(m): free what nsmap_root() has copied. */
void		 nsmap_free(struct nsmap *);

/*
 * nsmap_enter(m, t, depth, atts, why):
 * Put the declarations among ${atts} of an element at ${depth} into scope,
 * in the memory of ${t}.  Return 0, -1 when out of memory, or 1 with the
 * reason in ${why}: too many (they are searched one by one for each name)
 * or a bad one.
 */
int		 nsmap_enter(struct nsmap *, struct tree *, size_t,
		    const char **, enum stanza_bad *);

/* nsmap_leave(m, depth): the element at ${depth} ends. */
void		 nsmap_leave(struct nsmap *, size_t);

/* nsmap_reset(m): back to what the root declares. */
void		 nsmap_reset(struct nsmap *);

/* nsmap_is_decl(att): 1 if the attribute ${att} is a declaration, else 0. */
int		 nsmap_is_decl(const char *);

/*
 * nsmap_split(m, raw, is_attr, ns):
 * Split the name ${raw} of an element or attribute.  Return its local name
 * with the namespace in ${ns}, or NULL if the prefix is not declared or the
 * name is none of XML Names 1.0 4.
 */
const char	*nsmap_split(const struct nsmap *, const char *, int,
		    const char **);

/*
 * nsmap_keep(m, t, uri):
 * Return the ${uri} that nsmap_split() gave as part of ${t}, which may live
 * longer than the map; NULL when out of memory.
 */
const char	*nsmap_keep(const struct nsmap *, struct tree *,
		    const char *);

#endif
