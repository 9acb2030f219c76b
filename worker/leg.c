/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

static void
forget(struct slot *s, size_t i)
{
	s->nlegs--;
	memmove(&s->legs[i], &s->legs[i + 1],
	    (s->nlegs - i) * sizeof(s->legs[0]));
}

static void
drop(struct slot *s, size_t i, enum leg_what why)
{
	report_leg(s, why, &s->legs[i].addr);
	shuttle_reset(s->legs[i].fd);
	forget(s, i);
}

static int
take(struct slot *s, size_t i)
{
	int	 fd = s->legs[i].fd;

	forget(s, i);
	return (fd);
}

static void
hold(struct slot *s, int fd, const struct addr *addr, int64_t now)
{
	struct leg	*l = &s->legs[s->nlegs++];

	memset(l, 0, sizeof(*l));
	l->fd = fd;
	l->addr = *addr;
	l->since = now;
}

static int
wrong_address(const struct slot *s, const struct addr *addr)
{
	return ((s->answer.flags & ANSWER_PIN) &&
	    !addr_same_ip(&s->answer.addr, addr));
}

int
leg_accept(struct slot *s, int fd, const struct addr *addr, int64_t now)
{
	if (s->state == SLOT_ACCEPTED && wrong_address(s, addr)) {
		report_leg(s, LEG_WRONG_ADDR, addr);
		shuttle_reset(fd);
		return (-1);
	}
	if (s->state == SLOT_ACCEPTED && !(s->answer.flags & ANSWER_TOKEN))
		return (fd);
	if (s->nlegs == LEGS_MAX) {
		if (s->state == SLOT_ASKED) {
			report_leg(s, LEG_SURPLUS, addr);
			shuttle_reset(fd);
			return (-1);
		}
		/*
		 * The owner shows its token at once: silent connections
		 * that came before must not keep it out.
		 */
		drop(s, 0, LEG_WRONG_TOKEN);
	}
	hold(s, fd, addr, now);
	if (s->state == SLOT_ASKED)
		report_leg(s, LEG_HELD, addr);
	return (-1);
}

int
leg_decide(struct slot *s, int64_t now, int *contested)
{
	size_t	 i;

	*contested = 0;
	for (i = 0; i < s->nlegs;) {
		if (wrong_address(s, &s->legs[i].addr)) {
			drop(s, i, LEG_WRONG_ADDR);
			continue;
		}
		s->legs[i++].since = now;	/* TOKEN_MS begins here */
	}
	if (s->answer.flags & ANSWER_TOKEN)
		return (-1);		/* leg_turn() reads them */
	if (s->nlegs > 1) {
		*contested = 1;
		return (-1);
	}
	return (s->nlegs == 1 ? take(s, 0) : -1);
}

/* Return 1 if the token is complete and right, -1 if wrong, 0: not yet. */
static int
read_token(struct leg *l, const uint8_t *want)
{
	ssize_t	 n;

	/* Not a byte more: what follows the token is relayed. */
	n = recv(l->fd, l->token + l->got, (size_t)(LEG_TOKEN_LEN - l->got),
	    0);
	if (n == -1)
		return (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == EINTR ? 0 : -1);
	if (n == 0)
		return (-1);
	l->got = (uint8_t)(l->got + n);
	if (l->got < LEG_TOKEN_LEN)
		return (0);
	return (timingsafe_bcmp(l->token, want, LEG_TOKEN_LEN) == 0 ? 1 : -1);
}

int
leg_turn(struct slot *s, size_t i, short revents)
{
	if (revents & (POLLERR | POLLHUP | POLLNVAL)) {
		drop(s, i, LEG_LEFT);
		return (-1);
	}
	if (s->state != SLOT_ACCEPTED || !(revents & POLLIN))
		return (-1);
	switch (read_token(&s->legs[i], s->answer.token)) {
	case 1:
		return (take(s, i));
	case -1:
		drop(s, i, LEG_WRONG_TOKEN);
		break;
	default:
		break;
	}
	return (-1);
}

void
leg_timeout(struct slot *s, int64_t now)
{
	size_t	 i;

	if (s->state != SLOT_ACCEPTED || !(s->answer.flags & ANSWER_TOKEN))
		return;
	for (i = 0; i < s->nlegs;) {
		if (now >= s->legs[i].since + TOKEN_MS)
			drop(s, i, LEG_WRONG_TOKEN);
		else
			i++;
	}
}

void
leg_drop_all(struct slot *s)
{
	size_t	 i;

	for (i = 0; i < s->nlegs; i++)
		shuttle_reset(s->legs[i].fd);
	s->nlegs = 0;
	for (i = 0; i < LISTEN_MAX; i++) {
		if (s->rdv[i] != -1)
			(void)close(s->rdv[i]);
		s->rdv[i] = -1;
	}
}
