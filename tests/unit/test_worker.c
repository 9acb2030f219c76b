/* SPDX-License-Identifier: ISC */
/*
 * A worker and control: one that does not read, one that dies, one that
 * says what it must not; and a worker short of descriptors.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "worker_rig.h"

TestSuite(worker, .timeout = 60);

#define PEER	"127.0.0.2"
#define OTHER	"127.0.0.3"
#define OWNER	"127.0.0.9"

static int
stranger(struct rig *r, const char *from, uint32_t session)
{
	int	 fd = rig_connect(r->port, from);

	cr_assert_geq(fd, 0);
	rig_client(r, session, fd);
	return (fd);
}

static int
join(struct rig *r, uint32_t session)
{
	uint16_t	 rdv = rig_rendezvous(r, session);
	int		 fd;

	rig_answer(r, session, NULL, NULL);
	cr_assert_geq(fd = rig_connect(rdv, OWNER), 0);
	rig_paired(r, session, fd, 0);
	return (fd);
}

/* ---- control says what it must not, or is gone ---------------------------*/

/* One relay and one undecided client; then whatever ends control. */
static void
without_control(struct rig *r, int *a, int *b, int *owner)
{
	struct msg_limits	 l;

	rig_limits(&l);
	l.sessions = 2;
	rig_start(r, &l);
	*a = stranger(r, PEER, 1);
	*owner = join(r, 1);
	*b = stranger(r, OTHER, 2);
}

/* Its relay is none of control's business; nobody else is let in. */
static void
goes_on_alone(struct rig *r, int a, int b, int owner)
{
	rig_rst(b);
	cr_expect(rig_refused(r->port));
	rig_say(a, "go");
	rig_hear(owner, "go");
	rig_say(owner, "on");
	rig_hear(a, "on");
	(void)poll(NULL, 0, 100);
	cr_expect_lt(rig_cpu_ms(r), 100);
	close(a);
	rig_fin(owner);
	rig_left(r);
}

/*
 * Both copies of the other end are gone, so the parent is: nothing of passd
 * may stay behind.
 */
static void
ends_with_passd(struct rig *r, int a, int b, int owner)
{
	close(r->chan);
	r->chan = -1;
	rig_rst(a);
	rig_rst(b);
	rig_rst(owner);
	cr_expect(rig_refused(r->port));
	rig_left(r);
}

Test(worker, passd_dies)
{
	struct rig	 r;
	int		 a, b, owner;

	without_control(&r, &a, &b, &owner);
	ends_with_passd(&r, a, b, owner);
}

Test(worker, passd_dies_with_events_unread)
{
	struct rig	 r;
	int		 a, b, owner, i;

	without_control(&r, &a, &b, &owner);
	for (i = 0; i < 20; i++)
		rig_reset(rig_connect(r.port, "127.0.0.4"));
	(void)poll(NULL, 0, 50);
	ends_with_passd(&r, a, b, owner);
}

/* What it must not say: as if it had gone. */
static void
bad_message(enum msg_type type, size_t len, const int *fds, size_t nfds)
{
	static struct msg_in	 m;
	struct rig		 r;
	int			 a, b, owner;

	without_control(&r, &a, &b, &owner);
	msg_init(&m, sizeof(m), type, RIG_ID);
	cr_assert_eq(msg_send(r.chan, &m, len, fds, nfds), 0);
	goes_on_alone(&r, a, b, owner);
}

Test(worker, control_says_what_it_must_not)
{
	int	 fd = 0;

	bad_message(MSG_READY, sizeof(struct msg_hdr), NULL, 0);
	bad_message(MSG_DROP, sizeof(struct msg_hdr), NULL, 0);
	bad_message(MSG_CLOSE, sizeof(struct msg_close), &fd, 1);
	bad_message(MSG_RENDEZVOUS, sizeof(struct msg_rendezvous), &fd, 1);
	bad_message(MSG_RENDEZVOUS, sizeof(struct msg_rendezvous), NULL, 0);
}

Test(worker, passd_dies_at_once)
{
	struct rig	 r;

	rig_start(&r, NULL);
	close(r.chan);
	r.chan = -1;
	cr_expect(rig_refused(r.port));
	rig_left(&r);
}

/* ---- control does not read ----------------------------------------------*/

#define MOST	4000

/* Connect without waiting; -1 if there is no room in the backlog. */
static int
try_connect(uint16_t port)
{
	struct sockaddr_in	 sin;
	struct pollfd		 pfd;
	int			 fd;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return (fd);
	cr_assert_eq(errno, EINPROGRESS);
	pfd.fd = fd;
	pfd.events = POLLOUT;
	if (poll(&pfd, 1, 100) == 1)
		return (fd);
	close(fd);
	return (-1);
}

/*
 * Strangers come and go until the worker takes no more: each is two events.
 * Return how many there were.
 */
static int
flood(struct rig *r)
{
	int	 fd, n;

	for (n = 0; n < MOST; n++) {
		if ((fd = try_connect(r->port)) == -1)
			break;
		/* One at a time, so that none is refused. */
		(void)poll(NULL, 0, n % 8 == 0 ? 1 : 0);
		rig_reset(fd);
	}
	return (n);
}

/* Every event in order, each client ended exactly once. */
static void
read_all(struct rig *r, uint32_t *clients, uint32_t *ended, uint32_t *refused)
{
	static unsigned char	 seen[MOST + 100] = { 0, 1 };
	struct pollfd		 pfd = { .fd = r->chan, .events = POLLIN };

	while (poll(&pfd, 1, 1500) == 1) {
		cr_assert_eq(msg_recv(r->chan, EDGE_WORKER_CONTROL,
		    MSG_ST_ANY, &r->in), MSG_OK);
		cr_assert_eq(r->in.hdr.seq, ++r->seq);
		rig_ack(r, r->seq);
		switch (r->in.hdr.type) {
		case MSG_CLIENT:
			cr_assert_eq(r->in.client.session, ++*clients);
			cr_assert_lt(*clients, sizeof(seen));
			seen[*clients] = 1;
			break;
		case MSG_ENDED:
			cr_assert_eq(seen[r->in.ended.session], 1);
			seen[r->in.ended.session] = 2;
			++*ended;
			break;
		default:
			cr_assert_eq(r->in.hdr.type, MSG_REFUSED);
			*refused += r->in.refused.pending +
			    r->in.refused.busy;
			cr_expect_eq(r->in.refused.failed, 0);
			break;
		}
	}
}

Test(worker, control_does_not_read)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint32_t		 clients = 0, ended = 0, refused = 0;
	long			 cpu;
	int			 n;

	rig_limits(&l);
	l.pending = 64;
	l.sessions = 256;
	rig_start(&r, &l);
	n = flood(&r);
	cr_expect_gt(n, 400);
	cr_expect_lt(n, MOST, "there is no bound");
	/* It waits for control, quietly, and leaves strangers waiting. */
	cpu = rig_cpu_ms(&r);
	(void)poll(NULL, 0, 1500);
	cr_expect_lt(rig_cpu_ms(&r) - cpu, 200, "it spins");
	read_all(&r, &clients, &ended, &refused);
	cr_expect_eq(clients, ended);
	cr_expect_gt(clients, 300);
	/* Nothing is stuck: the next one is announced as ever. */
	close(stranger(&r, PEER, clients + 1));
	rig_stop(&r);
}

/* Relays do not depend on it. */
Test(worker, relays_while_control_does_not_read)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint32_t		 clients = 1, ended = 0, refused = 0;
	int			 a, owner;

	rig_limits(&l);
	l.sessions = 2;
	l.pending = 64;
	rig_start(&r, &l);
	a = stranger(&r, PEER, 1);
	owner = join(&r, 1);
	(void)flood(&r);
	rig_say(a, "still here");
	rig_hear(owner, "still here");
	close(a);
	rig_fin(owner);
	/* Its end waits in line with the rest, and is not lost. */
	read_all(&r, &clients, &ended, &refused);
	cr_expect_eq(clients, ended);
	rig_stop(&r);
}

/* Refusals only: a summary that cannot be sent does not make it spin. */
Test(worker, refusals_while_control_does_not_read)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint32_t		 clients = 0, ended = 0, refused = 0;
	long			 cpu;
	int			 i, fd;

	rig_limits(&l);
	l.pending = 1;
	rig_start(&r, &l);
	(void)flood(&r);
	for (i = 0; i < 5; i++) {
		if ((fd = try_connect(r.port)) != -1)
			close(fd);
	}
	(void)poll(NULL, 0, 1100);
	cpu = rig_cpu_ms(&r);
	(void)poll(NULL, 0, 1000);
	cr_expect_lt(rig_cpu_ms(&r) - cpu, 200, "it spins");
	read_all(&r, &clients, &ended, &refused);
	cr_expect_eq(clients, ended);
	rig_stop(&r);
}

/* It leaves when all has been said, not before. */
Test(worker, leaves_when_it_was_heard)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint32_t		 ended = 0, clients = 0;
	int			 gone = 0;

	rig_limits(&l);
	l.pending = 64;
	rig_start(&r, &l);
	(void)flood(&r);
	rig_close(&r, CAUSE_CLOSED, CLOSE_RELAYS, 0);
	(void)poll(NULL, 0, 300);
	cr_expect_eq(kill(r.pid, 0), 0);
	while (!gone) {
		struct pollfd	 pfd = { .fd = r.chan, .events = POLLIN };

		cr_assert_eq(poll(&pfd, 1, RIG_WAIT_MS), 1);
		cr_assert_eq(msg_recv(r.chan, EDGE_WORKER_CONTROL, MSG_ST_ANY,
		    &r.in), MSG_OK);
		cr_assert_eq(r.in.hdr.seq, ++r.seq);
		rig_ack(&r, r.seq);
		clients += r.in.hdr.type == MSG_CLIENT;
		ended += r.in.hdr.type == MSG_ENDED;
		gone = r.in.hdr.type == MSG_GONE;
	}
	cr_expect_eq(clients, ended);
	rig_left(&r);
}

/* ---- short of descriptors -----------------------------------------------*/

#define RESERVED	4		/* kept for those who are in already */

static void
files(const struct rig *r, rlim_t max)
{
	struct rlimit	 rl;

	cr_assert_eq(prlimit(r->pid, RLIMIT_NOFILE, NULL, &rl), 0);
	rl.rlim_cur = max;
	cr_assert_eq(prlimit(r->pid, RLIMIT_NOFILE, &rl, NULL), 0);
}

/* The last descriptors are not for strangers, but for owners. */
Test(worker, reserve_for_the_owner)
{
	struct msg_limits	 l;
	struct rig		 r;
	uint16_t		 port;
	int			 first, second, leg;

	rig_limits(&l);
	rig_start_files(&r, &l, 1 + RESERVED);
	first = stranger(&r, "127.0.0.2", 1);
	cr_assert_geq(second = rig_connect(r.port, "127.0.0.3"), 0);
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.failed, 1);
	r.skip_refused = 1;	/* the second still waits */
	port = rig_rendezvous(&r, 1);
	cr_assert_geq(leg = rig_connect(port, "127.0.0.1"), 0);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, leg, 0);
	rig_say(first, "in");
	rig_hear(leg, "in");
	rig_say(leg, "out");
	rig_hear(first, "out");
	close(first);
	close(leg);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_client(&r, 2, second);
	close(second);
	rig_stop(&r);
}

/* Control's listeners found no room: that client ends, and no one else. */
Test(worker, rendezvous_lost)
{
	struct rig	 r;
	int		 fd;

	rig_start(&r, NULL);
	fd = stranger(&r, "127.0.0.2", 1);
	files(&r, 3);
	(void)rig_rendezvous(&r, 1);
	rig_ended(&r, 1, CAUSE_ERROR);
	rig_rst(fd);
	files(&r, 64);
	fd = stranger(&r, "127.0.0.2", 2);
	close(fd);
	rig_stop(&r);
}

/* Not even poll(2) works for so few: slower, but all goes on. */
Test(worker, fewer_than_it_has)
{
	struct rig	 r;
	uint16_t	 port;
	int		 fd, leg;
	long		 cpu;

	rig_start(&r, NULL);
	fd = stranger(&r, "127.0.0.2", 1);
	port = rig_rendezvous(&r, 1);
	cr_assert_geq(leg = rig_connect(port, "127.0.0.1"), 0);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, leg, 0);
	files(&r, 0);
	rig_say(fd, "in");
	rig_hear(leg, "in");
	cpu = rig_cpu_ms(&r);
	rig_quiet(&r, 700);
	cr_expect_lt(rig_cpu_ms(&r) - cpu, 100);
	rig_say(leg, "out");
	rig_hear(fd, "out");
	close(fd);
	close(leg);
	rig_ended(&r, 1, CAUSE_EOF);
	files(&r, 64);
	fd = stranger(&r, "127.0.0.2", 2);
	close(fd);
	rig_stop(&r);
}

/* No room for the owner's connection: not tried again and again. */
Test(worker, leg_without_room)
{
	struct rig	 r;
	uint16_t	 port;
	int		 fd, leg;
	long		 cpu;

	rig_start(&r, NULL);
	fd = stranger(&r, "127.0.0.2", 1);
	port = rig_rendezvous(&r, 1);
	rig_quiet(&r, 100);
	files(&r, 3);
	cr_assert_geq(leg = rig_connect(port, "127.0.0.1"), 0);
	cpu = rig_cpu_ms(&r);
	rig_quiet(&r, 700);
	cr_expect_lt(rig_cpu_ms(&r) - cpu, 100);
	files(&r, 64);
	rig_leg(&r, 1, LEG_HELD, leg);
	rig_answer(&r, 1, NULL, NULL);
	rig_paired(&r, 1, leg, 0);
	close(fd);
	close(leg);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_stop(&r);
}

Test(worker, no_descriptors)
{
	struct msg_limits	 l;
	struct rig		 r;
	long			 cpu;
	int			 fds[8], i;

	rig_limits(&l);
	l.pending = 64;
	rig_start_files(&r, &l, 3 + RESERVED);
	for (i = 0; i < 3; i++) {
		char	 from[] = "127.0.0.0";

		from[8] = (char)('2' + i);
		fds[i] = stranger(&r, from, (uint32_t)i + 1);
	}
	cr_assert_geq(fds[3] = rig_connect(r.port, "127.0.0.7"), 0);
	rig_event(&r, MSG_REFUSED);
	cr_expect_eq(r.in.refused.failed, 1);
	/* It does not try again and again. */
	cpu = rig_cpu_ms(&r);
	rig_quiet(&r, 700);
	cr_expect_lt(rig_cpu_ms(&r) - cpu, 100);
	/* Room again: whoever waits is let in. */
	rig_reset(fds[0]);
	rig_ended(&r, 1, CAUSE_PEER_GONE);
	rig_client(&r, 4, fds[3]);
	for (i = 1; i < 4; i++)
		close(fds[i]);
	rig_stop(&r);
}

Test(worker, idle)
{
	struct rig	 r;

	rig_start(&r, NULL);
	rig_quiet(&r, 300);
	cr_expect_lt(rig_cpu_ms(&r), 50);
	rig_stop(&r);
}
