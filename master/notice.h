/* SPDX-License-Identifier: ISC */
#ifndef MASTER_NOTICE_H
#define MASTER_NOTICE_H

#include <stdint.h>

#include "record.h"
#include "registry.h"

/*
 * Notices (XEP-0003 4.1 and 4.2): a port was closed and its owner is told,
 * under one id, whatever dies in between.
 */

/*
 * notice_closed(p, cause):
 * Tell the owner of ${p} that it was closed: expire and oneshot by their
 * element, the rest, but for his own close and his absence, by a plain
 * <close/>.
 */
void	notice_closed(const struct port *, enum cause);

/*
 * notice_adopt(id, r):
 * Take over the notice ${r}, kept under ${id}, of the control before this.
 */
void	notice_adopt(uint32_t, const struct record *);

#endif
