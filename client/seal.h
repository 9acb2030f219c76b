/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_SEAL_H
#define CLIENT_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "proof.h"

/*
 * Frames, encrypted and authenticated, over a connected stream socket whose
 * other end may be anybody: the relay, whoever guessed the port, or the one
 * that we want.  First both show by proof.h that they know the secret; until
 * then nothing else is sent and at most 96 bytes are read.  Then every frame
 * is one message of libsodium's secretstream (XChaCha20-Poly1305), behind
 * its length in four bytes: a frame that was changed, left out, repeated or
 * moved does not open, and a stream that ends without its last frame was cut
 * off.
 *
 * Nothing blocks, and memory is bounded: about 650 KiB for each seal that is
 * proven, next to nothing before.
 */

/* Bytes in a frame, its type not counted. */
#define SEAL_DATA_MAX	65536

/*
 * Time for the proof, in milliseconds.  A caller has to wait until the relay
 * has asked the owner and the owner has connected.
 */
#define SEAL_PROOF_MS	10000
#define SEAL_CALL_MS	30000

/* Longest silence of the other end after that. */
#define SEAL_IDLE_MS	60000

enum seal_why {
	SEAL_FINE,
	SEAL_LEFT,		/* closed before it had proven anything */
	SEAL_IMPOSTOR,		/* the proof was wrong */
	SEAL_STALLED,		/* no proof in time */
	SEAL_CHANGED,		/* a frame was not what the other end sent */
	SEAL_CUT,		/* ended before its last frame */
	SEAL_SILENT,		/* nothing came for too long */
	SEAL_NOMEM
};

struct seal;

struct seal_frame {
	uint8_t		 type;
	uint8_t		 last;		/* no more will come */
	const uint8_t	*data;		/* until the next seal_get() */
	size_t		 len;
};

/*
 * seal_new(fd, role, secret, now):
 * Begin a proof on ${fd}, a connected stream socket that is non-blocking and
 * belongs to the seal from here on.  ${now} here and below is mono_ms().
 * Return NULL if memory is short; ${fd} is then closed.
 */
struct seal *seal_new(int, enum proof_role, const uint8_t [PROOF_SECRET_LEN],
	    int64_t);

/* seal_free(s): close the socket and forget the keys.  NULL is fine. */
void	seal_free(struct seal *);

/*
 * seal_turn(s, now):
 * Send and receive what the socket takes and has.  Call it when poll(2)
 * returned seal_events() for seal_fd(), when seal_deadline() has come, and
 * after seal_put().  Return 0, or -1 if the connection is of no more use;
 * frames that came before are still there, seal_why() says what happened.
 */
int	seal_turn(struct seal *, int64_t);

/* seal_fd(s): the socket, for poll(2). */
int	seal_fd(const struct seal *);

/* seal_events(s): the events of poll(2) to wait for; 0: none just now. */
short	seal_events(const struct seal *);

/* seal_deadline(s): mono_ms() at which the other end has been too slow. */
int64_t	seal_deadline(const struct seal *);

/* seal_why(s): why seal_turn() or seal_get() failed. */
enum seal_why seal_why(const struct seal *);

/* seal_why_text(why): the same in words, to follow "the other end". */
const char *seal_why_text(enum seal_why);

/* seal_proven(s): 1 once the other end has shown that it knows the secret. */
int	seal_proven(const struct seal *);

/*
 * seal_sums(s):
 * The key for sums of files, PROOF_KEY_LEN bytes, for a proven seal.
 */
const uint8_t *seal_sums(const struct seal *);

/* seal_room(s): 1 if seal_put() of any frame would succeed now, else 0. */
int	seal_room(const struct seal *);

/* seal_flushed(s): 1 if the kernel has taken all that was put. */
int	seal_flushed(const struct seal *);

/*
 * seal_data(s):
 * Room for SEAL_DATA_MAX bytes, in which a caller may make ready what
 * seal_put() is to send, which then saves a copy; NULL before the proof.
 */
uint8_t	*seal_data(struct seal *);

/*
 * seal_put(s, type, data, len, last):
 * Send a frame of ${len} bytes (0..SEAL_DATA_MAX); with ${last} it is the
 * last of this direction.  Return 0, or -1 if seal_room() says no, the frame
 * is too long, or the seal not proven or already ended.
 */
int	seal_put(struct seal *, uint8_t, const void *, size_t, int);

/*
 * seal_get(s, frame):
 * Take the next frame.  Return 1, 0 if there is none yet, or -1 if what came
 * is not what the other end sent (seal_why() is then SEAL_CHANGED).
 */
int	seal_get(struct seal *, struct seal_frame *);

/* seal_setup(): see proof_setup(). */
int	seal_setup(void);

#endif
