/* SPDX-License-Identifier: ISC */
#ifndef MASTER_ESCROW_H
#define MASTER_ESCROW_H

#include <stdint.h>

#include "cause.h"
#include "record.h"
#include "registry.h"

/*
 * Control's side of what the parent keeps for the control after this one
 * (DESIGN.md section 3): the records of ports and notices, the channels to
 * the workers, and the key that makes the ids of stanzas, so that both
 * controls say the same thing under the same id.
 */

/*
 * escrow_epoch(m):
 * The parent has said what control this is: from now on records are kept,
 * and ids are made with its key.
 */
void	escrow_epoch(const struct msg_epoch *);

/* escrow_epoch_now(): the number of this control; 0: not told yet. */
uint32_t escrow_epoch_now(void);

/*
 * escrow_id(id, worker, session):
 * The id of the question for ${session} of the worker ${worker}, or, with
 * session 0, of the notice that its port was closed: ASK_ID_LEN hexadecimal
 * digits, which nobody without the key can guess.
 */
void	escrow_id(char [ASK_ID_LEN + 1], uint32_t, uint32_t);

/*
 * escrow_port(p, fd):
 * Have the present state of ${p} kept; with ${fd} (-1: as before) control's
 * end of the channel to its worker, which stays the caller's.
 */
void	escrow_port(const struct port *, int);

/*
 * escrow_notice(id, r):
 * Have the notice ${r} kept under the number ${id}.
 */
void	escrow_notice(uint32_t, const struct record *);

/* escrow_release(id): what is kept under ${id} is over and done with. */
void	escrow_release(uint32_t);

#endif
