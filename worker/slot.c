/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "worker.h"

#define ACCEPT_BURST	16	/* connections taken from a socket a turn */

struct slot *
slot_find(uint32_t session)
{
	struct slot	*s;
	size_t		 i;

	for (i = 0; i < worker.nactive; i++) {
		s = &worker.slots[worker.active[i]];
		if (s->session == session)
			return (s);
	}
	return (NULL);
}

static int
undecided(const struct slot *s)
{
	return (s->state == SLOT_ASKED || s->state == SLOT_ACCEPTED);
}

static size_t
count(int relays)
{
	size_t	 i, n = 0;

	for (i = 0; i < worker.nactive; i++) {
		if (undecided(&worker.slots[worker.active[i]]) != relays)
			n++;
	}
	return (n);
}

/* An undecided client of the same address or, with NULL, any. */
static struct slot *
find_undecided(const struct addr *peer)
{
	struct slot	*s;
	size_t		 i;

	for (i = 0; i < worker.nactive; i++) {
		s = &worker.slots[worker.active[i]];
		if (undecided(s) &&
		    (peer == NULL || addr_same_site(&s->peer, peer)))
			return (s);
	}
	return (NULL);
}

static struct slot *
slot_new(void)
{
	struct slot	*s;
	size_t		 i;

	for (i = 0; i < SLOTS_MAX; i++) {
		s = &worker.slots[i];
		if (s->state != SLOT_FREE)
			continue;
		memset(s, 0, sizeof(*s));
		s->peer_fd = s->rdv[0] = s->rdv[1] = -1;
		s->deadline = INT64_MAX;
		worker.active[worker.nactive++] = (uint16_t)i;
		return (s);
	}
	return (NULL);
}

static void
slot_free(struct slot *s)
{
	size_t	 i, n = (size_t)(s - worker.slots);

	s->state = SLOT_FREE;
	for (i = 0; i < worker.nactive; i++) {
		if (worker.active[i] == n) {
			worker.active[i] = worker.active[--worker.nactive];
			return;
		}
	}
}

void
slot_end(struct slot *s, enum cause cause, int64_t now)
{
	leg_drop_all(s);
	if (s->state == SLOT_RELAY) {
		if (s->relay.cause == CAUSE_NONE)
			shuttle_end(&s->relay, cause);
		cause = s->relay.cause;
	} else
		shuttle_reset(s->peer_fd);
	report_ended(s, cause, now);
	slot_free(s);
}

static void
end_all(int relays, enum cause cause, int64_t now)
{
	struct slot	*s;
	size_t		 i;

	/* slot_end() moves the last one to the place of the one that ended. */
	for (i = worker.nactive; i-- > 0;) {
		s = &worker.slots[worker.active[i]];
		if (undecided(s) != relays)
			slot_end(s, cause, now);
	}
}

void
slot_end_undecided(enum cause cause, int64_t now)
{
	end_all(0, cause, now);
}

void
slot_end_relays(enum cause cause, int64_t now)
{
	end_all(1, cause, now);
}

/* Join the client of ${s} with the owner's leg ${fd}. */
static void
pair(struct slot *s, int fd, const struct addr *leg, int64_t now)
{
	uint32_t	 flags = 0;

	leg_drop_all(s);
	shuttle_start(&s->relay, s->peer_fd, fd, worker.limits.idle_ms,
	    worker.limits.half_close_ms, now);
	s->peer_fd = -1;
	s->state = SLOT_RELAY;
	s->paired = now;
	s->owner = *leg;
	s->deadline = INT64_MAX;
	if (worker.limits.flags & LIMITS_ONESHOT) {
		/*
		 * Here, not on control's word: nobody may come in between
		 * (XEP-0003 4.2 "listen once").
		 */
		flags = PAIRED_ONESHOT;
		worker_close_listeners();
	}
	report_paired(s, leg, flags);
	if (flags & PAIRED_ONESHOT)
		slot_end_undecided(CAUSE_ONESHOT, now);
	else if (count(1) >= worker.limits.sessions)
		slot_end_undecided(CAUSE_BUSY, now);
	/* The peer may have spoken long ago. */
	if (!shuttle_turn(&s->relay, POLLIN, POLLIN, now))
		slot_end(s, CAUSE_NONE, now);
}

static void
pair_fd(struct slot *s, int fd, int64_t now)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	struct addr		 addr;

	memset(&addr, 0, sizeof(addr));
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		(void)addr_from_sa(&addr, (struct sockaddr *)&ss);
	pair(s, fd, &addr, now);
}

void
slot_accept(int fd, const struct addr *addr, int64_t now)
{
	struct slot	*s;
	int		 leg;

	if ((worker.limits.flags & LIMITS_SAME_PORT) &&
	    (s = find_undecided(NULL)) != NULL) {
		if ((leg = leg_accept(s, fd, addr, now)) != -1)
			pair(s, leg, addr, now);
		return;
	}
	if (count(1) >= worker.limits.sessions) {
		report_refused(REFUSED_BUSY, addr);
		shuttle_reset(fd);
		return;
	}
	if (count(0) >= worker.limits.pending ||
	    find_undecided(addr) != NULL) {
		report_refused(REFUSED_PENDING, addr);
		shuttle_reset(fd);
		return;
	}
	if (!report_room() || (s = slot_new()) == NULL) {
		report_refused(REFUSED_FAILED, addr);
		shuttle_reset(fd);
		return;
	}
	s->state = SLOT_ASKED;
	s->session = ++worker.last_session;
	s->peer_fd = fd;
	s->peer = *addr;
	s->since = now;
	report_client(s);
}

void
slot_answer(struct slot *s, const struct msg_answer *m, int64_t now)
{
	int	 contested, leg;

	if (s->state != SLOT_ASKED)
		return;
	s->state = SLOT_ACCEPTED;
	s->answer = *m;
	s->deadline = now + worker.limits.connect_ms;
	leg = leg_decide(s, now, &contested);
	if (contested)
		slot_end(s, CAUSE_CONTESTED, now);
	else if (leg != -1)
		pair_fd(s, leg, now);
}

size_t
slot_poll(const struct slot *s, struct pollfd *pfd)
{
	size_t	 i, n = 0;

	if (s->state == SLOT_RELAY) {
		for (i = 0; i < 2; i++) {
			pfd[n].fd = s->relay.fd[i];
			pfd[n++].events = shuttle_events(&s->relay, (int)i);
		}
		return (n);
	}
	/* Undecided clients are not read: only their death is of interest. */
	pfd[n].fd = s->peer_fd;
	pfd[n++].events = 0;
	for (i = 0; i < LISTEN_MAX; i++) {
		pfd[n].fd = worker.paused ? -1 : s->rdv[i];
		pfd[n++].events = POLLIN;
	}
	for (i = 0; i < s->nlegs; i++) {
		pfd[n].fd = s->legs[i].fd;
		pfd[n++].events = s->state == SLOT_ACCEPTED ? POLLIN : 0;
	}
	return (n);
}

/* Take connections from a rendezvous listener until one is the leg. */
static void
rendezvous(struct slot *s, int listener, int64_t now)
{
	struct sockaddr_storage	 ss;
	struct addr		 addr;
	socklen_t		 len;
	int			 fd, i, leg;

	reserve_give();
	for (i = 0; i < ACCEPT_BURST; i++) {
		len = sizeof(ss);
		fd = accept4(listener, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			/* The connect time-out is the end. */
			(void)worker_pause(errno, now);
			return;
		}
		if (addr_from_sa(&addr, (struct sockaddr *)&ss) == -1) {
			(void)close(fd);
			continue;
		}
		if ((leg = leg_accept(s, fd, &addr, now)) != -1) {
			pair(s, leg, &addr, now);
			return;
		}
	}
}

static void
turn_undecided(struct slot *s, const struct pollfd *pfd, int64_t now)
{
	const struct pollfd	*legs = pfd + 1 + LISTEN_MAX;
	size_t			 i, nlegs = s->poll_n - 1 - LISTEN_MAX;
	int			 fd;

	/* A FIN is no reason: "echo hello | nc" is a whole request. */
	if (pfd[0].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		slot_end(s, CAUSE_PEER_GONE, now);
		return;
	}
	/* From the last one: leg_turn() may take one out of the row. */
	for (i = nlegs; i-- > 0;) {
		if (legs[i].revents == 0)
			continue;
		if ((fd = leg_turn(s, i, legs[i].revents)) != -1) {
			pair_fd(s, fd, now);
			return;
		}
	}
	for (i = 0; i < LISTEN_MAX && undecided(s); i++) {
		if (pfd[1 + i].revents & POLLIN)
			rendezvous(s, s->rdv[i], now);
	}
}

void
slot_turn(struct slot *s, const struct pollfd *pfd, int64_t now)
{
	if (s->state == SLOT_RELAY) {
		if ((pfd[0].revents | pfd[1].revents) != 0 &&
		    !shuttle_turn(&s->relay, pfd[0].revents, pfd[1].revents,
		    now))
			slot_end(s, CAUSE_NONE, now);
	} else
		turn_undecided(s, pfd, now);
}

int64_t
slot_deadline(const struct slot *s)
{
	int64_t	 t = s->deadline;
	size_t	 i;

	if (s->state == SLOT_RELAY)
		return (shuttle_deadline(&s->relay));
	if (s->state == SLOT_ACCEPTED && (s->answer.flags & ANSWER_TOKEN)) {
		for (i = 0; i < s->nlegs; i++) {
			if (s->legs[i].since + TOKEN_MS < t)
				t = s->legs[i].since + TOKEN_MS;
		}
	}
	return (t);
}

void
slot_timeout(struct slot *s, int64_t now)
{
	enum cause	 cause;

	if (s->state == SLOT_RELAY) {
		if ((cause = shuttle_overdue(&s->relay, now)) != CAUSE_NONE)
			slot_end(s, cause, now);
		return;
	}
	leg_timeout(s, now);
	if (now >= s->deadline)
		slot_end(s, CAUSE_CONNECT_TIMEOUT, now);
}
