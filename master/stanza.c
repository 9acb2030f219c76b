/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stanza.h"
#include "tree.h"

/*
 * Enough for a usual IQ in one malloc(3); what is bigger takes more blocks.
 */
#define TREE_FIRST	2048
#define TREE_BLOCK	8192

struct block {
	struct block	*next;
	size_t		 used;
	size_t		 size;
	alignas(max_align_t) unsigned char bytes[];
};

struct tree {
	struct stanza	 top;		/* first: stanza_free() relies on it */
	struct block	*blocks;	/* newest first */
};

static struct block *
block_new(size_t size)
{
	struct block	*b;

	if (size > SIZE_MAX - sizeof(*b)) {
		errno = ENOMEM;
		return (NULL);
	}
	b = calloc(1, sizeof(*b) + size);
	if (b != NULL)
		b->size = size;
	return (b);
}

struct tree *
tree_new(void)
{
	struct block	*b;
	struct tree	*t;

	b = block_new(TREE_FIRST);
	if (b == NULL)
		return (NULL);
	t = (struct tree *)(void *)b->bytes;
	b->used = (sizeof(*t) + alignof(max_align_t) - 1) /
	    alignof(max_align_t) * alignof(max_align_t);
	t->blocks = b;
	t->top.ns = t->top.name = t->top.text = "";
	return (t);
}

void
tree_free(struct tree *t)
{
	struct block	*b, *next;

	if (t == NULL)
		return;
	/* The tree itself is in the last block of the list. */
	for (b = t->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
}

struct stanza *
tree_top(struct tree *t)
{
	return (&t->top);
}

void *
tree_alloc(struct tree *t, size_t size)
{
	struct block	*b = t->blocks;
	void		*p;

	if (size > SIZE_MAX / 2) {
		errno = ENOMEM;
		return (NULL);
	}
	size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) *
	    alignof(max_align_t);
	if (size > b->size - b->used) {
		b = block_new(size > TREE_BLOCK ? size : TREE_BLOCK);
		if (b == NULL)
			return (NULL);
		b->next = t->blocks;
		t->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += size;
	return (p);
}

char *
tree_str(struct tree *t, const char *s, size_t len)
{
	char	*copy;

	copy = tree_alloc(t, len + 1);
	if (copy != NULL)
		memcpy(copy, s, len);
	return (copy);
}

void
stanza_free(struct stanza *s)
{
	tree_free((struct tree *)(void *)s);
}

const char *
stanza_attr(const struct stanza *s, const char *name)
{
	const struct stanza_attr	*a;

	for (a = s->attr; a != NULL; a = a->next)
		if (*a->ns == '\0' && strcmp(a->name, name) == 0)
			return (a->value);
	return (NULL);
}

const char *
stanza_lang(const struct stanza *s)
{
	const struct stanza_attr	*a;

	for (a = s->attr; a != NULL; a = a->next)
		if (strcmp(a->ns, NS_XML) == 0 && strcmp(a->name, "lang") == 0)
			return (a->value);
	return (NULL);
}

const struct stanza *
stanza_child(const struct stanza *s, const char *ns, const char *name)
{
	const struct stanza	*c;

	for (c = s->child; c != NULL; c = c->next)
		if (stanza_is(c, ns, name))
			return (c);
	return (NULL);
}

int
stanza_is(const struct stanza *s, const char *ns, const char *name)
{
	return (strcmp(s->name, name) == 0 && strcmp(s->ns, ns) == 0);
}
