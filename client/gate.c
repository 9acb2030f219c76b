/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "loop.h"
#include "ui.h"
#include "xalloc.h"

#define ANSWER_MS	28000	/* passd drops the peer after 30 s */
#define QUESTIONS_MAX	16	/* nobody keeps a person busy for long */

struct question {
	char			*text;
	gate_fn			 fn;
	void			*arg;
	struct loop_timer	*timer;
	TAILQ_ENTRY(question)	 entry;
};

static const struct options	*rules;
static int			 open_to_all;
static int			 tty = -1;
/* The first one is on the terminal. */
static TAILQ_HEAD(, question)	 questions = TAILQ_HEAD_INITIALIZER(questions);

/* Only a foreground process may ask; another would be stopped. */
static int
can_ask(void)
{
	return (tty != -1 && tcgetpgrp(tty) == getpgrp());
}

int
gate_terminal(void)
{
	if (tty == -1)
		tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	return (can_ask());
}

void
gate_init(const struct options *o, int always)
{
	rules = o;
	open_to_all = always || o->yes;
	if (open_to_all || (o->nallow > 0 && !o->ask))
		return;
	if (!gate_terminal())
		ui_warn("no terminal to ask on, so everybody will be "
		    "refused%s; say who may connect with --allow ADDRESS, or "
		    "--yes", o->nallow > 0 ? " who is not allowed" : "");
}

static void put_question(void);

static void
decided(int yes, const char *why)
{
	struct question	*q = TAILQ_FIRST(&questions);

	TAILQ_REMOVE(&questions, q, entry);
	loop_timer_del(q->timer);
	if (TAILQ_EMPTY(&questions))
		loop_del(tty);
	q->fn(yes, why, q->arg);
	free(q->text);
	free(q);
	if (!TAILQ_EMPTY(&questions))
		put_question();
}

static void
on_line(int fd, short revents, void *arg)
{
	char	 line[64];
	ssize_t	 n;

	(void)revents;
	(void)arg;
	n = read(fd, line, sizeof(line));
	decided(n > 0 && (line[0] == 'y' || line[0] == 'Y'),
	    n > 0 && (line[0] == 'y' || line[0] == 'Y') ?
	    "you said yes" : "you said no");
}

static void
put_question(void)
{
	const struct question	*q = TAILQ_FIRST(&questions);

	if (write(tty, q->text, strlen(q->text)) == -1)
		ui_debug("the terminal is gone");
}

static void
on_silence(void *arg)
{
	struct question	*q = arg, *first = TAILQ_FIRST(&questions);

	q->timer = NULL;
	if (q == first) {
		(void)!write(tty, "no answer\n", 10);
		decided(0, "no answer");
		return;
	}
	TAILQ_REMOVE(&questions, q, entry);
	q->fn(0, "no answer", q->arg);
	free(q->text);
	free(q);
}

void
gate_question(const char *text, gate_fn fn, void *arg)
{
	struct question	*q;
	size_t		 waiting = 0;
	char		*c;

	TAILQ_FOREACH(q, &questions, entry) {
		if (strcmp(q->text, text) == 0)
			waiting = QUESTIONS_MAX;
		waiting++;
	}
	if (!can_ask() || waiting >= QUESTIONS_MAX) {
		fn(0, waiting ? "too many questions" : "nobody to ask", arg);
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->text = xstrdup(text);
	/* What a stranger is called cannot steer the terminal. */
	for (c = q->text; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	q->fn = fn;
	q->arg = arg;
	q->timer = loop_timer(ANSWER_MS, on_silence, q);
	TAILQ_INSERT_TAIL(&questions, q, entry);
	if (q == TAILQ_FIRST(&questions)) {
		loop_add(tty, POLLIN, on_line, NULL);
		put_question();
	}
}

static void
ask(const struct addr *peer, const char *what, gate_fn fn, void *arg)
{
	char	 ip[ADDR_STRLEN], text[256];

	(void)snprintf(text, sizeof(text), "%s port %u wants %s.  Let it in? "
	    "[y/N] ", addr_format(peer, ip), peer->port, what);
	gate_question(text, fn, arg);
}

void
gate_decide(const struct addr *peer, const char *what, gate_fn fn, void *arg)
{
	size_t	 i;

	for (i = 0; i < rules->nallow; i++) {
		if (options_net_has(&rules->allow[i], peer)) {
			fn(1, "allowed", arg);
			return;
		}
	}
	if (open_to_all)
		fn(1, "everybody may", arg);
	else if (rules->nallow > 0 && !rules->ask)
		fn(0, "not allowed", arg);
	else
		ask(peer, what, fn, arg);
}
