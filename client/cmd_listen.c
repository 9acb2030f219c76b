/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "client.h"
#include "decloak.h"
#include "disco.h"
#include "door.h"
#include "gate.h"
#include "loop.h"
#include "mono.h"
#include "relay.h"
#include "session.h"
#include "ui.h"

#define NOTICE_MS	3000

/*
 * One connection to standard input and output.  Nothing is read from standard
 * input before the service says that the relay is made: a peer who went away
 * in between would take those bytes with him.
 */
static struct {
	struct visit	*visit;		/* whose leg waits */
	int		 leg;		/* -1: none */
	int		 null;		/* /dev/null */
	int		 talk;		/* one of them is a terminal */
	int		 begun;
	int		 done;
	struct child_report result;
} ls = { NULL, -1, -1, 0, 0, 0, { 0, 0, 0, 0, 0, "" } };

static void
report_progress(const struct relay *r, void *arg)
{
	const int		*fd = arg;
	struct child_report	 report;

	memset(&report, 0, sizeof(report));
	report.in = r->from_peer;
	report.out = r->to_peer;
	child_report(*fd, &report);
}

static void
relay_child(int report_fd, void *arg)
{
	struct child_report	 report;
	struct relay		 r = { -1, STDIN_FILENO, STDOUT_FILENO, 0,
				    -1, 0, 0, report_progress, &report_fd };
	const int		*leg = arg;

	r.peer = *leg;
	r.watch = report_fd;
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
	(void)arg;
	if (!ended) {
		/* A person who talks through us is not to be disturbed. */
		if (!ls.talk)
			ui_progress("relayed", report->in + report->out, 0);
		return;
	}
	ui_progress_end();
	ls.result = *report;
	ls.done = 1;
}

static void
drop_leg(void)
{
	loop_del(ls.leg);
	(void)close(ls.leg);
	door_forget(ls.visit);
	ls.leg = -1;
	ls.visit = NULL;
}

/* The relay is made: its process has standard input and output from now on. */
static void
begin(void)
{
	relay_stdio(0);
	loop_del(ls.leg);
	if (child_start(relay_child, &ls.leg, on_child, NULL) == NULL) {
		ls.result.code = ui_fail(EXIT_USAGE, "no process can be "
		    "started");
		ls.done = 1;
	}
	ls.begun = 1;
	(void)close(ls.leg);
	ls.leg = -1;
	/* Whoever reads our output sees its end when the relay ends it. */
	(void)dup2(ls.null, STDIN_FILENO);
	(void)dup2(ls.null, STDOUT_FILENO);
}

static void
on_no_notice(void *arg)
{
	(void)arg;
	if (ls.leg == -1)
		return;
	ui_say("the peer left before the relay was made; listening on");
	drop_leg();
}

/*
 * The peer's first bytes prove the relay as well as a notice does.  An end
 * proves nothing: a peer who has nothing to say may have sent his FIN, and
 * the notice of the relay is still on its way.
 */
static void
on_leg(int fd, short revents, void *arg)
{
	char	 c;

	(void)revents;
	(void)arg;
	if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1) {
		begin();
		return;
	}
	loop_del(fd);
	(void)loop_timer(NOTICE_MS, on_no_notice, NULL);
}

static void
arrived(struct visit *v, int fd)
{
	if (ls.begun || ls.leg != -1) {
		(void)close(fd);
		door_forget(v);
		return;
	}
	ls.visit = v;
	ls.leg = fd;
	loop_add(fd, POLLIN, on_leg, NULL);
}

static void
prepare(struct visit *v)
{
	if (ls.begun || ls.leg != -1)
		door_refuse(v, "somebody was faster");
	else
		door_accept(v);
}

static const struct door_ops	 ops = { prepare, arrived, NULL };

/* Nobody will come any more. */
static int
over(void)
{
	if (door_state() == DOOR_EXPIRED)
		return (ui_fail(EXIT_TIMEOUT, "nobody has connected; the port "
		    "has expired"));
	if (door_state() == DOOR_USED)
		return (ui_fail(EXIT_PEER, "the peer left at once; listen "
		    "again"));
	return (ui_fail(EXIT_SERVICE, "%s has closed the port",
	    door_port()->service));
}

static int
wait_for_peer(const struct options *o)
{
	int64_t	 until = o->timeout == 0 ? -1 :
		    mono_ms() + (int64_t)o->timeout * 1000;

	while (!ls.begun) {
		if (ls.leg != -1 && door_state() == DOOR_USED)
			begin();
		else if (door_state() != DOOR_OPEN && ls.leg == -1)
			return (over());
		else if (!session_online())
			return (ui_fail(EXIT_LOGIN, "the XMPP server has "
			    "closed the stream; try again"));
		else if (!door_turn(until))
			return (loop_interrupted() ? EXIT_TIMEOUT :
			    ui_fail(EXIT_TIMEOUT, "nobody has connected"));
	}
	return (0);
}

int
cmd_listen(struct options *o, char **args, int nargs)
{
	struct event	 e;
	char		 in[32], out[32];
	int		 status;

	(void)args;
	(void)nargs;
	ls.talk = isatty(STDIN_FILENO) == 1 || isatty(STDOUT_FILENO) == 1;
	ls.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	disco_serve();
	decloak_serve(o);
	(void)gate_terminal();
	if ((status = client_begin(o, 0)) == 0) {
		client_lock(NULL, 0);
		decloak_begin();
		status = door_open(o, &ops, DOOR_ONESHOT, o->expire);
	}
	if (status == 0)
		status = wait_for_peer(o);
	while (status == 0 && !ls.done && door_turn(-1))
		;
	decloak_end();
	door_close();
	if (status != 0 || !ls.done)
		return (client_end(status));
	status = ls.result.code;
	ui_event(&e, "ended");
	ui_num(&e, "in", (int64_t)ls.result.in);
	ui_num(&e, "out", (int64_t)ls.result.out);
	ui_num(&e, "exit", status);
	ui_end(&e);
	if (status != 0)
		(void)ui_fail(status, "the connection was lost: %s",
		    ls.result.text);
	else
		ui_say("done: %s received, %s sent", ui_size(ls.result.in, in,
		    sizeof(in)), ui_size(ls.result.out, out, sizeof(out)));
	return (client_end(status));
}
