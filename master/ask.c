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
	TAILQ_ENTRY(ask) notice;	/* notices only */
	char		 id[ASK_ID_LEN + 1];
	struct jid	*to;
	struct xml_out	 xml;		/* notices only: to be sent again */
	unsigned int	 tries;
	int		 sent;		/* on the stream that is up */
	ask_fn		 fn;		/* questions only */
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
static TAILQ_HEAD(, ask) notices = TAILQ_HEAD_INITIALIZER(notices);
static unsigned int	 nnotices;

void
ask_init(void)
{
	RB_INIT(&asks);
	TAILQ_INIT(&notices);
	nnotices = 0;
}

void
ask_new_id(char id[ASK_ID_LEN + 1])
{
	static const char	 hex[] = "0123456789abcdef";
	unsigned char		 bytes[ASK_ID_LEN / 2];
	size_t			 i;

	arc4random_buf(bytes, sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i++) {
		id[2 * i] = hex[bytes[i] >> 4];
		id[2 * i + 1] = hex[bytes[i] & 15];
	}
	id[ASK_ID_LEN] = '\0';
}

static void
forget(struct ask *a)
{
	RB_REMOVE(ask_tree, &asks, a);
	(void)evtimer_del(&a->timer);
	if (a->fn == NULL) {
		TAILQ_REMOVE(&notices, a, notice);
		nnotices--;
	}
	xml_free(&a->xml);
	jid_free(a->to);
	free(a);
}

static void
start_timer(struct ask *a, uint32_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	(void)evtimer_add(&a->timer, &tv);
}

static void
send_notice(struct ask *a)
{
	if (!xmpp_is_up())
		return;			/* ask_link_up() tries again */
	/* If its queue is full: no try, but another one later. */
	if (xmpp_send(&a->xml) == 0) {
		a->tries++;
		a->sent = 1;
	}
	start_timer(a, a->sent ? ASK_NOTICE_MS : ASK_ROOM_MS);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct ask	*a = arg;
	ask_fn		 fn = a->fn;
	char		 who[1024];

	(void)fd;
	(void)what;
	if (fn != NULL) {
		arg = a->arg;
		forget(a);
		fn(ASK_TIMEOUT, NULL, arg);
		return;
	}
	if (!a->sent || !xmpp_is_up()) {
		send_notice(a);
		return;
	}
	/* Told once and for all: streams lose nothing, links do. */
	log_info("notice jid=%s unanswered, given up",
	    jid_log(a->to, who, sizeof(who)));
	forget(a);
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
ask_question(const char *id, const struct jid *to, const struct xml_out *x,
    uint32_t timeout_ms, ask_fn fn, void *arg)
{
	struct ask	*a;

	if ((a = ask_new(id, to)) == NULL)
		return (NULL);
	a->fn = fn;
	a->arg = arg;
	if (xmpp_send(x) == -1) {
		forget(a);
		return (NULL);
	}
	start_timer(a, timeout_ms);
	return (a);
}

void
ask_cancel(struct ask *a)
{
	if (a != NULL)
		forget(a);
}

int
ask_notice(const char *id, const struct jid *to, const struct xml_out *x)
{
	struct ask	*a;

	if (xml_done(x) == -1 || nnotices >= ASK_NOTICES_MAX ||
	    (a = ask_new(id, to)) == NULL)
		return (-1);
	TAILQ_INSERT_TAIL(&notices, a, notice);
	nnotices++;
	if ((a->xml.buf = malloc(x->len)) == NULL) {
		forget(a);
		return (-1);
	}
	memcpy(a->xml.buf, x->buf, x->len);
	a->xml.len = a->xml.size = x->len;
	send_notice(a);
	return (0);
}

int
ask_answered(const struct stanza *s, const struct jid *from)
{
	const char	*id = stanza_attr(s, "id");
	const char	*type = stanza_attr(s, "type");
	struct ask	 key, *a;
	ask_fn		 fn;
	void		*arg;

	if (id == NULL || type == NULL ||
	    strlcpy(key.id, id, sizeof(key.id)) != ASK_ID_LEN)
		return (0);
	a = RB_FIND(ask_tree, &asks, &key);
	/* Another resource, or another user, has no say. */
	if (a == NULL || !jid_same(a->to, from))
		return (0);
	fn = a->fn;
	arg = a->arg;
	forget(a);
	if (fn != NULL)
		fn(strcmp(type, "result") == 0 ? ASK_RESULT : ASK_ERROR, s,
		    arg);
	return (1);
}

void
ask_link_up(void)
{
	struct ask	*a, *next;

	for (a = TAILQ_FIRST(&notices); a != NULL; a = next) {
		next = TAILQ_NEXT(a, notice);
		a->sent = 0;
		if (a->tries >= ASK_TRIES)
			forget(a);
		else
			send_notice(a);
	}
}

unsigned int
ask_notices(void)
{
	return (nnotices);
}
