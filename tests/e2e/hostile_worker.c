/* SPDX-License-Identifier: ISC */
/*
 * A passd-worker that somebody has taken, for test_hostile.py: the real one,
 * linked with --wrap, until a registration comes whose limit of pending
 * clients is one of those below.  Its worker, or the spawner itself, then
 * takes orders from whoever connects to the port, and sends what it is told.
 *
 * It installs no filter of system calls, so that it may try everything; only
 * if its name ends in ".caged" it has the one that passd hands over.
 */
#include <sys/types.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msg.h"
#include "sandbox.h"
#include "spawner.h"
#include "worker.h"

#define TAKEN_WORKER	61	/* says READY, then obeys */
#define TAKEN_SILENT	62	/* does not even say READY */
#define TAKEN_SPAWNER	63

#define ORDER_FDS	8
#define ORDER_DATA	65536
#define SEND_WAIT_MS	5000	/* for a full channel */
#define LINGER_S	30

/* What comes from the test, in its byte order; ${len} bytes follow. */
struct order {
	uint8_t		 op;
	uint8_t		 flags;		/* ORDER_* */
	uint8_t		 nfds;
	uint8_t		 pad;
	uint32_t	 count;
	uint32_t	 len;
	uint8_t		 kind[ORDER_FDS];
};
_Static_assert(sizeof(struct order) == 20, "test_hostile.py packs it");

#define ORDER_ID	0x1	/* put our own id into the header */
#define ORDER_SEQ	0x2	/* put the next number into the header */
#define ORDER_WAIT	0x4	/* wait when the channel is full */

/* The answer; ${len} bytes follow. */
struct reply {
	int32_t		 value;
	uint32_t	 len;
};

struct row {			/* of the answer to 'T' */
	uint16_t	 edge;
	uint16_t	 type;
	uint16_t	 len_min;
	uint16_t	 len_max;
};

static int		 channel, listener, boss, lingering = -1;
static uint32_t		 own_id;
static uint64_t		 last_seq;
static unsigned char	 data[ORDER_DATA];

void	__real_worker_main(const struct msg_limits *, size_t)
	    __attribute__((__noreturn__));
void	__wrap_worker_main(const struct msg_limits *, size_t)
	    __attribute__((__noreturn__));
enum msg_result __real_msg_recv(int, enum msg_edge, uint16_t,
	    struct msg_in *);
enum msg_result __wrap_msg_recv(int, enum msg_edge, uint16_t,
	    struct msg_in *);
const char *__real_sandbox_spawner(int);
const char *__wrap_sandbox_spawner(int);

/* ---- the line to the test -----------------------------------------------*/

static int
wait_for(int fd, short events, int ms)
{
	struct pollfd	 pfd = { .fd = fd, .events = events };

	return (poll(&pfd, 1, ms) == 1);
}

static void
get(void *buf, size_t len)
{
	unsigned char	*p = buf;
	ssize_t		 n;

	while (len > 0) {
		n = recv(boss, p, len, 0);
		if (n == -1 && errno == EAGAIN && wait_for(boss, POLLIN, -1))
			continue;
		if (n <= 0)
			_exit(0);	/* the test has seen enough */
		p += n;
		len -= (size_t)n;
	}
}

static void
answer(int value, const void *bytes, size_t len)
{
	struct reply	 r = { value, (uint32_t)len };

	if (send(boss, &r, sizeof(r), MSG_NOSIGNAL) == -1 ||
	    (len > 0 && send(boss, bytes, len, MSG_NOSIGNAL) == -1))
		_exit(0);
}

static int
take_connection(void)
{
	int	 fd = -1;

	if (wait_for(listener, POLLIN, 30000))
		fd = accept4(listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		_exit(0);
	return (fd);
}

/* ---- descriptors of each kind -------------------------------------------*/

static int
first_of(int r, const int pair[2])
{
	if (r == -1)
		return (-1);
	(void)close(pair[1]);
	return (pair[0]);
}

static int
make_fd(uint8_t kind)
{
	int	 pair[2];

	switch (kind) {
	case 0:
		return (first_of(pipe(pair), pair));
	case 1:
		return (first_of(socketpair(AF_UNIX, SOCK_STREAM, 0, pair),
		    pair));
	case 2:
		return (first_of(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair),
		    pair));
	case 3:
		return (first_of(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair),
		    pair));
	case 4:
		return (socket(AF_INET, SOCK_STREAM, 0));
	case 5:
		return (socket(AF_INET, SOCK_DGRAM, 0));
	case 6:
		return (dup(listener));
	case 7:
		return (memfd_create("x", 0));
	case 8:
		return (epoll_create1(0));
	case 9:
		return (eventfd(0, 0));
	case 10:
		return (open("/", O_RDONLY));
	case 11:
		return (dup(channel));
	default:
		return (dup(lingering));
	}
}

/* A connection whose close(2) waits for a peer that reads nothing. */
static void
make_lingering(void)
{
	struct linger	 l = { 1, LINGER_S };

	lingering = take_connection();
	(void)setsockopt(lingering, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	while (send(lingering, data, sizeof(data),
	    MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		continue;
	answer(0, NULL, 0);
}

/* ---- orders -------------------------------------------------------------*/

/* msg_send() would not send more than the table allows. */
static int
send_raw(size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) * ORDER_FDS)];
	} ctl;
	struct iovec	 iov = { data, len };
	struct msghdr	 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*cmsg;

	if (nfds == 0)
		return (send(channel, data, len, MSG_DONTWAIT |
		    MSG_NOSIGNAL) == -1 ? -1 : 0);
	memset(&ctl, 0, sizeof(ctl));
	mh.msg_control = ctl.buf;
	mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	cmsg = CMSG_FIRSTHDR(&mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	return (sendmsg(channel, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ?
	    -1 : 0);
}

static int
send_once(const struct order *o)
{
	struct msg_hdr	 hdr;
	int		 fds[ORDER_FDS];
	size_t		 i, n = 0;
	int		 r;

	memcpy(&hdr, data, sizeof(hdr));
	if (o->flags & ORDER_ID)
		hdr.id = own_id;
	if (o->flags & ORDER_SEQ)
		hdr.seq = last_seq + 1;
	if (o->len >= sizeof(hdr))
		memcpy(data, &hdr, sizeof(hdr));
	while (n < o->nfds && (fds[n] = make_fd(o->kind[n])) != -1)
		n++;
	while ((r = send_raw(o->len, fds, n)) == -1 && errno == EAGAIN &&
	    (o->flags & ORDER_WAIT) &&
	    wait_for(channel, POLLOUT, SEND_WAIT_MS))
		continue;
	for (i = 0; i < n; i++)
		(void)close(fds[i]);
	/* The last copy is the one on its way. */
	if (lingering != -1 && n > 0)
		(void)close(lingering);
	if (r == 0 && (o->flags & ORDER_SEQ))
		last_seq++;
	return (r);
}

static void
send_messages(const struct order *o)
{
	uint32_t	 i;

	for (i = 0; i < o->count && send_once(o) == 0; i++)
		continue;
	answer((int)i, NULL, 0);
}

static void
receive(const struct order *o)
{
	static struct msg_in	 in;

	/* What only an honest worker cares for is not counted. */
	do {
		if (!wait_for(channel, POLLIN, (int)o->count)) {
			answer(-2, NULL, 0);
			return;
		}
		if (__real_msg_recv(channel, EDGE_CONTROL_WORKER, MSG_ST_RUN,
		    &in) != MSG_OK) {
			answer(-1, NULL, 0);
			return;
		}
	} while (in.hdr.type == MSG_ACK || in.hdr.type == MSG_PING);
	answer(in.hdr.type, in.bytes, in.len);
	msg_close_fds(&in);
}

static void
send_table(void)
{
	const struct msg_row	*t;
	struct row		*rows = (struct row *)(void *)data;
	size_t			 i, n;

	t = msg_table(&n);
	for (i = 0; i < n; i++) {
		rows[i].edge = (uint16_t)t[i].edge;
		rows[i].type = t[i].type;
		rows[i].len_min = t[i].len_min;
		rows[i].len_max = t[i].len_max;
	}
	answer(0, rows, n * sizeof(*rows));
}

static void
obey(const struct order *o)
{
	switch (o->op) {
	case 'S':
		send_messages(o);
		break;
	case 'R':
		receive(o);
		break;
	case 'T':
		send_table();
		break;
	case 'L':
		make_lingering();
		break;
	case 'C':
		(void)close(channel);
		answer(0, NULL, 0);
		break;
	case 'P':
		channel = MSG_CHANNEL_FD;	/* spawner's, to the parent */
		answer(0, NULL, 0);
		break;
	case 'E':
		_exit((int)o->count);
	case 'K':
		(void)signal((int)o->count, SIG_DFL);
		(void)raise((int)o->count);
		break;
	default:
		answer(-1, NULL, 0);
		break;
	}
}

static void
puppet(void)
{
	struct order	 o;

	boss = take_connection();
	for (;;) {
		get(&o, sizeof(o));
		if (o.len > sizeof(data) || o.nfds > ORDER_FDS)
			_exit(2);
		get(data, o.len);
		obey(&o);
	}
}

/* ---- in the place of the real ones --------------------------------------*/

void
__wrap_worker_main(const struct msg_limits *limits, size_t nlisteners)
{
	struct msg_hdr	 m;

	if (limits->pending != TAKEN_WORKER &&
	    limits->pending != TAKEN_SILENT)
		__real_worker_main(limits, nlisteners);
	setproctitle("worker %u", (unsigned int)limits->port);
	channel = WORKER_CHANNEL;
	listener = WORKER_LISTEN;
	own_id = limits->hdr.id;
	if (limits->pending == TAKEN_WORKER) {
		msg_init(&m, sizeof(m), MSG_READY, own_id);
		m.seq = ++last_seq;
		(void)msg_send(channel, &m, sizeof(m), NULL, 0);
	}
	puppet();
	_exit(0);
}

enum msg_result
__wrap_msg_recv(int fd, enum msg_edge edge, uint16_t states,
    struct msg_in *in)
{
	enum msg_result	 r = __real_msg_recv(fd, edge, states, in);

	if (r == MSG_OK && edge == EDGE_CONTROL_SPAWNER &&
	    in->hdr.type == MSG_SPAWN && in->limits.pending == TAKEN_SPAWNER) {
		channel = fd;
		listener = in->fds[1];
		own_id = in->hdr.id;
		puppet();
	}
	return (r);
}

const char *
__wrap_sandbox_spawner(int filter)
{
	const char	*name = (const char *)getauxval(AT_EXECFN);
	size_t		 len = name == NULL ? 0 : strlen(name);

	if (len > 6 && strcmp(name + len - 6, ".caged") == 0)
		return (__real_sandbox_spawner(filter));
	return (NULL);
}

int
main(int argc, char **argv, char **envp)
{
	setprogname("passd");
	setproctitle_init(argc, argv, envp);
	setproctitle("spawner");
	spawner_main();
}
