/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mono.h"
#include "registry.h"
#include "summary.h"

static int
compare_users(struct user *a, struct user *b)
{
	return (strcmp(a->jid->full, b->jid->full));
}

static int
compare_ids(struct port *a, struct port *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

static int
compare_pids(struct port *a, struct port *b)
{
	if (a->pid != b->pid)
		return (a->pid < b->pid ? -1 : 1);
	return (compare_ids(a, b));
}

RB_HEAD(registry_users, user);
RB_HEAD(registry_ids, port);
RB_HEAD(registry_pids, port);
RB_PROTOTYPE(registry_users, user, entry, compare_users)
RB_PROTOTYPE(registry_ids, port, by_id, compare_ids)
RB_PROTOTYPE(registry_pids, port, by_pid, compare_pids)
RB_GENERATE(registry_users, user, entry, compare_users)
RB_GENERATE(registry_ids, port, by_id, compare_ids)
RB_GENERATE(registry_pids, port, by_pid, compare_pids)

static struct registry_users	 users;
static struct registry_ids	 ids;
static struct registry_pids	 pids;
static struct port		*numbers[UINT16_MAX + 1];
static uint32_t			 nports, nlistening, last_id;

void
registry_init(void)
{
	RB_INIT(&users);
	RB_INIT(&ids);
	RB_INIT(&pids);
	memset(numbers, 0, sizeof(numbers));
	nports = nlistening = 0;
}

static struct user *
user_new(struct jid *bare)
{
	struct user	*u;

	if ((u = calloc(1, sizeof(*u))) == NULL)
		return (NULL);
	u->jid = bare;
	TAILQ_INIT(&u->ports);
	(void)RB_INSERT(registry_users, &users, u);
	return (u);
}

struct user *
registry_user(const struct jid *jid, int create)
{
	struct user	 key, *u;

	if ((key.jid = jid_bare(jid)) == NULL)
		return (NULL);
	u = RB_FIND(registry_users, &users, &key);
	if (u == NULL && create && (u = user_new(key.jid)) != NULL)
		return (u);		/* has taken the JID */
	jid_free(key.jid);
	return (u);
}

/* A user is remembered as long as he has a port in any state. */
static void
user_unref(struct user *u)
{
	if (u == NULL || !TAILQ_EMPTY(&u->ports))
		return;
	RB_REMOVE(registry_users, &users, u);
	jid_free(u->jid);
	free(u);
}

uint32_t
registry_new_id(void)
{
	/* 0 means none; a wrap after 2^32 ports may meet a living one. */
	do {
		last_id++;
	} while (last_id == 0 || registry_by_id(last_id) != NULL);
	return (last_id);
}

void
registry_last_id(uint32_t id)
{
	last_id = id;
}

struct port *
registry_port_new(const struct jid *owner, uint32_t id)
{
	struct user	*u;
	struct port	*p;

	if (id != 0 && registry_by_id(id) != NULL) {
		errno = EEXIST;
		return (NULL);
	}
	if ((u = registry_user(owner, 1)) == NULL)
		return (NULL);
	if ((p = calloc(1, sizeof(*p))) == NULL ||
	    (p->owner = jid_dup(owner)) == NULL) {
		free(p);
		user_unref(u);
		errno = ENOMEM;
		return (NULL);
	}
	p->id = id != 0 ? id : registry_new_id();
	p->state = PORT_STARTING;
	p->registered = mono_ms();
	p->user = u;
	TAILQ_INIT(&p->clients);
	TAILQ_INSERT_TAIL(&u->ports, p, of_user);
	(void)RB_INSERT(registry_ids, &ids, p);
	u->nports++;
	nports++;
	nlistening++;
	summary_changed();
	return (p);
}

void
registry_port_closed(struct port *p, enum port_state state)
{
	if (p->state == PORT_STARTING || p->state == PORT_OPEN) {
		p->user->nports--;
		nlistening--;
		summary_changed();
	}
	if (numbers[p->number] == p)
		numbers[p->number] = NULL;
	p->state = state;
}

void
registry_port_free(struct port *p)
{
	struct client	*c;

	while ((c = TAILQ_FIRST(&p->clients)) != NULL)
		registry_client_free(c);
	registry_port_closed(p, PORT_DEAD);
	if (event_initialized(&p->timer))
		(void)evtimer_del(&p->timer);
	if (event_initialized(&p->gone_timer))
		(void)evtimer_del(&p->gone_timer);
	RB_REMOVE(registry_ids, &ids, p);
	if (p->pid != 0)
		RB_REMOVE(registry_pids, &pids, p);
	TAILQ_REMOVE(&p->user->ports, p, of_user);
	user_unref(p->user);
	nports--;
	listeners_close(&p->listeners);
	chan_free(p->chan);
	iq_free(p->request);
	jid_free(p->owner);
	free(p);
}

void
registry_port_number(struct port *p, uint16_t number)
{
	p->number = number;
	numbers[number] = p;
}

void
registry_port_pid(struct port *p, pid_t pid)
{
	if (p->pid != 0)
		RB_REMOVE(registry_pids, &pids, p);
	p->pid = pid;
	if (pid != 0)
		(void)RB_INSERT(registry_pids, &pids, p);
}

struct port *
registry_by_pid(pid_t pid)
{
	struct port	 key, *p;

	key.pid = pid;
	key.id = 0;
	for (p = RB_NFIND(registry_pids, &pids, &key);
	    p != NULL && p->pid == pid; p = RB_NEXT(registry_pids, &pids, p)) {
		if (!p->exited)
			return (p);
	}
	return (NULL);
}

struct port *
registry_by_id(uint32_t id)
{
	struct port	 key;

	key.id = id;
	return (RB_FIND(registry_ids, &ids, &key));
}

struct port *
registry_by_number(uint16_t number)
{
	return (number == 0 ? NULL : numbers[number]);
}

struct port *
registry_first(void)
{
	return (RB_MIN(registry_ids, &ids));
}

struct port *
registry_next(struct port *p)
{
	return (RB_NEXT(registry_ids, &ids, p));
}

struct port *
registry_after(uint32_t id)
{
	struct port	 key;

	if (id == UINT32_MAX)
		return (NULL);
	key.id = id + 1;
	return (RB_NFIND(registry_ids, &ids, &key));
}

uint32_t
registry_count(void)
{
	return (nports);
}

uint32_t
registry_listening(void)
{
	return (nlistening);
}

int
registry_owns(const struct port *p, const struct jid *jid)
{
	return (p->full_owner ? jid_same(p->owner, jid) :
	    jid_same_bare(p->owner, jid));
}

struct client *
registry_client_new(struct port *p, uint32_t session)
{
	struct client	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return (NULL);
	c->port = p;
	c->session = session;
	c->state = CLIENT_ASKED;
	TAILQ_INSERT_TAIL(&p->clients, c, entry);
	return (c);
}

struct client *
registry_client(struct port *p, uint32_t session)
{
	struct client	*c;

	TAILQ_FOREACH(c, &p->clients, entry) {
		if (c->session == session)
			return (c);
	}
	return (NULL);
}

void
registry_client_state(struct client *c, enum client_state state)
{
	if (c->state == CLIENT_ASKED && state != CLIENT_ASKED)
		c->port->user->nsessions++;
	c->state = state;
}

void
registry_client_free(struct client *c)
{
	if (c->state != CLIENT_ASKED)
		c->port->user->nsessions--;
	TAILQ_REMOVE(&c->port->clients, c, entry);
	ask_cancel(c->ask);
	free(c);
}
