/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "client.h"
#include "door.h"
#include "gate.h"
#include "loop.h"
#include "mono.h"
#include "session.h"
#include "ui.h"
#include "xalloc.h"

#define RENEW_MIN_MS	10000	/* never ask more often */
#define MOVE_MS		2000	/* for a service that is not back yet */

static struct {
	const struct door_ops	*ops;
	unsigned int		 flags;
	struct pass_port	 port;
	enum door_state		 state;
	uint64_t		 expire;	/* as asked for */
	int64_t			 opened;	/* when it was registered */
	int64_t			 renew;		/* when to renew; -1: never */
	int64_t			 move;		/* when to ask; -1: not to */
	int			 moving;	/* attempts so far */
} door;

const struct pass_port *
door_port(void)
{
	return (&door.port);
}

enum door_state
door_state(void)
{
	return (door.state);
}

/* ---- visitors ------------------------------------------------------------ */

static void
visit_event(const char *name, const struct visit *v, const char *why)
{
	struct event	 e;
	char		 ip[ADDR_STRLEN];

	ui_event(&e, name);
	ui_str(&e, "peer", addr_format(&v->peer, ip));
	ui_num(&e, "peer_port", v->peer.port);
	ui_str(&e, "why", why);
	ui_end(&e);
	if (strcmp(name, "accepted") == 0)
		ui_say("%s port %u is let in (%s)", ip, v->peer.port, why);
	else if (strcmp(name, "refused") == 0)
		ui_say("%s port %u is refused: %s", ip, v->peer.port, why);
}

void
door_forget(struct visit *v)
{
	pass_forget(v->request);
	free(v);
}

void
door_refuse(struct visit *v, const char *why)
{
	visit_event("refused", v, why);
	pass_deny(v->request);
	door_forget(v);
}

static void
on_leg(int fd, int error, void *arg)
{
	struct visit	*v = arg;

	if (fd != -1) {
		door.ops->arrived(v, fd);
		return;
	}
	visit_event("lost", v, strerror(error));
	ui_say("%s: the connection to the relay failed: %s",
	    door.port.service, strerror(error));
	if (door.ops->failed != NULL)
		door.ops->failed(v);
	else
		door_forget(v);
}

void
door_accept(struct visit *v)
{
	pass_accept(v->request, on_leg, v);
	pass_forget(v->request);
	v->request = NULL;
}

static void
on_decision(int yes, const char *why, void *arg)
{
	struct visit	*v = arg;

	if (!yes) {
		door_refuse(v, why);
		return;
	}
	visit_event("accepted", v, why);
	if (door.ops->prepare != NULL)
		door.ops->prepare(v);
	else
		door_accept(v);
}

static void
on_request(struct pass_request *r, void *arg)
{
	struct visit	*v = xcalloc(1, sizeof(*v));
	char		 what[64];

	(void)arg;
	v->peer = r->peer;
	v->request = r;
	visit_event("request", v, NULL);
	(void)snprintf(what, sizeof(what), "to connect to port %u",
	    door.port.port);
	gate_decide(&v->peer, what, on_decision, v);
}

static void
on_closed(enum pass_end end, void *arg)
{
	static const struct {
		enum door_state	 state;
		const char	*word;
	} table[] = {
		[PASS_EXPIRED] = { DOOR_EXPIRED, "expired" },
		[PASS_ONESHOT] = { DOOR_USED, "oneshot" },
		[PASS_CLOSED] = { DOOR_SHUT, "closed" },
	};
	struct event	 e;

	(void)arg;
	if (door.state != DOOR_OPEN)
		return;
	door.state = table[end].state;
	ui_event(&e, "closed");
	ui_num(&e, "port", door.port.port);
	ui_str(&e, "why", table[end].word);
	ui_end(&e);
	ui_debug("%s has closed port %u: %s", door.port.service,
	    door.port.port, table[end].word);
}

static const struct pass_events	 events = { on_request, on_closed, NULL };

/* ---- the port ------------------------------------------------------------ */

static void
announce(const char *name)
{
	struct event	 e;
	char		 life[32];
	size_t		 i;

	ui_event(&e, name);
	ui_str(&e, "host", door.port.host[0]);
	ui_num(&e, "port", door.port.port);
	if (door.port.nhosts > 1)
		ui_str(&e, "host2", door.port.host[1]);
	ui_str(&e, "service", door.port.service);
	if (door.port.expire != 0)
		ui_num(&e, "expire", (int64_t)door.port.expire);
	ui_end(&e);
	for (i = 0; i < door.port.nhosts; i++)
		ui_say("%s on %s port %u", strcmp(name, "listening") == 0 ?
		    "listening" : name, door.port.host[i], door.port.port);
	if (door.port.expire != 0 && !(door.flags & DOOR_RENEW) &&
	    door.expire != 0 && door.port.expire != door.expire)
		ui_say("%s grants %s only", door.port.service, ui_duration(
		    door.port.expire, life, sizeof(life)));
	if (!door.port.token)
		ui_warn("%s does not know passd's token: who guesses the "
		    "port it opens for you may take your place",
		    door.port.service);
}

/* Half of its life is a good time to ask for another one. */
static void
plan_renewal(void)
{
	int64_t	 ms;

	door.renew = -1;
	if (!(door.flags & DOOR_RENEW) || door.port.expire == 0)
		return;
	ms = (int64_t)(door.port.expire < 1000000 ? door.port.expire :
	    1000000) * 500;
	door.renew = mono_ms() + (ms < RENEW_MIN_MS ? RENEW_MIN_MS : ms);
}

static void
on_session(enum session_event what)
{
	struct event	 e;

	ui_event(&e, what == SESSION_LOST ? "offline" : "online");
	ui_end(&e);
	if (what == SESSION_LOST)
		ui_say("the XMPP stream is lost; sessions go on, new ones "
		    "have to wait");
	else {
		ui_say("logged in again");
		door.move = mono_ms();
		door.moving = 0;
	}
}

int
door_open(const struct options *o, const struct door_ops *ops,
    unsigned int flags, uint64_t expire)
{
	char	 service[PASS_JID_MAX];
	int	 status;

	door.ops = ops;
	door.flags = flags;
	door.expire = expire;
	door.state = DOOR_OPEN;
	door.move = -1;
	session_watch(on_session);
	gate_init(o, (flags & DOOR_ALL) != 0);
	if ((status = client_service(o, service, sizeof(service))) != 0)
		return (status);
	/* A peer may come before the answer has been read. */
	(void)strlcpy(door.port.service, service, sizeof(service));
	pass_serve(&door.port, &events);
	if ((status = pass_register(&door.port, service, expire,
	    flags & DOOR_ONESHOT)) != 0)
		return (status);
	door.opened = mono_ms();
	plan_renewal();
	announce("listening");
	return (0);
}

/* What is left of the life that was asked for; 0: no end was asked for. */
static uint64_t
time_left(void)
{
	uint64_t	 gone = (uint64_t)(mono_ms() - door.opened) / 1000;

	if (door.expire == 0)
		return (0);
	return (gone < door.expire ? door.expire - gone : 1);
}

/*
 * Another stream, maybe another resource: whose port is it?  A change makes
 * it ours; if it is gone a new one is needed.
 */
static void
move_port(void)
{
	struct pass_port	 old = door.port;
	int			 gone, oneshot = door.flags & DOOR_ONESHOT;
	uint64_t		 left = time_left();

	door.move = -1;
	if (pass_change(&door.port, left, oneshot, &gone) == 0) {
		plan_renewal();
		announce("kept");
		return;
	}
	if (!gone) {
		/* The service may take longer to come back than we did. */
		if (door.moving++ == 0)
			ui_say("%s does not answer yet", old.service);
		door.move = mono_ms() + MOVE_MS;
		return;
	}
	if (pass_register(&door.port, old.service, left, oneshot) != 0) {
		door.port = old;
		door.state = DOOR_SHUT;
		return;
	}
	plan_renewal();
	ui_say("port %u is gone, %s has given another", old.port,
	    old.service);
	announce("reopened");
}

static void
renew_port(void)
{
	int	 gone;

	if (pass_change(&door.port, time_left(),
	    door.flags & DOOR_ONESHOT, &gone) == 0) {
		plan_renewal();
		ui_debug("port %u renewed", door.port.port);
	} else if (gone)
		on_closed(PASS_CLOSED, NULL);
	else
		door.renew = mono_ms() + RENEW_MIN_MS;
}

int
door_turn(int64_t until)
{
	int64_t	 next = until;

	if (door.state != DOOR_OPEN || !session_online())
		return (loop_once(until));
	if (door.move != -1 && mono_ms() >= door.move)
		move_port();
	else if (door.renew != -1 && mono_ms() >= door.renew)
		renew_port();
	if (door.move != -1 && (next == -1 || door.move < next))
		next = door.move;
	if (door.renew != -1 && (next == -1 || door.renew < next))
		next = door.renew;
	if (next == until)
		return (loop_once(until));
	(void)loop_once(next);
	return (!loop_interrupted());
}

void
door_close(void)
{
	if (door.port.port == 0 || door.state != DOOR_OPEN)
		return;
	if (session_online() && pass_close(&door.port) == 0)
		ui_debug("port closed");
	door.state = DOOR_SHUT;
}
