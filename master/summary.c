/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/time.h>

#include <event.h>

#include "mono.h"
#include "msg.h"
#include "registry.h"
#include "summary.h"
#include "xmpp.h"

static int		 channel = -1;
static struct event	 timer;
static struct msg_summary last;		/* as the parent knows it */
static int64_t		 last_sent;
static unsigned int	 reloads;	/* over, and not told yet */

static void
plan(int64_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	/* Without memory for it the next change is told. */
	(void)evtimer_add(&timer, &tv);
}

/*
 * Not by the channel's queue: a parent that does not read for a while is no
 * reason to end, and what it missed is of no interest by then.
 */
static void
tell(void)
{
	struct msg_summary	 m;

	msg_init(&m, sizeof(m), MSG_SUMMARY, 0);
	m.link = (uint32_t)xmpp_is_up();
	m.ports = registry_listening();
	m.reloads = reloads;
	if (reloads == 0 && m.link == last.link && m.ports == last.ports &&
	    last_sent != 0)
		return;
	if (msg_send(channel, &m, sizeof(m), NULL, 0) == -1) {
		plan(SUMMARY_MS);
		return;
	}
	reloads = 0;
	last = m;
	last_sent = mono_ms();
}

static void
on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell();
}

void
summary_init(int fd)
{
	channel = fd;
	last_sent = 0;
	reloads = 0;
	evtimer_set(&timer, on_timer, NULL);
}

void
summary_changed(void)
{
	int64_t	 due = last_sent + SUMMARY_MS, now;

	if (channel == -1 || evtimer_pending(&timer, NULL))
		return;
	/* From the event loop in any case: the change is under way yet. */
	now = mono_ms();
	plan(last_sent == 0 || due <= now ? 0 : due - now);
}

void
summary_reloaded(void)
{
	if (channel == -1)
		return;
	reloads++;
	tell();
}
