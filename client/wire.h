/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The messages of a transfer, each one frame of a seal.  The sender names
 * what it has, the receiver asks for what it wants of that, piece by piece:
 *
 *	sender					receiver
 *	OFFER	how much in all
 *	ENTRY	a directory, a file, or the	RESULT	made, or why not
 *		end of a directory; they are
 *		counted from 0 on
 *						SUM	of your first n bytes?
 *	SUMMED	here it is
 *						GET	it, from byte n on
 *	DATA ... END	with the sum of these	RESULT	stored, or why not
 *	or SKIP		it has changed		RESULT
 *	FINISH	no more entries			DONE	all has its result
 *
 * Each entry gets exactly one RESULT.  The sender may be WIRE_WINDOW entries
 * ahead of the oldest that has none; it answers SUM and GET in their order,
 * so that DATA always belongs to the oldest GET.  Either end may send TICK,
 * which says that it lives, and FAIL, after which it goes.
 */
#define WIRE_VERSION	1
#define WIRE_WINDOW	256
#define WIRE_PATH_MAX	4096		/* bytes in a path, no NUL */
#define WIRE_SUM_LEN	16

enum wire_type {
	WIRE_TICK = 0,
	WIRE_OFFER = 1,
	WIRE_ENTRY,
	WIRE_SUMMED,
	WIRE_DATA,
	WIRE_END,
	WIRE_SKIP,
	WIRE_FINISH,
	WIRE_SUM = 16,
	WIRE_GET,
	WIRE_RESULT,
	WIRE_DONE,
	WIRE_FAIL = 32
};

enum wire_kind {			/* of an entry */
	WIRE_FILE,
	WIRE_DIR,
	WIRE_LEAVE			/* all of this directory was named */
};

/* A message; which of these it has depends on its type, see wire.c. */
struct wire {
	enum wire_type	 type;
	uint8_t		 code;		/* version, kind or result */
	uint8_t		 exec;		/* ENTRY: 1 if it may be executed */
	uint64_t	 id;		/* of an entry; OFFER: files */
	uint64_t	 size;		/* or offset, or bytes in all */
	uint64_t	 dirs;		/* OFFER */
	int64_t		 sec;		/* time of last change, UTC */
	uint32_t	 nsec;
	uint8_t		 sum[WIRE_SUM_LEN];
	const uint8_t	*data;		/* path or bytes, not ours */
	size_t		 len;
};

/* Room for a packed message without its data. */
#define WIRE_HEAD_MAX	64

/*
 * wire_pack(w, head):
 * Write all of ${w} but its data, which has to follow, into ${head}
 * (WIRE_HEAD_MAX bytes).  Return how many bytes that are.
 */
size_t	wire_pack(const struct wire *, uint8_t [WIRE_HEAD_MAX]);

/*
 * wire_unpack(w, type, data, len):
 * Read a frame of ${type} into ${w}, whose data then points into ${data}.
 * Return 0, or -1 if there is no such type or it has too few bytes, too
 * many, or a value that no message can have.
 */
int	wire_unpack(struct wire *, uint8_t, const uint8_t *, size_t);

/* wire_from_sender(type): 1 if the sender may send it, wire_from_receiver(). */
int	wire_from_sender(enum wire_type);
int	wire_from_receiver(enum wire_type);

#endif
