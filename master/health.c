/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/time.h>

#include <event.h>

#include "health.h"
#include "port.h"

static struct event	 timer;
static int		 started;
static uint32_t		 last;		/* id of the one asked last */
static unsigned int	 wait;		/* ticks until the next round */

static void
ping(struct port *p)
{
	struct msg_hdr	 m;

	/* The start and SYNC have time-outs of their own. */
	if (p->chan == NULL || p->kill_wanted || p->sync != SYNC_NONE ||
	    p->state == PORT_STARTING)
		return;
	if (p->unheard >= HEALTH_UNHEARD) {
		port_kill(p, "hangs");
		return;
	}
	p->unheard++;
	port_acknowledge(p);
	msg_init(&m, sizeof(m), MSG_PING, p->id);
	port_send(p, &m, sizeof(m), NULL, 0);
}

void
health_tick(void)
{
	struct port	*p;
	unsigned int	 n;

	if (wait > 0) {
		wait--;
		return;
	}
	p = registry_after(last);
	for (n = 0; p != NULL && n < HEALTH_PINGS; n++) {
		last = p->id;
		ping(p);
		p = registry_next(p);
	}
	if (p == NULL) {		/* that was a round */
		last = 0;
		wait = HEALTH_EACH;
	}
}

static void
on_timer(int fd, short what, void *arg)
{
	static const struct timeval	 tv = {
		HEALTH_TICK_MS / 1000, (HEALTH_TICK_MS % 1000) * 1000L
	};

	(void)fd;
	(void)what;
	(void)arg;
	health_tick();
	(void)evtimer_add(&timer, &tv);
}

void
health_start(void)
{
	if (started)
		return;
	started = 1;
	evtimer_set(&timer, on_timer, NULL);
	on_timer(-1, 0, NULL);
}
