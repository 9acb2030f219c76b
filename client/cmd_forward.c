/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "client.h"
#include "decloak.h"
#include "dial.h"
#include "disco.h"
#include "door.h"
#include "gate.h"
#include "loop.h"
#include "mono.h"
#include "proxy.h"
#include "relay.h"
#include "session.h"
#include "ui.h"
#include "xalloc.h"

#define LOCAL_MS	10000
#define SESSIONS_MAX	64	/* a process each */

/* A visitor, from the moment when our own service has been reached. */
struct guest {
	struct visit		*visit;
	int			 local;	/* -1: the child's now */
	int			 leg;
	struct dial		*dial;
	TAILQ_ENTRY(guest)	 entry;
};

static struct {
	const struct options	*o;
	struct addr		 local;
	size_t			 guests;
	size_t			 max;
} fw;

static void
gone(struct guest *g)
{
	if (g->local != -1)
		(void)close(g->local);
	if (g->leg != -1)
		(void)close(g->leg);
	if (g->visit != NULL)
		door_forget(g->visit);
	free(g);
	fw.guests--;
}

/* ---- the relay, in its own process --------------------------------------- */

static void
relay_child(int report_fd, void *arg)
{
	struct guest		*g = arg;
	struct child_report	 report;
	struct relay		 r = { -1, -1, -1, 0, -1, 0, 0, NULL, NULL };

	r.peer = g->leg;
	r.in = r.out = g->local;
	r.watch = report_fd;
	r.idle_ms = (int64_t)fw.o->idle * 1000;
	memset(&report, 0, sizeof(report));
	report.code = relay_run(&r, report.text, sizeof(report.text));
	report.in = r.from_peer;
	report.out = r.to_peer;
	report.final = 1;
	child_report(report_fd, &report);
}

static void
on_child(const struct child_report *report, int ended, void *arg)
{
	struct guest	*g = arg;
	struct event	 e;
	char		 ip[ADDR_STRLEN], in[32], out[32];

	if (!ended)
		return;
	ui_event(&e, "ended");
	ui_str(&e, "peer", addr_format(&g->visit->peer, ip));
	ui_num(&e, "peer_port", g->visit->peer.port);
	ui_num(&e, "in", (int64_t)report->in);
	ui_num(&e, "out", (int64_t)report->out);
	if (report->text[0] != '\0')
		ui_str(&e, "why", report->text);
	ui_end(&e);
	ui_say("%s port %u has left: %s in, %s out%s%s", ip,
	    g->visit->peer.port, ui_size(report->in, in, sizeof(in)),
	    ui_size(report->out, out, sizeof(out)),
	    report->text[0] != '\0' ? ", " : "", report->text);
	gone(g);
}

static void
arrived(struct visit *v, int fd)
{
	struct guest	*g = v->data;

	g->leg = fd;
	if (fw.o->proxy_protocol && proxy_header(g->local, &v->peer,
	    door_port()->host[0], door_port()->port) == -1) {
		ui_warn("the local service does not take the PROXY header");
		gone(g);
		return;
	}
	if (child_start(relay_child, g, on_child, g) == NULL) {
		ui_warn("no process for this session: %s", strerror(errno));
		gone(g);
		return;
	}
	(void)close(g->leg);
	(void)close(g->local);
	g->leg = g->local = -1;
}

static void
failed(struct visit *v)
{
	gone(v->data);
}

/* ---- our own service, first: it may not be there ------------------------- */

static void
on_local(int fd, int error, void *arg)
{
	struct guest	*g = arg;
	char		 ip[ADDR_STRLEN];

	g->dial = NULL;
	if (fd == -1) {
		ui_warn("nothing answers on %s port %u: %s; start the service "
		    "that you offer", addr_format(&fw.local, ip),
		    fw.local.port, strerror(error));
		door_refuse(g->visit, "the local service is not there");
		g->visit = NULL;
		gone(g);
		return;
	}
	g->local = fd;
	door_accept(g->visit);
}

static void
prepare(struct visit *v)
{
	struct guest	*g;

	if (fw.guests >= fw.max) {
		door_refuse(v, "too many sessions");
		return;
	}
	g = xcalloc(1, sizeof(*g));
	g->visit = v;
	g->local = g->leg = -1;
	v->data = g;
	fw.guests++;
	g->dial = dial(&fw.local, LOCAL_MS, on_local, g);
}

static const struct door_ops	 ops = { prepare, arrived, failed };

/* ---- the command --------------------------------------------------------- */

static int
parse_local(const char *text, struct addr *a)
{
	char		 host[256];
	uint64_t	 port;

	if (el_number(text, &port) == 0 && port >= 1 && port <= UINT16_MAX) {
		(void)addr_parse(a, "127.0.0.1");
		a->port = (uint16_t)port;
		return (0);
	}
	if (options_host_port(text, host, sizeof(host), &a->port) == 0 &&
	    (port = a->port) != 0 && addr_parse(a, strcmp(host,
	    "localhost") == 0 ? "127.0.0.1" : host) == 0) {
		a->port = (uint16_t)port;
		return (0);
	}
	return (ui_fail(EXIT_USAGE, "%s: not a local service, such as 8080, "
	    "127.0.0.1:8080 or [::1]:22", text));
}

static int
serve(void)
{
	while (door_state() == DOOR_OPEN && door_turn(-1))
		;
	if (door_state() == DOOR_EXPIRED)
		ui_say("the port has expired");
	else if (door_state() == DOOR_USED)
		ui_debug("the port was for one session");
	else if (door_state() == DOOR_SHUT)
		(void)ui_fail(EXIT_SERVICE, "%s has closed the port",
		    door_port()->service);
	if (door_state() != DOOR_OPEN && fw.guests > 0)
		ui_say("waiting for %zu session%s to end", fw.guests,
		    fw.guests == 1 ? "" : "s");
	while (fw.guests > 0 && door_turn(-1))
		;
	return (door_state() == DOOR_SHUT ? EXIT_SERVICE : EXIT_DONE);
}

int
cmd_forward(struct options *o, char **args, int nargs)
{
	unsigned int	 flags = 0;
	int		 status;

	(void)nargs;
	fw.o = o;
	fw.max = o->sessions ? (size_t)o->sessions : SESSIONS_MAX;
	if ((status = parse_local(args[0], &fw.local)) != 0)
		return (status);
	if (o->oneshot)
		flags |= DOOR_ONESHOT;
	if (o->expire == 0)
		flags |= DOOR_RENEW;
	disco_serve();
	decloak_serve(o);
	(void)gate_terminal();
	if ((status = client_begin(o, SESSION_RECONNECT)) == 0) {
		client_lock(NULL, 0);
		decloak_begin();
		status = door_open(o, &ops, flags, o->expire);
	}
	if (status == 0)
		status = serve();
	decloak_end();
	door_close();
	return (client_end(status));
}
