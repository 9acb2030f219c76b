/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "mono.h"
#include "msg.h"
#include "rig.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

#define SIBLING_ID	1
#define PORT_LOW	2000	/* below those of the end-to-end tests */
#define PORT_HIGH	9999
#define PORTS		400	/* for control: each attempt has a new one */

/* The listeners whom nobody from inside the cage may reach. */
enum target { TO_TCP, TO_MPTCP, TO_UDP, TO_PATH, TO_ABSTRACT, TARGETS };

static struct {
	int		 open;
	int		 root;		/* processes drop their privileges */
	int		 worker_exe;
	int		 control_exe;
	char		 dir[64];
	char		 empty[64];	/* to chroot to */
	int		 target[TARGETS];
	int		 server;	/* listener that control may reach */
	struct escape_request about;
	pid_t		 helper;	/* stands in for the one not there */

	pid_t		 spawner;
	int		 parent;	/* our end as parent */
	int		 control;	/* our end as control */
	uint32_t	 last_id;
	int		 sibling;	/* its channel */
	unsigned int	 layers;

	uint16_t	 ports;		/* PORTS of them, for control */
	uint16_t	 ports_used;
	pid_t		 taken;		/* control */
	int		 taken_fd;
	unsigned int	 started;
} rig;

static struct msg_in	 in;

/* ---- small things -------------------------------------------------------*/

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	return (sin);
}

/* A socket on loopback and its port; -1 if there is no such protocol. */
static int
inet_listener(int type, int protocol, uint16_t *port)
{
	struct sockaddr_in	 sin = loopback(0);
	socklen_t		 len = sizeof(sin);
	int			 fd;

	*port = 0;
	fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd == -1)
		return (-1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	if (type == SOCK_STREAM)
		cr_assert_eq(listen(fd, 1024), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return (fd);
}

static int
unix_listener(const char *name, int abstract)
{
	struct sockaddr_un	 sun;
	size_t			 at = abstract ? 1 : 0, len = strlen(name);
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	cr_assert_lt(len, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path + at, name, len);
	/* Of the kind that its channel is, which might be connected anew. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + at + len)), 0);
	cr_assert_eq(listen(fd, 1024), 0);
	if (!abstract)
		cr_assert_eq(chmod(name, 0666), 0);
	return (fd);
}

static int
connect_to(uint16_t port)
{
	struct sockaddr_in	 sin = loopback(port);
	int			 fd;

	cr_assert_geq(fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return (fd);
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static int
readable(int fd, int ms)
{
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };

	return (poll(&pfd, 1, ms) == 1);
}

/* Wait for ${pid}, which ends; kill it if it does not. */
static int
reap(pid_t *pid)
{
	int64_t	 limit = mono_ms() + RIG_WAIT_MS;
	int	 status = -1;

	while (*pid > 0 && waitpid(*pid, &status, WNOHANG) == 0) {
		if (mono_ms() > limit) {
			(void)kill(*pid, SIGKILL);
			(void)waitpid(*pid, &status, 0);
			break;
		}
		(void)poll(NULL, 0, 1);
	}
	*pid = -1;
	return (status);
}

static int
outcome(int status)
{
	if (WIFSIGNALED(status))
		return (-WTERMSIG(status));
	return (WEXITSTATUS(status) == ESCAPE_DONE ? 0 : OUT_EXIT);
}

/* Write ${text} to a new file in our directory. */
static void
put_file(const char *name, const char *text, mode_t mode)
{
	char	 path[128];
	FILE	*f;

	(void)snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	cr_assert_not_null(f = fopen(path, "w"));
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(chmod(path, mode), 0);
}

static int
get_file(const char *name)
{
	char	 path[128];
	int	 fd;

	(void)snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	cr_assert_geq(fd = open(path, O_RDONLY | O_CLOEXEC), 0);
	return (fd);
}

/* ---- the surroundings ---------------------------------------------------*/

/* The programs lie beside this one. */
static int
open_program(const char *name)
{
	char	 path[PATH_MAX], *slash;
	ssize_t	 n;
	int	 fd;

	n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	cr_assert_gt(n, 0);
	path[n] = '\0';
	cr_assert_not_null(slash = strrchr(path, '/'));
	slash[1] = '\0';
	(void)strlcat(path, name, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s", path);
	return (fd);
}

/*
 * Without a cage and as root the attempts do what they say: not to this
 * system, where it can be helped.
 */
static void
step_aside(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) == 0)
		(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void
become_user(void)
{
	const gid_t	 gid = RIG_UID;

	cr_assert_eq(setgroups(1, &gid), 0);
	cr_assert_eq(setresgid(gid, gid, gid), 0);
	cr_assert_eq(setresuid(RIG_UID, RIG_UID, RIG_UID), 0);
	/* As the process of a user is: he may trace it. */
	cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

static pid_t
start_helper(void)
{
	pid_t	 pid;

	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return (pid);
}

/*
 * The next port that nobody uses, for a taken control to listen on.  Never
 * one twice: connections made from it may linger.
 */
static uint16_t
free_port(void)
{
	struct sockaddr_in	 sin;
	uint16_t		 port;
	int			 fd, r;

	do {
		cr_assert_lt(rig.ports_used, PORTS, "no free port");
		port = (uint16_t)(rig.ports + rig.ports_used++);
		sin = loopback(port);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
		(void)close(fd);
	} while (r == -1);
	return (port);
}

static void
make_directories(void)
{
	(void)strlcpy(rig.dir, "/tmp/passd-escape-XXXXXX", sizeof(rig.dir));
	cr_assert_not_null(mkdtemp(rig.dir));
	cr_assert_eq(chmod(rig.dir, 0777), 0);
	put_file("file", "anybody may read this\n", 0644);
	(void)strlcpy(rig.empty, "/tmp/passd-escape-XXXXXX",
	    sizeof(rig.empty));
	cr_assert_not_null(mkdtemp(rig.empty));
	cr_assert_eq(chmod(rig.empty, 0755), 0);
}

static void
make_targets(void)
{
	char	 path[128];

	rig.target[TO_TCP] = inet_listener(SOCK_STREAM, 0, &rig.about.tcp);
	rig.target[TO_MPTCP] = inet_listener(SOCK_STREAM, IPPROTO_MPTCP,
	    &rig.about.mptcp);
	rig.target[TO_UDP] = inet_listener(SOCK_DGRAM, 0, &rig.about.udp);
	(void)snprintf(path, sizeof(path), "%s/socket", rig.dir);
	rig.target[TO_PATH] = unix_listener(path, 0);
	rig.target[TO_ABSTRACT] = unix_listener(rig.dir, 1);
	rig.server = inet_listener(SOCK_STREAM, 0, &rig.about.server);
}

void
rig_open(int user)
{
	int	 i;

	memset(&rig, 0, sizeof(rig));
	rig.open = 1;
	rig.helper = rig.spawner = rig.taken = -1;
	rig.parent = rig.control = rig.sibling = rig.taken_fd = -1;
	for (i = 0; i < TARGETS; i++)
		rig.target[i] = -1;
	rig.worker_exe = open_program("escape_worker");
	rig.control_exe = open_program("escape_control");
	if (geteuid() == 0) {
		step_aside();
		if (user)
			become_user();
	}
	rig.root = geteuid() == 0;
	(void)signal(SIGPIPE, SIG_IGN);
	make_directories();
	make_targets();
	rig.ports = (uint16_t)(PORT_LOW + arc4random_uniform(PORT_HIGH -
	    PORT_LOW - PORTS));
	memcpy(rig.about.magic, ESCAPE_MAGIC, sizeof(rig.about.magic));
	(void)strlcpy(rig.about.dir, rig.dir, sizeof(rig.about.dir));
	rig.helper = start_helper();
	rig.about.parent = (int32_t)getpid();
}

static void
remove_directory(const char *dir)
{
	char		 path[512];
	struct dirent	*d;
	DIR		*list;

	if (dir[0] == '\0' || (list = opendir(dir)) == NULL)
		return;
	while ((d = readdir(list)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
		(void)unlink(path);
	}
	(void)closedir(list);
	(void)rmdir(dir);
}

void
rig_close(void)
{
	int	 i;

	if (!rig.open)
		return;
	rig.open = 0;
	rig_spawner_stop();
	rig_control_stop();
	if (rig.helper > 0)
		(void)kill(rig.helper, SIGKILL);
	(void)reap(&rig.helper);
	for (i = 0; i < TARGETS; i++)
		close_fd(&rig.target[i]);
	close_fd(&rig.server);
	remove_directory(rig.dir);
	remove_directory(rig.empty);
}

unsigned int
rig_reached(void)
{
	unsigned int	 n = 0;
	char		 buf[64];
	int		 i, fd;

	while (recv(rig.target[TO_UDP], buf, sizeof(buf), 0) >= 0)
		n++;
	for (i = 0; i < TARGETS; i++) {
		if (i == TO_UDP || rig.target[i] == -1)
			continue;
		while ((fd = accept(rig.target[i], NULL, NULL)) != -1) {
			(void)close(fd);
			n++;
		}
	}
	/* Those of control itself: it may. */
	while ((fd = accept(rig.server, NULL, NULL)) != -1)
		(void)close(fd);
	return (n);
}

/* ---- processes ----------------------------------------------------------*/

/* Start a program as the parent does, and return its process id. */
static pid_t
execute(int exe, char *role, unsigned int layers, int *channel)
{
	char	 name[] = "passd", option[] = "-R", var[32];
	char	 path[] = "PATH=/usr/bin:/bin";
	char	*argv[] = { name, role == NULL ? NULL : option, role, NULL };
	char	*env[] = { path, var, NULL };
	pid_t	 pid;
	int	 pair[2], null;

	(void)snprintf(var, sizeof(var), "ESCAPE_LAYERS=%u", layers);
	cr_assert_eq(msg_pair(pair), 0);
	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		/* fexecve(3) wants its descriptor: out of the way. */
		exe = fcntl(exe, F_DUPFD_CLOEXEC, 200);
		if (dup2(pair[1], MSG_CHANNEL_FD) == -1 ||
		    (null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
		    dup2(null, STDIN_FILENO) == -1 ||
		    dup2(null, STDOUT_FILENO) == -1 ||
		    dup2(null, STDERR_FILENO) == -1)
			_exit(1);
		(void)signal(SIGPIPE, SIG_DFL);
		(void)fexecve(exe, argv, env);
		_exit(127);
	}
	(void)close(pair[1]);
	*channel = pair[0];
	return (pid);
}

/* The next message but log lines. */
static enum msg_result
hear(int fd, enum msg_edge edge)
{
	enum msg_result	 r;

	do {
		if (!readable(fd, RIG_WAIT_MS))
			return (MSG_NOTHING);
		r = msg_recv(fd, edge, MSG_ST_ANY, &in);
	} while (r == MSG_OK && in.hdr.type == MSG_LOG);
	return (r);
}

static void
boot(int channel, int filter, int drop, uid_t uid)
{
	struct msg_boot	 m;

	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	if (drop) {
		m.flags = BOOT_DROP;
		m.uid = m.gid = uid;
		(void)strlcpy(m.chroot, rig.empty, sizeof(m.chroot));
	}
	cr_assert_eq(msg_send(channel, &m, sizeof(m), &filter, filter != -1),
	    0);
}

/* ---- the spawner and its workers ----------------------------------------*/

/* Fork a worker; return its channel, its id and its port. */
static int
spawn(uint16_t *port)
{
	struct msg_limits	 m;
	int			 pair[2], fds[2];

	cr_assert_eq(msg_pair(pair), 0);
	fds[0] = pair[1];
	cr_assert_geq(fds[1] = inet_listener(SOCK_STREAM, 0, port), 0);
	msg_init(&m, sizeof(m), MSG_SPAWN, ++rig.last_id);
	m.port = *port;
	m.sessions = m.pending = 1;
	m.flags = LIMITS_SAME_PORT;
	m.connect_ms = m.idle_ms = m.half_close_ms = 60000;
	cr_assert_eq(msg_send(rig.control, &m, sizeof(m), fds, 2), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	cr_assert_eq(hear(rig.control, EDGE_SPAWNER_CONTROL), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_SPAWNED);
	cr_assert_eq(in.hdr.id, rig.last_id);
	cr_assert_eq(in.spawned.error, 0);
	return (pair[0]);
}

void
rig_spawner(unsigned int layers)
{
	struct msg_hdr	 m;
	uint16_t	 port;
	int		 filter = -1, pair[2];

	rig.layers = layers;
	rig.last_id = 0;
	rig.spawner = execute(rig.worker_exe, NULL, layers, &rig.parent);
	if (layers & ESCAPE_FILTER)
		cr_assert((filter = cage_worker_filter()) != -1);
	boot(rig.parent, filter, rig.root && (layers & ESCAPE_LIMITS) != 0,
	    RIG_UID);
	close_fd(&filter);
	cr_assert_eq(hear(rig.parent, EDGE_SPAWNER_PARENT), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_READY);
	cr_assert_eq(msg_pair(pair), 0);
	msg_init(&m, sizeof(m), MSG_SPAWNER, 0);
	cr_assert_eq(msg_send(rig.parent, &m, sizeof(m), &pair[1], 1), 0);
	(void)close(pair[1]);
	rig.control = pair[0];
	rig.sibling = spawn(&port);
	rig.about.sibling = in.spawned.pid;
	rig.about.spawner = (int32_t)rig.spawner;
	rig.about.control = (int32_t)rig.helper;
}

void
rig_spawner_stop(void)
{
	close_fd(&rig.control);
	close_fd(&rig.parent);		/* it ends with its parent */
	(void)reap(&rig.spawner);
	close_fd(&rig.sibling);
}

/* Wait until the worker ${id} has ended; return its status. */
static int
wait_exited(uint32_t id)
{
	cr_assert_eq(hear(rig.control, EDGE_SPAWNER_CONTROL), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_EXITED, "message %u", in.hdr.type);
	cr_assert_eq(in.hdr.id, id, "not the worker that was taken");
	return (in.exited.status);
}

static void
end_worker(uint32_t id)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_KILL, id);
	cr_assert_eq(msg_send(rig.control, &m, sizeof(m), NULL, 0), 0);
	(void)wait_exited(id);
}

/* Pair a peer with an owner, who asked for none of this. */
static void
pair_up(int chan, uint16_t port, int *peer, int *leg)
{
	struct msg_answer	 m;

	*peer = connect_to(port);
	do {
		cr_assert_eq(hear(chan, EDGE_WORKER_CONTROL), MSG_OK);
	} while (in.hdr.type != MSG_CLIENT);
	msg_init(&m, sizeof(m), MSG_ANSWER, rig.last_id);
	m.session = in.client.session;
	cr_assert_eq(msg_send(chan, &m, sizeof(m), NULL, 0), 0);
	*leg = connect_to(port);
	do {
		cr_assert_eq(hear(chan, EDGE_WORKER_CONTROL), MSG_OK);
	} while (in.hdr.type != MSG_PAIRED);
}

/* What control makes of a message that it must not get. */
static int
judge(int chan)
{
	switch (hear(chan, EDGE_WORKER_CONTROL)) {
	case MSG_BAD:
		return (OUT_REFUSED);
	case MSG_OK:
		return (0);
	case MSG_NOTHING:
	case MSG_EOF:
	case MSG_LOST:
		break;
	}
	return (OUT_HANG);
}

/* Return how it ended; 1 in ${dead} if the worker did, too. */
static int
listen_for_reply(int leg, uint32_t id, int *dead)
{
	struct escape_reply	 reply;
	int			 r;

	*dead = 0;
	if (!readable(leg, RIG_WAIT_MS))
		return (OUT_HANG);
	if (recv(leg, &reply, sizeof(reply), MSG_WAITALL) ==
	    (ssize_t)sizeof(reply))
		return (reply.error);
	/* In full: a signal that it sent to others is seen there. */
	r = outcome(wait_exited(id));
	*dead = 1;
	return (r);
}

int
rig_worker(const struct attempt *a)
{
	struct escape_request	 req = rig.about;
	uint16_t		 port;
	int			 chan, peer, leg, r, dead;

	chan = spawn(&port);
	pair_up(chan, port, &peer, &leg);
	(void)strlcpy(req.name, a->name, sizeof(req.name));
	cr_assert_eq(send(peer, &req, sizeof(req), MSG_NOSIGNAL),
	    (ssize_t)sizeof(req));
	r = listen_for_reply(leg, rig.last_id, &dead);
	if (r == 0 && (a->flags & A_MESSAGE) && rig.layers != 0)
		r = judge(chan);
	if (!dead)
		end_worker(rig.last_id);
	close_fd(&peer);
	close_fd(&leg);
	close_fd(&chan);
	return (r);
}

/* ---- control ------------------------------------------------------------*/

static void
configure(void)
{
	char	 text[512];

	(void)snprintf(text, sizeof(text),
	    "component \"pass.example.org\"\n"
	    "server 127.0.0.1 port %u\n"
	    "secret file \"/nonexistent\"\n"
	    "ports %u:%u\n"
	    "rendezvous ports %u:%u\n"
	    "listen on 127.0.0.1 advertise 127.0.0.1\n"
	    "allow \"example.org\"\n", rig.about.server, rig.ports,
	    rig.ports + PORTS - 1, rig.ports + PORTS, rig.ports + PORTS);
	put_file("conf", text, 0600);
	put_file("secret", "not a real one\n", 0600);
}

static void
send_file(const void *m, size_t len, const char *name)
{
	int	 fd = get_file(name);

	cr_assert_eq(msg_send(rig.taken_fd, m, len, &fd, 1), 0);
	(void)close(fd);
}

void
rig_control(unsigned int layers)
{
	struct msg_config	 conf;
	struct msg_status	 secret;
	char			 role[] = "control";

	rig.layers = layers;
	rig.started++;
	configure();
	rig.taken = execute(rig.control_exe, role, layers, &rig.taken_fd);
	boot(rig.taken_fd, -1, rig.root && layers != 0, RIG_UID - 1);
	msg_init(&conf, sizeof(conf), MSG_CONFIG, 0);
	(void)strlcpy(conf.name, "conf", sizeof(conf.name));
	send_file(&conf, sizeof(conf), "conf");
	cr_assert_eq(hear(rig.taken_fd, EDGE_CONTROL_PARENT), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_NEEDS);
	msg_init(&secret, sizeof(secret), MSG_SECRET, 0);
	send_file(&secret, sizeof(secret), "secret");
	cr_assert_eq(hear(rig.taken_fd, EDGE_CONTROL_PARENT), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_READY);
	/* Another process stands for the spawner and the workers. */
	rig.about.sibling = rig.about.spawner = (int32_t)rig.helper;
	rig.about.control = (int32_t)rig.taken;
}

void
rig_control_stop(void)
{
	close_fd(&rig.taken_fd);	/* it ends with its parent */
	(void)reap(&rig.taken);
}

int
rig_control_try(const struct attempt *a)
{
	struct escape_request	 req;
	struct escape_reply	 reply;
	struct msg_status	 m;
	int			 pair[2], r;

	if (rig.taken == -1)
		rig_control(rig.layers);
	req = rig.about;
	req.bind = free_port();
	(void)strlcpy(req.name, a->name, sizeof(req.name));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
	    0);
	msg_init(&m, sizeof(m), MSG_XMPP, 0);
	cr_assert_eq(msg_send(rig.taken_fd, &m, sizeof(m), &pair[1], 1), 0);
	(void)close(pair[1]);
	cr_assert_eq(send(pair[0], &req, sizeof(req), MSG_NOSIGNAL),
	    (ssize_t)sizeof(req));
	if (!readable(pair[0], RIG_WAIT_MS)) {
		(void)kill(rig.taken, SIGKILL);
		rig_control_stop();
		r = OUT_HANG;
	} else if (recv(pair[0], &reply, sizeof(reply), MSG_WAITALL) ==
	    (ssize_t)sizeof(reply))
		r = reply.error;
	else {
		r = outcome(reap(&rig.taken));
		close_fd(&rig.taken_fd);
	}
	(void)close(pair[0]);
	return (r);
}

unsigned int
rig_started(void)
{
	return (rig.started);
}
