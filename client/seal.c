/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seal.h"

#define ABYTES		crypto_secretstream_xchacha20poly1305_ABYTES
#define HEADER_LEN	crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define TAG_MORE	crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
#define TAG_LAST	crypto_secretstream_xchacha20poly1305_TAG_FINAL

#define LENGTH_LEN	4
#define PLAIN_MAX	(1 + SEAL_DATA_MAX)	/* type and data */
#define SEALED_MAX	(PLAIN_MAX + ABYTES)
#define FRAME_MAX	(LENGTH_LEN + SEALED_MAX)
/* Enough frames to make a system call worth its while. */
#define BUF_SIZE	(4 * FRAME_MAX)

/* After the hello: the tag, and the header of the stream of frames. */
#define SHOW_LEN	(PROOF_TAG_LEN + HEADER_LEN)

enum state {
	WAIT_HELLO,
	WAIT_TAG,
	PROVEN
};

struct seal {
	int		 fd;
	enum state	 state;
	enum seal_why	 why;
	int64_t		 deadline;
	int		 out_ended, in_ended;
	struct proof	 proof;
	struct proof_keys keys;
	crypto_secretstream_xchacha20poly1305_state out, in;
	size_t		 out_at, out_len;	/* unsent: from out_at on */
	size_t		 in_at, in_len;		/* unread: from in_at on */
	/* Before the proof these point to small_*, then to BUF_SIZE bytes. */
	uint8_t		*out_buf, *in_buf;
	uint8_t		*out_plain, *in_plain;	/* type and data */
	uint8_t		 small_out[PROOF_HELLO_LEN + SHOW_LEN];
	uint8_t		 small_in[PROOF_HELLO_LEN + SHOW_LEN];
};

int
seal_setup(void)
{
	return (proof_setup());
}

static void
put_bytes(struct seal *s, const void *data, size_t len)
{
	memcpy(s->out_buf + s->out_len, data, len);
	s->out_len += len;
}

struct seal *
seal_new(int fd, enum proof_role role, const uint8_t secret[PROOF_SECRET_LEN],
    int64_t now)
{
	struct seal	*s;
	int		 on = 1;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		close(fd);
		return (NULL);
	}
	/* What is not TCP has nothing to be turned off. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->fd = fd;
	s->deadline = now + (role == PROOF_OWNER ? SEAL_PROOF_MS :
	    SEAL_CALL_MS);
	s->out_buf = s->small_out;
	s->in_buf = s->small_in;
	proof_begin(&s->proof, role, secret);
	/* The owner is silent until somebody speaks our language. */
	if (role == PROOF_CALLER)
		put_bytes(s, s->proof.hello, PROOF_HELLO_LEN);
	return (s);
}

static void
free_buffer(uint8_t *buf, const uint8_t *small, size_t size)
{
	if (buf != NULL && buf != small)
		freezero(buf, size);
}

void
seal_free(struct seal *s)
{
	if (s == NULL)
		return;
	close(s->fd);
	free_buffer(s->out_buf, s->small_out, BUF_SIZE);
	free_buffer(s->in_buf, s->small_in, BUF_SIZE);
	free_buffer(s->out_plain, NULL, PLAIN_MAX);
	free_buffer(s->in_plain, NULL, PLAIN_MAX);
	freezero(s, sizeof(*s));
}

static int
broken(struct seal *s, enum seal_why why)
{
	if (s->why == SEAL_FINE)
		s->why = why;
	return (-1);
}

/* ---- the proof ----------------------------------------------------------*/

static int
on_hello(struct seal *s)
{
	uint8_t	 header[HEADER_LEN];

	if (proof_keys(&s->proof, s->in_buf, &s->keys) == -1)
		return (broken(s, SEAL_IMPOSTOR));
	if (s->proof.role == PROOF_OWNER)
		put_bytes(s, s->proof.hello, PROOF_HELLO_LEN);
	crypto_secretstream_xchacha20poly1305_init_push(&s->out, header,
	    s->keys.out);
	put_bytes(s, s->keys.mine, PROOF_TAG_LEN);
	put_bytes(s, header, sizeof(header));
	s->state = WAIT_TAG;
	return (0);
}

/* From now on whole frames fit in. */
static int
grow(struct seal *s)
{
	uint8_t	*out, *in;

	out = malloc(BUF_SIZE);
	in = malloc(BUF_SIZE);
	s->out_plain = malloc(PLAIN_MAX);
	s->in_plain = malloc(PLAIN_MAX);
	if (out == NULL || in == NULL || s->out_plain == NULL ||
	    s->in_plain == NULL) {
		free(out);
		free(in);
		return (-1);
	}
	memcpy(out, s->out_buf, s->out_len);
	s->out_buf = out;
	s->in_buf = in;
	s->in_at = s->in_len = 0;
	return (0);
}

static int
on_tag(struct seal *s, int64_t now)
{
	const uint8_t	*tag = s->in_buf + PROOF_HELLO_LEN;

	if (!proof_shown(&s->keys, tag) ||
	    crypto_secretstream_xchacha20poly1305_init_pull(&s->in,
	    tag + PROOF_TAG_LEN, s->keys.in) != 0)
		return (broken(s, SEAL_IMPOSTOR));
	proof_end(&s->proof);
	if (grow(s) == -1)
		return (broken(s, SEAL_NOMEM));
	s->state = PROVEN;
	s->deadline = now + SEAL_IDLE_MS;
	return (0);
}

/* How much has to have come before the next step; no more is read. */
static size_t
proof_needs(const struct seal *s)
{
	return (s->state == WAIT_HELLO ? PROOF_HELLO_LEN :
	    PROOF_HELLO_LEN + SHOW_LEN);
}

static int
prove(struct seal *s, int64_t now)
{
	if (s->in_len < proof_needs(s))
		return (0);
	return (s->state == WAIT_HELLO ? on_hello(s) : on_tag(s, now));
}

/* ---- the socket ---------------------------------------------------------*/

static int
lost(struct seal *s)
{
	return (broken(s, s->state == PROVEN ? SEAL_CUT : SEAL_LEFT));
}

static int
flush(struct seal *s)
{
	ssize_t	 n;

	while (s->out_at < s->out_len) {
		n = send(s->fd, s->out_buf + s->out_at, s->out_len - s->out_at,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return (0);
		if (n == -1)
			return (lost(s));
		s->out_at += (size_t)n;
	}
	/* The proof's own buffer is a record of what was said. */
	if (s->state == PROVEN)
		s->out_at = s->out_len = 0;
	return (0);
}

/* Make room behind what is unread. */
static size_t
room_in(struct seal *s)
{
	if (s->state != PROVEN)
		return (proof_needs(s) - s->in_len);
	if (s->in_at == s->in_len)
		s->in_at = s->in_len = 0;
	else if (s->in_at > BUF_SIZE - FRAME_MAX) {
		s->in_len -= s->in_at;
		memmove(s->in_buf, s->in_buf + s->in_at, s->in_len);
		s->in_at = 0;
	}
	return (BUF_SIZE - s->in_len);
}

/* Return 1 if something came, 0 if not, -1 if that is the end. */
static int
fill(struct seal *s, int64_t now)
{
	size_t	 room = room_in(s);
	ssize_t	 n;

	if (room == 0 || s->in_ended)
		return (0);
	do
		n = recv(s->fd, s->in_buf + s->in_len, room, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return (0);
	if (n <= 0)
		return (lost(s));
	s->in_len += (size_t)n;
	if (s->state == PROVEN)
		s->deadline = now + SEAL_IDLE_MS;
	return (1);
}

int
seal_turn(struct seal *s, int64_t now)
{
	int	 more;

	if (s->why != SEAL_FINE)
		return (-1);
	do {
		if ((more = fill(s, now)) == -1)
			return (-1);
		if (s->state == PROVEN)
			break;
		if (prove(s, now) == -1)
			return (-1);
	} while (more);
	if (flush(s) == -1)
		return (-1);
	if (now >= s->deadline)
		return (broken(s, s->state == PROVEN ? SEAL_SILENT :
		    SEAL_STALLED));
	return (0);
}

int
seal_fd(const struct seal *s)
{
	return (s->fd);
}

short
seal_events(const struct seal *s)
{
	short	 events = 0;

	if (s->why != SEAL_FINE)
		return (0);
	/* A buffer that is full of frames is not to be added to. */
	if (!s->in_ended && (s->in_len < BUF_SIZE ||
	    s->in_at > BUF_SIZE - FRAME_MAX))
		events |= POLLIN;
	if (s->out_at < s->out_len)
		events |= POLLOUT;
	return (events);
}

int64_t
seal_deadline(const struct seal *s)
{
	return (s->deadline);
}

/* ---- frames -------------------------------------------------------------*/

int
seal_room(const struct seal *s)
{
	return (s->state == PROVEN && s->why == SEAL_FINE && !s->out_ended &&
	    s->out_len <= BUF_SIZE - FRAME_MAX);
}

int
seal_flushed(const struct seal *s)
{
	return (s->out_at == s->out_len);
}

static void
put_length(uint8_t *at, size_t len)
{
	at[0] = (uint8_t)(len >> 24);
	at[1] = (uint8_t)(len >> 16);
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
}

static size_t
get_length(const uint8_t *at)
{
	return ((size_t)at[0] << 24 | (size_t)at[1] << 16 |
	    (size_t)at[2] << 8 | at[3]);
}

uint8_t *
seal_data(struct seal *s)
{
	return (s->out_plain == NULL ? NULL : s->out_plain + 1);
}

int
seal_put(struct seal *s, uint8_t type, const void *data, size_t len,
    int last)
{
	unsigned long long	 sealed;
	uint8_t			*at;

	if (!seal_room(s) || len > SEAL_DATA_MAX)
		return (-1);
	s->out_plain[0] = type;
	if (len > 0 && data != s->out_plain + 1)
		memcpy(s->out_plain + 1, data, len);
	at = s->out_buf + s->out_len;
	crypto_secretstream_xchacha20poly1305_push(&s->out, at + LENGTH_LEN,
	    &sealed, s->out_plain, 1 + len, NULL, 0,
	    last ? TAG_LAST : TAG_MORE);
	put_length(at, (size_t)sealed);
	s->out_len += LENGTH_LEN + (size_t)sealed;
	if (last)
		s->out_ended = 1;
	return (0);
}

int
seal_get(struct seal *s, struct seal_frame *f)
{
	const uint8_t		*at = s->in_buf + s->in_at;
	size_t			 have = s->in_len - s->in_at, len;
	unsigned long long	 plain;
	uint8_t			 tag;

	if (s->state != PROVEN || s->in_ended || have < LENGTH_LEN)
		return (0);
	len = get_length(at);
	if (len < 1 + ABYTES || len > SEALED_MAX)
		return (broken(s, SEAL_CHANGED));
	if (have < LENGTH_LEN + len)
		return (0);
	if (crypto_secretstream_xchacha20poly1305_pull(&s->in, s->in_plain,
	    &plain, &tag, at + LENGTH_LEN, len, NULL, 0) != 0)
		return (broken(s, SEAL_CHANGED));
	s->in_at += LENGTH_LEN + len;
	s->in_ended = tag == TAG_LAST;
	f->type = s->in_plain[0];
	f->last = tag == TAG_LAST;
	f->data = s->in_plain + 1;
	f->len = (size_t)plain - 1;
	return (1);
}

/* ---- what happened ------------------------------------------------------*/

enum seal_why
seal_why(const struct seal *s)
{
	return (s->why);
}

const char *
seal_why_text(enum seal_why why)
{
	switch (why) {
	case SEAL_FINE:
		return ("is fine");
	case SEAL_LEFT:
		return ("closed the connection before it proved who it is");
	case SEAL_IMPOSTOR:
		return ("does not know the secret");
	case SEAL_STALLED:
		return ("did not prove in time that it knows the secret");
	case SEAL_CHANGED:
		return ("did not send what arrived: somebody on the way "
		    "changed it");
	case SEAL_CUT:
		return ("was cut off");
	case SEAL_SILENT:
		return ("has been silent for too long");
	case SEAL_NOMEM:
		return ("could not be served: out of memory");
	}
	return ("is in a state without a name");
}

int
seal_proven(const struct seal *s)
{
	return (s->state == PROVEN);
}

const uint8_t *
seal_sums(const struct seal *s)
{
	return (s->keys.sums);
}
