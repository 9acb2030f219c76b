/* SPDX-License-Identifier: ISC */
#ifndef COMMON_MSG_H
#define COMMON_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "cause.h"
#include "layers.h"

/*
 * Messages between the processes of passd.  One message is one packet on a
 * SOCK_SEQPACKET socket: a header, a fixed struct, and at most
 * MSG_FDS_MAX descriptors.  The table in msg.c is the only place that knows
 * who may send what, how long it is and when; msg_recv() lets nothing else
 * through.
 */

/*
 * Messages of the version before ours are understood too: after an upgrade
 * workers of the old program live on beside a control of the new one.
 */
#ifndef MSG_VERSION
#define MSG_VERSION	1
#endif
#define MSG_VERSION_MIN	(MSG_VERSION > 1 ? MSG_VERSION - 1 : 1)
#define MSG_FDS_MAX	3
#define MSG_CHANNEL_FD	3	/* where a started process finds its own */

/* Who sends to whom: the rows of the table are sorted by these. */
enum msg_edge {
	EDGE_PARENT_CONTROL,
	EDGE_CONTROL_PARENT,
	EDGE_PARENT_SPAWNER,
	EDGE_SPAWNER_PARENT,
	EDGE_PARENT_RESOLVER,
	EDGE_RESOLVER_PARENT,
	EDGE_CONTROL_SPAWNER,
	EDGE_SPAWNER_CONTROL,
	EDGE_CONTROL_WORKER,
	EDGE_WORKER_CONTROL
};

/* The numbers are part of the format: append only. */
enum msg_type {
	MSG_BOOT = 1,		/* parent to all: who to become */
	MSG_LOG = 2,		/* all but workers to parent */
	MSG_STOP = 3,		/* parent to control, spawner */
	MSG_CONFIG = 4,		/* the configuration file, open */
	MSG_NEEDS = 5,		/* what the configuration asks for */
	MSG_SECRET = 6,		/* the secret file, open */
	MSG_RESOLVE = 7,	/* a host name */
	MSG_RESOLVED = 8,	/* its addresses */
	MSG_SPAWNER = 9,	/* a channel between control and spawner */
	MSG_CONNECT = 10,	/* control wants the UNIX server socket */
	MSG_XMPP = 11,		/* here it is */
	MSG_READY = 12,		/* the sender has started */
	MSG_SPAWN = 13,		/* start a worker */
	MSG_KILL = 14,		/* kill a worker */
	MSG_SPAWNED = 15,	/* it was started, or not */
	MSG_EXITED = 16,	/* it has ended */
	MSG_ANSWER = 17,	/* the owner accepts a client */
	MSG_RENDEZVOUS = 18,	/* listeners for the owner's leg */
	MSG_LIMITS = 19,	/* new limits of a port */
	MSG_CLOSE = 20,		/* stop listening */
	MSG_DROP = 21,		/* end one session */
	MSG_CLIENT = 22,	/* a stranger has connected */
	MSG_LEG = 23,		/* something came to the rendezvous port */
	MSG_PAIRED = 24,	/* a relay has begun */
	MSG_ENDED = 25,		/* a session has ended */
	MSG_REFUSED = 26,	/* strangers sent away, a summary */
	MSG_GONE = 27,		/* the worker leaves */
	MSG_RESPAWN = 28,	/* a worker crashed: a new spawner, please */
	MSG_RETIRE = 29,	/* to a spawner: go, but leave your workers */
	MSG_ORPHAN = 30,	/* a worker that no spawner has has ended */
	MSG_ESCROW = 40,	/* keep this record, and its channel */
	MSG_RELEASE = 41,	/* forget it */
	MSG_EPOCH = 42,		/* to a new control: what comes is kept */
	MSG_ADOPT = 43,		/* a record that was kept, and its channel */
	MSG_ADOPTED = 44,	/* that was the last one */
	MSG_SYNC = 45,		/* a new control wants to know all */
	MSG_STATE = 46,		/* what the worker is doing */
	MSG_SESSION = 47,	/* one of its sessions */
	MSG_ACK = 48,		/* events up to this one need not come again */
	MSG_PING = 49,		/* are you well? */
	MSG_PONG = 50,		/* yes */
	MSG_RELOADED = 51,	/* what became of a configuration */
	MSG_HANDOVER = 52,	/* end, and leave the workers to the next */
	MSG_REAP = 53,		/* kill a worker that no spawner has */
	MSG_SUMMARY = 60	/* control to parent: how it is */
};

struct msg_hdr {
	uint16_t	 type;		/* enum msg_type */
	uint16_t	 version;	/* MSG_VERSION */
	uint32_t	 id;		/* of the worker; 0: none */
	uint64_t	 seq;		/* worker to control: 1, 2, 3, ... */
};
_Static_assert(sizeof(struct msg_hdr) == 16, "message header");

#define BOOT_DROP	0x1	/* change root directory, user and group */
#define BOOT_STDERR	0x2	/* foreground: log lines go to stderr */

struct msg_boot {
	struct msg_hdr	 hdr;
	uint32_t	 uid;
	uint32_t	 gid;
	uint32_t	 flags;		/* BOOT_* */
	uint32_t	 log_level;	/* least important level wanted */
	char		 chroot[256];	/* NUL-terminated */
};
_Static_assert(sizeof(struct msg_boot) == 288, "MSG_BOOT");

struct msg_log {
	struct msg_hdr	 hdr;
	uint32_t	 level;		/* enum log_level */
	uint32_t	 pad;
	char		 text[2048];	/* as long as the packet, no NUL */
};
#define MSG_LOG_MIN	(offsetof(struct msg_log, text) + 1)

struct msg_config {		/* + the file */
	struct msg_hdr	 hdr;
	char		 name[1024];	/* its name, for error messages */
};

struct msg_needs {
	struct msg_hdr	 hdr;
	uint32_t	 log_level;	/* enum log_level */
	uint32_t	 stop_ms;	/* timeout stop */
	char		 secret[1024];	/* path of the secret file */
	char		 unix_path[104];	/* the server's, or "" */
	char		 host[256];	/* to be resolved, or "" */
};
_Static_assert(sizeof(struct msg_needs) == 1408, "MSG_NEEDS");

/* MSG_SECRET and MSG_XMPP: one descriptor, or none and an errno. */
struct msg_status {
	struct msg_hdr	 hdr;
	int32_t		 error;
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_status) == 24, "MSG_SECRET, MSG_XMPP");

struct msg_resolve {
	struct msg_hdr	 hdr;
	char		 host[256];
};

#define MSG_ADDRS_MAX	8

struct msg_resolved {
	struct msg_hdr	 hdr;
	uint32_t	 count;		/* 0: see error */
	uint32_t	 error;		/* an EAI_ number, made positive */
	struct addr	 addr[MSG_ADDRS_MAX];	/* port 0 */
};
_Static_assert(sizeof(struct msg_resolved) == 184, "MSG_RESOLVED");

struct msg_ready {		/* to the parent; a worker's is a header */
	struct msg_hdr	 hdr;
	struct layers	 own;		/* of the sender */
	struct layers	 workers;	/* spawner: of those that it forks */
};
_Static_assert(sizeof(struct msg_ready) == 32, "MSG_READY");

#define LIMITS_ONESHOT		0x1	/* close when a relay has begun */
#define LIMITS_SAME_PORT	0x2	/* owner's leg comes to the port */

struct msg_limits {
	struct msg_hdr	 hdr;
	uint16_t	 port;		/* the registered one, for the title */
	uint16_t	 sessions;	/* relays at once */
	uint16_t	 pending;	/* undecided clients at once */
	uint16_t	 pad;
	uint32_t	 flags;		/* LIMITS_* */
	uint32_t	 connect_ms;	/* for the owner's leg */
	uint32_t	 idle_ms;	/* 0: no limit */
	uint32_t	 half_close_ms;
};
_Static_assert(sizeof(struct msg_limits) == 40, "MSG_SPAWN, MSG_LIMITS");

struct msg_spawned {
	struct msg_hdr	 hdr;
	int32_t		 pid;		/* -1: see error */
	int32_t		 error;		/* errno */
};

struct msg_exited {
	struct msg_hdr	 hdr;
	int32_t		 status;	/* as waitpid(2) gives it */
	uint32_t	 pad;
};

#define ANSWER_PIN	0x1	/* only from addr */
#define ANSWER_TOKEN	0x2	/* the leg begins with token */
#define LEG_TOKEN_LEN	16

struct msg_answer {
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint32_t	 flags;		/* ANSWER_* */
	struct addr	 addr;
	uint8_t		 token[LEG_TOKEN_LEN];
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_answer) == 64, "MSG_ANSWER");

struct msg_rendezvous {		/* + listeners of that port */
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint16_t	 port;
	uint16_t	 pad;
};
_Static_assert(sizeof(struct msg_rendezvous) == 24, "MSG_RENDEZVOUS");

struct msg_drop {
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint32_t	 cause;		/* enum cause */
};

#define CLOSE_RELAYS	0x1	/* end relays too, after grace_ms */

struct msg_close {
	struct msg_hdr	 hdr;
	uint32_t	 cause;
	uint32_t	 flags;		/* CLOSE_* */
	uint32_t	 grace_ms;
	uint32_t	 pad;
};

struct msg_client {		/* MSG_CLIENT, MSG_LEG, MSG_PAIRED */
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint32_t	 what;		/* enum leg_what, or PAIRED_* */
	struct addr	 addr;
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_client) == 48, "MSG_CLIENT");

#define PAIRED_ONESHOT	0x1	/* the listener was closed with it */

/* What became of a connection to the rendezvous port. */
enum leg_what {
	LEG_HELD = 1,		/* waits, unread, for the owner's answer */
	LEG_SURPLUS = 2,	/* too many wait already */
	LEG_WRONG_ADDR = 3,	/* not the address that the owner named */
	LEG_WRONG_TOKEN = 4,	/* not the token that the owner named */
	LEG_LEFT = 5		/* it left before it was of use */
};

#define MSG_LEGS_MAX	8	/* MSG_LEG for one client */
#define MSG_REFUSED_MS	1000	/* least time between two MSG_REFUSED */

/* All that is to be told of a session, whoever was control at its start. */
struct msg_ended {
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint32_t	 cause;		/* enum cause */
	uint64_t	 bytes_in;	/* peer to owner, written out */
	uint64_t	 bytes_out;	/* owner to peer, written out */
	uint64_t	 ms;		/* since PAIRED; 0: never paired */
	struct addr	 peer;
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_ended) == 72, "MSG_ENDED");

struct msg_orphan {
	struct msg_hdr	 hdr;
	int32_t		 pid;
	int32_t		 status;	/* as waitpid(2) gives it */
};
_Static_assert(sizeof(struct msg_orphan) == 24, "MSG_ORPHAN");

struct msg_reap {
	struct msg_hdr	 hdr;
	int32_t		 pid;
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_reap) == 24, "MSG_REAP");

struct msg_refused {
	struct msg_hdr	 hdr;
	uint32_t	 busy;		/* no session free */
	uint32_t	 pending;	/* too many, or one of that address */
	uint32_t	 failed;	/* accept failed, or no room */
	struct addr	 last;		/* the latest of them */
};
_Static_assert(sizeof(struct msg_refused) == 48, "MSG_REFUSED");

struct msg_summary {		/* for the service manager */
	struct msg_hdr	 hdr;
	uint32_t	 link;		/* 1: the stream is up */
	uint32_t	 ports;		/* registered */
	uint32_t	 reloads;	/* that ended since the last one */
	uint32_t	 pad;
};
_Static_assert(sizeof(struct msg_summary) == 32, "MSG_SUMMARY");
/*
 * The record of a port, or of a notice that is on its way: for control to
 * read when it starts anew, for the parent to keep.
 */
#define MSG_RECORD_MAX	4000

struct msg_record {		/* MSG_ESCROW, MSG_ADOPT */
	struct msg_hdr	 hdr;
	unsigned char	 record[MSG_RECORD_MAX];	/* to its end */
};
#define MSG_RECORD_MIN	(offsetof(struct msg_record, record) + 1)

#define MSG_KEY_LEN	32

struct msg_epoch {
	struct msg_hdr	 hdr;
	uint32_t	 epoch;		/* how many controls there have been */
	uint32_t	 last_id;	/* greatest id of a record so far */
	uint8_t		 key[MSG_KEY_LEN];	/* makes ids of stanzas */
};
_Static_assert(sizeof(struct msg_epoch) == 56, "MSG_EPOCH");

struct msg_sync {
	struct msg_hdr	 hdr;
	uint32_t	 epoch;
	uint32_t	 pad;
};

#define STATE_LISTENING	0x1	/* still accepts */

struct msg_state {		/* followed by ${sessions} MSG_SESSION */
	struct msg_hdr	 hdr;
	uint32_t	 epoch;		/* of the SYNC that it answers */
	uint32_t	 flags;		/* STATE_* */
	uint32_t	 sessions;
	uint32_t	 pad;
	uint64_t	 seq;		/* of the last event so far */
};
_Static_assert(sizeof(struct msg_state) == 40, "MSG_STATE");

enum session_state { SESSION_ASKED = 1, SESSION_ACCEPTED, SESSION_RELAY };

struct msg_session {
	struct msg_hdr	 hdr;
	uint32_t	 session;
	uint32_t	 state;		/* enum session_state */
	uint32_t	 ms;		/* since the peer came */
	uint16_t	 rendezvous;	/* port; 0: none */
	uint16_t	 legs;		/* held for the owner's answer */
	struct addr	 peer;
	struct addr	 leg;		/* SESSION_RELAY */
	uint64_t	 bytes_in;
	uint64_t	 bytes_out;
};
_Static_assert(sizeof(struct msg_session) == 88, "MSG_SESSION");

struct msg_ack {
	struct msg_hdr	 hdr;
	uint64_t	 upto;		/* seq of the last one applied */
};

enum reload_result { RELOAD_FAILED, RELOAD_DONE, RELOAD_RESTART };

struct msg_reloaded {
	struct msg_hdr	 hdr;
	uint32_t	 result;	/* enum reload_result */
	uint32_t	 pad;
};

/* What msg_recv() returns. */
enum msg_result { MSG_OK, MSG_NOTHING, MSG_EOF, MSG_BAD, MSG_LOST };

struct msg_in {
	union {
		struct msg_hdr		 hdr;
		struct msg_boot		 boot;
		struct msg_log		 log;
		struct msg_config	 config;
		struct msg_needs	 needs;
		struct msg_status	 status;
		struct msg_resolve	 resolve;
		struct msg_resolved	 resolved;
		struct msg_ready	 ready;
		struct msg_limits	 limits;
		struct msg_spawned	 spawned;
		struct msg_exited	 exited;
		struct msg_answer	 answer;
		struct msg_rendezvous	 rendezvous;
		struct msg_drop		 drop;
		struct msg_close	 close;
		struct msg_client	 client;
		struct msg_ended	 ended;
		struct msg_refused	 refused;
		struct msg_record	 record;
		struct msg_epoch	 epoch;
		struct msg_sync		 sync;
		struct msg_state	 state;
		struct msg_session	 session;
		struct msg_ack		 ack;
		struct msg_reloaded	 reloaded;
		struct msg_summary	 summary;
		struct msg_orphan	 orphan;
		struct msg_reap		 reap;
		unsigned char		 bytes[4096];
	};
	size_t		 len;		/* of the packet */
	size_t		 nfds;
	int		 fds[MSG_FDS_MAX];	/* the receiver's to close */
	const char	*why;		/* MSG_BAD: what the table forbids */
};

/* What a descriptor in a message has to be. */
enum msg_fd {
	MSG_FD_NONE,
	MSG_FD_FILE,		/* it can seek; who opened it saw more */
	MSG_FD_STREAM,		/* a stream socket that does not listen */
	MSG_FD_LISTENER,	/* a listening TCP socket */
	MSG_FD_CHANNEL		/* a SOCK_SEQPACKET socket */
};

/*
 * One row of the table.  A message is allowed on ${edge} while the receiver
 * is in one of ${states} (bits of its own choice, see the table).
 */
struct msg_row {
	enum msg_edge	 edge;
	uint16_t	 type;
	uint16_t	 states;
	uint16_t	 len_min;
	uint16_t	 len_max;
	uint8_t		 fds_min;
	uint8_t		 fds_max;
	enum msg_fd	 fd[MSG_FDS_MAX];	/* kind by position */
	const char	*name;
};

/* Receiver's states; what is not ANY is allowed in these only. */
#define MSG_ST_BOOT	0x0001	/* nothing has come yet */
#define MSG_ST_CONFIG	0x0002	/* control: waits for configuration */
#define MSG_ST_START	0x0004	/* being set up */
#define MSG_ST_RUN	0x0008	/* at work */
#define MSG_ST_STOP	0x0010	/* on its way out */
#define MSG_ST_SYNC	0x0020	/* a worker's STATE is awaited */
#define MSG_ST_SESSIONS	0x0040	/* and its sessions */
#define MSG_ST_ANY	0xffff

/*
 * msg_row(edge, type):
 * Return the table's row, or NULL if ${type} never goes over ${edge}.
 */
const struct msg_row *msg_row(enum msg_edge, uint16_t);

/* msg_table(n): return the table and its number of rows, for the tests. */
const struct msg_row *msg_table(size_t *);

/*
 * msg_init(m, size, type, id):
 * Wipe the message ${m} of ${size} bytes, padding included, and fill in its
 * header.
 */
void	msg_init(void *, size_t, enum msg_type, uint32_t);

/*
 * msg_send(fd, m, len, fds, nfds):
 * Send one message with copies of ${nfds} descriptors; never blocks.  Return
 * 0, or -1 with errno as sendmsg(2): EAGAIN if the receiver does not read,
 * EPIPE if it is gone.
 */
int	msg_send(int, const void *, size_t, const int *, size_t);

/*
 * msg_recv(fd, edge, states, in):
 * Receive one message that came over ${edge} while the receiver is in
 * ${states}; never blocks.  MSG_OK: the table allows it, and ${in} holds it
 * with descriptors that now are the caller's.  MSG_NOTHING: none is there.
 * MSG_EOF: the sender is gone.  MSG_BAD: the table forbids it, in->why says
 * what; everything in it has been closed, and the sender is not to be
 * trusted any more.  MSG_LOST: it is allowed, but this process had no room
 * for its descriptors; ${in} holds the rest.
 */
enum msg_result	msg_recv(int, enum msg_edge, uint16_t, struct msg_in *);

/*
 * msg_close_fds(in):
 * Close the descriptors in ${in} that the caller did not take (those it set
 * to -1).
 */
void	msg_close_fds(struct msg_in *);

/*
 * msg_text_ok(s, size):
 * Return 1 if the byte string ${s} of ${size} bytes holds a NUL, else 0:
 * to be asked before any string in a message is used.
 */
int	msg_text_ok(const char *, size_t);

/*
 * msg_pair(fds):
 * Make a pair of connected channels, close-on-exec and non-blocking.
 * Return 0, or -1 with errno.
 */
int	msg_pair(int [2]);

#endif
