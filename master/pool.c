/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>

#include "pool.h"

struct number {
	int64_t		 rested;	/* mono_ms() from which it is free */
	uint16_t	 port;
};

/*
 * The free numbers in the order in which they came back: a ring.  As every
 * number rests for the same time, those that are rested come first.
 */
struct pool {
	struct number	*ring;
	size_t		 size;
	size_t		 head;
	size_t		 count;
	int64_t		 rest_ms;
	uint16_t	 lo;
	uint16_t	 hi;
};

static struct number *
at(const struct pool *p, size_t i)
{
	return (&p->ring[(p->head + i) % p->size]);
}

struct pool *
pool_new(uint16_t lo, uint16_t hi, int64_t rest_ms)
{
	struct pool	*p;
	size_t		 i;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return (NULL);
	p->size = p->count = (size_t)(hi - lo) + 1;
	p->rest_ms = rest_ms;
	p->lo = lo;
	p->hi = hi;
	if ((p->ring = calloc(p->size, sizeof(*p->ring))) == NULL) {
		free(p);
		errno = ENOMEM;
		return (NULL);
	}
	for (i = 0; i < p->size; i++) {
		p->ring[i].port = (uint16_t)(lo + i);
		p->ring[i].rested = INT64_MIN;	/* never used */
	}
	return (p);
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	free(p->ring);
	free(p);
}

size_t
pool_left(const struct pool *p, int64_t now)
{
	size_t	 lo = 0, hi = p->count, mid;

	/* The first that still rests: the order makes this a search. */
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (at(p, mid)->rested <= now)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo);
}

/* How many of the first ${left} have never been used. */
static size_t
never_used(const struct pool *p, size_t left)
{
	size_t	 n;

	for (n = 0; n < left && at(p, n)->rested == INT64_MIN; n++)
		;
	return (n);
}

/* Close the gap from the front: the order of the rest stays. */
static void
take(struct pool *p, size_t i)
{
	for (; i > 0; i--)
		*at(p, i) = *at(p, i - 1);
	p->head = (p->head + 1) % p->size;
	p->count--;
}

uint16_t
pool_take(struct pool *p, int64_t now)
{
	size_t		 left, choice, i;
	uint16_t	 port;

	if ((left = pool_left(p, now)) == 0)
		return (0);
	/* All that were never used are unused equally long. */
	choice = never_used(p, left);
	if (choice < (left + 1) / 2)
		choice = (left + 1) / 2;
	i = arc4random_uniform((uint32_t)choice);
	port = at(p, i)->port;
	take(p, i);
	return (port);
}

int
pool_claim(struct pool *p, uint16_t port)
{
	size_t	 i;

	if (port < p->lo || port > p->hi)
		return (0);
	for (i = 0; i < p->count; i++) {
		if (at(p, i)->port == port) {
			take(p, i);
			return (0);
		}
	}
	return (-1);
}

void
pool_give(struct pool *p, uint16_t port, int64_t now)
{
	struct number	*n;

	/* It cannot have been taken, or is of an older configuration. */
	if (p->count == p->size || port < p->lo || port > p->hi)
		return;
	n = at(p, p->count++);
	n->port = port;
	n->rested = now + p->rest_ms;
}
