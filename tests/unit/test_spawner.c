/* SPDX-License-Identifier: ISC */
/*
 * The spawner in a process of its own, with the test as parent and control
 * (DESIGN.md section 1).
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "log.h"
#include "mono.h"
#include "spawner.h"
#include "worker_rig.h"

TestSuite(spawner, .timeout = 60);

#define DROP_ID	65533		/* of nobody in particular */

struct spawned {
	uint32_t	 id;
	pid_t		 pid;
	int		 chan;
	uint16_t	 port;
};

static pid_t		 spawner;
static int		 parent, control;
static struct msg_in	 in;

static void
start_process(void)
{
	int	 pair[2];

	cr_assert_eq(msg_pair(pair), 0);
	cr_assert_geq(spawner = fork(), 0);
	if (spawner == 0) {
		if (dup2(pair[1], MSG_CHANNEL_FD) == -1)
			_exit(2);
		closefrom(MSG_CHANNEL_FD + 1);
		spawner_main();
	}
	close(pair[1]);
	parent = pair[0];
	control = -1;
}

static enum msg_result
hear(int fd, enum msg_edge edge)
{
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };

	struct msg_ack	 ack;
	enum msg_result	 got;

	if (poll(&pfd, 1, RIG_WAIT_MS) != 1)
		return (MSG_NOTHING);
	got = msg_recv(fd, edge, MSG_ST_ANY, &in);
	if (got == MSG_OK && edge == EDGE_WORKER_CONTROL) {
		msg_init(&ack, sizeof(ack), MSG_ACK, in.hdr.id);
		ack.upto = in.hdr.seq;
		/* After its last word it may have left. */
		(void)msg_send(fd, &ack, sizeof(ack), NULL, 0);
	}
	return (got);
}

static void
boot(const char *root, uint32_t flags)
{
	struct msg_boot	 m;
	int		 filter;

	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	m.flags = flags;
	m.uid = m.gid = DROP_ID;
	(void)strlcpy(m.chroot, root, sizeof(m.chroot));
	cr_assert((filter = cage_worker_filter()) != -1 || errno == 0);
	cr_assert_eq(msg_send(parent, &m, sizeof(m), &filter, filter != -1),
	    0);
	close(filter);
	cr_assert_eq(hear(parent, EDGE_SPAWNER_PARENT), MSG_OK);
	/* What failed would be said here, too. */
	cr_assert_eq(in.hdr.type, MSG_READY, "%.200s", in.log.text);
}

/* Give it a (new) control. */
static void
new_control(void)
{
	struct msg_hdr	 m;
	int		 pair[2];

	if (control != -1)
		close(control);
	cr_assert_eq(msg_pair(pair), 0);
	msg_init(&m, sizeof(m), MSG_SPAWNER, 0);
	cr_assert_eq(msg_send(parent, &m, sizeof(m), &pair[1], 1), 0);
	close(pair[1]);
	control = pair[0];
}

static void
start(void)
{
	start_process();
	boot("/", 0);
	new_control();
}

static void
spawn(struct spawned *s, uint32_t id)
{
	struct msg_limits	 m;
	int			 pair[2], fds[2];

	memset(s, 0, sizeof(*s));
	s->id = id;
	cr_assert_eq(msg_pair(pair), 0);
	s->chan = pair[0];
	fds[0] = pair[1];
	fds[1] = rig_listener(AF_INET, &s->port);
	rig_limits(&m);
	m.hdr.id = id;
	m.port = s->port;
	cr_assert_eq(msg_send(control, &m, sizeof(m), fds, 2), 0);
	close(fds[0]);
	close(fds[1]);
	cr_assert_eq(hear(control, EDGE_SPAWNER_CONTROL), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_SPAWNED);
	cr_assert_eq(in.hdr.id, id);
	cr_assert_eq(in.spawned.error, 0);
	cr_assert_gt(in.spawned.pid, 0);
	s->pid = in.spawned.pid;
	cr_assert_eq(hear(s->chan, EDGE_WORKER_CONTROL), MSG_OK);
	cr_assert_eq(in.hdr.type, MSG_READY);
	cr_assert_eq(in.hdr.id, id);
}

static void
kill_it(uint32_t id)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_KILL, id);
	cr_assert_eq(msg_send(control, &m, sizeof(m), NULL, 0), 0);
}

static void
expect_exited(uint32_t id, int status)
{
	cr_assert_eq(hear(control, EDGE_SPAWNER_CONTROL), MSG_OK);
	cr_expect_eq(in.hdr.type, MSG_EXITED);
	cr_expect_eq(in.hdr.id, id);
	cr_expect_eq(in.exited.status, status);
}

/* Its channel has ended: nobody holds the other end, so it is dead. */
static void
expect_dead(struct spawned *s)
{
	cr_expect_eq(hear(s->chan, EDGE_WORKER_CONTROL), MSG_EOF);
	close(s->chan);
}

static void
expect_alive(struct spawned *s)
{
	int	 fd;

	cr_assert_geq(fd = rig_connect(s->port, "127.0.0.2"), 0);
	cr_assert_eq(hear(s->chan, EDGE_WORKER_CONTROL), MSG_OK);
	cr_expect_eq(in.hdr.type, MSG_CLIENT);
	rig_reset(fd);
	cr_assert_eq(hear(s->chan, EDGE_WORKER_CONTROL), MSG_OK);
	cr_expect_eq(in.hdr.type, MSG_ENDED);
}

static int
wait_for_end(void)
{
	int64_t	 limit = mono_ms() + RIG_WAIT_MS;
	int	 status = -1;

	while (waitpid(spawner, &status, WNOHANG) == 0) {
		if (mono_ms() > limit) {
			(void)kill(spawner, SIGKILL);
			(void)waitpid(spawner, &status, 0);
			cr_assert_fail("the spawner does not end");
		}
		(void)poll(NULL, 0, 2);
	}
	return (status);
}

static void
stop(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_STOP, 0);
	cr_assert_eq(msg_send(parent, &m, sizeof(m), NULL, 0), 0);
	cr_expect_eq(wait_for_end(), 0);
	close(parent);
	if (control != -1)
		close(control);
}

/* ---- what it does -------------------------------------------------------*/

Test(spawner, a_worker_from_start_to_end)
{
	struct msg_close	 m;
	struct spawned		 s;

	start();
	spawn(&s, 7);
	expect_alive(&s);
	msg_init(&m, sizeof(m), MSG_CLOSE, 7);
	cr_assert_eq(msg_send(s.chan, &m, sizeof(m), NULL, 0), 0);
	cr_assert_eq(hear(s.chan, EDGE_WORKER_CONTROL), MSG_OK);
	cr_expect_eq(in.hdr.type, MSG_GONE);
	expect_dead(&s);
	expect_exited(7, 0);
	stop();
}

Test(spawner, kills_one_and_no_other)
{
	struct spawned	 a, b;

	start();
	spawn(&a, 1);
	spawn(&b, UINT32_MAX);
	kill_it(2);
	kill_it(0);
	kill_it(1);
	expect_exited(1, SIGKILL);
	expect_dead(&a);
	expect_alive(&b);
	/* Its number is free again, for a process that is not ours. */
	kill_it(1);
	expect_alive(&b);
	/* Killed by somebody else: told as it was. */
	(void)kill(b.pid, SIGUSR1);
	expect_exited(UINT32_MAX, SIGUSR1);
	stop();
}

Test(spawner, many)
{
	enum { N = 20 };
	struct spawned	 s[N];
	int		 seen[N] = { 0 };
	uint32_t	 i;

	start();
	for (i = 0; i < N; i++)
		spawn(&s[i], i + 1);
	for (i = 0; i < N; i++)
		kill_it(i + 1);
	for (i = 0; i < N; i++) {
		cr_assert_eq(hear(control, EDGE_SPAWNER_CONTROL), MSG_OK);
		cr_assert_eq(in.hdr.type, MSG_EXITED);
		cr_assert(in.hdr.id >= 1 && in.hdr.id <= N);
		cr_expect_eq(seen[in.hdr.id - 1]++, 0, "told twice");
		close(s[i].chan);
	}
	stop();
}

/* A descriptor of ours in a worker would be a way around everything. */
Test(spawner, workers_inherit_nothing)
{
	struct spawned	 first, s;
	struct dirent	*d;
	char		 path[64];
	DIR		*dir;
	int		 fd;

	start();
	spawn(&first, 1);
	spawn(&s, 2);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)s.pid);
	/* Not ours to see, as it is not dumpable, unless we are root. */
	if ((dir = opendir(path)) != NULL) {
		while ((d = readdir(dir)) != NULL) {
			fd = (int)strtonum(d->d_name, 0, 1 << 20, NULL);
			cr_expect_leq(fd, 4, "descriptor %d", fd);
		}
		closedir(dir);
	}
	close(first.chan);
	close(s.chan);
	stop();
}

/* ---- the ends of parent and control -------------------------------------*/

Test(spawner, stop_ends_all)
{
	struct spawned	 a, b;

	start();
	spawn(&a, 1);
	spawn(&b, 2);
	stop();
	expect_dead(&a);
	expect_dead(&b);
}

Test(spawner, parent_dies)
{
	struct spawned	 a;

	start();
	spawn(&a, 1);
	close(parent);
	cr_expect_eq(wait_for_end(), 0);
	expect_dead(&a);
	close(control);
}

/* Relays survive a control that died, or that is replaced. */
Test(spawner, control_dies)
{
	struct spawned	 a, b;

	start();
	spawn(&a, 1);
	close(control);
	control = -1;
	(void)poll(NULL, 0, 50);
	expect_alive(&a);
	new_control();
	spawn(&b, 2);
	kill_it(1);
	expect_exited(1, SIGKILL);
	expect_dead(&a);
	expect_alive(&b);
	close(b.chan);
	stop();
}

Test(spawner, control_says_what_it_must_not)
{
	struct spawned	 a;
	struct msg_hdr	 m;

	start();
	spawn(&a, 1);
	msg_init(&m, sizeof(m), MSG_SPAWN, 2);
	cr_assert_eq(msg_send(control, &m, sizeof(m), NULL, 0), 0);
	cr_expect_eq(hear(control, EDGE_SPAWNER_CONTROL), MSG_EOF);
	expect_alive(&a);
	new_control();
	kill_it(1);
	expect_exited(1, SIGKILL);
	close(a.chan);
	stop();
}

/* ^C goes to the group; a service manager's SIGTERM to every process. */
Test(spawner, signals_are_the_parents_business)
{
	struct spawned	 a;

	start();
	spawn(&a, 1);
	(void)kill(spawner, SIGINT);
	(void)kill(spawner, SIGTERM);
	(void)kill(spawner, SIGHUP);
	(void)kill(spawner, SIGPIPE);
	(void)kill(a.pid, SIGINT);
	(void)kill(a.pid, SIGTERM);
	(void)kill(a.pid, SIGHUP);
	(void)kill(a.pid, SIGPIPE);
	(void)poll(NULL, 0, 50);
	expect_alive(&a);
	close(a.chan);
	stop();
}

/* ---- the next one takes over --------------------------------------------*/

static void
expect_retired(void)
{
	cr_expect_eq(wait_for_end(), 0);
	close(parent);
}

static void
retire(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_RETIRE, 0);
	cr_assert_eq(msg_send(parent, &m, sizeof(m), NULL, 0), 0);
}

static void
close_it(struct spawned *s)
{
	struct msg_close	 m;

	msg_init(&m, sizeof(m), MSG_CLOSE, s->id);
	cr_assert_eq(msg_send(s->chan, &m, sizeof(m), NULL, 0), 0);
	cr_assert_eq(hear(s->chan, EDGE_WORKER_CONTROL), MSG_OK);
	cr_expect_eq(in.hdr.type, MSG_GONE);
	expect_dead(s);
}

Test(spawner, retires_and_leaves_its_workers)
{
	struct spawned	 a, b;

	start();
	spawn(&a, 1);
	spawn(&b, 2);
	retire();
	expect_retired();
	cr_expect_eq(hear(control, EDGE_SPAWNER_CONTROL), MSG_EOF);
	close(control);
	expect_alive(&a);
	expect_alive(&b);
	close_it(&a);
	close_it(&b);
}

/* It does and tells what was asked for before, and then takes no more. */
Test(spawner, retires_in_good_order)
{
	struct spawned	 a, b;
	struct msg_hdr	 m;
	int		 i;

	start();
	spawn(&a, 1);
	spawn(&b, 2);
	/* Both are there when it wakes up; it looks at the parent's first. */
	(void)kill(spawner, SIGSTOP);
	kill_it(1);
	retire();
	(void)kill(spawner, SIGCONT);
	for (i = 0; i < 1000; i++) {
		msg_init(&m, sizeof(m), MSG_KILL, 77);
		if (msg_send(control, &m, sizeof(m), NULL, 0) == -1 &&
		    errno == EPIPE)
			break;
		(void)poll(NULL, 0, 5);
	}
	cr_expect_lt(i, 1000, "it still takes commands");
	expect_dead(&a);
	expect_retired();
	close(control);
	expect_alive(&b);
	close_it(&b);
}

Test(spawner, retires_without_a_control)
{
	struct spawned	 a;

	start();
	spawn(&a, 1);
	close(control);
	(void)poll(NULL, 0, 50);
	retire();
	expect_retired();
	expect_alive(&a);
	close_it(&a);
}

/* Control that does not read must not keep it. */
Test(spawner, retires_though_nobody_listens)
{
	enum { N = 30 };
	struct spawned	 s[N];
	int		 i, size = 1;

	start();
	cr_assert_eq(setsockopt(control, SOL_SOCKET, SO_RCVBUF, &size,
	    sizeof(size)), 0);
	for (i = 0; i < N; i++)
		spawn(&s[i], (uint32_t)i + 1);
	for (i = 0; i < N; i++)
		kill_it((uint32_t)i + 1);
	for (i = 0; i < N; i++)
		expect_dead(&s[i]);
	retire();
	expect_retired();
	close(control);
}

/* ---- boot ---------------------------------------------------------------*/

static void
bad_boot(struct msg_boot *m, size_t len)
{
	start_process();
	cr_assert_eq(msg_send(parent, m, len, NULL, 0), 0);
	cr_expect_eq(wait_for_end(), 1 << 8);
	cr_expect_neq(hear(parent, EDGE_SPAWNER_PARENT) == MSG_OK &&
	    in.hdr.type == MSG_READY, 1);
	close(parent);
}

Test(spawner, boots_properly_or_not_at_all)
{
	struct msg_boot	 m;

	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	bad_boot(&m, sizeof(m) - 1);
	memset(m.chroot, 'x', sizeof(m.chroot));
	bad_boot(&m, sizeof(m));
	msg_init(&m, sizeof(m), MSG_STOP, 0);
	bad_boot(&m, sizeof(struct msg_hdr));
	/* Never as root, whoever asks for it. */
	msg_init(&m, sizeof(m), MSG_BOOT, 0);
	m.flags = BOOT_DROP;
	(void)strlcpy(m.chroot, "/", sizeof(m.chroot));
	bad_boot(&m, sizeof(m));
	m.uid = m.gid = DROP_ID;
	(void)strlcpy(m.chroot, "/nonexistent", sizeof(m.chroot));
	bad_boot(&m, sizeof(m));
}

/* The values of a line of /proc/PID/status. */
static void
status_line(pid_t pid, const char *name, char *buf, size_t size)
{
	char	 path[64], line[256];
	size_t	 n = strlen(name);
	FILE	*f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	cr_assert_not_null(f = fopen(path, "r"));
	buf[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			(void)strlcpy(buf, line + n + 1, size);
	}
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
}

static void
expect_status(pid_t pid, const char *name, const char *want)
{
	char	 buf[256], *s;

	status_line(pid, name, buf, sizeof(buf));
	s = buf + strspn(buf, " \t");
	cr_expect_eq(strncmp(s, want, strlen(want)), 0, "%s: \"%s\"", name,
	    s);
}

/* The filter holds spawner and worker, where there is one. */
Test(spawner, filtered)
{
	struct spawned	 a;
	int		 filter;

	if ((filter = cage_worker_filter()) == -1)
		cr_skip_test("no filter here");
	close(filter);
	start();
	spawn(&a, 1);
	expect_status(spawner, "Seccomp", "2");
	expect_status(a.pid, "Seccomp", "2");
	expect_status(a.pid, "NoNewPrivs", "1");
	close(a.chan);
	stop();
}

static char	 dir[] = "/tmp/passd-unit-XXXXXX";

/* However the test ends. */
static void
remove_dir(void)
{
	(void)rmdir(dir);
}

Test(spawner, dropped, .fini = remove_dir)
{
	struct spawned	 a;
	char		 path[64], root[128];
	ssize_t		 n;

	if (geteuid() != 0)
		cr_skip_test("not root");
	cr_assert_not_null(mkdtemp(dir));
	start_process();
	boot(dir, BOOT_DROP);
	new_control();
	spawn(&a, 1);
	expect_status(a.pid, "Uid", "65533\t65533\t65533\t65533");
	expect_status(a.pid, "Gid", "65533\t65533\t65533\t65533");
	expect_status(a.pid, "Groups", "65533 ");
	expect_status(a.pid, "CapEff", "0000000000000000");
	expect_status(a.pid, "CapPrm", "0000000000000000");
	expect_status(a.pid, "NoNewPrivs", "1");
	expect_status(spawner, "Uid", "65533\t65533\t65533\t65533");
	expect_status(spawner, "NoNewPrivs", "1");
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)a.pid);
	cr_assert_gt(n = readlink(path, root, sizeof(root) - 1), 0);
	root[n] = '\0';
	cr_expect_str_eq(root, dir);
	expect_alive(&a);
	close(a.chan);
	stop();
	cr_expect_eq(rmdir(dir), 0, "it is not empty");
}
