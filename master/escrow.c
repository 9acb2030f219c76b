/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <sha2.h>
#include <string.h>

#include "ctl.h"
#include "escrow.h"
#include "iq.h"
#include "log.h"

static uint32_t	 epoch;
static uint8_t	 key[MSG_KEY_LEN];

void
escrow_epoch(const struct msg_epoch *m)
{
	epoch = m->epoch;
	memcpy(key, m->key, sizeof(key));
	registry_last_id(m->last_id);
}

uint32_t
escrow_epoch_now(void)
{
	return (epoch);
}

void
escrow_id(char id[ASK_ID_LEN + 1], uint32_t worker, uint32_t session)
{
	static const char	 hex[] = "0123456789abcdef";
	uint32_t		 what[2] = { worker, session };
	uint8_t			 sum[SHA256_DIGEST_LENGTH];
	SHA2_CTX		 ctx;
	size_t			 i;

	/*
	 * Half of the sum is told, of input of one length: nobody can go on
	 * from it to the sum of anything longer, so HMAC would add nothing.
	 */
	SHA256Init(&ctx);
	SHA256Update(&ctx, key, sizeof(key));
	SHA256Update(&ctx, (const uint8_t *)what, sizeof(what));
	SHA256Final(sum, &ctx);
	for (i = 0; i < ASK_ID_LEN / 2; i++) {
		id[2 * i] = hex[sum[i] >> 4];
		id[2 * i + 1] = hex[sum[i] & 15];
	}
	id[ASK_ID_LEN] = '\0';
}

static void
keep(uint32_t id, const struct record *r, int fd)
{
	struct msg_record	 m;
	size_t			 len;

	msg_init(&m, offsetof(struct msg_record, record), MSG_ESCROW, id);
	if ((len = record_write(r, &m)) == 0)
		log_warn("record of port=%u is too long to be kept",
		    (unsigned int)r->number);
	else if (chan_send(ctl.parent, &m, len, &fd, fd == -1 ? 0 : 1) == -1)
		log_debug("parent does not read");
}

void
escrow_port(const struct port *p, int fd)
{
	const struct iq	*iq = p->request;
	struct record	 r;

	if (ctl.stopping || (fd == -1 && !p->escrowed))
		return;
	memset(&r, 0, sizeof(r));
	r.kind = RECORD_PORT;
	r.number = p->number;
	r.registered = p->registered;
	r.expires = p->expires;
	r.asked = p->asked;
	r.cause = p->close_cause;
	r.pid = (int32_t)p->pid;
	r.jid = p->owner->full;
	if (p->state != PORT_STARTING)
		r.flags |= RECORD_READY;
	if (p->state == PORT_CLOSING || p->state == PORT_DEAD)
		r.flags |= RECORD_CLOSED;
	if (p->oneshot)
		r.flags |= RECORD_ONESHOT;
	if (p->full_owner)
		r.flags |= RECORD_FULL_OWNER;
	if (iq != NULL && iq->id != NULL && strlen(iq->id) <= RECORD_ID_MAX) {
		r.request = iq->id;
		if (iq->english)
			r.flags |= RECORD_ENGLISH;
	}
	keep(p->id, &r, fd);
}

void
escrow_notice(uint32_t id, const struct record *r)
{
	if (!ctl.stopping)
		keep(id, r, -1);
}

void
escrow_release(uint32_t id)
{
	struct msg_hdr	 m;

	if (ctl.stopping)
		return;
	msg_init(&m, sizeof(m), MSG_RELEASE, id);
	if (chan_send(ctl.parent, &m, sizeof(m), NULL, 0) == -1)
		log_debug("parent does not read");
}
