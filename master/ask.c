/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/time.h>
#include <sys/tree.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "log.h"
#include "xmpp.h"

struct ask {
	RB_ENTRY(ask)	 entry;
	TAILQ_ENTRY(ask) kept;		/* if kept for the link */
	char		 id[ASK_ID_LEN + 1];
	struct jid	*to;
	struct xml_out	 xml;		/* empty, or to be sent (again) */
	int		 is_kept;
	unsigned int	 tries;
	int		 sent;		/* on the stream that is up */
	ask_fn		 fn;		/* questions only */
	ask_news_fn	 news;		/* notices only */
	void		*arg;
	struct event	 timer;
};

static int
compare(struct ask *a, struct ask *b)
{
	return (strcmp(a->id, b->id));
}

RB_HEAD(ask_tree, ask);
RB_PROTOTYPE(ask_tree, ask, entry, compare)
RB_GENERATE(ask_tree, ask, entry, compare)

static struct ask_tree	 asks = RB_INITIALIZER(&asks);
/* What waits for the link, or may have to be sent on the next one. */
static TAILQ_HEAD(, ask) kept = TAILQ_HEAD_INITIALIZER(kept);
static unsigned int	 nnotices;

void
ask_init(void)
{
	RB_INIT(&asks);
	TAILQ_INIT(&kept);
	nnotices = 0;
}

static int
is_notice(const struct ask *a)
{
	return (a->news != NULL);
}

static void
unkeep(struct ask *a)
{
	if (a->is_kept)
		TAILQ_REMOVE(&kept, a, kept);
	a->is_kept = 0;
	xml_free(&a->xml);
	xml_init(&a->xml);
}

/* Keep the finished stanza ${x} for the link.  Return 0 or -1. */
static int
keep(struct ask *a, const struct xml_out *x)
{
	if ((a->xml.buf = malloc(x->len)) == NULL)
		return (-1);
	memcpy(a->xml.buf, x->buf, x->len);
	a->xml.len = a->xml.size = x->len;
	TAILQ_INSERT_TAIL(&kept, a, kept);
	a->is_kept = 1;
	return (0);
}

static void
forget(struct ask *a)
{
	RB_REMOVE(ask_tree, &asks, a);
	(void)evtimer_del(&a->timer);
	unkeep(a);
	if (is_notice(a))
		nnotices--;
	jid_free(a->to);
	free(a);
}

/* The end of a notice, whichever it is. */
static void
settle(struct ask *a)
{
	ask_news_fn	 news = a->news;
	unsigned int	 tries = a->tries;
	void		*arg = a->arg;

	forget(a);
	news(ASK_SETTLED, tries, arg);
}

static void
start_timer(struct ask *a, uint32_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	(void)evtimer_add(&a->timer, &tv);
}

/* Return 1 if it went out. */
static int
send_notice(struct ask *a)
{
	int	 sent = 0;

	if (!xmpp_is_up())
		return (0);		/* ask_link_up() tries again */
	/* If its queue is full: no try, but another one later. */
	if (xmpp_send(&a->xml) == 0) {
		a->tries++;
		sent = a->sent = 1;
	}
	start_timer(a, a->sent ? ASK_NOTICE_MS : ASK_ROOM_MS);
	return (sent);
}

static void
send_again(struct ask *a)
{
	if (send_notice(a))
		a->news(ASK_SENT, a->tries, a->arg);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct ask	*a = arg;
	ask_fn		 fn = a->fn;
	char		 who[1024];

	(void)fd;
	(void)what;
	if (!is_notice(a)) {
		arg = a->arg;
		forget(a);
		fn(ASK_TIMEOUT, NULL, arg);
		return;
	}
	if (!a->sent || !xmpp_is_up()) {
		send_again(a);
		return;
	}
	/* Told once and for all: streams lose nothing, links do. */
	log_info("notice jid=%s unanswered, given up",
	    jid_log(a->to, who, sizeof(who)));
	settle(a);
}

static struct ask *
ask_new(const char *id, const struct jid *to)
{
	struct ask	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return (NULL);
	xml_init(&a->xml);
	(void)strlcpy(a->id, id, sizeof(a->id));
	if ((a->to = jid_dup(to)) == NULL) {
		free(a);
		return (NULL);
	}
	evtimer_set(&a->timer, on_timer, a);
	if (RB_INSERT(ask_tree, &asks, a) != NULL) {
		jid_free(a->to);
		free(a);
		return (NULL);
	}
	return (a);
}

struct ask *
ask_again(const char *id, const struct jid *to, const struct xml_out *x,
    uint32_t timeout_ms, ask_fn fn, void *arg)
{
	struct ask	*a;

	if ((a = ask_new(id, to)) == NULL)
		return (NULL);
	a->fn = fn;
	a->arg = arg;
	if (x != NULL && (xml_done(x) == -1 || keep(a, x) == -1)) {
		forget(a);
		return (NULL);
	}
	if (x != NULL && xmpp_is_up() && xmpp_send(x) == 0)
		unkeep(a);
	start_timer(a, timeout_ms);
	return (a);
}

struct ask *
ask_question(const char *id, const struct jid *to, const struct xml_out *x,
    uint32_t timeout_ms, ask_fn fn, void *arg)
{
	struct ask	*a;

	/* Without a link the peer is not kept waiting. */
	if ((a = ask_again(id, to, NULL, timeout_ms, fn, arg)) == NULL)
		return (NULL);
	if (xmpp_send(x) == -1) {
		forget(a);
		return (NULL);
	}
	return (a);
}

void
ask_cancel(struct ask *a)
{
	if (a != NULL)
		forget(a);
}

int
ask_notice(const char *id, const struct jid *to, const struct xml_out *x,
    unsigned int tries, ask_news_fn news, void *arg)
{
	struct ask	*a;

	if (xml_done(x) == -1 || nnotices >= ASK_NOTICES_MAX ||
	    (a = ask_new(id, to)) == NULL)
		return (-1);
	if (keep(a, x) == -1) {
		forget(a);
		return (-1);
	}
	a->news = news;
	a->arg = arg;
	a->tries = tries;
	nnotices++;
	return (send_notice(a));
}

void
ask_stop(void)
{
	struct ask	*a;

	while ((a = RB_MIN(ask_tree, &asks)) != NULL) {
		if (is_notice(a))
			settle(a);
		else
			forget(a);
	}
}

static struct ask *
find(const char *id)
{
	struct ask	 key;

	if (strlcpy(key.id, id, sizeof(key.id)) != ASK_ID_LEN)
		return (NULL);
	return (RB_FIND(ask_tree, &asks, &key));
}

int
ask_known(const char *id)
{
	return (find(id) != NULL);
}

int
ask_answered(const struct stanza *s, const struct jid *from)
{
	const char	*id = stanza_attr(s, "id");
	const char	*type = stanza_attr(s, "type");
	struct ask	*a;
	ask_fn		 fn;
	void		*arg;

	if (id == NULL || type == NULL)
		return (0);
	a = find(id);
	/* Another resource, or another user, has no say. */
	if (a == NULL || !jid_same(a->to, from))
		return (0);
	if (is_notice(a)) {
		settle(a);
		return (1);
	}
	fn = a->fn;
	arg = a->arg;
	forget(a);
	fn(strcmp(type, "result") == 0 ? ASK_RESULT : ASK_ERROR, s, arg);
	return (1);
}

void
ask_link_up(void)
{
	struct ask	*a, *next;

	for (a = TAILQ_FIRST(&kept); a != NULL; a = next) {
		next = TAILQ_NEXT(a, kept);
		a->sent = 0;
		if (!is_notice(a)) {
			if (xmpp_send(&a->xml) == 0)
				unkeep(a);
		} else if (a->tries >= ASK_TRIES)
			settle(a);
		else
			send_again(a);
	}
}

unsigned int
ask_notices(void)
{
	return (nnotices);
}
