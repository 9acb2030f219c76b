/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "worker.h"

/*
 * What the worker was doing when a new control asked: noted in one go, so
 * that it is of one moment however slowly control reads it.  The pages of
 * this are not touched before.
 */
static struct msg_state		 state;
static struct msg_session	 sessions[SLOTS_MAX];
static size_t			 next;		/* of sessions to be sent */
static int			 wanted;	/* the rest is to be sent */
static int			 begun;		/* state was sent */

static enum session_state
state_of(const struct slot *s)
{
	switch (s->state) {
	case SLOT_ACCEPTED:
		return (SESSION_ACCEPTED);
	case SLOT_RELAY:
		return (SESSION_RELAY);
	case SLOT_ASKED:
	case SLOT_FREE:
		break;
	}
	return (SESSION_ASKED);
}

static void
note(struct msg_session *m, const struct slot *s, int64_t now)
{
	int64_t	 ms = now - s->since;

	msg_init(m, sizeof(*m), MSG_SESSION, worker.id);
	m->session = s->session;
	m->state = (uint32_t)state_of(s);
	m->ms = ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
	m->peer = s->peer;
	if (s->state == SLOT_RELAY) {
		m->leg = s->owner;
		m->bytes_in = s->relay.way[0].bytes;
		m->bytes_out = s->relay.way[1].bytes;
		return;
	}
	m->rendezvous = s->rdv_port;
	m->legs = (uint16_t)s->nlegs;
}

void
sync_begin(uint32_t epoch, int64_t now)
{
	size_t	 i;

	msg_init(&state, sizeof(state), MSG_STATE, worker.id);
	state.epoch = epoch;
	state.flags = worker.leaving ? 0 : STATE_LISTENING;
	state.sessions = (uint32_t)worker.nactive;
	for (i = 0; i < worker.nactive; i++)
		note(&sessions[i], &worker.slots[worker.active[i]], now);
	state.seq = report_again();
	next = 0;
	begun = 0;
	wanted = 1;
}

static int
failed(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return (0);
	wanted = 0;
	return (-1);
}

int
sync_flush(void)
{
	if (!wanted)
		return (1);
	if (!begun) {
		if (msg_send(worker.channel, &state, sizeof(state), NULL,
		    0) == -1)
			return (failed());
		begun = 1;
	}
	for (; next < state.sessions; next++) {
		if (msg_send(worker.channel, &sessions[next],
		    sizeof(sessions[next]), NULL, 0) == -1)
			return (failed());
	}
	wanted = 0;
	return (1);
}
