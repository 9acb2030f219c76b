/* SPDX-License-Identifier: ISC */
#ifndef COMMON_CAUSE_H
#define COMMON_CAUSE_H

/*
 * Why a session (a pending client or a relay) ended.  The numbers travel in
 * messages: append only, never reorder.  cause_name() gives the word that
 * the log shows and passd(8) explains.
 */
enum cause {
	CAUSE_NONE = 0,
	CAUSE_EOF = 1,			/* both directions ended with FIN */
	CAUSE_PEER_RESET = 2,		/* RST from the stranger */
	CAUSE_OWNER_RESET = 3,		/* RST from the owner's leg */
	CAUSE_IDLE = 4,			/* timeout idle */
	CAUSE_HALF_CLOSE = 5,		/* timeout half-close */
	CAUSE_ERROR = 6,		/* the kernel refused; see the log */
	CAUSE_PEER_GONE = 7,		/* the stranger left unanswered */
	CAUSE_DENIED = 8,		/* the owner said no */
	CAUSE_BOUNCED = 9,		/* the owner could not be asked */
	CAUSE_ANSWER_TIMEOUT = 10,	/* timeout answer */
	CAUSE_CONNECT_TIMEOUT = 11,	/* timeout connect: no owner's leg */
	CAUSE_CONTESTED = 12,		/* several legs, none of them proven */
	CAUSE_BUSY = 13,		/* the last session was taken */
	CAUSE_CLOSED = 14,		/* the owner closed the port */
	CAUSE_EXPIRED = 15,		/* the port's time was over */
	CAUSE_ONESHOT = 16,		/* the port's one session had begun */
	CAUSE_SHUTDOWN = 17,		/* passd stops */
	CAUSE_LINK_DOWN = 18,		/* no XMPP link to ask the owner */
	CAUSE_OWNER_GONE = 19,		/* the owner went offline */
	CAUSE_QUOTA = 20,		/* a quota was used up */
	CAUSE_WORKER_DIED = 21,		/* the worker process died */
	CAUSE_CONTROL_DIED = 22,	/* the control process died */
	CAUSE_MAX
};

/* cause_name(c): the word for ${c}, "unknown" outside the enum. */
const char *cause_name(enum cause);

#endif
