/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "mono.h"
#include "registry.h"

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(registry, .init = start, .fini = fake_stop, .timeout = 30);

static struct jid *
jid(const char *text)
{
	struct jid	*j = jid_parse(text);

	cr_assert_not_null(j, "%s", text);
	return (j);
}

static struct port *
port(const char *owner, uint16_t number)
{
	struct jid	*j = jid(owner);
	struct port	*p = registry_port_new(j, 0);

	jid_free(j);
	cr_assert_not_null(p);
	if (number != 0)
		registry_port_number(p, number);
	return (p);
}

static struct user *
user(const char *text)
{
	struct jid	*j = jid(text);
	struct user	*u = registry_user(j, 0);

	jid_free(j);
	return (u);
}

static int
owns(const struct port *p, const char *text)
{
	struct jid	*j = jid(text);
	int		 r = registry_owns(p, j);

	jid_free(j);
	return (r);
}

Test(registry, empty)
{
	cr_expect_eq(registry_count(), 0);
	cr_expect_null(registry_first());
	cr_expect_null(registry_by_id(0));
	cr_expect_null(registry_by_id(1));
	cr_expect_null(registry_by_number(0));
	cr_expect_null(registry_by_number(UINT16_MAX));
	cr_expect_null(user("alice@example.org"));
}

Test(registry, new_port)
{
	int64_t		 now = mono_ms();
	struct port	*p = port("alice@example.org/x", 0);

	cr_expect_eq(p->state, PORT_STARTING);
	cr_expect_neq(p->id, 0);
	cr_expect_eq(p->number, 0);
	cr_expect_eq(registry_by_id(p->id), p);
	cr_expect_null(registry_by_number(0));
	cr_expect_str_eq(p->owner->full, "alice@example.org/x");
	cr_expect_geq(p->registered, now);
	cr_expect_eq(registry_count(), 1);
	registry_port_number(p, 65535);
	cr_expect_eq(registry_by_number(65535), p);
	cr_expect_null(registry_by_number(65534));
}

/* Any resource is the same user; other users are others. */
Test(registry, users)
{
	struct port	*a = port("alice@example.org/x", 1);
	struct port	*b = port("ALICE@example.org/y", 2);
	struct port	*c = port("bob@example.org/x", 3);
	struct port	*d = port("example.org", 4);

	cr_expect_eq(a->user, b->user);
	cr_expect_neq(a->user, c->user);
	cr_expect_neq(a->user, d->user);
	cr_expect_eq(user("alice@example.org/z"), a->user);
	cr_expect_str_eq(a->user->jid->full, "alice@example.org");
	cr_expect_eq(a->user->nports, 2);
	cr_expect_eq(c->user->nports, 1);
	cr_expect_null(user("carol@example.org"));
	registry_port_free(a);
	cr_expect_eq(user("alice@example.org"), b->user);
	cr_expect_eq(b->user->nports, 1);
	registry_port_free(b);
	cr_expect_null(user("alice@example.org"), "forgotten with his last");
	cr_expect_eq(registry_count(), 2);
}

/* A user that was asked for and got no port does not stay, either. */
Test(registry, user_made_on_demand)
{
	struct jid	*j = jid("carol@example.org/1");
	struct user	*u = registry_user(j, 1);
	struct port	*p;

	cr_assert_not_null(u);
	cr_expect_eq(registry_user(j, 1), u);
	cr_assert_not_null(p = registry_port_new(j, 0));
	cr_expect_eq(p->user, u);
	registry_port_free(p);
	cr_expect_null(registry_user(j, 0));
	jid_free(j);
}

Test(registry, closed_ports_do_not_count)
{
	struct port	*a = port("alice@example.org/x", 10);
	struct port	*b = port("alice@example.org/x", 11);
	struct user	*u = a->user;

	a->state = PORT_OPEN;
	registry_port_closed(a, PORT_CLOSING);
	cr_expect_eq(a->state, PORT_CLOSING);
	cr_expect_eq(u->nports, 1);
	cr_expect_null(registry_by_number(10));
	cr_expect_eq(registry_by_id(a->id), a);
	cr_expect_eq(registry_count(), 2);
	/* Its number is another's meanwhile: that one keeps it. */
	registry_port_number(b, 10);
	registry_port_closed(a, PORT_DEAD);
	registry_port_closed(a, PORT_DEAD);
	cr_expect_eq(u->nports, 1);
	cr_expect_eq(registry_by_number(10), b);
	registry_port_free(a);
	cr_expect_eq(u->nports, 1);
	cr_expect_eq(registry_by_number(10), b);
	registry_port_closed(b, PORT_DEAD);
	cr_expect_eq(u->nports, 0);
	cr_expect_eq(user("alice@example.org"), u, "while it is buried");
}

Test(registry, ids_and_order)
{
	enum { N = 300 };
	struct port	*p[N], *at;
	uint32_t	 last = 0;
	char		 owner[64];
	int		 i, n = 0;

	for (i = 0; i < N; i++) {
		(void)snprintf(owner, sizeof(owner), "u%d@example.org/r",
		    i % 7);
		p[i] = port(owner, (uint16_t)(1000 + i));
	}
	for (at = registry_first(); at != NULL; at = registry_next(at)) {
		cr_assert_gt(at->id, last);
		last = at->id;
		n++;
	}
	cr_expect_eq(n, N);
	for (i = 0; i < N; i += 2)
		registry_port_free(p[i]);
	cr_expect_eq(registry_count(), N / 2);
	for (i = 0; i < N; i++) {
		at = registry_by_number((uint16_t)(1000 + i));
		cr_assert_eq(at, i % 2 ? p[i] : NULL);
		if (i % 2)
			cr_assert_eq(registry_by_id(at->id), at);
	}
	for (i = 1; i < N; i += 2)
		registry_port_free(p[i]);
	cr_expect_null(registry_first());
	for (i = 0; i < 7; i++) {
		(void)snprintf(owner, sizeof(owner), "u%d@example.org", i);
		cr_expect_null(user(owner));
	}
}

/* Row 13. */
Test(registry, ownership)
{
	struct port	*p = port("alice@example.org/x", 1);

	cr_expect(owns(p, "alice@example.org/x"));
	cr_expect(owns(p, "alice@example.org/y"));
	cr_expect(owns(p, "alice@example.org"));
	cr_expect_not(owns(p, "bob@example.org/x"));
	cr_expect_not(owns(p, "alice@example.com/x"));
	cr_expect_not(owns(p, "example.org/x"));
	p->full_owner = 1;
	cr_expect(owns(p, "alice@example.org/x"));
	cr_expect_not(owns(p, "alice@example.org/y"));
	cr_expect_not(owns(p, "alice@example.org/X"));
	cr_expect_not(owns(p, "alice@example.org"));
}

Test(registry, clients_and_sessions)
{
	struct port	*p = port("alice@example.org/x", 1);
	struct port	*q = port("alice@example.org/y", 2);
	struct client	*a = registry_client_new(p, 1);
	struct client	*b = registry_client_new(p, 2);
	struct client	*c = registry_client_new(q, 1);
	struct user	*u = p->user;

	cr_assert(a != NULL && b != NULL && c != NULL);
	cr_expect_eq(registry_client(p, 1), a);
	cr_expect_eq(registry_client(p, 2), b);
	cr_expect_eq(registry_client(q, 1), c);
	cr_expect_null(registry_client(q, 2));
	cr_expect_eq(a->port, p);
	cr_expect_eq(a->state, CLIENT_ASKED);
	cr_expect_eq(u->nsessions, 0);
	registry_client_state(a, CLIENT_ACCEPTED);
	cr_expect_eq(u->nsessions, 1);
	registry_client_state(a, CLIENT_RELAY);
	cr_expect_eq(u->nsessions, 1, "one session, not two");
	registry_client_state(c, CLIENT_RELAY);
	cr_expect_eq(u->nsessions, 2);
	registry_client_state(b, CLIENT_ASKED);
	cr_expect_eq(u->nsessions, 2);
	registry_client_free(b);
	cr_expect_eq(u->nsessions, 2);
	cr_expect_null(registry_client(p, 2));
	registry_client_free(a);
	cr_expect_eq(u->nsessions, 1);
	/* What hangs on a port goes with it. */
	registry_port_free(q);
	cr_expect_eq(u->nsessions, 0);
	registry_port_free(p);
	cr_expect_null(user("alice@example.org"));
}

/* All that a port may hold is given back: descriptors, request, channel. */
Test(registry, free_takes_everything)
{
	static const struct chan_handler	 h = { NULL, NULL };
	struct port	*p;
	struct iq	 iq;
	int		 before = fake_fds(), pair[2];

	p = port("alice@example.org/x", 1);
	cr_assert_eq(listeners_open(ctl.conf, ctl.ports, 0, 8, &p->listeners),
	    0);
	cr_assert_eq(msg_pair(pair), 0);
	close(pair[1]);
	p->chan = chan_new(pair[0], EDGE_WORKER_CONTROL, MSG_ST_START, &h,
	    NULL);
	memset(&iq, 0, sizeof(iq));
	cr_assert_not_null(iq.from = jid_parse("alice@example.org/x"));
	iq.id = strdup("7");
	iq.to = strdup(FAKE_US);
	cr_assert_not_null(p->request = iq_dup(&iq));
	jid_free(iq.from);
	free(iq.id);
	free(iq.to);
	(void)registry_client_new(p, 1);
	cr_expect_eq(fake_fds(), before + 2);
	registry_port_free(p);
	cr_expect_eq(fake_fds(), before);
	cr_expect_eq(registry_count(), 0);
}
