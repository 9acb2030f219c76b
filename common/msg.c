/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "msg.h"

/* Exactly one struct, or from min to max bytes of one. */
#define EXACT(s)	sizeof(struct s), sizeof(struct s)
#define HDR_ONLY	sizeof(struct msg_hdr), sizeof(struct msg_hdr)
#define NO_FD		0, 0, { MSG_FD_NONE }
#define FDS(lo, hi, ...)	lo, hi, { __VA_ARGS__ }
#define LOG_ROW(edge)							\
	{ edge, MSG_LOG, MSG_ST_ANY, MSG_LOG_MIN,			\
	    sizeof(struct msg_log), NO_FD, "LOG" }

#define WORKER_RUNS	(MSG_ST_RUN | MSG_ST_STOP | MSG_ST_SYNC)

static const struct msg_row table[] = {
	{ EDGE_PARENT_CONTROL, MSG_BOOT, MSG_ST_BOOT, EXACT(msg_boot),
	    NO_FD, "BOOT" },
	{ EDGE_PARENT_CONTROL, MSG_CONFIG, MSG_ST_CONFIG | MSG_ST_RUN,
	    EXACT(msg_config), FDS(1, 1, MSG_FD_FILE), "CONFIG" },
	{ EDGE_PARENT_CONTROL, MSG_SECRET, MSG_ST_START | MSG_ST_RUN,
	    EXACT(msg_status), FDS(0, 1, MSG_FD_FILE), "SECRET" },
	{ EDGE_PARENT_CONTROL, MSG_RESOLVED, MSG_ST_START,
	    EXACT(msg_resolved), NO_FD, "RESOLVED" },
	{ EDGE_PARENT_CONTROL, MSG_SPAWNER, MSG_ST_ANY, HDR_ONLY,
	    FDS(1, 1, MSG_FD_CHANNEL), "SPAWNER" },
	{ EDGE_PARENT_CONTROL, MSG_XMPP, MSG_ST_RUN | MSG_ST_STOP,
	    EXACT(msg_status), FDS(0, 1, MSG_FD_STREAM), "XMPP" },
	{ EDGE_PARENT_CONTROL, MSG_STOP, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "STOP" },
	{ EDGE_PARENT_CONTROL, MSG_HANDOVER, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "HANDOVER" },
	{ EDGE_PARENT_CONTROL, MSG_EPOCH, MSG_ST_RUN, EXACT(msg_epoch),
	    NO_FD, "EPOCH" },
	{ EDGE_PARENT_CONTROL, MSG_ADOPT, MSG_ST_RUN, MSG_RECORD_MIN,
	    sizeof(struct msg_record), FDS(0, 1, MSG_FD_CHANNEL), "ADOPT" },
	{ EDGE_PARENT_CONTROL, MSG_ADOPTED, MSG_ST_RUN, HDR_ONLY, NO_FD,
	    "ADOPTED" },
	{ EDGE_PARENT_CONTROL, MSG_PING, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PING" },
	{ EDGE_PARENT_CONTROL, MSG_ORPHAN, MSG_ST_ANY, EXACT(msg_orphan),
	    NO_FD, "ORPHAN" },

	{ EDGE_CONTROL_PARENT, MSG_NEEDS, MSG_ST_START, EXACT(msg_needs),
	    NO_FD, "NEEDS" },
	{ EDGE_CONTROL_PARENT, MSG_READY, MSG_ST_START, EXACT(msg_ready),
	    NO_FD, "READY" },
	{ EDGE_CONTROL_PARENT, MSG_CONNECT, MSG_ST_RUN | MSG_ST_STOP,
	    HDR_ONLY, NO_FD, "CONNECT" },
	{ EDGE_CONTROL_PARENT, MSG_ESCROW, MSG_ST_RUN, MSG_RECORD_MIN,
	    sizeof(struct msg_record), FDS(0, 1, MSG_FD_CHANNEL),
	    "ESCROW" },
	{ EDGE_CONTROL_PARENT, MSG_RELEASE, MSG_ST_RUN, HDR_ONLY, NO_FD,
	    "RELEASE" },
	{ EDGE_CONTROL_PARENT, MSG_RELOADED, MSG_ST_RUN,
	    EXACT(msg_reloaded), NO_FD, "RELOADED" },
	{ EDGE_CONTROL_PARENT, MSG_PONG, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PONG" },
	{ EDGE_CONTROL_PARENT, MSG_SUMMARY, MSG_ST_RUN | MSG_ST_STOP,
	    EXACT(msg_summary), NO_FD, "SUMMARY" },
	{ EDGE_CONTROL_PARENT, MSG_RESPAWN, MSG_ST_RUN | MSG_ST_STOP,
	    HDR_ONLY, NO_FD, "RESPAWN" },
	{ EDGE_CONTROL_PARENT, MSG_REAP, MSG_ST_RUN | MSG_ST_STOP,
	    EXACT(msg_reap), NO_FD, "REAP" },
	LOG_ROW(EDGE_CONTROL_PARENT),

	{ EDGE_PARENT_SPAWNER, MSG_BOOT, MSG_ST_BOOT, EXACT(msg_boot),
	    FDS(0, 1, MSG_FD_FILE), "BOOT" },
	{ EDGE_PARENT_SPAWNER, MSG_SPAWNER, MSG_ST_RUN, HDR_ONLY,
	    FDS(1, 1, MSG_FD_CHANNEL), "SPAWNER" },
	{ EDGE_PARENT_SPAWNER, MSG_STOP, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "STOP" },
	{ EDGE_PARENT_SPAWNER, MSG_PING, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PING" },
	{ EDGE_PARENT_SPAWNER, MSG_RETIRE, MSG_ST_RUN, HDR_ONLY, NO_FD,
	    "RETIRE" },

	{ EDGE_SPAWNER_PARENT, MSG_PONG, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PONG" },
	{ EDGE_SPAWNER_PARENT, MSG_READY, MSG_ST_START, EXACT(msg_ready),
	    NO_FD, "READY" },
	LOG_ROW(EDGE_SPAWNER_PARENT),

	{ EDGE_PARENT_RESOLVER, MSG_BOOT, MSG_ST_BOOT, EXACT(msg_boot),
	    NO_FD, "BOOT" },
	{ EDGE_PARENT_RESOLVER, MSG_RESOLVE, MSG_ST_START,
	    EXACT(msg_resolve), NO_FD, "RESOLVE" },

	{ EDGE_RESOLVER_PARENT, MSG_READY, MSG_ST_START, EXACT(msg_ready),
	    NO_FD, "READY" },
	{ EDGE_RESOLVER_PARENT, MSG_RESOLVED, MSG_ST_RUN,
	    EXACT(msg_resolved), NO_FD, "RESOLVED" },
	LOG_ROW(EDGE_RESOLVER_PARENT),

	{ EDGE_CONTROL_SPAWNER, MSG_SPAWN, MSG_ST_RUN, EXACT(msg_limits),
	    FDS(2, 3, MSG_FD_CHANNEL, MSG_FD_LISTENER, MSG_FD_LISTENER),
	    "SPAWN" },
	{ EDGE_CONTROL_SPAWNER, MSG_KILL, MSG_ST_RUN, HDR_ONLY, NO_FD,
	    "KILL" },

	{ EDGE_SPAWNER_CONTROL, MSG_SPAWNED, MSG_ST_ANY,
	    EXACT(msg_spawned), NO_FD, "SPAWNED" },
	{ EDGE_SPAWNER_CONTROL, MSG_EXITED, MSG_ST_ANY, EXACT(msg_exited),
	    NO_FD, "EXITED" },

	{ EDGE_CONTROL_WORKER, MSG_ANSWER, MSG_ST_ANY, EXACT(msg_answer),
	    NO_FD, "ANSWER" },
	{ EDGE_CONTROL_WORKER, MSG_RENDEZVOUS, MSG_ST_ANY,
	    EXACT(msg_rendezvous),
	    FDS(1, 2, MSG_FD_LISTENER, MSG_FD_LISTENER), "RENDEZVOUS" },
	{ EDGE_CONTROL_WORKER, MSG_LIMITS, MSG_ST_ANY, EXACT(msg_limits),
	    NO_FD, "LIMITS" },
	{ EDGE_CONTROL_WORKER, MSG_CLOSE, MSG_ST_ANY, EXACT(msg_close),
	    NO_FD, "CLOSE" },
	{ EDGE_CONTROL_WORKER, MSG_DROP, MSG_ST_ANY, EXACT(msg_drop),
	    NO_FD, "DROP" },
	{ EDGE_CONTROL_WORKER, MSG_SYNC, MSG_ST_ANY, EXACT(msg_sync),
	    NO_FD, "SYNC" },
	{ EDGE_CONTROL_WORKER, MSG_ACK, MSG_ST_ANY, EXACT(msg_ack), NO_FD,
	    "ACK" },
	{ EDGE_CONTROL_WORKER, MSG_PING, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PING" },

	/* Before its STATE a worker may say what it had not said yet. */
	{ EDGE_WORKER_CONTROL, MSG_READY, MSG_ST_START | MSG_ST_SYNC,
	    HDR_ONLY, NO_FD, "READY" },
	{ EDGE_WORKER_CONTROL, MSG_CLIENT, WORKER_RUNS,
	    EXACT(msg_client), NO_FD, "CLIENT" },
	{ EDGE_WORKER_CONTROL, MSG_LEG, WORKER_RUNS, EXACT(msg_client),
	    NO_FD, "LEG" },
	{ EDGE_WORKER_CONTROL, MSG_PAIRED, WORKER_RUNS,
	    EXACT(msg_client), NO_FD, "PAIRED" },
	{ EDGE_WORKER_CONTROL, MSG_ENDED, WORKER_RUNS, EXACT(msg_ended),
	    NO_FD, "ENDED" },
	{ EDGE_WORKER_CONTROL, MSG_REFUSED, WORKER_RUNS,
	    EXACT(msg_refused), NO_FD, "REFUSED" },
	{ EDGE_WORKER_CONTROL, MSG_GONE, WORKER_RUNS, HDR_ONLY, NO_FD,
	    "GONE" },
	{ EDGE_WORKER_CONTROL, MSG_STATE, MSG_ST_SYNC, EXACT(msg_state),
	    NO_FD, "STATE" },
	{ EDGE_WORKER_CONTROL, MSG_SESSION, MSG_ST_SYNC | MSG_ST_SESSIONS,
	    EXACT(msg_session), NO_FD, "SESSION" },
	{ EDGE_WORKER_CONTROL, MSG_PONG, MSG_ST_ANY, HDR_ONLY, NO_FD,
	    "PONG" },
};

#define TABLE_ROWS	(sizeof(table) / sizeof(table[0]))

const struct msg_row *
msg_table(size_t *n)
{
	*n = TABLE_ROWS;
	return (table);
}

const struct msg_row *
msg_row(enum msg_edge edge, uint16_t type)
{
	size_t	 i;

	for (i = 0; i < TABLE_ROWS; i++) {
		if (table[i].edge == edge && table[i].type == type)
			return (&table[i]);
	}
	return (NULL);
}

void
msg_init(void *m, size_t size, enum msg_type type, uint32_t id)
{
	struct msg_hdr	*hdr = m;

	memset(m, 0, size);
	hdr->type = (uint16_t)type;
	hdr->version = MSG_VERSION;
	hdr->id = id;
}

int
msg_send(int fd, const void *m, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} ctl;
	struct cmsghdr	*cmsg;
	struct msghdr	 mh;
	struct iovec	 iov;
	ssize_t		 n;

	if (nfds > MSG_FDS_MAX) {
		errno = EINVAL;
		return (-1);
	}
	memset(&mh, 0, sizeof(mh));
	/* sendmsg(2) does not write there, but its iovec is not const. */
	memcpy(&iov.iov_base, &m, sizeof(m));
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (nfds > 0) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	/* Without descriptors by another call: see worker_rules(). */
	do {
		n = nfds > 0 ?
		    sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) :
		    send(fd, m, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	return (n == -1 ? -1 : 0);
}

/*
 * Take every descriptor of the packet: a buffer for three has room for more
 * on some alignments, and what is not taken here would stay open for ever.
 * Return the number that came; only the first MSG_FDS_MAX are kept.
 */
static size_t
take_fds(struct msghdr *mh, struct msg_in *in)
{
	struct cmsghdr	*cmsg;
	size_t		 i, n, total = 0;
	int		 fd;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			    sizeof(fd));
			if (total < MSG_FDS_MAX)
				in->fds[in->nfds++] = fd;
			else
				(void)close(fd);
			total++;
		}
	}
	return (total);
}

static int
sockopt_is(int fd, int opt, int want)
{
	int		 v = 0;
	socklen_t	 len = sizeof(v);

	return (getsockopt(fd, SOL_SOCKET, opt, &v, &len) == 0 && v == want);
}

static int
is_tcp(int fd)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);

	return (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    (ss.ss_family == AF_INET || ss.ss_family == AF_INET6));
}

static int
fd_is(int fd, enum msg_fd kind)
{
	switch (kind) {
	case MSG_FD_FILE:
		/*
		 * A pipe or a socket cannot seek, and a terminal is not sent.
		 * fstat(2) would do, but is a call that takes paths, too, and
		 * so one that no filter lets through.
		 */
		return (lseek(fd, 0, SEEK_CUR) != (off_t)-1);
	case MSG_FD_STREAM:
		return (sockopt_is(fd, SO_TYPE, SOCK_STREAM) &&
		    sockopt_is(fd, SO_ACCEPTCONN, 0));
	case MSG_FD_LISTENER:
		return (sockopt_is(fd, SO_TYPE, SOCK_STREAM) &&
		    sockopt_is(fd, SO_ACCEPTCONN, 1) && is_tcp(fd));
	case MSG_FD_CHANNEL:
		return (sockopt_is(fd, SO_TYPE, SOCK_SEQPACKET));
	case MSG_FD_NONE:
		break;
	}
	return (0);
}

/* Return NULL if the table allows the message, else what is wrong. */
static const char *
forbidden(const struct msg_in *in, enum msg_edge edge, uint16_t states,
    int flags, size_t nfds)
{
	const struct msg_row	*row;
	size_t			 i;

	if (flags & MSG_TRUNC)
		return ("too long");
	if (flags & MSG_CTRUNC)
		return ("descriptors lost");
	if (in->len < sizeof(struct msg_hdr))
		return ("no header");
	if (in->hdr.version < MSG_VERSION_MIN ||
	    in->hdr.version > MSG_VERSION)
		return ("wrong version");
	if ((row = msg_row(edge, in->hdr.type)) == NULL)
		return ("wrong type");
	if (in->len < row->len_min || in->len > row->len_max)
		return ("wrong length");
	if (nfds < row->fds_min || nfds > row->fds_max)
		return ("wrong number of descriptors");
	if ((row->states & states) == 0)
		return ("not allowed in this state");
	for (i = 0; i < nfds; i++) {
		if (!fd_is(in->fds[i], row->fd[i]))
			return ("wrong kind of descriptor");
	}
	return (NULL);
}

/*
 * A message that the table allows, whose descriptors found no room in this
 * process: a lack of ours, no fault of the sender, who sent no more than he
 * may.
 */
static int
lost_fds(const struct msg_in *in, enum msg_edge edge, uint16_t states,
    int flags)
{
	const struct msg_row	*row;

	if ((flags & (MSG_TRUNC | MSG_CTRUNC)) != MSG_CTRUNC ||
	    in->len < sizeof(struct msg_hdr) ||
	    in->hdr.version != MSG_VERSION ||
	    (row = msg_row(edge, in->hdr.type)) == NULL)
		return (0);
	return (in->nfds < row->fds_max && in->len >= row->len_min &&
	    in->len <= row->len_max && (row->states & states) != 0);
}

enum msg_result
msg_recv(int fd, enum msg_edge edge, uint16_t states, struct msg_in *in)
{
	/* Room for more than is allowed, so that a surplus is seen. */
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) *
				    (MSG_FDS_MAX + 5))];
	} ctl;
	struct msghdr	 mh;
	struct iovec	 iov;
	ssize_t		 n;
	size_t		 nfds;
	int		 lost;

	memset(&mh, 0, sizeof(mh));
	in->len = in->nfds = 0;
	in->why = NULL;
	iov.iov_base = in->bytes;
	iov.iov_len = sizeof(in->bytes);
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = ctl.buf;
	mh.msg_controllen = sizeof(ctl.buf);
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return (errno == EAGAIN || errno == EWOULDBLOCK ?
		    MSG_NOTHING : MSG_EOF);
	nfds = take_fds(&mh, in);
	if (n == 0 && nfds == 0)
		return (MSG_EOF);
	in->len = (size_t)n;
	in->why = forbidden(in, edge, states, mh.msg_flags, nfds);
	if (in->why == NULL)
		return (MSG_OK);
	lost = lost_fds(in, edge, states, mh.msg_flags);
	msg_close_fds(in);
	return (lost ? MSG_LOST : MSG_BAD);
}

void
msg_close_fds(struct msg_in *in)
{
	size_t	 i;

	for (i = 0; i < in->nfds; i++) {
		if (in->fds[i] != -1)
			(void)close(in->fds[i]);
		in->fds[i] = -1;
	}
	in->nfds = 0;
}

int
msg_text_ok(const char *s, size_t size)
{
	return (memchr(s, '\0', size) != NULL);
}

int
msg_pair(int fds[2])
{
	return (socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
}
