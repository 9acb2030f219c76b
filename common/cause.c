/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "cause.h"

static const char *const names[CAUSE_MAX] = {
	[CAUSE_NONE] = "none",
	[CAUSE_EOF] = "eof",
	[CAUSE_PEER_RESET] = "peer-reset",
	[CAUSE_OWNER_RESET] = "owner-reset",
	[CAUSE_IDLE] = "idle",
	[CAUSE_HALF_CLOSE] = "half-close",
	[CAUSE_ERROR] = "error",
	[CAUSE_PEER_GONE] = "peer-gone",
	[CAUSE_DENIED] = "denied",
	[CAUSE_BOUNCED] = "bounced",
	[CAUSE_ANSWER_TIMEOUT] = "answer-timeout",
	[CAUSE_CONNECT_TIMEOUT] = "connect-timeout",
	[CAUSE_CONTESTED] = "contested",
	[CAUSE_BUSY] = "busy",
	[CAUSE_CLOSED] = "closed",
	[CAUSE_EXPIRED] = "expired",
	[CAUSE_ONESHOT] = "oneshot",
	[CAUSE_SHUTDOWN] = "shutdown",
	[CAUSE_LINK_DOWN] = "link-down",
	[CAUSE_OWNER_GONE] = "owner-gone",
	[CAUSE_QUOTA] = "quota",
	[CAUSE_WORKER_DIED] = "worker-died",
	[CAUSE_CONTROL_DIED] = "control-died",
};

const char *
cause_name(enum cause c)
{
	if ((int)c < 0 || c >= CAUSE_MAX || names[c] == NULL)
		return ("unknown");
	return (names[c]);
}
