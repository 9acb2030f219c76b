/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "mono.h"
#include "worker.h"

/*
 * The queue has room for every event that may not be lost of every slot
 * (CLIENT, PAIRED, ENDED) and for one READY and one GONE; what may be lost
 * (LEG) has to leave that room.  An event stays in it until control has
 * applied it: if that control dies the next one gets it again.
 */
#define EVENTS_PER_SLOT	3
#define QUEUE_MAX	(EVENTS_PER_SLOT * (SLOTS_MAX + 1) + 64)

struct event {
	size_t		 len;
	union {
		struct msg_hdr		 hdr;
		struct msg_client	 client;
		struct msg_ended	 ended;
	} m;
};

static struct event	 queue[QUEUE_MAX];
static size_t		 queue_head, queue_count;
static size_t		 queue_sent;	/* of queue_count */
static uint64_t		 last_seq;
static struct msg_refused refused;
static int64_t		 refused_last;
static int		 blocked;	/* control does not read */

static size_t
queue_free(void)
{
	return (QUEUE_MAX - queue_count);
}

static void
put(const void *m, size_t len)
{
	struct event	*e;

	if (worker.channel == -1 || queue_free() == 0)
		return;
	e = &queue[(queue_head + queue_count) % QUEUE_MAX];
	memcpy(&e->m, m, len);
	e->len = len;
	e->m.hdr.seq = ++last_seq;
	queue_count++;
}

int
report_room(void)
{
	return (worker.channel == -1 ||
	    queue_free() > EVENTS_PER_SLOT * (worker.nactive + 1) + 1);
}

void
report_ready(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_READY, worker.id);
	put(&m, sizeof(m));
}

void
report_gone(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_GONE, worker.id);
	put(&m, sizeof(m));
}

static void
put_client(const struct slot *s, enum msg_type type, uint32_t what,
    const struct addr *addr)
{
	struct msg_client	 m;

	msg_init(&m, sizeof(m), type, worker.id);
	m.session = s->session;
	m.what = what;
	m.addr = *addr;
	put(&m, sizeof(m));
}

void
report_client(const struct slot *s)
{
	put_client(s, MSG_CLIENT, 0, &s->peer);
}

void
report_leg(struct slot *s, enum leg_what what, const struct addr *addr)
{
	/* Whoever finds a rendezvous port must not be able to fill a log. */
	if (s->leg_reports >= MSG_LEGS_MAX || !report_room())
		return;
	s->leg_reports++;
	put_client(s, MSG_LEG, (uint32_t)what, addr);
}

void
report_paired(const struct slot *s, const struct addr *leg, uint32_t flags)
{
	put_client(s, MSG_PAIRED, flags, leg);
}

void
report_ended(const struct slot *s, enum cause cause, int64_t now)
{
	struct msg_ended	 m;

	msg_init(&m, sizeof(m), MSG_ENDED, worker.id);
	m.session = s->session;
	m.cause = (uint32_t)cause;
	m.peer = s->peer;
	if (s->state == SLOT_RELAY) {
		m.bytes_in = s->relay.way[0].bytes;
		m.bytes_out = s->relay.way[1].bytes;
		m.ms = now > s->paired ? (uint64_t)(now - s->paired) : 1;
	}
	put(&m, sizeof(m));
}

void
report_refused(enum refusal why, const struct addr *addr)
{
	uint32_t	*n;

	n = why == REFUSED_BUSY ? &refused.busy :
	    why == REFUSED_PENDING ? &refused.pending : &refused.failed;
	if (*n < UINT32_MAX)
		(*n)++;
	refused.last = *addr;
}

static int
any_refused(void)
{
	return (refused.busy != 0 || refused.pending != 0 ||
	    refused.failed != 0);
}

int64_t
report_deadline(void)
{
	/* Then poll(2) tells when: a deadline that has passed would spin. */
	if (blocked || worker.channel == -1 || !any_refused())
		return (INT64_MAX);
	return (refused_last + MSG_REFUSED_MS);
}

/* The summary is not queued: it goes out when there is room for it. */
static int
send_refused(int64_t now)
{
	struct msg_refused	 m;

	if (!any_refused() || now < refused_last + MSG_REFUSED_MS)
		return (0);
	m = refused;
	msg_init(&m.hdr, sizeof(m.hdr), MSG_REFUSED, worker.id);
	m.hdr.seq = last_seq + 1;
	if (msg_send(worker.channel, &m, sizeof(m), NULL, 0) == -1)
		return (-1);
	last_seq++;
	refused_last = now;
	memset(&refused, 0, sizeof(refused));
	return (0);
}

void
report_ack(uint64_t upto)
{
	while (queue_sent > 0 && queue[queue_head].m.hdr.seq <= upto) {
		queue_head = (queue_head + 1) % QUEUE_MAX;
		queue_count--;
		queue_sent--;
	}
}

int
report_acked(void)
{
	return (queue_count == 0);
}

uint64_t
report_again(void)
{
	queue_sent = 0;
	return (last_seq);
}

static int
lost(void)
{
	queue_count = queue_sent = 0;
	return (-1);
}

int
report_flush(int64_t now)
{
	struct event	*e;
	int		 r;

	blocked = 0;
	if (worker.channel == -1)
		return (lost());
	if ((r = sync_flush()) == -1)
		return (lost());
	if (r == 0)
		goto full;
	while (queue_sent < queue_count) {
		e = &queue[(queue_head + queue_sent) % QUEUE_MAX];
		if (msg_send(worker.channel, &e->m, e->len, NULL, 0) == -1)
			goto failed;
		queue_sent++;
	}
	if (send_refused(now) == -1)
		goto failed;
	return (1);
 failed:
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		return (lost());
 full:
	blocked = 1;
	return (0);
}
