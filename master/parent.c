/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "log.h"
#include "mono.h"
#include "notify.h"
#include "parent.h"
#include "privdrop.h"
#include "sandbox.h"

#define MESSAGE_BURST	64
#define TICK_MS		2000	/* between two looks at the others' health */
#define UNHEARD_MAX	5	/* PINGs without a word until it is killed */
#define HANDOVER_MS	3000	/* for control to leave its work */

struct parent		 parent;
static int		 signal_pipe[2];
static volatile sig_atomic_t got_hup, got_term, got_child, got_usr2;

static void
on_signal(int sig)
{
	int	 saved = errno;

	if (sig == SIGHUP)
		got_hup = 1;
	else if (sig == SIGCHLD)
		got_child = 1;
	else if (sig == SIGUSR2)
		got_usr2 = 1;
	else
		got_term = 1;
	/* A pipe that is full has a wake-up in it already. */
	if (write(signal_pipe[1], "", 1) == -1)
		errno = saved;
	errno = saved;
}

static void
setup_signals(void)
{
	static const int	 sigs[] = {
		SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR2
	};
	struct sigaction	 sa;
	size_t			 i;

	if (pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		fatal("pipe");
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		if (sigaction(sigs[i], &sa, NULL) == -1)
			fatal("sigaction");
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);	/* a log that may not grow */
}

/* Tell whoever typed "passd" how it went, once. */
static void
report_start(char status)
{
	if (parent.report_fd == -1)
		return;
	if (write(parent.report_fd, &status, 1) == -1)
		log_warn_errno("the starter has gone");
	(void)close(parent.report_fd);
	parent.report_fd = -1;
}

/*
 * Leave the terminal, but not before passd runs: the process that was
 * started waits and exits with the status that is due.
 */
static void
daemonise(void)
{
	char	 status = 1;
	int	 fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		fatal("pipe");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		break;
	default:
		(void)close(fds[1]);
		if (read(fds[0], &status, 1) != 1)
			status = 1;
		_exit(status);
	}
	(void)close(fds[0]);
	parent.report_fd = fds[1];
	if (setsid() == -1)
		fatal("setsid");
}

static void
detach(void)
{
	int	 null;

	if (parent.report_fd == -1)
		return;
	if (chdir("/") == -1 || (null = open("/dev/null", O_RDWR)) == -1)
		fatal("/dev/null");
	log_init(0, "passd");
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		(void)close(null);
	report_start(0);
}

/* Well or not: the service manager waits for it. */
static void
reload_over(void)
{
	if (parent.reloading)
		notify_ready();
	parent.reloading = 0;
}

/* Give control and spawner a channel to each other once both can use it. */
static void
introduce(void)
{
	struct msg_hdr	 m;
	int		 fds[2];

	if (parent.proc[PROC_CONTROL].state != PROC_RUNNING ||
	    parent.proc[PROC_SPAWNER].state != PROC_RUNNING ||
	    parent.adopting)
		return;
	if (msg_pair(fds) == -1) {
		log_warn_errno("channel between control and spawner");
		return;
	}
	msg_init(&m, sizeof(m), MSG_SPAWNER, 0);
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fds[0]);
	(void)proc_send(PROC_SPAWNER, &m, sizeof(m), fds[1]);
	(void)close(fds[0]);
	(void)close(fds[1]);
	if (!parent.was_ready) {
		parent.was_ready = 1;
		detach();
		parent_layers_start();
		notify_ready();
	}
	reload_over();		/* a control that died in one */
}

static void
on_ready(enum proc_role role, const struct msg_ready *m)
{
	parent.proc[role].state = PROC_RUNNING;
	parent_layers(role, m);
	if (role == PROC_RESOLVER)
		return;			/* nobody waits for its start */
	if (role == PROC_CONTROL) {
		keep_adopt_start();
		parent.adopting = !keep_adopt();
	}
	if (role == PROC_SPAWNER)
		parent.group = getpgid(parent.proc[role].pid);
	if (role == PROC_CONTROL &&
	    parent.proc[PROC_SPAWNER].state == PROC_NONE &&
	    parent.proc[PROC_SPAWNER].restart_at == INT64_MAX)
		proc_start(PROC_SPAWNER);
	else
		introduce();
}

static void
on_reloaded(uint32_t result)
{
	serve_config_done(result != RELOAD_FAILED);
	if (result == RELOAD_RESTART && parent.handover == HANDOVER_NO)
		parent_hand_over(HANDOVER_RELOAD);
}

/* For "systemctl status"; a reload is over when control has dealt with it. */
static void
on_summary(const struct msg_summary *m)
{
	char	 text[64];

	(void)snprintf(text, sizeof(text), "Link %s, ports: %u",
	    m->link ? "up" : "down", m->ports);
	notify_status(text);
	if (m->reloads > 0)
		reload_over();
}

static void
on_message(enum proc_role role, struct msg_in *in)
{
	parent.proc[role].unheard = 0;
	switch (in->hdr.type) {
	case MSG_LOG:
		serve_log(in);
		break;
	case MSG_NEEDS:
		serve_needs(&in->needs);
		break;
	case MSG_READY:
		on_ready(role, &in->ready);
		break;
	case MSG_CONNECT:
		serve_connect();
		break;
	case MSG_SUMMARY:
		on_summary(&in->summary);
		break;
	case MSG_RESPAWN:
		workers_replace();
		break;
	case MSG_REAP:
		workers_kill((pid_t)in->reap.pid);
		break;
	case MSG_RESOLVED:
		serve_resolved(in);
		break;
	case MSG_ESCROW:
		serve_escrow(in);
		break;
	case MSG_RELEASE:
		keep_release(in->hdr.id);
		break;
	case MSG_RELOADED:
		on_reloaded(in->reloaded.result);
		break;
	default:
		break;
	}
	msg_close_fds(in);
}

static void
read_proc(enum proc_role role)
{
	static const enum msg_edge	 edges[PROC_ROLES] = {
		[PROC_CONTROL] = EDGE_CONTROL_PARENT,
		[PROC_SPAWNER] = EDGE_SPAWNER_PARENT,
		[PROC_RESOLVER] = EDGE_RESOLVER_PARENT,
	};
	static struct msg_in		 in;
	struct proc			*p = &parent.proc[role];
	int				 i;

	for (i = 0; i < MESSAGE_BURST && p->fd != -1; i++) {
		switch (msg_recv(p->fd, edges[role],
		    p->state == PROC_RUNNING ? MSG_ST_RUN : MSG_ST_START,
		    &in)) {
		case MSG_OK:
			on_message(role, &in);
			break;
		case MSG_NOTHING:
			return;
		case MSG_LOST:
			log_warn("%s message=%u came without its "
			    "descriptors: too few left", proc_name(role),
			    (unsigned int)in.hdr.type);
			break;
		case MSG_BAD:
			log_error("%s pid=%d message=%u forbidden: %s; killed",
			    proc_name(role), (int)p->pid,
			    (unsigned int)in.hdr.type, in.why);
			(void)kill(p->pid, SIGKILL);
			/* FALLTHROUGH */
		case MSG_EOF:
			(void)close(p->fd);
			p->fd = -1;	/* SIGCHLD brings the rest */
			return;
		}
	}
}

static void
start_control(void)
{
	parent.adopting = 0;
	proc_start(PROC_CONTROL);
	serve_config_send(parent.config_fd);
}

/* Control has left its work for another. */
static void
handed_over(void)
{
	struct msg_hdr	 m;

	if (parent.handover == HANDOVER_UPGRADE) {
		msg_init(&m, sizeof(m), MSG_RETIRE, 0);
		(void)proc_send(PROC_SPAWNER, &m, sizeof(m), -1);
		if (parent.proc[PROC_RESOLVER].pid > 0)
			(void)kill(parent.proc[PROC_RESOLVER].pid, SIGKILL);
		upgrade_execute();
	}
	parent.handover = HANDOVER_NO;
	start_control();
}

void
parent_hand_over(enum handover why)
{
	struct msg_hdr	 m;

	parent.handover = why;
	parent.handover_at = mono_ms() + HANDOVER_MS;
	if (parent.proc[PROC_CONTROL].pid <= 0) {
		parent.proc[PROC_CONTROL].restart_at = INT64_MAX;
		handed_over();
		return;
	}
	msg_init(&m, sizeof(m), MSG_HANDOVER, 0);
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), -1);
}

static void
ended(enum proc_role role, int status)
{
	/* What it had to say about its end is still in the channel. */
	read_proc(role);
	if (role == PROC_CONTROL && parent.handover != HANDOVER_NO) {
		proc_gone(role);
		handed_over();
		return;
	}
	proc_ended(role, status);
	if (role == PROC_RESOLVER)
		serve_resolver_ended();
	if (role == PROC_CONTROL && parent.stop_at == INT64_MAX)
		notify_status("Control has died, is restarted");
	if (!parent.was_ready && role != PROC_RESOLVER &&
	    parent.stop_at == INT64_MAX)
		fatalx("%s did not start, giving up", proc_name(role));
}

static void
reap(void)
{
	enum proc_role	 role;
	pid_t		 pid;
	int		 status;

	got_child = 0;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (role = 0; role < PROC_ROLES; role++) {
			if (parent.proc[role].pid == pid)
				break;
		}
		if (role < PROC_ROLES)
			ended(role, status);
		else if (!upgrade_reaped(pid, status))
			workers_ended(pid, status);
	}
}

static void
restart_due(int64_t now)
{
	if (now >= parent.proc[PROC_CONTROL].restart_at)
		start_control();
	if (now >= parent.proc[PROC_SPAWNER].restart_at)
		proc_start(PROC_SPAWNER);
}

static void
reload(void)
{
	got_hup = 0;
	parent.reloading = 1;
	notify_reloading();
	if (parent.proc[PROC_CONTROL].state != PROC_RUNNING ||
	    parent.config_new != -1 || parent.handover != HANDOVER_NO) {
		log_warn("reload: control is not running, or busy with "
		    "another; try again");
		reload_over();
		return;
	}
	log_info("reload file=%s", parent.opt.config);
	if (serve_config_load() == -1) {
		reload_over();
		return;
	}
	serve_config_send(parent.config_new);
	serve_secret();
}

/*
 * Who says nothing for long hangs.  Turns of this loop are counted, not
 * time: after the machine has slept nobody is killed for having slept too.
 */
static void
look_after(enum proc_role role)
{
	struct proc	*p = &parent.proc[role];
	struct msg_hdr	 m;

	if (p->state != PROC_RUNNING || p->fd == -1)
		return;
	if (p->unheard++ >= UNHEARD_MAX) {
		log_error("%s pid=%d hangs, killed", proc_name(role),
		    (int)p->pid);
		(void)kill(p->pid, SIGKILL);
		return;
	}
	msg_init(&m, sizeof(m), MSG_PING, 0);
	(void)proc_send(role, &m, sizeof(m), -1);
}

static void
tick(int64_t now)
{
	if (now < parent.tick_at)
		return;
	parent.tick_at = now + TICK_MS;
	look_after(PROC_CONTROL);
	look_after(PROC_SPAWNER);
	upgrade_turn(now);
	if (parent.handover != HANDOVER_NO && now >= parent.handover_at &&
	    parent.proc[PROC_CONTROL].pid > 0)
		(void)kill(parent.proc[PROC_CONTROL].pid, SIGKILL);
}

static int
timeout_ms(int64_t now)
{
	int64_t		 t = parent.stop_at;
	enum proc_role	 role;

	if (notify_deadline() < t)
		t = notify_deadline();
	for (role = 0; role < PROC_ROLES; role++) {
		if (parent.stop_at == INT64_MAX &&
		    parent.proc[role].restart_at < t)
			t = parent.proc[role].restart_at;
	}
	if (parent.stop_at == INT64_MAX && parent.tick_at < t)
		t = parent.tick_at;
	if (parent.stop_at == INT64_MAX && workers_due() < t)
		t = workers_due();
	if (t == INT64_MAX)
		return (-1);
	return (t <= now ? 0 : t - now > 60000 ? 60000 : (int)(t - now));
}

static void
turn(void)
{
	struct pollfd	 pfd[PROC_ROLES + 1];
	char		 drain[64];
	enum proc_role	 role;

	for (role = 0; role < PROC_ROLES; role++) {
		pfd[role].fd = parent.proc[role].fd;
		pfd[role].events = POLLIN;
	}
	if (parent.adopting)
		pfd[PROC_CONTROL].events |= POLLOUT;
	pfd[PROC_ROLES].fd = signal_pipe[0];
	pfd[PROC_ROLES].events = POLLIN;
	if (poll(pfd, PROC_ROLES + 1, timeout_ms(mono_ms())) == -1)
		return;			/* EINTR */
	if (pfd[PROC_ROLES].revents != 0) {
		while (read(signal_pipe[0], drain, sizeof(drain)) > 0)
			;
	}
	if (parent.adopting && (pfd[PROC_CONTROL].revents & POLLOUT) &&
	    keep_adopt()) {
		parent.adopting = 0;
		introduce();
	}
	for (role = 0; role < PROC_ROLES; role++) {
		if (pfd[role].revents & ~POLLOUT)
			read_proc(role);
	}
	notify_turn(mono_ms());
	if (got_child)
		reap();
	if (got_term) {
		got_term = 0;
		stop_begin();
	}
	if (parent.stop_at != INT64_MAX)
		return;
	if (got_hup)
		reload();
	if (got_usr2) {
		got_usr2 = 0;
		upgrade_begin();
	}
	workers_turn(mono_ms());
	restart_due(mono_ms());
	tick(mono_ms());
}

/* A new passd, or one that goes on with the work of another program. */
static void
begin(void)
{
	int	 fd = parent.opt.upgrade_fd;

	if (fd == -1) {
		arc4random_buf(parent.key, sizeof(parent.key));
		if (serve_config_load() == -1)
			fatalx("no configuration, not started");
		serve_config_done(1);
		if (!parent.opt.foreground)
			daemonise();
		return;
	}
	if (upgrade_load(fd) == -1) {
		/* The channels close with this, and the workers end. */
		log_error("upgrade: what was kept is not understood; all "
		    "ports are lost");
		fatalx("started anew by whoever started it");
	}
	upgrade_close_on_exec();
	(void)close(fd);
	parent.was_ready = 1;
	log_info("upgraded records=%u", parent.nkept);
}

int
parent_main(const struct parent_options *opt)
{
	enum proc_role	 role;

	memset(&parent, 0, sizeof(parent));
	parent.opt = *opt;
	parent.report_fd = -1;
	parent.stop_at = INT64_MAX;
	for (role = 0; role < PROC_ROLES; role++) {
		parent.proc[role].fd = parent.proc[role].pid = -1;
		parent.proc[role].restart_at = INT64_MAX;
	}
	parent.config_fd = parent.config_new = -1;
	log_init(opt->upgrade_fd == -1 || opt->foreground, "passd");
	log_set_level(opt->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	notify_init();
	proc_users();
	if ((parent.filter = cage_worker_filter()) == -1 && errno != 0)
		fatal("filter of system calls");
	begin();
	/*
	 * As long as the name we were called by: libbsd puts a dot behind a
	 * title that is shorter, and ps(1) shows it.
	 */
	setproctitle("parent%*s", (int)strlen(opt->name), "");
	setup_signals();
	sandbox_subreaper();
	(void)priv_files();
	start_control();
	do {
		turn();
	} while (parent.stop_at == INT64_MAX || !stop_turn(mono_ms()));
	log_info("stopped");
	return (0);
}
