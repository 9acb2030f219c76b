/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "escrow.h"
#include "iq.h"
#include "lack.h"
#include "log.h"
#include "mono.h"
#include "notice.h"
#include "port.h"

struct notice {			/* one that waits for its answer */
	uint32_t	 id;		/* of its record */
	struct record	 record;	/* with strings of its own */
	struct jid	*to;
};

static void
notice_free(struct notice *n)
{
	jid_free(n->to);
	free(n);
}

static void
on_news(enum ask_news news, unsigned int tries, void *arg)
{
	struct notice	*n = arg;

	if (news == ASK_SENT) {
		n->record.tries = tries;
		escrow_notice(n->id, &n->record);
		return;
	}
	escrow_release(n->id);
	notice_free(n);
}

/* XEP-0003 4.1 and 4.2: all inside <query/> (row 1). */
static void
write_notice(struct xml_out *x, const struct notice *n)
{
	iq_request(x, n->record.id, n->to);
	xml_open(x, "query", NS_PASS);
	if (n->record.cause == CAUSE_EXPIRED)
		xml_elem(x, "expire", NULL, NULL);
	else if (n->record.cause == CAUSE_ONESHOT)
		xml_elem(x, "oneshot", NULL, NULL);
	xml_elem(x, "close", NULL, NULL);
	port_fill_proxy(x, n->record.number);
	xml_close(x);
	xml_close(x);
}

/* Takes ${n}. */
static void
send_notice(struct notice *n)
{
	struct xml_out	 x;

	write_notice(&x, n);
	switch (ask_notice(n->record.id, n->to, &x, n->record.tries, on_news,
	    n)) {
	case 1:
		n->record.tries++;
		escrow_notice(n->id, &n->record);
		break;
	case 0:
		break;
	default:
		lack_note(LACK_NOTICES, "too many wait, one is lost");
		escrow_release(n->id);
		notice_free(n);
		break;
	}
	xml_free(&x);
}

static struct notice *
notice_new(uint32_t id, const struct record *r, struct jid *to)
{
	struct notice	*n;

	if (to == NULL || (n = calloc(1, sizeof(*n))) == NULL) {
		jid_free(to);
		return (NULL);
	}
	n->id = id;
	n->record = *r;
	n->to = to;
	n->record.jid = to->full;
	n->record.request = NULL;
	return (n);
}

void
notice_closed(const struct port *p, enum cause cause)
{
	struct notice	*n;
	struct record	 r;

	if (cause == CAUSE_CLOSED || cause == CAUSE_OWNER_GONE)
		return;			/* he knows, or cannot be told */
	memset(&r, 0, sizeof(r));
	r.kind = RECORD_NOTICE;
	r.number = p->number;
	r.cause = cause;
	r.registered = mono_ms();
	escrow_id(r.id, p->id, 0);
	/* The control before this one may have begun the same. */
	if (ask_known(r.id))
		return;
	if ((n = notice_new(registry_new_id(), &r, jid_dup(p->owner))) ==
	    NULL) {
		log_warn("notice port=%u: out of memory",
		    (unsigned int)p->number);
		return;
	}
	escrow_notice(n->id, &n->record);
	send_notice(n);
}

void
notice_adopt(uint32_t id, const struct record *r)
{
	struct notice	*n;

	if (strlen(r->id) != ASK_ID_LEN || r->tries >= ASK_TRIES ||
	    (n = notice_new(id, r, jid_parse(r->jid))) == NULL) {
		escrow_release(id);
		return;
	}
	send_notice(n);
}
