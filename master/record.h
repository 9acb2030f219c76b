/* SPDX-License-Identifier: ISC */
#ifndef MASTER_RECORD_H
#define MASTER_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "cause.h"
#include "msg.h"

/*
 * What a control has to know of a port, or of a notice on its way, when it
 * takes over from one that has died (DESIGN.md section 3).  The parent keeps
 * these as bytes.  A worker is never asked whose port it has: that is here.
 */

#define RECORD_FORMAT	1
#define RECORD_ID_MAX	512	/* of a request that waits for its answer */

enum record_kind { RECORD_PORT = 1, RECORD_NOTICE };

#define RECORD_READY		0x01	/* the worker has started */
#define RECORD_ONESHOT		0x02
#define RECORD_FULL_OWNER	0x04
#define RECORD_CLOSED		0x08	/* listens no more, see cause */
#define RECORD_ENGLISH		0x10	/* the request wants English */

struct record {
	enum record_kind kind;
	uint16_t	 number;	/* of the port */
	uint16_t	 flags;		/* RECORD_* */
	enum cause	 cause;		/* RECORD_CLOSED and notices */
	uint32_t	 tries;		/* notices: how often it was sent */
	int64_t		 registered;	/* mono_ms(), which outlives control */
	int64_t		 expires;	/* mono_ms() */
	uint64_t	 asked;		/* seconds; 0: no expire */
	char		 id[ASK_ID_LEN + 1];	/* notices: of the stanza */
	int32_t		 pid;		/* of the worker; 0: not known */
	const char	*jid;		/* the owner's full JID */
	const char	*request;	/* id of the request; NULL: none */
};

/*
 * record_write(r, m):
 * Put ${r} into the message ${m}, whose header is the caller's.  Return the
 * length of the message, or 0 if it does not fit (a JID is at most 3071
 * bytes, RFC 7622 3.1, so with a request id of RECORD_ID_MAX it does).
 */
size_t	record_write(const struct record *, struct msg_record *);

/*
 * record_read(r, m, len):
 * Read the message ${m} of ${len} bytes into ${r}, whose strings point into
 * ${m}.  Return 0, or -1 if it is not a record of this format.
 */
int	record_read(struct record *, const struct msg_record *, size_t);

#endif
