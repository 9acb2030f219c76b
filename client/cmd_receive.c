/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "decloak.h"
#include "dial.h"
#include "disco.h"
#include "gate.h"
#include "loop.h"
#include "mono.h"
#include "move.h"
#include "offer.h"
#include "session.h"
#include "ui.h"

#define DIAL_MS		10000
#define TRY_MS		120000	/* as long as an impostor may have the port */
#define PAUSE_MS	1000
#define IMPOSTORS	5	/* wrong proofs, after which we believe them */

static struct {
	const struct options	*o;
	int		 dir;		/* where it goes */
	struct offer	 offer;
	xmpp_stanza_t	*iq;		/* the offer; NULL: none yet */
	int		 accepted;
	int		 asking;
} rcv = { .dir = -1 };

/* ---- offers -------------------------------------------------------------*/

static void
forget_offer(void)
{
	if (rcv.iq != NULL)
		xmpp_stanza_release(rcv.iq);
	rcv.iq = NULL;
}

static void
told(const char *from)
{
	struct event	 e;
	char		 text[OFFER_TITLE_MAX + 96];

	ui_event(&e, "offer");
	ui_str(&e, "from", from);
	ui_str(&e, "title", rcv.offer.title);
	ui_num(&e, "files", (int64_t)rcv.offer.total.files);
	ui_num(&e, "dirs", (int64_t)rcv.offer.total.dirs);
	ui_num(&e, "bytes", (int64_t)rcv.offer.total.bytes);
	ui_end(&e);
	ui_say("%s offers %s", from, offer_text(&rcv.offer, text,
	    sizeof(text)));
}

static void
decided(int yes, const char *why, void *arg)
{
	(void)arg;
	rcv.asking = 0;
	if (rcv.iq == NULL)
		return;
	if (yes) {
		rcv.accepted = 1;
		return;
	}
	ui_say("refused: %s", why);
	session_refuse(rcv.iq, "406", "modify", "not-acceptable");
	forget_offer();
}

static void
decide(const char *from)
{
	char	 text[OFFER_TITLE_MAX + 256], what[OFFER_TITLE_MAX + 96];

	if (rcv.o->from != NULL || rcv.o->yes) {
		decided(1, "", NULL);
		return;
	}
	(void)snprintf(text, sizeof(text), "%.100s offers %s.  Receive it? "
	    "[y/N] ", from, offer_text(&rcv.offer, what, sizeof(what)));
	rcv.asking = 1;
	gate_question(text, decided, NULL);
}

/*
 * An offer that comes again, after its sender had lost his stream: it may
 * name another port.
 */
static int
is_again(xmpp_stanza_t *iq, const struct offer *o)
{
	return (rcv.iq != NULL && session_same(xmpp_stanza_get_from(iq),
	    xmpp_stanza_get_from(rcv.iq)) && memcmp(o->secret,
	    rcv.offer.secret, sizeof(o->secret)) == 0);
}

static int
on_offer(xmpp_stanza_t *iq, xmpp_stanza_t *query, void *arg)
{
	const char	*from = xmpp_stanza_get_from(iq);
	const char	*type = xmpp_stanza_get_type(iq);
	struct offer	 o;
	int		 again;

	(void)arg;
	if (from == NULL || strcmp(type, "set") != 0)
		return (0);
	/* To others nobody is here. */
	if (rcv.o->from != NULL && !session_same_bare(from, rcv.o->from) &&
	    !session_same(from, rcv.o->from))
		return (0);
	if (offer_read(query, &o) == -1) {
		session_refuse(iq, "406", "modify", "not-acceptable");
		return (1);
	}
	again = is_again(iq, &o);
	if ((rcv.iq != NULL || rcv.asking) && !again) {
		session_refuse(iq, "500", "wait", "resource-constraint");
		return (1);
	}
	forget_offer();
	rcv.iq = xmpp_stanza_clone(iq);
	rcv.offer = o;
	if (!again) {
		told(from);
		decide(from);
	}
	return (1);
}

static int
wait_for_offer(void)
{
	int64_t	 until = rcv.o->timeout == 0 ? -1 :
		    mono_ms() + (int64_t)rcv.o->timeout * 1000;

	while (!rcv.accepted) {
		if (!loop_once(until))
			return (loop_interrupted() ? EXIT_TIMEOUT :
			    ui_fail(EXIT_TIMEOUT, "nobody has offered "
			    "anything"));
	}
	return (0);
}

/* ---- the connection -----------------------------------------------------*/

/* Try one address after the other; -1 with ${why}. */
static int
dial_any(const char **why)
{
	struct addr	 a;
	size_t		 i;
	int		 fd, error;

	*why = "the service has no usable address";
	for (i = 0; i < rcv.offer.nhosts; i++) {
		if (addr_parse(&a, rcv.offer.host[i]) == -1)
			continue;
		a.port = rcv.offer.port;
		if ((fd = dial_wait(&a, DIAL_MS, &error)) != -1)
			return (fd);
		*why = strerror(error);
		if (loop_interrupted())
			break;
	}
	return (-1);
}

/* Prove ourselves on ${fd}; NULL with ${why} if the other one did not. */
static struct seal *
prove(int fd, enum seal_why *why)
{
	struct seal	*s;

	*why = SEAL_NOMEM;
	s = seal_new(fd, PROOF_CALLER, rcv.offer.secret, mono_ms());
	if (s == NULL)
		return (NULL);
	while (seal_turn(s, mono_ms()) == 0 && !seal_proven(s) &&
	    !loop_interrupted()) {
		move_watch(fd, seal_events(s));
		(void)loop_once(seal_deadline(s));
	}
	loop_del(fd);
	if (seal_proven(s))
		return (s);
	*why = seal_why(s);
	seal_free(s);
	return (NULL);
}

static void
pause_a_while(void)
{
	int64_t	 until = mono_ms() + PAUSE_MS;

	while (loop_once(until))
		;
}

/*
 * The port may be busy with somebody who has no business there, so that we
 * are turned away: try again until he is gone.
 */
static int
reach(struct seal **seal)
{
	int64_t		 until = mono_ms() + TRY_MS;
	enum seal_why	 proof = SEAL_FINE;
	const char	*why = "";
	int		 fd, wrong = 0;

	while (!loop_interrupted()) {
		if ((fd = dial_any(&why)) != -1) {
			if ((*seal = prove(fd, &proof)) != NULL)
				return (0);
			why = seal_why_text(proof);
			wrong += proof == SEAL_IMPOSTOR;
			ui_debug("who answers there %s", why);
		}
		if (wrong == IMPOSTORS)
			return (ui_fail(EXIT_PEER, "who answers at %s port %u "
			    "%s, or somebody changes what is said",
			    rcv.offer.host[0], rcv.offer.port, why));
		if (mono_ms() >= until)
			return (ui_fail(EXIT_PEER, "%s port %u cannot be "
			    "reached: %s", rcv.offer.host[0], rcv.offer.port,
			    why));
		pause_a_while();
	}
	return (EXIT_TIMEOUT);
}

static int
receive_all(void)
{
	struct seal	*seal = NULL;
	struct transfer	*t;
	int		 status;

	if ((status = reach(&seal)) != 0) {
		session_refuse(rcv.iq, "404", "cancel", "item-not-found");
		return (status);
	}
	t = transfer_receive(seal, rcv.dir, &rcv.offer.total, move_hooks(),
	    mono_ms());
	if (t == NULL)
		return (ui_fail(EXIT_USAGE, "out of memory"));
	status = move_run(t, "receiving");
	if (status == 0)
		session_reply(rcv.iq, NULL);
	else
		session_refuse(rcv.iq, "404", "cancel", "item-not-found");
	return (status);
}

/* ---- all of it ----------------------------------------------------------*/

static int
open_dir(const char *name)
{
	rcv.dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rcv.dir == -1 || access(name, W_OK | X_OK) == -1)
		return (ui_fail(EXIT_USAGE, "%s: %m", name));
	if (rcv.o->from == NULL && !rcv.o->yes && !gate_terminal())
		return (ui_fail(EXIT_USAGE, "no terminal to ask on; say whose "
		    "files are welcome with --from JID, or --yes"));
	if (seal_setup() == -1)
		return (ui_fail(EXIT_USAGE, "there is no randomness here"));
	return (0);
}

/* To be found, before and after a loss of the stream. */
static void
show_up(void)
{
	struct event	 e;

	decloak_begin();
	ui_event(&e, "waiting");
	ui_str(&e, "jid", session_jid());
	ui_end(&e);
	ui_say("waiting for files; the other side runs: passcat send FILE %s",
	    rcv.o->from != NULL ? session_bare() : session_jid());
}

static void
on_session(enum session_event what)
{
	struct event	 e;

	ui_event(&e, what == SESSION_LOST ? "offline" : "online");
	ui_end(&e);
	if (what == SESSION_LOST)
		ui_say("the XMPP stream is lost; trying to come back");
	else if (rcv.accepted)
		ui_say("logged in again");
	else
		show_up();
}

static void
begin(const char *dir)
{
	struct sandbox_path	 path = { dir, 1 };

	session_watch(on_session);
	if (rcv.o->from != NULL)
		disco_let(rcv.o->from);
	client_lock(&path, 1);
	show_up();
}

int
cmd_receive(struct options *o, char **args, int nargs)
{
	const char	*dir = nargs > 0 ? args[0] : ".";
	int		 status;

	rcv.o = o;
	if ((status = open_dir(dir)) != 0)
		return (status);
	/* Who was named may find us. */
	if (o->from != NULL && o->ndecloak < OPTIONS_DECLOAK)
		o->decloak[o->ndecloak++] = o->from;
	disco_serve();
	disco_feature(NS_PASSD);
	disco_feature(NS_OOB);
	decloak_serve(o);
	session_on_iq(NS_OOB, on_offer, NULL);
	if ((status = client_begin(o, SESSION_RECONNECT)) == 0) {
		begin(dir);
		if ((status = wait_for_offer()) == 0)
			status = receive_all();
	}
	forget_offer();
	explicit_bzero(&rcv.offer, sizeof(rcv.offer));
	decloak_end();
	close(rcv.dir);
	return (client_end(status));
}
