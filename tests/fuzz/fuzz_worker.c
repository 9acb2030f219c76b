/* SPDX-License-Identifier: ISC */
/*
 * Messages from a worker that was taken over: any bytes, any length, any
 * number and kind of descriptors, in any state of the port.  It costs that
 * worker its life and its port, and its neighbour nothing; world.c keeps
 * the books.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "iq.h"
#include "port.h"
#include "registry.h"
#include "world.h"

#define STEPS_MAX	200
#define FDS_MAX		8	/* in one message */
#define LEN_MAX		2400	/* of one: more than the longest */
#define TAKEN		0	/* alice: her worker is the taken one */
#define NEIGHBOUR	2	/* bob */
#define NEIGHBOUR_PEER	7777

static struct world_worker	*taken, *neighbour;
static int			 neighbour_answered;

/* ---- descriptors of each kind -------------------------------------------*/

static int
bound_socket(int listens)
{
	struct sockaddr_storage	 ss;
	struct addr		 a = ctl.conf->listen4.bind;
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	if (listens && (bind(fd, (struct sockaddr *)&ss, addr_to_sa(&a, &ss))
	    == -1 || listen(fd, 1) == -1)) {
		close(fd);
		return (-1);
	}
	return (fd);
}

static int
make_fd(uint8_t kind)
{
	int	 pair[2];

	switch (kind % 6) {
	case 0:
		return (open("/dev/null", O_RDWR));
	case 1:
		return (bound_socket(0));
	case 2:
		return (bound_socket(1));
	case 3:
		if (msg_pair(pair) == -1)
			return (-1);
		break;
	case 4:
		if (pipe(pair) == -1)
			return (-1);
		break;
	default:
		return (open("/proc/self/exe", O_RDONLY));
	}
	close(pair[1]);
	return (pair[0]);
}

/* msg_send() would not send more than the table allows. */
static int
send_raw(int chan, const void *bytes, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} cmsgs;
	struct cmsghdr	*cmsg;
	struct msghdr	 mh;
	struct iovec	 iov;

	memset(&mh, 0, sizeof(mh));
	memset(&cmsgs, 0, sizeof(cmsgs));
	iov.iov_base = (void *)(uintptr_t)bytes;
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (nfds > 0) {
		mh.msg_control = cmsgs.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	return (sendmsg(chan, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 :
	    0);
}

/* ---- messages -----------------------------------------------------------*/

static const struct {
	uint16_t	 type;
	size_t		 len;
} shapes[] = {
	{ MSG_READY, sizeof(struct msg_hdr) },
	{ MSG_CLIENT, sizeof(struct msg_client) },
	{ MSG_LEG, sizeof(struct msg_client) },
	{ MSG_PAIRED, sizeof(struct msg_client) },
	{ MSG_ENDED, sizeof(struct msg_ended) },
	{ MSG_REFUSED, sizeof(struct msg_refused) },
	{ MSG_GONE, sizeof(struct msg_hdr) },
	{ MSG_ANSWER, sizeof(struct msg_answer) },
};

/* Bits of the byte that says how a message is made. */
#define RAW_HEADER	0x08	/* the header is from the input */
#define RAW_LENGTH	0x10	/* so is the length */
#define WITH_FDS	0x20	/* and there are descriptors */

/* A session and an address as they should be, so that more is reached. */
static void
make_plausible(unsigned char *bytes, struct fuzz_in *in)
{
	struct msg_client	 m;
	uint8_t			 b = fuzz_u8(in);

	memcpy(&m, bytes, sizeof(m));
	if (b & 1)
		m.session = b >> 4;
	if (b & 2)
		m.what = b >> 5;
	if (b & 4) {
		m.addr.family = b & 8 ? ADDR_V4 : ADDR_V6;
		m.addr.port = fuzz_u16(in);
	}
	memcpy(bytes, &m, sizeof(m));
}

static void
send_message(struct fuzz_in *in)
{
	static unsigned char	 bytes[LEN_MAX];
	struct msg_hdr		 hdr;
	int			 fds[FDS_MAX];
	size_t			 i, len, n, nfds = 0;
	uint8_t			 how = fuzz_u8(in);

	memset(bytes, 0, sizeof(bytes));
	len = shapes[how & 7].len;
	if (how & RAW_LENGTH)
		len = fuzz_u16(in) % (LEN_MAX + 1);
	msg_init(&hdr, sizeof(hdr), shapes[how & 7].type, taken->w.id);
	hdr.seq = taken->w.seq + 1;
	n = how & RAW_HEADER ? 0 : sizeof(hdr);
	memcpy(bytes, &hdr, n);
	/* Zeros behind what the input has. */
	for (i = n; i < len && i < n + 48; i++)
		bytes[i] = fuzz_u8(in);
	if (!(how & RAW_HEADER) && len == sizeof(struct msg_client))
		make_plausible(bytes, in);
	if (how & WITH_FDS) {
		for (n = fuzz_u8(in) % (FDS_MAX + 1); nfds < n; nfds++) {
			if ((fds[nfds] = make_fd(fuzz_u8(in))) == -1)
				break;
		}
	}
	if (send_raw(taken->w.chan, bytes, len, fds, nfds) == 0)
		taken->w.seq++;
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

/* ---- the rest -----------------------------------------------------------*/

/* ${user} registers, his worker is there. */
static struct world_worker *
start_worker(int user)
{
	struct world_worker	*k;
	struct msg_hdr		 m;
	size_t			 n = world_nworkers;

	if (world_nworkers >= WORLD_WORKERS - 1 ||
	    world_iq(user, "set", -1, "<query xmlns='" NS_PASS "'/>") == -1)
		return (NULL);
	world_spawner_read();
	if (world_nworkers == n)
		return (NULL);		/* no more ports */
	k = &world_workers[n];
	world_spawner_says(MSG_SPAWNED, k->w.id, 4711);
	if (user == NEIGHBOUR) {
		msg_init(&m, sizeof(m), MSG_READY, k->w.id);
		(void)world_event(k, &m, sizeof(m));
	}
	return (k);
}

/* Which of his questions was still open is the worker's doing. */
static void
on_log(const char *line)
{
	if (strncmp(line, "owner missing ", 14) == 0)
		world_missing(TAKEN);
}

static void
owner_answers(struct fuzz_in *in)
{
	static const char *const	 errors[] = {
		"<error type='cancel'><gone xmlns='" NS_STANZAS "'/></error>",
		"<error type='auth'/>", ""
	};
	struct world_question		*q;
	uint8_t				 b = fuzz_u8(in);

	if (world_nquestions == 0)
		return;
	q = &world_questions[world_nquestions - 1 - b % 4 %
	    world_nquestions];
	if (q->user == NEIGHBOUR)
		return;
	if (b & 0x40)
		world_answer(q, q->user, "error", errors[(b >> 4) % 3]);
	else
		world_answer(q, q->user, "result", "");
}

static void
read_commands(struct world_worker *k)
{
	struct msg_in	*in = malloc(sizeof(*in));
	enum msg_result	 r;

	FUZZ_CHECK(in != NULL, "memory");
	while ((r = msg_recv(k->w.chan, EDGE_CONTROL_WORKER, MSG_ST_RUN, in))
	    == MSG_OK) {
		if (k == neighbour) {
			FUZZ_CHECK(in->hdr.type == MSG_ACK ||
			    in->hdr.type == MSG_RENDEZVOUS ||
			    in->hdr.type == MSG_LIMITS ||
			    in->hdr.type == MSG_ANSWER, "the neighbour got "
			    "%u", in->hdr.type);
			neighbour_answered |= in->hdr.type == MSG_ANSWER;
		}
		msg_close_fds(in);
	}
	FUZZ_CHECK(r != MSG_BAD, "control sent %s", in->why);
	FUZZ_CHECK(k != neighbour || r == MSG_NOTHING, "the neighbour is cut "
	    "off");
	free(in);
}

/* Many events at once, and maybe a bad one behind them. */
static void
flood(void)
{
	struct msg_refused	 m;
	int			 i;

	for (i = 0; i < 70; i++) {
		msg_init(&m, sizeof(m), MSG_REFUSED, taken->w.id);
		m.hdr.seq = taken->w.seq + 1;
		if (msg_send(taken->w.chan, &m, sizeof(m), NULL, 0) == 0)
			taken->w.seq++;
	}
}

/* More commands than a socket holds, and than control keeps. */
static void
command_all(void)
{
	int	 i;

	for (i = 0; i < 100; i++)
		port_limits_all();
	world_turn();
	read_commands(neighbour);
}

/* The next one, once control has done with the last. */
static void
renew(void)
{
	struct port	*p = registry_by_id(taken->w.id);

	if (p != NULL && p->chan != NULL)
		return;
	world_spawner_read();
	world_die(taken, SIGKILL, taken->w.id & 1);
	world_sleep(2600);
	taken = start_worker(TAKEN);
}

static void
step(struct fuzz_in *in)
{
	uint8_t	 op = fuzz_u8(in);

	switch (op % 8) {
	default:
		send_message(in);
		if (op < 224)		/* else several at once */
			world_turn();
		break;
	case 4:
		owner_answers(in);
		break;
	case 5:
		if (op < 128)
			read_commands(taken);
		else if (op < 192)
			command_all();
		else
			flood();
		break;
	case 6:
		world_sleep((op >> 3) * 400);
		break;
	case 7:
		/* The owner closes it, or wants it once only. */
		(void)world_iq(TAKEN, "set", -1, "<query xmlns='" NS_PASS
		    "'>%s<proxy port='%u'>" WORLD_US "</proxy></query>",
		    op & 8 ? "<close/>" : "<oneshot/>", taken->w.port);
		break;
	}
}

/* The neighbour's client is still there, and is joined as if nothing were. */
static void
check_neighbour(void)
{
	struct msg_client	 m;
	struct msg_ended	 e;
	size_t			 i;

	for (i = 0; i < world_nquestions; i++) {
		if (world_questions[i].user == NEIGHBOUR)
			world_answer(&world_questions[i], NEIGHBOUR, "result",
			    "");
	}
	read_commands(neighbour);
	FUZZ_CHECK(neighbour_answered, "the neighbour has no ANSWER");
	msg_init(&m, sizeof(m), MSG_PAIRED, neighbour->w.id);
	m.session = 1;
	FUZZ_CHECK(world_event(neighbour, &m, sizeof(m)) == 0, "PAIRED");
	msg_init(&e, sizeof(e), MSG_ENDED, neighbour->w.id);
	e.session = 1;
	e.bytes_in = e.bytes_out = e.ms = 1;
	FUZZ_CHECK(world_event(neighbour, &e, sizeof(e)) == 0, "ENDED");
	FUZZ_CHECK(neighbour->kills == 0 && world_port(neighbour->w.port) !=
	    NULL, "the neighbour was killed");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in		 in = { bytes, len };
	struct msg_client	 m;
	unsigned int		 n;

	neighbour_answered = 0;
	world_on_closed = NULL;
	world_on_log = on_log;
	/* His question has to wait for all that. */
	world_start("timeout { answer 7d }\nquota default { ports 40 "
	    "sessions 3 per port, 5 in all pending 3 per port lifetime 9d }");
	neighbour = start_worker(NEIGHBOUR);
	FUZZ_CHECK(neighbour != NULL, "start");
	msg_init(&m, sizeof(m), MSG_CLIENT, neighbour->w.id);
	m.session = 1;
	FUZZ_CHECK(addr_parse(&m.addr, "198.51.100.7") == 0, "address");
	m.addr.port = NEIGHBOUR_PEER;
	FUZZ_CHECK(world_event(neighbour, &m, sizeof(m)) == 0, "CLIENT");
	taken = start_worker(TAKEN);
	for (n = 0; in.left > 0 && n < STEPS_MAX && taken != NULL &&
	    world_nquestions < WORLD_QUESTIONS - 4; n++) {
		step(&in);
		renew();
	}
	world_turn();
	check_neighbour();
	world_end();
	return (0);
}
