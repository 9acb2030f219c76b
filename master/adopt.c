/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "escrow.h"
#include "log.h"
#include "mono.h"
#include "notice.h"
#include "port.h"

/*
 * A control that starts while workers are there (DESIGN.md section 3): the
 * parent brings records and channels, each worker is asked for its state,
 * and the events that the last control had not acknowledged come again.
 */

/* No worker has room for more, whatever its limits were. */
#define SESSIONS_MAX	(CONF_SESSIONS_MAX + CONF_PENDING_MAX)

/* Nor can it have kept more events: a few for each session. */
#define REPLAY_MAX	2048

static void
ask_state(struct port *p)
{
	struct msg_sync	 m;

	p->sync = SYNC_STATE;
	msg_init(&m, sizeof(m), MSG_SYNC, p->id);
	m.epoch = escrow_epoch_now();
	port_send(p, &m, sizeof(m), NULL, 0);
}

/* Return the port of ${r}, as its owner knew it, or NULL with errno. */
static struct port *
port_of(uint32_t id, const struct record *r)
{
	struct jid	*owner;
	struct port	*p;

	if ((owner = jid_parse(r->jid)) == NULL) {
		errno = EINVAL;
		return (NULL);
	}
	p = registry_port_new(owner, id);
	jid_free(owner);
	if (p == NULL)
		return (NULL);
	p->escrowed = p->adopted = 1;
	p->registered = r->registered;
	p->expires = r->expires;
	p->asked = r->asked;
	p->oneshot = (r->flags & RECORD_ONESHOT) != 0;
	p->full_owner = (r->flags & RECORD_FULL_OWNER) != 0;
	registry_port_pid(p, (pid_t)r->pid);
	conf_quota_for(ctl.conf, p->owner, &p->quota);
	port_hold(p, r->number);
	if (r->flags & RECORD_CLOSED) {
		registry_port_closed(p, PORT_CLOSING);
		p->close_cause = r->cause;
	} else if (r->flags & RECORD_READY)
		p->state = PORT_OPEN;
	if (r->request != NULL)
		p->request = iq_new(p->owner, r->request,
		    ctl.conf->component->full);
	if (p->request != NULL)
		p->request->english = (r->flags & RECORD_ENGLISH) != 0;
	return (p);
}

static void
adopt_port(struct msg_in *in, const struct record *r)
{
	struct port	*p;
	int		 fd = -1;

	if (pool_claim(ctl.ports, r->number) == -1 ||
	    (p = port_of(in->hdr.id, r)) == NULL) {
		log_error("record of port=%u cannot be taken over, the port "
		    "is closed", (unsigned int)r->number);
		escrow_release(in->hdr.id);
		return;
	}
	if (in->nfds == 1) {
		fd = in->fds[0];
		in->fds[0] = -1;
	}
	/* Without a channel there is no worker; its end is accounted for. */
	if (fd == -1 || port_serve(p, fd, MSG_ST_SYNC) == -1) {
		port_lost(p);
		return;
	}
	port_start_timer(p);
	ask_state(p);
}

void
adopt_record(struct msg_in *in)
{
	struct record	 r;

	if (record_read(&r, &in->record, in->len) == -1) {
		/* Of a program that is no more: nothing is guessed. */
		log_error("record id=%u of another format, closed",
		    in->hdr.id);
		escrow_release(in->hdr.id);
	} else if (r.kind == RECORD_NOTICE)
		notice_adopt(in->hdr.id, &r);
	else
		adopt_port(in, &r);
}

/* The worker has told everything. */
static void
synchronised(struct port *p, int listening)
{
	p->sync = SYNC_NONE;
	/* A READY that the last control did not acknowledge comes again. */
	chan_states(p->chan, p->last_seq < p->replayed ?
	    MSG_ST_START | MSG_ST_RUN : MSG_ST_RUN);
	if (p->state == PORT_CLOSING)
		port_watch_leaving(p);
	else
		port_set_timer(p);
	port_refresh(p);
	log_debug("adopted port=%u pid=%d", (unsigned int)p->number,
	    (int)p->pid);
	/* The one relay of a oneshot port began while nobody listened. */
	if (!listening && p->state == PORT_OPEN)
		port_close(p, p->oneshot ? CAUSE_ONESHOT : CAUSE_ERROR);
}

static void
on_state(struct port *p, const struct msg_state *m)
{
	if (m->epoch != escrow_epoch_now())
		return;			/* for the control before us */
	if (m->sessions > SESSIONS_MAX) {
		port_kill(p, "STATE with too many sessions");
		return;
	}
	p->replays = 0;
	p->replayed = m->seq;
	p->sessions_due = m->sessions;
	p->listening = (m->flags & STATE_LISTENING) != 0;
	p->sync = SYNC_SESSIONS;
	chan_states(p->chan, MSG_ST_SESSIONS);
	if (p->sessions_due == 0)
		synchronised(p, p->listening);
}

void
adopt_message(struct port *p, const struct msg_in *in)
{
	switch (in->hdr.type) {
	case MSG_STATE:
		on_state(p, &in->state);
		break;
	case MSG_SESSION:
		if (p->sync != SYNC_SESSIONS)
			break;
		client_adopt(p, &in->session);
		if (!p->kill_wanted && --p->sessions_due == 0)
			synchronised(p, p->listening);
		break;
	default:
		break;			/* in STATE, or it comes again */
	}
}

void
adopt_replay(struct port *p, const struct msg_in *in)
{
	/* Each may be a line in the log. */
	if (++p->replays > REPLAY_MAX) {
		port_kill(p, "too many events again");
		return;
	}
	if (p->last_seq >= p->replayed)
		chan_states(p->chan, MSG_ST_RUN);
	switch (in->hdr.type) {
	case MSG_READY:
		port_ready(p);
		break;
	case MSG_GONE:
		p->said_gone = 1;
		break;
	case MSG_ENDED:
		client_adopted_end(p, &in->ended);
		break;
	case MSG_REFUSED:
		client_event(p, in);
		break;
	default:
		break;
	}
}
