/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_TRANSFER_SIDE_H
#define CLIENT_TRANSFER_SIDE_H

#include <sodium.h>

#include "transfer.h"
#include "wire.h"

/*
 * What both sides of a transfer share: transfer.c has the loop, a side says
 * what is done with a message and what there is to do without one.
 */

struct side {
	/* Which messages the other side may send. */
	int	(*from)(enum wire_type);
	/* Does take() send something? Then it is called only if it can. */
	int	 needs_room;
	/* Act on a message; ${last} if it is the last one. */
	void	(*take)(struct transfer *, const struct wire *, int);
	/* Do a piece of work, some 64 KiB; return 1 if there was any. */
	int	(*work)(struct transfer *);
	/* Free ${data}. */
	void	(*done)(void *);
};

struct transfer {
	struct seal	*seal;
	struct transfer_hooks hooks;
	struct transfer_progress progress;
	enum transfer_state state;
	enum transfer_code code;	/* TRANSFER_FAILED: why */
	int		 theirs;	/* and whether the other side said so */
	int		 ending;	/* the end, once all is sent */
	int		 busy;		/* there is more to do at once */
	int64_t		 now;
	int64_t		 said;		/* when something was last sent */
	const struct side *side;
	void		*data;		/* the side's */
};

/* side_new(seal, side, data, hooks, now): NULL if memory is short. */
struct transfer *side_new(struct seal *, const struct side *, void *,
	    const struct transfer_hooks *, int64_t);

/*
 * side_put(t, w, last):
 * Send ${w}, for which there is room.  Its data may be in seal_data().
 */
void	side_put(struct transfer *, const struct wire *, int);

/* side_put_id(t, type, id, code): a message that has just these. */
void	side_put_id(struct transfer *, enum wire_type, uint64_t,
	    enum transfer_code);

/* side_fail(t, code): give up, and say so. */
void	side_fail(struct transfer *, enum transfer_code);

/*
 * side_result(t, kind, code, path, size):
 * The fate of an entry is known: count it and tell the user.
 */
void	side_result(struct transfer *, enum wire_kind, enum transfer_code,
	    const char *, uint64_t);

/* side_note(t, code, path): tell the user only. */
void	side_note(struct transfer *, enum transfer_code, const char *);

/*
 * side_sum(t, state, id, prefix):
 * Begin a sum over the file ${id}: of what is sent, or with ${prefix} of
 * what the receiver has already.  Poly1305 with a key for this one sum: both
 * ends know it, so that a slower hash would show no more, and nobody else
 * has any use for the sum.
 */
void	side_sum(const struct transfer *, crypto_onetimeauth_state *,
	    uint64_t, int);

#endif
