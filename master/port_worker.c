/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "escrow.h"
#include "lack.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "slow.h"

/*
 * The worker of a port: its start, what it says, its end.
 */

#define BURY_MS		2000	/* for the spawner to say how it ended */

/* SIGSYS: the worker was taken, or passd has a fault on this system. */
#define CAGED	": killed by the filter of system calls, please report it, " \
		"with passd -V"

static void	port_message(struct msg_in *, void *);
static void	port_ended(const char *, void *);

static const struct chan_handler	 worker_handler = {
	port_message, port_ended
};

void
port_send(struct port *p, const void *m, size_t len, const int *fds,
    size_t nfds)
{
	/* If it fails the end of the channel is on its way. */
	if (p->chan != NULL)
		(void)chan_send(p->chan, m, len, fds, nfds);
}

static void
fill_limits(const struct port *p, struct msg_limits *m, enum msg_type type)
{
	const struct conf	*c = ctl.conf;

	msg_init(m, sizeof(*m), type, p->id);
	m->port = p->number;
	m->sessions = (uint16_t)p->quota.sessions_port;
	m->pending = (uint16_t)p->quota.pending;
	m->connect_ms = c->timeout.connect;
	m->idle_ms = c->timeout.idle;
	m->half_close_ms = c->timeout.half_close;
	if (p->oneshot)
		m->flags |= LIMITS_ONESHOT;
	if (c->owner_leg == LEG_SAME_PORT)
		m->flags |= LIMITS_SAME_PORT;
}

void
port_send_limits(struct port *p)
{
	struct msg_limits	 m;

	fill_limits(p, &m, MSG_LIMITS);
	port_send(p, &m, sizeof(m), NULL, 0);
}

void
port_send_close(struct port *p, enum cause cause, int relays, uint32_t grace_ms)
{
	struct msg_close	 m;

	msg_init(&m, sizeof(m), MSG_CLOSE, p->id);
	m.cause = (uint32_t)cause;
	m.flags = relays ? CLOSE_RELAYS : 0;
	m.grace_ms = grace_ms;
	port_send(p, &m, sizeof(m), NULL, 0);
}

static void
tell_parent(const void *m, size_t len)
{
	if (ctl.parent == NULL || chan_send(ctl.parent, m, len, NULL, 0) == -1)
		log_debug("parent does not read");
}

/*
 * By the spawner that started it.  If that has gone the worker is a child of
 * the parent, which kills no process that is not.  Of one that was taken
 * over it is not known: whoever is asked in vain does nothing.
 */
static void
kill_worker(const struct port *p)
{
	struct msg_hdr	 m;
	struct msg_reap	 reap;

	if (ctl.spawner != NULL &&
	    (p->adopted || p->spawner == ctl.spawner_no)) {
		msg_init(&m, sizeof(m), MSG_KILL, p->id);
		(void)chan_send(ctl.spawner, &m, sizeof(m), NULL, 0);
	}
	if (p->pid != 0 && !p->exited &&
	    (p->adopted || p->spawner != ctl.spawner_no ||
	    ctl.spawner == NULL)) {
		msg_init(&reap, sizeof(reap), MSG_REAP, p->id);
		reap.pid = (int32_t)p->pid;
		tell_parent(&reap, sizeof(reap));
	}
}

/*
 * Kill the worker and do not wait for it: without a spawner nobody may be
 * there to do it.  Its channel is closed from the event loop, since this may
 * be called from within one of its messages.
 */
void
port_cut_off(struct port *p)
{
	kill_worker(p);
	if (p->chan == NULL)
		return;
	p->kill_wanted = 1;
	port_timer(&p->timer, 0);
}

void
port_kill(struct port *p, const char *why)
{
	log_error("worker port=%u pid=%d violation: %s; killed",
	    (unsigned int)p->number, (int)p->pid, why);
	port_cut_off(p);
}

static void
log_death(const struct port *p)
{
	if (!p->exited)
		log_error("worker died port=%u pid=%d jid=%s status=unknown",
		    (unsigned int)p->number, (int)p->pid, port_owner(p));
	else if (WIFSIGNALED(p->status))
		log_error("worker died port=%u pid=%d jid=%s signal=%d (%s)%s",
		    (unsigned int)p->number, (int)p->pid, port_owner(p),
		    WTERMSIG(p->status), strsignal(WTERMSIG(p->status)),
		    WTERMSIG(p->status) == SIGSYS ? CAGED : "");
	else
		log_error("worker died port=%u pid=%d jid=%s status=%d",
		    (unsigned int)p->number, (int)p->pid, port_owner(p),
		    WEXITSTATUS(p->status));
}

/* The parent closes its copy of the channel: the worker, if it lives, ends. */
void
port_release(struct port *p)
{
	if (p->escrowed)
		escrow_release(p->id);
	p->escrowed = 0;
}

static void
bury(struct port *p)
{
	if (!p->said_gone)
		log_death(p);
	pool_give(ctl.ports, p->number, mono_ms());
	port_release(p);
	registry_port_free(p);
	if (registry_count() == 0)
		ctl_ports_empty();
}

void
port_lost(struct port *p)
{
	struct client	*c;

	chan_free(p->chan);
	p->chan = NULL;
	p->sync = SYNC_NONE;
	while ((c = TAILQ_FIRST(&p->clients)) != NULL)
		client_lost(c, CAUSE_WORKER_DIED);
	if (p->state == PORT_STARTING)
		port_give_up(p, IQ_INTERNAL);
	else if (p->state == PORT_OPEN)
		port_closed(p, CAUSE_WORKER_DIED, PORT_DEAD);
	registry_port_closed(p, PORT_DEAD);
	port_release(p);
	if (p->exited)
		bury(p);
	else
		port_timer(&p->timer, BURY_MS);
}

/* The channel to the worker has ended, and with it the worker, or soon. */
static void
port_ended(const char *why, void *arg)
{
	struct port	*p = arg;

	if (why != NULL)
		port_kill(p, why);
	else if (p->state == PORT_STARTING && p->pid == 0 && !p->exited &&
	    p->listeners.n > 0) {
		/*
		 * Nobody says that there was a worker: the spawner has gone
		 * before it came to it.  Then the next one starts it.
		 */
		chan_free(p->chan);
		p->chan = NULL;
		return;
	}
	port_lost(p);
}

/* Its channel has ended, but nobody has said that its process did. */
void
port_overdue(struct port *p)
{
	if (p->exited || p->kill_wanted) {
		bury(p);
		return;
	}
	p->kill_wanted = 1;
	kill_worker(p);
	port_timer(&p->timer, BURY_MS);
}

/* It goes when it listens no more and every client has ended. */
static void
gone(struct port *p)
{
	if (p->state == PORT_OPEN || !TAILQ_EMPTY(&p->clients))
		port_kill(p, "GONE before its time");
	else
		p->said_gone = 1;
}

/*
 * The worker keeps an event until then.  One for many does as well as one
 * for each: while it does not read, the next one waits.
 */
void
port_acknowledge(struct port *p)
{
	struct msg_ack	 m;

	if (p->chan == NULL || p->acked == p->last_seq ||
	    chan_queued(p->chan) > 0)
		return;
	p->acked = p->last_seq;
	msg_init(&m, sizeof(m), MSG_ACK, p->id);
	m.upto = p->last_seq;
	port_send(p, &m, sizeof(m), NULL, 0);
}

static void
event(struct port *p, const struct msg_in *in)
{
	switch (in->hdr.type) {
	case MSG_READY:
		chan_states(p->chan, MSG_ST_RUN);
		port_ready(p);
		break;
	case MSG_GONE:
		gone(p);
		break;
	default:
		client_event(p, in);
		break;
	}
}

static void
port_message(struct msg_in *in, void *arg)
{
	struct port	*p = arg;
	uint64_t	 seq = in->hdr.seq;

	if (p->kill_wanted)
		return;			/* on its way out already */
	p->unheard = 0;
	if (in->hdr.id != p->id) {
		port_kill(p, "id of another");
		return;
	}
	if (p->sync != SYNC_NONE) {
		adopt_message(p, in);
		return;
	}
	if (in->hdr.type == MSG_PONG)
		return;
	if (seq > p->replayed && p->last_seq < p->replayed) {
		p->last_seq = p->replayed;
		chan_states(p->chan, MSG_ST_RUN);
	}
	if (seq <= p->replayed ? seq <= p->last_seq :
	    seq != p->last_seq + 1) {
		port_kill(p, "sequence number");
		return;
	}
	p->last_seq = seq;
	if (p->said_gone)
		port_kill(p, "event after GONE");
	else if (seq <= p->replayed)
		adopt_replay(p, in);
	else
		event(p, in);
	if (!p->kill_wanted)
		port_acknowledge(p);
}

int
port_serve(struct port *p, int fd, uint16_t states)
{
	p->chan = chan_new(fd, EDGE_WORKER_CONTROL, states, &worker_handler,
	    p);
	return (p->chan == NULL ? -1 : 0);
}

void
port_refresh(struct port *p)
{
	if (p->state == PORT_OPEN || p->state == PORT_STARTING)
		port_send_limits(p);
	else
		port_send_close(p, p->close_cause, 0, 0);
}

int
port_spawn(struct port *p)
{
	struct msg_limits	 m;
	int			 fds[MSG_FDS_MAX], pair[2];
	size_t			 i;

	if (ctl.spawner == NULL) {
		log_debug("port=%u waits for a spawner",
		    (unsigned int)p->number);
		return (0);
	}
	if (msg_pair(pair) == -1)
		return (-1);
	/* Before anybody can answer: a control that dies now is followed. */
	p->escrowed = 1;
	escrow_port(p, pair[0]);
	if (port_serve(p, pair[0], MSG_ST_START) == -1) {
		(void)close(pair[1]);
		return (-1);
	}
	fds[0] = pair[1];
	for (i = 0; i < p->listeners.n; i++)
		fds[i + 1] = p->listeners.fd[i];
	fill_limits(p, &m, MSG_SPAWN);
	p->spawner = ctl.spawner_no;
	/* If it is going it reads no more: the channel's end tells us. */
	(void)chan_send(ctl.spawner, &m, sizeof(m), fds, p->listeners.n + 1);
	(void)close(pair[1]);
	return (0);
}

void
port_spawner_new(void)
{
	struct port	*p;

	for (p = registry_first(); p != NULL; p = registry_next(p)) {
		if (p->state != PORT_STARTING || p->chan != NULL ||
		    p->pid != 0 || p->exited || p->listeners.n == 0)
			continue;
		port_start_timer(p);
		if (port_spawn(p) == -1)
			port_give_up(p, IQ_INTERNAL);
	}
}

void
port_spawner_bad(void)
{
	struct msg_hdr	 m;

	if (ctl.spawner_bad)
		return;
	ctl.spawner_bad = 1;
	msg_init(&m, sizeof(m), MSG_RESPAWN, 0);
	tell_parent(&m, sizeof(m));
}

void
port_spawned(const struct msg_spawned *m)
{
	struct port	*p = registry_by_id(m->hdr.id);

	if (p == NULL)
		return;
	registry_port_pid(p, m->pid > 0 ? m->pid : 0);
	if (p->state != PORT_STARTING)
		escrow_port(p, -1);	/* else READY does */
	if (m->error == 0) {
		log_debug("worker started port=%u pid=%d",
		    (unsigned int)p->number, (int)p->pid);
		return;
	}
	errno = m->error;
	lack_errno("worker not started");
	p->said_gone = 1;		/* there is no death to tell of */
	p->exited = 1;
	/* Nobody holds the other end of the channel: its end follows. */
	if (p->state == PORT_STARTING && p->chan == NULL)
		port_give_up(p, IQ_INTERNAL);
}

/* What an attempt to take a worker over ends with, if it does not succeed. */
static int
is_crash(int status)
{
	if (!WIFSIGNALED(status))
		return (0);
	switch (WTERMSIG(status)) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGABRT:
	case SIGSYS:
		return (1);
	default:
		return (0);
	}
}

/*
 * Who did this may have learnt the address layout, which all workers of a
 * spawner share, or may want another try.
 */
static void
crashed(const struct port *p)
{
	unsigned int	 wait;

	wait = slow_crash(p->owner, p->full_owner);
	log_warn("crash port=%u jid=%s next registration in=%us",
	    (unsigned int)p->number, port_owner(p), wait);
	if (p->adopted || p->spawner == ctl.spawner_no)
		port_spawner_bad();
}

static void
exited(struct port *p, int status)
{
	p->exited = 1;
	p->status = status;
	if (is_crash(status))
		crashed(p);
	if (p->chan != NULL)
		return;			/* its end follows */
	if (p->state == PORT_STARTING)
		port_give_up(p, IQ_INTERNAL);
	else if (p->state == PORT_DEAD)
		bury(p);
}

void
port_exited(const struct msg_exited *m)
{
	struct port	*p = registry_by_id(m->hdr.id);

	if (p != NULL && !p->exited)
		exited(p, m->status);
}

void
port_orphan(const struct msg_orphan *m)
{
	struct port	*p;

	if (m->pid > 0 && (p = registry_by_pid((pid_t)m->pid)) != NULL)
		exited(p, m->status);
}

