/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "decloak.h"
#include "disco.h"
#include "door.h"
#include "fname.h"
#include "loop.h"
#include "mono.h"
#include "move.h"
#include "offer.h"
#include "session.h"
#include "ui.h"
#include "walk.h"

#define FIND_MS		5000	/* one search */
#define AGAIN_MS	6000	/* from one to the next: clients allow 5 s */
#define WAIT_S		300	/* for the receiver to come, and to accept */
#define HINT_MS		5000
#define ANSWER_MS	((int64_t)7 * 86400 * 1000)	/* the whole transfer */
#define CALLERS		8	/* who may be proving at a time */

/* Somebody who has connected, and has not proven anything yet. */
struct caller {
	struct seal	*seal;		/* NULL: not in use */
	struct addr	 peer;
};

enum answer {
	NOT_SENT,
	PENDING,
	ACCEPTED,		/* all has arrived, says the receiver */
	DECLINED
};

static struct {
	struct walk	*walk;
	struct offer	 offer;
	char		 peer[PASS_JID_MAX * 3];	/* full JID */
	char		 hint[64];	/* the peer's address, as he says */
	enum answer	 answer;
	struct el_error	 error;
	struct caller	 callers[CALLERS];
	struct seal	*winner;
} snd;

/* ---- who and where ------------------------------------------------------*/

static struct decloak_peer	 found[DECLOAK_PEERS];

/* A passcat that receives; who was named in full may tell us nothing. */
static int
can_receive(const char *name, const struct decloak_peer *p)
{
	if (!p->asked)
		return (strchr(name, '/') != NULL);
	return (decloak_has(p, NS_OOB) && decloak_has(p, NS_PASSD));
}

/* Return 1 if there is exactly one, 0 if none, -1 if it was said why not. */
static int
choose(const char *name, int n)
{
	int	 i, able = 0;

	for (i = 0; i < n; i++) {
		if (!can_receive(name, &found[i]))
			continue;
		if (able++ == 0)
			(void)strlcpy(snd.peer, found[i].jid,
			    sizeof(snd.peer));
		else if (able == 2)
			ui_warn("%s receives in more than one place: %s", name,
			    snd.peer);
		if (able > 1)
			ui_warn("and %s", found[i].jid);
	}
	if (able < 2)
		return (able);
	(void)ui_fail(EXIT_REFUSED, "name one of these instead of %s", name);
	return (-1);
}

/* How long the receiver may take to come, in milliseconds. */
static int64_t
patience(const struct options *o)
{
	return (1000 * (int64_t)(o->timeout == 0 ? WAIT_S : o->timeout));
}

static int
find_peer(const struct options *o, const char *name)
{
	int64_t	 until = mono_ms() + patience(o), next, left;
	int	 n, said = 0, one = 0;

	do {
		next = mono_ms() + AGAIN_MS;
		left = until - mono_ms();
		n = decloak_find(name, "file", left < FIND_MS ? left : FIND_MS,
		    found, DECLOAK_PEERS);
		if (n < 0)
			return (-1 - n);
		if ((one = choose(name, n)) != 0)
			break;
		if (!said)
			ui_say("waiting for %s to run: passcat receive --from "
			    "%s", name, session_bare());
		said = 1;
		if (next > until)
			next = until;
		while (loop_once(next))
			;
	} while (!loop_interrupted() && mono_ms() < until);
	if (one == 1) {
		ui_debug("%s is at %s", name, snd.peer);
		return (0);
	}
	if (one == -1)
		return (EXIT_REFUSED);
	return (ui_fail(EXIT_TIMEOUT, "%s does not receive; he has to run: "
	    "passcat receive --from %s", name, session_bare()));
}

/* XEP-0003 5.1: where does he say that he is?  NAT makes it a hint only. */
static void
ask_hint(void)
{
	xmpp_stanza_t	*reply;

	if (session_ask("get", snd.peer, el_new("query", NS_PASS), HINT_MS,
	    &reply) == IQ_RESULT)
		(void)el_get_text(el_child(el_child(reply, "query", NS_PASS),
		    "client", NULL), snd.hint, sizeof(snd.hint));
	if (reply != NULL)
		xmpp_stanza_release(reply);
	if (snd.hint[0] != '\0')
		ui_say("%s says that he is at %s", snd.peer, snd.hint);
}

/* ---- the offer ----------------------------------------------------------*/

static void
on_answer(enum iq_status status, xmpp_stanza_t *iq, void *arg)
{
	(void)arg;
	switch (status) {
	case IQ_RESULT:
		snd.answer = ACCEPTED;
		break;
	case IQ_ERROR:
		el_error(iq, &snd.error);
		snd.answer = DECLINED;
		break;
	default:
		/* The stream was lost: it is offered again. */
		snd.answer = NOT_SENT;
	}
}

/* The port may be another one than last time. */
static void
send_offer(void)
{
	const struct pass_port	*p = door_port();
	char			 text[OFFER_TITLE_MAX + 96];
	size_t			 i;

	for (i = 0; i < p->nhosts; i++)
		(void)strlcpy(snd.offer.host[i], p->host[i],
		    sizeof(snd.offer.host[i]));
	snd.offer.nhosts = p->nhosts;
	snd.offer.port = p->port;
	snd.answer = PENDING;
	session_iq("set", snd.peer, offer_build(&snd.offer), ANSWER_MS,
	    on_answer, NULL);
	ui_say("offering %s to %s", offer_text(&snd.offer, text, sizeof(text)),
	    snd.peer);
}

static int
declined(void)
{
	if (strcmp(snd.error.condition, "not-acceptable") == 0)
		return (ui_fail(EXIT_REFUSED, "%s said no", snd.peer));
	if (strcmp(snd.error.condition, "item-not-found") == 0)
		return (ui_fail(EXIT_PEER, "%s could not get it from %s port "
		    "%u", snd.peer, snd.offer.host[0], snd.offer.port));
	if (strcmp(snd.error.condition, "resource-constraint") == 0)
		return (ui_fail(EXIT_REFUSED, "%s is busy; try again later",
		    snd.peer));
	return (ui_fail(EXIT_REFUSED, "%s does not take files now (%s); he "
	    "has to run: passcat receive --from %s", snd.peer,
	    snd.error.condition, session_bare()));
}

/* ---- who connects -------------------------------------------------------*/

static void
told(const struct caller *c, const char *name, const char *why)
{
	struct event	 e;
	char		 ip[ADDR_STRLEN];

	addr_format(&c->peer, ip);
	ui_event(&e, name);
	ui_str(&e, "peer", ip);
	ui_num(&e, "peer_port", c->peer.port);
	ui_str(&e, "why", why);
	ui_end(&e);
	if (why == NULL)
		ui_say("%s port %u knows the secret%s", ip, c->peer.port,
		    snd.hint[0] != '\0' && strcmp(snd.hint, ip) != 0 ?
		    ", but is not where he says he is" : "");
	else
		ui_say("%s port %u %s; waiting for another", ip, c->peer.port,
		    why);
}

static void
arrived(struct visit *v, int fd)
{
	struct caller	*c = NULL;
	size_t		 i;

	for (i = 0; i < CALLERS && c == NULL; i++) {
		if (snd.callers[i].seal == NULL)
			c = &snd.callers[i];
	}
	if (c == NULL || snd.winner != NULL)
		close(fd);
	else {
		c->peer = v->peer;
		c->seal = seal_new(fd, PROOF_OWNER, snd.offer.secret,
		    mono_ms());
	}
	door_forget(v);
}

static void
prepare(struct visit *v)
{
	if (snd.winner != NULL)
		door_refuse(v, "it is being sent already");
	else
		door_accept(v);
}

static const struct door_ops	 ops = { prepare, arrived, NULL };

static void
drop(struct caller *c)
{
	loop_del(seal_fd(c->seal));
	seal_free(c->seal);
	c->seal = NULL;
}

/* Let everybody who has connected go on proving. */
static void
turn_callers(int64_t now)
{
	struct caller	*c;

	for (c = snd.callers; c < snd.callers + CALLERS; c++) {
		if (c->seal == NULL)
			continue;
		if (seal_turn(c->seal, now) == -1 && !seal_proven(c->seal)) {
			told(c, "impostor", seal_why_text(seal_why(c->seal)));
			drop(c);
		} else if (seal_proven(c->seal) && snd.winner == NULL) {
			told(c, "proven", NULL);
			loop_del(seal_fd(c->seal));
			snd.winner = c->seal;
			c->seal = NULL;
		}
	}
}

static int64_t
watch_callers(int64_t until)
{
	struct caller	*c;

	for (c = snd.callers; c < snd.callers + CALLERS; c++) {
		if (c->seal == NULL)
			continue;
		move_watch(seal_fd(c->seal), seal_events(c->seal));
		if (seal_deadline(c->seal) < until)
			until = seal_deadline(c->seal);
	}
	return (until);
}

static void
drop_callers(void)
{
	struct caller	*c;

	for (c = snd.callers; c < snd.callers + CALLERS; c++) {
		if (c->seal != NULL)
			drop(c);
	}
}

static int
wait_for_peer(const struct options *o)
{
	int64_t	 until = mono_ms() + patience(o);

	while (snd.winner == NULL) {
		if (snd.answer == NOT_SENT && session_online())
			send_offer();
		if (snd.answer == DECLINED)
			return (declined());
		if (door_state() != DOOR_OPEN)
			return (ui_fail(EXIT_SERVICE, "%s has closed the port",
			    door_port()->service));
		(void)door_turn(watch_callers(until));
		if (loop_interrupted())
			return (EXIT_TIMEOUT);
		if (mono_ms() >= until)
			return (ui_fail(EXIT_TIMEOUT, "%s has not come; is "
			    "%s port %u reachable from there?", snd.peer,
			    snd.offer.host[0], snd.offer.port));
		turn_callers(mono_ms());
	}
	drop_callers();
	return (0);
}

/* ---- all of it ----------------------------------------------------------*/

/* What is to be read, as far as the sandbox can know: else everything. */
static void
lock(char **names, int n)
{
	struct sandbox_path	 paths[CLIENT_PATHS];
	int			 i;

	if (n > CLIENT_PATHS) {
		paths[0] = (struct sandbox_path){ "/", 0 };
		client_lock(paths, 1);
		return;
	}
	for (i = 0; i < n; i++)
		paths[i] = (struct sandbox_path){ names[i], 0 };
	client_lock(paths, (size_t)n);
}

static int
open_files(char **names, int n)
{
	char	 why[1024];

	if (seal_setup() == -1)
		return (ui_fail(EXIT_USAGE, "there is no randomness here"));
	snd.walk = walk_open(names, (size_t)n, why, sizeof(why));
	if (snd.walk == NULL)
		return (ui_fail(EXIT_USAGE, "%s", why));
	if (walk_total(snd.walk, &snd.offer.total) == -1)
		return (ui_fail(EXIT_USAGE, "%s cannot be read",
		    walk_title(snd.walk)));
	fname_show(walk_title(snd.walk), snd.offer.title,
	    sizeof(snd.offer.title));
	if (n > 1)
		(void)strlcat(snd.offer.title, " and more",
		    sizeof(snd.offer.title));
	proof_secret(snd.offer.secret);
	return (0);
}

static int
send_all(void)
{
	struct transfer	*t;

	t = transfer_send(snd.winner, snd.walk, &snd.offer.total, move_hooks(),
	    mono_ms());
	snd.winner = NULL;
	snd.walk = NULL;
	if (t == NULL)
		return (ui_fail(EXIT_USAGE, "out of memory"));
	/*
	 * The port has done its work: what happens to it, or to the stream,
	 * is not to hold up the bytes.
	 */
	return (move_run(t, "sending"));
}

int
cmd_send(struct options *o, char **args, int nargs)
{
	const char	*peer = args[nargs - 1];
	int		 status;

	if ((status = open_files(args, nargs - 1)) != 0)
		return (status);
	disco_serve();
	decloak_serve(o);
	if ((status = client_begin(o, SESSION_RECONNECT)) == 0 &&
	    (status = find_peer(o, peer)) == 0) {
		ask_hint();
		status = door_open(o, &ops, DOOR_ALL | DOOR_RENEW, o->expire);
	}
	if (status == 0) {
		lock(args, nargs - 1);
		if ((status = wait_for_peer(o)) == 0)
			status = send_all();
	}
	door_close();
	drop_callers();
	decloak_end();
	walk_close(snd.walk);
	explicit_bzero(&snd.offer, sizeof(snd.offer));
	return (client_end(status));
}
