/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "mono.h"
#include "slow.h"

struct owner {
	RB_ENTRY(owner)		 entry;
	TAILQ_ENTRY(owner)	 by_age;
	struct jid		*jid;		/* bare, or full */
	unsigned int		 wait;		/* seconds, of the last crash */
	int64_t			 crashed;	/* mono_ms() of it */
};

static int
compare(struct owner *a, struct owner *b)
{
	return (strcmp(a->jid->full, b->jid->full));
}

RB_HEAD(slow_tree, owner);
RB_PROTOTYPE(slow_tree, owner, entry, compare)
RB_GENERATE(slow_tree, owner, entry, compare)

static struct slow_tree		 owners = RB_INITIALIZER(&owners);
static TAILQ_HEAD(, owner)	 ages = TAILQ_HEAD_INITIALIZER(ages);
static unsigned int		 nowners;

static void
forget(struct owner *o)
{
	(void)RB_REMOVE(slow_tree, &owners, o);
	TAILQ_REMOVE(&ages, o, by_age);
	nowners--;
	jid_free(o->jid);
	free(o);
}

/* Oldest crash first, so that no more than those that are due is looked at. */
static void
forget_quiet(int64_t now)
{
	struct owner	*o;

	while ((o = TAILQ_FIRST(&ages)) != NULL &&
	    now >= o->crashed + SLOW_FORGET_S * INT64_C(1000))
		forget(o);
}

static struct owner *
owner_new(struct jid *jid)
{
	struct owner	*o;

	if (nowners == SLOW_OWNERS_MAX)
		forget(TAILQ_FIRST(&ages));
	if ((o = calloc(1, sizeof(*o))) == NULL) {
		jid_free(jid);
		return (NULL);
	}
	o->jid = jid;
	(void)RB_INSERT(slow_tree, &owners, o);
	TAILQ_INSERT_TAIL(&ages, o, by_age);
	nowners++;
	return (o);
}

/* The owner, with ${create} a new one if need be. */
static struct owner *
find(const struct jid *jid, int full, int create)
{
	struct owner	 key, *o;

	if (RB_EMPTY(&owners) && !create)
		return (NULL);
	if ((key.jid = full ? jid_dup(jid) : jid_bare(jid)) == NULL)
		return (NULL);
	if ((o = RB_FIND(slow_tree, &owners, &key)) == NULL && create)
		return (owner_new(key.jid));	/* has taken the JID */
	jid_free(key.jid);
	return (o);
}

unsigned int
slow_crash(const struct jid *jid, int full)
{
	int64_t		 now = mono_ms();
	struct owner	*o;

	forget_quiet(now);
	if ((o = find(jid, full, 1)) == NULL)
		return (0);
	o->wait = o->wait == 0 ? SLOW_FIRST_S : o->wait * 2;
	if (o->wait > SLOW_MOST_S)
		o->wait = SLOW_MOST_S;
	o->crashed = now;
	TAILQ_REMOVE(&ages, o, by_age);
	TAILQ_INSERT_TAIL(&ages, o, by_age);
	return (o->wait);
}

unsigned int
slow_left(const struct jid *jid, int full)
{
	int64_t		 now = mono_ms(), left;
	struct owner	*o;

	forget_quiet(now);
	if ((o = find(jid, full, 0)) == NULL)
		return (0);
	left = o->crashed + (int64_t)o->wait * 1000 - now;
	return (left <= 0 ? 0 : (unsigned int)((left + 999) / 1000));
}

unsigned int
slow_owners(void)
{
	forget_quiet(mono_ms());
	return (nowners);
}

void
slow_clear(void)
{
	while (!TAILQ_EMPTY(&ages))
		forget(TAILQ_FIRST(&ages));
}
