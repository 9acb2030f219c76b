/* SPDX-License-Identifier: ISC */
/*
 * The message table, walked: every type on every edge with every length
 * that could matter, each number of descriptors and each state.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msg.h"

TestSuite(msg, .timeout = 60);

#define EDGES	(EDGE_WORKER_CONTROL + 1)
#define TYPES	(MSG_SUMMARY + 8)	/* some beyond the last one, too */
#define FDS	9		/* 0 to 8 in one message */

/* One descriptor of each kind that there is. */
enum kind {
	FILE_FD, STREAM_FD, LISTENER_FD, CHANNEL_FD, PIPE_FD, NULL_FD, DIR_FD,
	UDP_FD, LOCAL_FD, FRESH_FD, KINDS
};

static int	 kinds[KINDS];
static int	 chan[2];		/* [0] sends, [1] receives */

static int
open_fds(void)
{
	DIR	*dir;
	int	 n = 0;

	cr_assert((dir = opendir("/proc/self/fd")) != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

/* The number that the next descriptor would get: cheaper than counting. */
static int
next_fd(void)
{
	int	 fd;

	cr_assert_geq(fd = dup(chan[0]), 0);
	close(fd);
	return (fd);
}

static int
tcp_listener(void)
{
	struct sockaddr_in	 sin;
	int			 fd;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(fd = socket(AF_INET, SOCK_STREAM, 0), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return (fd);
}

static int
keep_first(int fds[2])
{
	close(fds[1]);
	return (fds[0]);
}

static void
setup(void)
{
	struct sockaddr	 sa = { .sa_family = AF_UNIX };
	FILE		*f;
	int		 fds[2];

	cr_assert_eq(msg_pair(chan), 0);
	cr_assert_not_null(f = tmpfile());
	kinds[FILE_FD] = dup(fileno(f));
	fclose(f);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	kinds[STREAM_FD] = keep_first(fds);
	kinds[LISTENER_FD] = tcp_listener();
	cr_assert_eq(msg_pair(fds), 0);
	kinds[CHANNEL_FD] = keep_first(fds);
	cr_assert_eq(pipe(fds), 0);
	kinds[PIPE_FD] = keep_first(fds);
	kinds[NULL_FD] = open("/dev/null", O_RDWR);
	kinds[DIR_FD] = open("/", O_RDONLY | O_DIRECTORY);
	kinds[UDP_FD] = socket(AF_INET, SOCK_DGRAM, 0);
	/* Autobind: an abstract name, which leaves nothing behind. */
	cr_assert_geq(kinds[LOCAL_FD] = socket(AF_UNIX, SOCK_STREAM, 0), 0);
	cr_assert_eq(bind(kinds[LOCAL_FD], &sa, sizeof(sa_family_t)), 0);
	cr_assert_eq(listen(kinds[LOCAL_FD], 1), 0);
	kinds[FRESH_FD] = socket(AF_INET, SOCK_STREAM, 0);
}

static void
teardown(void)
{
	int	 i;

	for (i = 0; i < KINDS; i++) {
		cr_expect_geq(kinds[i], 0);
		close(kinds[i]);
	}
	close(chan[0]);
	close(chan[1]);
}

/* A descriptor of the kind that the table asks for. */
static int
wanted(enum msg_fd kind)
{
	switch (kind) {
	case MSG_FD_FILE:
		return (kinds[FILE_FD]);
	case MSG_FD_STREAM:
		return (kinds[STREAM_FD]);
	case MSG_FD_LISTENER:
		return (kinds[LISTENER_FD]);
	case MSG_FD_CHANNEL:
		return (kinds[CHANNEL_FD]);
	case MSG_FD_NONE:
		break;
	}
	return (kinds[NULL_FD]);
}

/* sendmsg(2) with any number of descriptors: msg_send() takes three. */
static void
send_any(const void *buf, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) * FDS)];
	} ctl;
	struct cmsghdr	*cmsg;
	struct msghdr	 mh;
	struct iovec	 iov;

	memset(&mh, 0, sizeof(mh));
	memset(&ctl, 0, sizeof(ctl));
	memcpy(&iov.iov_base, &buf, sizeof(buf));
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (nfds > 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	cr_assert_eq(sendmsg(chan[0], &mh, 0), (ssize_t)len, "%s",
	    strerror(errno));
}

/* What is tried: one packet, and the receiver's state. */
struct try {
	enum msg_edge	 edge;
	uint16_t	 type;
	uint16_t	 version;
	uint16_t	 states;
	size_t		 len;
	size_t		 nfds;
	int		 fds[FDS];
};

static enum msg_result
attempt(const struct try *t, struct msg_in *in)
{
	static unsigned char	 packet[sizeof(in->bytes) + 64];
	struct msg_hdr		 hdr;

	msg_init(&hdr, sizeof(hdr), (enum msg_type)t->type, 7);
	hdr.version = t->version;
	memcpy(packet, &hdr, sizeof(hdr));
	send_any(packet, t->len, t->fds, t->nfds);
	return (msg_recv(chan[1], t->edge, t->states, in));
}

/* The reading of the table that the test has. */
static enum msg_result
expected(const struct try *t, const struct msg_row *r)
{
	if (t->len == 0 && t->nfds == 0)
		return (MSG_EOF);
	if (r == NULL || t->len < r->len_min || t->len > r->len_max ||
	    t->nfds < r->fds_min || t->nfds > r->fds_max ||
	    (r->states & t->states) == 0)
		return (MSG_BAD);
	return (MSG_OK);
}

static void
check(const struct try *t, const struct msg_row *r, int next)
{
	static struct msg_in	 in;
	enum msg_result		 got = attempt(t, &in), want;
	size_t			 i;

	want = expected(t, r);
	cr_assert_eq(got, want, "edge %d type %u length %zu fds %zu "
	    "states %x: %d, not %d (%s)", (int)t->edge, t->type, t->len,
	    t->nfds, t->states, (int)got, (int)want,
	    in.why == NULL ? "-" : in.why);
	cr_assert_eq(in.why != NULL, want == MSG_BAD);
	cr_assert_eq(in.nfds, want == MSG_OK ? t->nfds : 0);
	for (i = 0; i < in.nfds; i++)
		cr_assert_eq(fcntl(in.fds[i], F_GETFD), FD_CLOEXEC);
	if (want == MSG_OK) {
		cr_assert_eq(in.len, t->len);
		cr_assert_eq(in.hdr.type, t->type);
		cr_assert_eq(in.hdr.id, 7);
		msg_close_fds(&in);
	}
	cr_assert_eq(in.nfds, 0);
	cr_assert_eq(next_fd(), next, "a descriptor was left open");
}

/* The next length worth trying: all around the bounds, steps between. */
static size_t
next_len(size_t len, size_t lo, size_t hi)
{
	static const size_t	 near = 9;

	if (len + near >= lo && len < lo + near)
		return (len + 1);
	if (len + near >= hi && len < hi + near)
		return (len + 1);
	if (len < 3)
		return (len + 1);
	if (len < lo)
		return (len + 31 < lo - near ? len + 31 : lo - near);
	if (len < hi)
		return (len + 509 < hi - near ? len + 509 : hi - near);
	return (len + 997);
}

static void
walk_states(struct try *t, const struct msg_row *r, int next)
{
	unsigned int	 bit;

	for (bit = 0; bit < 16; bit++) {
		t->states = (uint16_t)(1u << bit);
		check(t, r, next);
	}
	t->states = 0;
	check(t, r, next);
	t->states = MSG_ST_ANY;
	check(t, r, next);
}

static void
walk_row(const struct msg_row *r, int next)
{
	struct try	 t = { r->edge, r->type, MSG_VERSION, 0, 0, 0, { 0 } };
	size_t		 i;

	for (t.len = 0; t.len <= sizeof(((struct msg_in *)0)->bytes) + 1;
	    t.len = next_len(t.len, r->len_min, r->len_max)) {
		for (t.nfds = 0; t.nfds < FDS; t.nfds++) {
			for (i = 0; i < t.nfds; i++)
				t.fds[i] = wanted(i < MSG_FDS_MAX ? r->fd[i] :
				    MSG_FD_NONE);
			if (t.len + 1 >= r->len_min &&
			    t.len <= (size_t)r->len_max + 1)
				walk_states(&t, r, next);
			else {
				t.states = MSG_ST_ANY;
				check(&t, r, next);
			}
		}
	}
}

/* A type on an edge where it has no business. */
static void
walk_stranger(enum msg_edge edge, uint16_t type, int next)
{
	static const size_t	 lens[] = { 0, 1, 15, 16, 24, 40, 48, 64,
		    288, 1408, 2072, 4016, 4096 };
	struct try		 t = { edge, type, MSG_VERSION, MSG_ST_ANY, 0,
		    0, { 0 } };
	size_t			 i, j;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		t.len = lens[i];
		for (t.nfds = 0; t.nfds < FDS; t.nfds++) {
			for (j = 0; j < t.nfds; j++)
				t.fds[j] = kinds[j % CHANNEL_FD];
			check(&t, NULL, next);
		}
	}
}

Test(msg, the_table_and_nothing_else, .init = setup, .fini = teardown)
{
	const struct msg_row	*r;
	int			 before = open_fds(), next = next_fd();
	int			 edge;
	uint16_t		 type;

	for (edge = 0; edge < EDGES; edge++) {
		for (type = 0; type < TYPES; type++) {
			r = msg_row((enum msg_edge)edge, type);
			if (r != NULL)
				walk_row(r, next);
			else
				walk_stranger((enum msg_edge)edge, type, next);
		}
		walk_stranger((enum msg_edge)edge, UINT16_MAX, next);
	}
	cr_expect_eq(open_fds(), before);
}

/*
 * The table itself, as it is meant to be: a change of the format or of who
 * may say what has to be made here, too.  Edge, type, lengths, descriptors,
 * states, kinds.
 */
static const char *const	 golden[] = {
	"0 1 BOOT 288-288 0-0 1 -", "0 4 CONFIG 1040-1040 1-1 a F",
	"0 6 SECRET 24-24 0-1 c F", "0 8 RESOLVED 184-184 0-0 4 -",
	"0 9 SPAWNER 16-16 1-1 ffff C", "0 11 XMPP 24-24 0-1 18 S",
	"0 3 STOP 16-16 0-0 ffff -", "0 52 HANDOVER 16-16 0-0 ffff -",
	"0 42 EPOCH 56-56 0-0 8 -", "0 43 ADOPT 17-4016 0-1 8 C",
	"0 44 ADOPTED 16-16 0-0 8 -", "0 49 PING 16-16 0-0 ffff -",
	"0 30 ORPHAN 24-24 0-0 ffff -", "1 5 NEEDS 1408-1408 0-0 4 -",
	"1 12 READY 32-32 0-0 4 -", "1 10 CONNECT 16-16 0-0 18 -",
	"1 40 ESCROW 17-4016 0-1 8 C", "1 41 RELEASE 16-16 0-0 8 -",
	"1 51 RELOADED 24-24 0-0 8 -", "1 50 PONG 16-16 0-0 ffff -",
	"1 60 SUMMARY 32-32 0-0 18 -", "1 28 RESPAWN 16-16 0-0 18 -",
	"1 53 REAP 24-24 0-0 18 -", "1 2 LOG 25-2072 0-0 ffff -",
	"2 1 BOOT 288-288 0-1 1 F", "2 9 SPAWNER 16-16 1-1 8 C",
	"2 3 STOP 16-16 0-0 ffff -", "2 49 PING 16-16 0-0 ffff -",
	"2 29 RETIRE 16-16 0-0 8 -", "3 50 PONG 16-16 0-0 ffff -",
	"3 12 READY 32-32 0-0 4 -", "3 2 LOG 25-2072 0-0 ffff -",
	"4 1 BOOT 288-288 0-0 1 -", "4 7 RESOLVE 272-272 0-0 4 -",
	"5 12 READY 32-32 0-0 4 -", "5 8 RESOLVED 184-184 0-0 8 -",
	"5 2 LOG 25-2072 0-0 ffff -", "6 13 SPAWN 40-40 2-3 8 CLL",
	"6 14 KILL 16-16 0-0 8 -", "7 15 SPAWNED 24-24 0-0 ffff -",
	"7 16 EXITED 24-24 0-0 ffff -", "8 17 ANSWER 64-64 0-0 ffff -",
	"8 18 RENDEZVOUS 24-24 1-2 ffff LL", "8 19 LIMITS 40-40 0-0 ffff -",
	"8 20 CLOSE 32-32 0-0 ffff -", "8 21 DROP 24-24 0-0 ffff -",
	"8 45 SYNC 24-24 0-0 ffff -", "8 48 ACK 24-24 0-0 ffff -",
	"8 49 PING 16-16 0-0 ffff -", "9 12 READY 16-16 0-0 24 -",
	"9 22 CLIENT 48-48 0-0 38 -", "9 23 LEG 48-48 0-0 38 -",
	"9 24 PAIRED 48-48 0-0 38 -", "9 25 ENDED 72-72 0-0 38 -",
	"9 26 REFUSED 48-48 0-0 38 -", "9 27 GONE 16-16 0-0 38 -",
	"9 46 STATE 40-40 0-0 20 -", "9 47 SESSION 88-88 0-0 60 -",
	"9 50 PONG 16-16 0-0 ffff -",
};

Test(msg, the_table_is_as_agreed)
{
	static const char	 letters[] = { '-', 'F', 'S', 'L', 'C' };
	const struct msg_row	*table;
	char			 line[128], k[MSG_FDS_MAX + 1];
	size_t			 i, j, n;

	table = msg_table(&n);
	cr_assert_eq(n, sizeof(golden) / sizeof(golden[0]));
	for (i = 0; i < n; i++) {
		memset(k, 0, sizeof(k));
		for (j = 0; j < table[i].fds_max; j++)
			k[j] = letters[table[i].fd[j]];
		(void)snprintf(line, sizeof(line), "%d %u %s %u-%u %u-%u %x %s",
		    (int)table[i].edge, table[i].type, table[i].name,
		    table[i].len_min, table[i].len_max, table[i].fds_min,
		    table[i].fds_max, table[i].states, k[0] ? k : "-");
		cr_expect_str_eq(line, golden[i]);
		cr_expect_eq(msg_row(table[i].edge, table[i].type), &table[i]);
		cr_expect_leq(table[i].len_max,
		    sizeof(((struct msg_in *)0)->bytes));
		cr_expect_leq(table[i].fds_max, MSG_FDS_MAX);
	}
}

Test(msg, version, .init = setup, .fini = teardown)
{
	struct msg_in	 in;
	struct try	 t = { EDGE_WORKER_CONTROL, MSG_READY, 0, MSG_ST_ANY,
		    sizeof(struct msg_hdr), 0, { 0 } };
	unsigned int	 v;

	for (v = 0; v <= UINT16_MAX; v += v < 300 ? 1 : 997) {
		t.version = (uint16_t)v;
		cr_assert_eq(attempt(&t, &in), v == MSG_VERSION ? MSG_OK :
		    MSG_BAD);
		if (v != MSG_VERSION)
			cr_assert_str_eq(in.why, "wrong version");
	}
}

/* Which kinds fit where; the rest is refused and closed. */
static int
fits(enum msg_fd kind, int k)
{
	/* Who sends a file has looked at it; here it only has to seek. */
	return ((kind == MSG_FD_FILE &&
	    (k == FILE_FD || k == NULL_FD || k == DIR_FD)) ||
	    (kind == MSG_FD_STREAM && (k == STREAM_FD || k == FRESH_FD)) ||
	    (kind == MSG_FD_LISTENER && k == LISTENER_FD) ||
	    (kind == MSG_FD_CHANNEL && k == CHANNEL_FD));
}

static void
wrong_kinds(const struct msg_row *r, size_t pos, int next)
{
	struct try	 t = { r->edge, r->type, MSG_VERSION, r->states,
		    r->len_min, r->fds_max, { 0 } };
	struct msg_in	 in;
	size_t		 i;
	int		 k;

	for (k = 0; k < KINDS; k++) {
		for (i = 0; i < r->fds_max; i++)
			t.fds[i] = wanted(r->fd[i]);
		t.fds[pos] = kinds[k];
		cr_expect_eq(attempt(&t, &in), fits(r->fd[pos], k) ? MSG_OK :
		    MSG_BAD, "%s descriptor %zu kind %d", r->name, pos, k);
		if (!fits(r->fd[pos], k))
			cr_expect_str_eq(in.why, "wrong kind of descriptor");
		msg_close_fds(&in);
		cr_expect_eq(next_fd(), next);
	}
}

Test(msg, descriptors_of_the_wrong_kind, .init = setup, .fini = teardown)
{
	const struct msg_row	*table;
	size_t			 i, pos, n;
	int			 next = next_fd();

	table = msg_table(&n);
	for (i = 0; i < n; i++) {
		for (pos = 0; pos < table[i].fds_max; pos++)
			wrong_kinds(&table[i], pos, next);
	}
}

/* Even when the receiver has no room for descriptors none is lost sight of. */
Test(msg, surplus_descriptors_are_closed, .init = setup, .fini = teardown)
{
	struct try	 t = { EDGE_PARENT_CONTROL, MSG_SPAWNER, MSG_VERSION,
		    MSG_ST_ANY, sizeof(struct msg_hdr), FDS, { 0 } };
	struct msg_in	 in;
	int		 before = open_fds();
	size_t		 i;

	for (i = 0; i < FDS; i++)
		t.fds[i] = kinds[CHANNEL_FD];
	for (t.nfds = 2; t.nfds <= FDS; t.nfds++) {
		cr_expect_eq(attempt(&t, &in), MSG_BAD);
		cr_expect_str_eq(in.why, t.nfds == FDS ? "descriptors lost" :
		    "wrong number of descriptors");
		cr_expect_eq(in.nfds, 0);
		cr_expect_eq(open_fds(), before);
	}
	/* The channel as such goes on. */
	t.nfds = 1;
	cr_expect_eq(attempt(&t, &in), MSG_OK);
	/* What was taken is not closed. */
	close(in.fds[0]);
	in.fds[0] = -1;
	msg_close_fds(&in);
	cr_expect_eq(open_fds(), before);
}

Test(msg, too_long_or_without_header, .init = setup, .fini = teardown)
{
	unsigned char	 big[sizeof(((struct msg_in *)0)->bytes) + 1];
	struct msg_in	 in;

	msg_init(big, sizeof(big), MSG_LOG, 0);
	send_any(big, sizeof(big), NULL, 0);
	cr_expect_eq(msg_recv(chan[1], EDGE_CONTROL_PARENT, MSG_ST_ANY, &in),
	    MSG_BAD);
	cr_expect_str_eq(in.why, "too long");
	send_any(big, sizeof(struct msg_hdr) - 1, NULL, 0);
	cr_expect_eq(msg_recv(chan[1], EDGE_CONTROL_PARENT, MSG_ST_ANY, &in),
	    MSG_BAD);
	cr_expect_str_eq(in.why, "no header");
	/* Nothing of the one before is left to be taken for a header. */
	send_any(big, 1, &kinds[FILE_FD], 1);
	cr_expect_eq(msg_recv(chan[1], EDGE_CONTROL_PARENT, MSG_ST_ANY, &in),
	    MSG_BAD);
	send_any("", 0, &kinds[FILE_FD], 1);
	cr_expect_eq(msg_recv(chan[1], EDGE_CONTROL_PARENT, MSG_ST_ANY, &in),
	    MSG_BAD);
	cr_expect_str_eq(in.why, "no header");
}

Test(msg, nothing_and_end, .init = setup, .fini = teardown)
{
	struct msg_hdr	 m;
	struct msg_in	 in;

	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_ANY, &in),
	    MSG_NOTHING);
	msg_init(&m, sizeof(m), MSG_READY, 1);
	cr_assert_eq(msg_send(chan[0], &m, sizeof(m), NULL, 0), 0);
	/* An empty packet cannot be told from the end, so it is one. */
	send_any("", 0, NULL, 0);
	shutdown(chan[0], SHUT_WR);
	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_ANY, &in),
	    MSG_OK);
	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_ANY, &in),
	    MSG_EOF);
	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_ANY, &in),
	    MSG_EOF);
	shutdown(chan[1], SHUT_RDWR);
	cr_expect_eq(msg_send(chan[1], &m, sizeof(m), NULL, 0), -1);
	cr_expect_eq(errno, EPIPE);
}

/* The sender has gone and its last messages have not: they come first. */
Test(msg, what_was_sent_comes_before_the_end)
{
	struct msg_hdr	 m;
	struct msg_in	 in;
	int		 i;

	cr_assert_eq(msg_pair(chan), 0);
	for (i = 0; i < 3; i++) {
		msg_init(&m, sizeof(m), MSG_GONE, (uint32_t)i);
		cr_assert_eq(msg_send(chan[0], &m, sizeof(m), NULL, 0), 0);
	}
	close(chan[0]);
	for (i = 0; i < 3; i++) {
		cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL,
		    MSG_ST_RUN, &in), MSG_OK);
		cr_expect_eq(in.hdr.id, (uint32_t)i);
	}
	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_RUN, &in),
	    MSG_EOF);
	cr_expect_eq(msg_send(chan[1], &m, sizeof(m), NULL, 0), -1);
	cr_expect_eq(errno, EPIPE);
	close(chan[1]);
}

Test(msg, nobody_blocks)
{
	struct msg_hdr	 m;
	struct msg_in	 in;
	int		 n;

	cr_assert_eq(msg_pair(chan), 0);
	msg_init(&m, sizeof(m), MSG_READY, 1);
	for (n = 0; n < 100000; n++) {
		if (msg_send(chan[0], &m, sizeof(m), NULL, 0) == -1)
			break;
	}
	cr_expect_eq(errno, EAGAIN);
	cr_expect_gt(n, 50);
	cr_expect_lt(n, 100000);
	for (; n > 0; n--)
		cr_assert_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL,
		    MSG_ST_START, &in), MSG_OK);
	cr_expect_eq(msg_recv(chan[1], EDGE_WORKER_CONTROL, MSG_ST_START,
	    &in), MSG_NOTHING);
	cr_expect_eq(msg_send(chan[0], &m, sizeof(m), NULL, 0), 0);
	close(chan[0]);
	close(chan[1]);
}

Test(msg, more_descriptors_than_a_message_may_have)
{
	struct msg_hdr	 m;
	int		 fds[MSG_FDS_MAX + 1] = { 0, 0, 0, 0 };

	cr_assert_eq(msg_pair(chan), 0);
	msg_init(&m, sizeof(m), MSG_READY, 1);
	cr_expect_eq(msg_send(chan[0], &m, sizeof(m), fds, MSG_FDS_MAX + 1),
	    -1);
	cr_expect_eq(errno, EINVAL);
	close(chan[0]);
	close(chan[1]);
}

Test(msg, init_leaves_nothing_of_the_stack)
{
	struct msg_limits	 m;
	const unsigned char	*p = (const unsigned char *)&m;
	size_t			 i;

	memset(&m, 0xa5, sizeof(m));
	msg_init(&m, sizeof(m), MSG_SPAWN, 0x01020304);
	cr_expect_eq(m.hdr.type, MSG_SPAWN);
	cr_expect_eq(m.hdr.version, MSG_VERSION);
	cr_expect_eq(m.hdr.id, 0x01020304u);
	cr_expect_eq(m.hdr.seq, 0u);
	for (i = sizeof(m.hdr); i < sizeof(m); i++)
		cr_expect_eq(p[i], 0);
}

Test(msg, text)
{
	char	 s[4] = { 'a', 'b', 'c', 'd' };

	cr_expect_not(msg_text_ok(s, sizeof(s)));
	cr_expect_not(msg_text_ok(s, 0));
	s[3] = '\0';
	cr_expect(msg_text_ok(s, sizeof(s)));
	cr_expect_not(msg_text_ok(s, 3));
	s[0] = '\0';
	cr_expect(msg_text_ok(s, 1));
}

Test(msg, pair)
{
	int	 i, fds[2], type;
	socklen_t len = sizeof(type);

	cr_assert_eq(msg_pair(fds), 0);
	for (i = 0; i < 2; i++) {
		cr_expect_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		cr_expect(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
		cr_assert_eq(getsockopt(fds[i], SOL_SOCKET, SO_TYPE, &type,
		    &len), 0);
		cr_expect_eq(type, SOCK_SEQPACKET);
		close(fds[i]);
	}
}
