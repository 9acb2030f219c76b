/* SPDX-License-Identifier: ISC */
#ifndef MASTER_TREE_H
#define MASTER_TREE_H

#include <stddef.h>

#include "stanza.h"

/*
 * The memory of one stanza: a short list of blocks, of which the first
 * holds the top element.  Nothing in it is freed alone.  For the feeder
 * only; everybody else sees struct stanza and stanza_free().
 */
struct tree;

/* tree_new(): a tree with an empty top element; NULL with errno ENOMEM. */
struct tree	*tree_new(void);

/* tree_free(t): free ${t} with all it holds; NULL is allowed. */
void		 tree_free(struct tree *);

/* tree_top(t): the top element; stanza_free() of it frees ${t}. */
struct stanza	*tree_top(struct tree *);

/*
 * tree_alloc(t, size):
 * Return ${size} zeroed bytes, aligned for any type, or NULL with errno
 * ENOMEM.
 */
void		*tree_alloc(struct tree *, size_t);

/*
 * tree_str(t, s, len):
 * Return a NUL-terminated copy of ${len} bytes of ${s}; NULL with errno
 * ENOMEM.
 */
char		*tree_str(struct tree *, const char *, size_t);

#endif
