/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "privdrop.h"
#include "sandbox.h"
#include "worker.h"

#define ACCEPT_BURST	64	/* connections taken from a listener a turn */
#define ACCEPT_PAUSE_MS	1000	/* after a lack of descriptors or memory */
#define MESSAGE_BURST	64	/* messages from control a turn */
#define BLIND_MS	20	/* between two turns without poll(2) */

#define PAGE		4096

struct worker		 worker __attribute__((__aligned__(PAGE)));

void
worker_close_listeners(void)
{
	size_t	 i;

	for (i = 0; i < LISTEN_MAX; i++) {
		if (worker.listeners[i] != -1)
			(void)close(worker.listeners[i]);
		worker.listeners[i] = -1;
	}
	worker.leaving = 1;
}

static void
close_channel(void)
{
	if (worker.channel != -1)
		(void)close(worker.channel);
	worker.channel = -1;
}

/*
 * Control has sent what it must not: it is not asked any more, but relays
 * that run are none of its business.
 */
static void
leave_control(int64_t now)
{
	close_channel();
	worker_close_listeners();
	slot_end_undecided(CAUSE_CONTROL_DIED, now);
}

/*
 * Nobody holds the other end.  When control alone dies the parent does, for
 * the next one: so passd has gone, and nothing of it may stay behind.
 */
static void
leave_all(int64_t now)
{
	leave_control(now);
	slot_end_relays(CAUSE_SHUTDOWN, now);
}

static void
on_rendezvous(struct msg_in *in)
{
	struct slot	*s = slot_find(in->rendezvous.session);
	size_t		 i;

	if (s == NULL || s->state != SLOT_ASKED || s->rdv[0] != -1)
		return;			/* the client has left meanwhile */
	s->rdv_port = in->rendezvous.port;
	for (i = 0; i < in->nfds && i < LISTEN_MAX; i++) {
		s->rdv[i] = in->fds[i];
		in->fds[i] = -1;
	}
}

/* Without its listeners nobody can come to meet the peer. */
static void
rendezvous_lost(const struct msg_session *m, int64_t now)
{
	struct slot	*s = slot_find(m->session);

	if (s != NULL && s->state == SLOT_ASKED)
		slot_end(s, CAUSE_ERROR, now);
}

static void
on_limits(const struct msg_limits *m)
{
	struct slot	*s;
	size_t		 i;

	worker.limits = *m;
	for (i = 0; i < worker.nactive; i++) {
		s = &worker.slots[worker.active[i]];
		s->relay.idle_ms = m->idle_ms;
		s->relay.half_close_ms = m->half_close_ms;
	}
}

static void
on_close(const struct msg_close *m, int64_t now)
{
	worker_close_listeners();
	slot_end_undecided((enum cause)m->cause, now);
	if (m->flags & CLOSE_RELAYS) {
		worker.end_cause = (enum cause)m->cause;
		worker.end_at = now + m->grace_ms;
	}
}

/*
 * Not queued: if it is lost because control does not read, then what it has
 * not read yet tells as well that this process lives.
 */
static void
pong(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_PONG, worker.id);
	(void)msg_send(worker.channel, &m, sizeof(m), NULL, 0);
}

static void
on_message(struct msg_in *in, int64_t now)
{
	struct slot	*s;

	switch (in->hdr.type) {
	case MSG_ANSWER:
		if ((s = slot_find(in->answer.session)) != NULL)
			slot_answer(s, &in->answer, now);
		break;
	case MSG_RENDEZVOUS:
		on_rendezvous(in);
		break;
	case MSG_LIMITS:
		on_limits(&in->limits);
		break;
	case MSG_CLOSE:
		on_close(&in->close, now);
		break;
	case MSG_DROP:
		if ((s = slot_find(in->drop.session)) != NULL)
			slot_end(s, (enum cause)in->drop.cause, now);
		break;
	case MSG_SYNC:
		sync_begin(in->sync.epoch, now);
		break;
	case MSG_ACK:
		report_ack(in->ack.upto);
		break;
	case MSG_PING:
		pong();
		break;
	default:
		break;
	}
	msg_close_fds(in);
}

static void
read_control(int64_t now)
{
	static struct msg_in	 in;
	int			 i;

	for (i = 0; i < MESSAGE_BURST && worker.channel != -1; i++) {
		switch (msg_recv(worker.channel, EDGE_CONTROL_WORKER,
		    MSG_ST_RUN, &in)) {
		case MSG_OK:
			on_message(&in, now);
			break;
		case MSG_LOST:
			rendezvous_lost(&in.session, now);
			break;
		case MSG_NOTHING:
			return;
		case MSG_EOF:
			leave_all(now);
			return;
		case MSG_BAD:
			leave_control(now);
			return;
		}
	}
}

int
worker_pause(int error, int64_t now)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		worker.listen_again = now + ACCEPT_PAUSE_MS;
		return (1);
	default:
		return (0);	/* EAGAIN, or that connection only */
	}
}

static void
accept_clients(int *listener, int64_t now)
{
	struct sockaddr_storage	 ss;
	struct addr		 addr;
	socklen_t		 len;
	int			 fd, i;

	memset(&addr, 0, sizeof(addr));
	for (i = 0; i < ACCEPT_BURST && *listener != -1; i++) {
		len = sizeof(ss);
		/* Without a reserve nobody could come to meet the client. */
		fd = reserve_take() ? accept4(*listener,
		    (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
		if (fd == -1) {
			if (worker_pause(errno, now))
				report_refused(REFUSED_FAILED, &addr);
			return;
		}
		if (addr_from_sa(&addr, (struct sockaddr *)&ss) == -1)
			(void)close(fd);
		else
			slot_accept(fd, &addr, now);
	}
}

static size_t
fill_pollset(int unsent, int64_t now)
{
	struct slot	*s;
	size_t		 i, n = POLL_SLOTS;

	worker.paused = now < worker.listen_again;
	worker.pollset[POLL_CHANNEL].fd = worker.channel;
	worker.pollset[POLL_CHANNEL].events =
	    (short)(unsent ? POLLIN | POLLOUT : POLLIN);
	for (i = 0; i < LISTEN_MAX; i++) {
		worker.pollset[POLL_LISTEN + i].fd = worker.paused ||
		    !report_room() ? -1 : worker.listeners[i];
		worker.pollset[POLL_LISTEN + i].events = POLLIN;
	}
	for (i = 0; i < worker.nactive; i++) {
		s = &worker.slots[worker.active[i]];
		s->poll_at = n;
		s->poll_n = slot_poll(s, &worker.pollset[n]);
		n += s->poll_n;
	}
	return (n);
}

/*
 * The system will not wait for so many (somebody has lowered RLIMIT_NOFILE),
 * or has no memory for it.  Nothing that is polled blocks: try all of it, and
 * not too often.
 */
static void
poll_blind(size_t n)
{
	size_t	 i;

	(void)poll(NULL, 0, BLIND_MS);
	for (i = 0; i < n; i++)
		worker.pollset[i].revents = (short)(
		    worker.pollset[i].fd == -1 ? 0 :
		    worker.pollset[i].events);
}

static int
poll_timeout(int64_t now)
{
	int64_t	 t = report_deadline(), d;
	size_t	 i;

	if (worker.end_at < t)
		t = worker.end_at;
	if (now < worker.listen_again && worker.listen_again < t)
		t = worker.listen_again;
	for (i = 0; i < worker.nactive; i++) {
		d = slot_deadline(&worker.slots[worker.active[i]]);
		if (d < t)
			t = d;
	}
	if (t == INT64_MAX)
		return (-1);
	if (t <= now)
		return (0);
	return (t - now > 3600000 ? 3600000 : (int)(t - now));
}

/*
 * Slots end and begin while we go through them: work on a copy of the list,
 * and skip what has been freed or was not polled.
 */
static void
turn_slots(int64_t now)
{
	static uint16_t	 todo[SLOTS_MAX];
	struct slot	*s;
	size_t		 i, n = worker.nactive;

	memcpy(todo, worker.active, n * sizeof(todo[0]));
	for (i = 0; i < n; i++) {
		s = &worker.slots[todo[i]];
		if (s->state != SLOT_FREE && s->poll_n != 0)
			slot_turn(s, &worker.pollset[s->poll_at], now);
	}
}

static void
run_timers(int64_t now)
{
	struct slot	*s;
	size_t		 i;

	for (i = worker.nactive; i-- > 0;) {
		s = &worker.slots[worker.active[i]];
		if (now >= slot_deadline(s))
			slot_timeout(s, now);
	}
	if (now >= worker.end_at) {
		worker.end_at = INT64_MAX;
		slot_end_relays(worker.end_cause, now);
	}
}

/* Leave once nothing is left to do and a control has applied the news. */
static void
maybe_leave(int64_t now)
{
	static int	 said;

	if (!worker.leaving || worker.nactive > 0)
		return;
	if (!said)
		report_gone();
	said = 1;
	if (report_flush(now) == -1 || report_acked())
		_exit(0);
}

static void
turn(void)
{
	int64_t	 now = mono_ms();
	size_t	 n;
	int	 i, unsent;

	unsent = report_flush(now) == 0;
	n = fill_pollset(unsent, now);
	if (poll(worker.pollset, (nfds_t)n, poll_timeout(now)) == -1) {
		if (errno == EINTR)
			return;
		poll_blind(n);
	}
	now = mono_ms();
	turn_slots(now);
	run_timers(now);
	if (worker.pollset[POLL_CHANNEL].revents != 0) {
		reserve_give();
		read_control(now);
	}
	for (i = 0; i < LISTEN_MAX; i++) {
		if (worker.pollset[POLL_LISTEN + i].revents != 0)
			accept_clients(&worker.listeners[i], now);
	}
	if (worker.nactive > 0)
		(void)reserve_take();
	else
		reserve_give();
	maybe_leave(now);
}

void
worker_main(const struct msg_limits *limits, size_t nlisteners)
{
	size_t	 i;

	worker.id = limits->hdr.id;
	worker.channel = WORKER_CHANNEL;
	worker.limits = *limits;
	worker.end_at = INT64_MAX;
	for (i = 0; i < LISTEN_MAX; i++)
		worker.listeners[i] = i < nlisteners ?
		    (int)(WORKER_LISTEN + i) : -1;
	setproctitle("worker %u", (unsigned int)limits->port);
	shuttle_setup();
	if (priv_worker() != NULL || sandbox_worker() != NULL)
		_exit(1);
	report_ready();
	for (;;)
		turn();
}
