/* SPDX-License-Identifier: ISC */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <stddef.h>
#include <stdint.h>

/*
 * A range of TCP port numbers to be given out one at a time: at random
 * among those unused longest, so that a number that one user has given back
 * is not at once another's, and rarely guessed.
 */

#define POOL_REST_MS	60000	/* before a registered port is used again */

struct pool;

/*
 * pool_new(lo, hi, rest_ms):
 * Return a pool of the numbers ${lo} to ${hi}, both included; a number that
 * comes back rests for ${rest_ms}.  NULL with errno ENOMEM.  The caller frees
 * it with pool_free().
 */
struct pool *pool_new(uint16_t, uint16_t, int64_t);

/* pool_free(p): free ${p}; NULL is allowed. */
void	 pool_free(struct pool *);

/*
 * pool_take(p, now):
 * Take a number: a random one of the half that was unused longest, leaving
 * out those that still rest at ${now} (mono_ms()).  Return it, or 0 if none
 * is left.
 */
uint16_t pool_take(struct pool *, int64_t);

/*
 * pool_claim(p, port):
 * Take ${port}, which somebody has already.  Return 0, or -1 if it was
 * taken before; a number outside the range is nobody's business.
 */
int	 pool_claim(struct pool *, uint16_t);

/*
 * pool_give(p, port, now):
 * Give back ${port}, which was taken from ${p}; from ${now} on it rests.
 * One outside the range is forgotten.
 */
void	 pool_give(struct pool *, uint16_t, int64_t);

/* pool_left(p, now): how many could be taken at ${now}. */
size_t	 pool_left(const struct pool *, int64_t);

#endif
