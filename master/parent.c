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
#define STOP_EXTRA_MS	5000	/* beyond timeout stop */
#define KILL_MS		3000	/* for the spawner to kill the workers */

struct parent		 parent;
static int		 signal_pipe[2];
static volatile sig_atomic_t got_hup, got_term, got_child;

static void
on_signal(int sig)
{
	int	 saved = errno;

	if (sig == SIGHUP)
		got_hup = 1;
	else if (sig == SIGCHLD)
		got_child = 1;
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
	static const int	 sigs[] = { SIGHUP, SIGTERM, SIGINT, SIGCHLD };
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

static void
send_config(void)
{
	struct msg_config	 m;
	int			 fd;

	if ((fd = open_config(parent.opt.config)) == -1) {
		if (!parent.was_ready)
			fatalx("no configuration, not started");
		return;
	}
	msg_init(&m, sizeof(m), MSG_CONFIG, 0);
	(void)strlcpy(m.name, parent.opt.config, sizeof(m.name));
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
	(void)close(fd);
}

static void
send_secret(void)
{
	struct msg_status	 m;
	int			 fd;

	msg_init(&m, sizeof(m), MSG_SECRET, 0);
	fd = open_secret(parent.needs.secret);
	m.error = fd == -1 ? EACCES : 0;
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
	if (fd != -1)
		(void)close(fd);
}

static void
start_resolver(void)
{
	struct msg_resolve	 m;

	parent.resolved = 0;
	proc_start(PROC_RESOLVER);
	msg_init(&m, sizeof(m), MSG_RESOLVE, 0);
	memcpy(m.host, parent.needs.host, sizeof(m.host));
	(void)proc_send(PROC_RESOLVER, &m, sizeof(m), -1);
}

/*
 * The paths are taken from the first configuration only, which control read
 * before it had heard a word from the network: a control that was taken
 * later cannot have other files opened.
 */
static void
on_needs(const struct msg_needs *m)
{
	if (!msg_text_ok(m->secret, sizeof(m->secret)) ||
	    !msg_text_ok(m->unix_path, sizeof(m->unix_path)) ||
	    !msg_text_ok(m->host, sizeof(m->host)) ||
	    m->log_level > LOG_LEVEL_DEBUG)
		return;
	if (!parent.have_needs) {
		parent.needs = *m;
		parent.have_needs = 1;
	}
	parent.needs.stop_ms = m->stop_ms;
	if (!parent.opt.debug)
		log_set_level((enum log_level)m->log_level);
	send_secret();
	if (parent.needs.host[0] != '\0' &&
	    parent.proc[PROC_RESOLVER].state == PROC_NONE)
		start_resolver();
}

static void
on_connect(void)
{
	struct msg_status	 m;
	int			 fd;

	msg_init(&m, sizeof(m), MSG_XMPP, 0);
	fd = -1;
	m.error = ENOENT;
	if (parent.needs.unix_path[0] != '\0') {
		fd = open_server(parent.needs.unix_path);
		m.error = fd == -1 ? errno : 0;
	}
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
	if (fd != -1)
		(void)close(fd);
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
	    parent.proc[PROC_SPAWNER].state != PROC_RUNNING)
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
on_log(const struct msg_in *in)
{
	char	 text[LOG_LINE_MAX];
	size_t	 len = in->len - offsetof(struct msg_log, text);

	if (in->log.level > LOG_LEVEL_DEBUG)
		return;
	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, in->log.text, len);
	text[len] = '\0';
	log_line((enum log_level)in->log.level, text);
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
on_message(enum proc_role role, const struct msg_in *in)
{
	switch (in->hdr.type) {
	case MSG_LOG:
		on_log(in);
		break;
	case MSG_NEEDS:
		on_needs(&in->needs);
		break;
	case MSG_READY:
		on_ready(role, &in->ready);
		break;
	case MSG_CONNECT:
		on_connect();
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
		parent.resolved = 1;
		/* Fixed struct in, the same fixed struct out. */
		(void)proc_send(PROC_CONTROL, in->bytes, in->len, -1);
		break;
	default:
		break;
	}
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

/* The resolver has ended: control must not wait for what never comes. */
static void
resolver_ended(void)
{
	struct msg_resolved	 m;

	if (parent.resolved)
		return;
	msg_init(&m, sizeof(m), MSG_RESOLVED, 0);
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), -1);
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
		if (role == PROC_ROLES) {
			workers_ended(pid, status);
			continue;
		}
		/* What it had to say about its end is still in the channel. */
		read_proc(role);
		proc_ended(role, status);
		if (role == PROC_RESOLVER)
			resolver_ended();
		if (role == PROC_CONTROL && parent.stop_at == INT64_MAX)
			notify_status("Control has died, is restarted");
		if (!parent.was_ready && role != PROC_RESOLVER &&
		    parent.stop_at == INT64_MAX)
			fatalx("%s did not start, giving up",
			    proc_name(role));
	}
}

static void
start_control(void)
{
	proc_start(PROC_CONTROL);
	send_config();
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
	if (parent.proc[PROC_CONTROL].state != PROC_RUNNING) {
		log_warn("reload: control is not running, try again");
		reload_over();
		return;
	}
	log_info("reload file=%s", parent.opt.config);
	send_config();
	send_secret();
}

static void
kill_all(void)
{
	enum proc_role	 role;

	for (role = 0; role < PROC_ROLES; role++) {
		if (parent.proc[role].pid > 0)
			(void)kill(parent.proc[role].pid, SIGKILL);
	}
}

static void
send_stop(enum proc_role role)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_STOP, 0);
	(void)proc_send(role, &m, sizeof(m), -1);
}

/* First control, which ends the relays; then the spawner; then us. */
static void
begin_stop(void)
{
	got_term = 0;
	if (parent.stop_at != INT64_MAX) {
		log_warn("stop: told twice, killing what is left");
		parent.stop_at = 0;
		return;
	}
	log_info("stopping timeout=%us", parent.needs.stop_ms / 1000);
	notify_stopping();
	parent.stop_at = mono_ms() + parent.needs.stop_ms + STOP_EXTRA_MS;
	send_stop(PROC_CONTROL);
}

/* Return 1 when nothing is left to wait for. */
static int
stopping(int64_t now)
{
	if (now >= parent.stop_at && !parent.killed) {
		/* The spawner still has workers to kill. */
		if (parent.proc[PROC_CONTROL].pid > 0)
			(void)kill(parent.proc[PROC_CONTROL].pid, SIGKILL);
		else
			kill_all();
		parent.stop_at = now + KILL_MS;
	}
	if (parent.proc[PROC_CONTROL].pid > 0)
		return (0);
	if (!parent.killed) {
		parent.killed = 1;
		parent.stop_at = now + KILL_MS;
		send_stop(PROC_SPAWNER);
	} else if (now >= parent.stop_at)
		kill_all();
	return (parent.proc[PROC_SPAWNER].pid <= 0 &&
	    (!workers_end() || now >= parent.stop_at));
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
	pfd[PROC_ROLES].fd = signal_pipe[0];
	pfd[PROC_ROLES].events = POLLIN;
	if (poll(pfd, PROC_ROLES + 1, timeout_ms(mono_ms())) == -1)
		return;			/* EINTR */
	if (pfd[PROC_ROLES].revents != 0) {
		while (read(signal_pipe[0], drain, sizeof(drain)) > 0)
			;
	}
	for (role = 0; role < PROC_ROLES; role++) {
		if (pfd[role].revents != 0)
			read_proc(role);
	}
	notify_turn(mono_ms());
	if (got_child)
		reap();
	if (got_term)
		begin_stop();
	if (parent.stop_at != INT64_MAX)
		return;
	if (got_hup)
		reload();
	workers_turn(mono_ms());
	restart_due(mono_ms());
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
	log_init(1, "passd");
	log_set_level(opt->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	notify_init();
	proc_users();
	if ((parent.filter = cage_worker_filter()) == -1 && errno != 0)
		fatal("filter of system calls");
	if (!opt->foreground)
		daemonise();
	/*
	 * As long as the name we were called by: libbsd puts a dot behind a
	 * title that is shorter, and ps(1) shows it.
	 */
	setproctitle("parent%*s", (int)opt->name_len, "");
	setup_signals();
	sandbox_subreaper();
	(void)priv_files();
	start_control();
	do {
		turn();
	} while (parent.stop_at == INT64_MAX || !stopping(mono_ms()));
	log_info("stopped");
	return (0);
}
