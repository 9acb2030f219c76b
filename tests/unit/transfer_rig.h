/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TRANSFER_RIG_H
#define TESTS_UNIT_TRANSFER_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "seal.h"
#include "transfer.h"
#include "walk.h"

/*
 * Two seals with somebody in between, who sees and may change every byte, and
 * a transfer over them, all in one thread with a clock of its own.  Files are
 * in a directory that each test makes and removes.
 */
#define OWNER	0
#define CALLER	1

/* What is on the line at most; a tap finds room for twice as much. */
#define LINK_BUF	16384

/*
 * The one in between: bytes of ${from} that came after ${at} others; he may
 * change them, and returns how many he passes on (-1: he cuts the line).
 */
typedef ssize_t (*tap_fn)(int from, uint64_t at, uint8_t *, size_t, void *);

struct link {
	struct seal	*seal[2];
	int		 fd[2];		/* the tap's ends */
	uint64_t	 passed[2];	/* bytes from that end */
	int		 eof[2];
	uint8_t		 pend[2][2 * LINK_BUF];
	size_t		 pend_at[2], pend_len[2];
	tap_fn		 tap;
	void		*arg;
	int64_t		 now;
};

extern const uint8_t	 rig_secret[PROOF_SECRET_LEN];

/* link_open(l, other): the caller's secret is ${other}, or rig_secret. */
void	link_open(struct link *, const uint8_t *);
void	link_close(struct link *);

/* link_pass(l): let the tap pass on what has come; 1 if there was any. */
int	link_pass(struct link *);

/* link_prove(l): until both are proven or broken; 1 if both are proven. */
int	link_prove(struct link *);

/* ---- files ---------------------------------------------------------------*/

struct rig {
	struct link	 link;
	char		 dir[64];	/* holds from/ and to/ */
	int		 to;		/* descriptor of to/ */
	struct transfer	*t[2];
	struct transfer_total total;
	struct transfer_total *agreed;	/* NULL: as offered */
	enum transfer_state end[2];
	uint64_t	 told[2][TRANSFER_CODES];	/* items by code */
	char		 last[2][256];	/* the last one told */
};

/* rig_begin(r): a directory with from/ and to/. */
void	rig_begin(struct rig *);
void	rig_end(struct rig *);

/* rig_path(r, name): its path below the directory, until the next call. */
const char *rig_path(struct rig *, const char *);

/*
 * rig_write(r, name, size, seed): a file of ${size} bytes that depend on
 * ${seed}.  rig_is(r, name, size, seed): 1 if it is that.
 */
void	rig_write(struct rig *, const char *, size_t, uint32_t);
int	rig_is(struct rig *, const char *, size_t, uint32_t);
int	rig_exists(struct rig *, const char *);
void	rig_mkdir(struct rig *, const char *);

/* rig_count(r, name): entries of a directory. */
int	rig_count(struct rig *, const char *);

/*
 * rig_start(r, names, n): a transfer of from/NAME... to to/.
 * rig_run(r): until both sides have ended.
 * rig_stop(r): both go, whatever they are doing.
 */
void	rig_start(struct rig *, const char *const *, size_t);
void	rig_run(struct rig *);
void	rig_stop(struct rig *);

/* rig_send(r, name): start, run and stop with one name. */
void	rig_send(struct rig *, const char *);

#endif
