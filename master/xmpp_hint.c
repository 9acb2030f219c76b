/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <string.h>

#include "xmpp_hint.h"

/*
 * What Prosody 0.12 and ejabberd 23 mean by each condition: PROTOCOL.md
 * section 3, tried on both.
 */
static const struct {
	const char	*condition;
	const char	*hint;
} hints[] = {
	{ "conflict",
	    "another passd, or a connection that the server does not know "
	    "to be dead yet, has this component name; Prosody: "
	    "component_conflict_resolve = \"kick_old\"; ejabberd: the name "
	    "is one of its own hosts" },
	{ "not-authorized",
	    "the secret file and the server's secret differ (Prosody: "
	    "component_secret, ejabberd: password of the listener), or "
	    "ejabberd has no such component under hosts: of the listener" },
	{ "host-unknown",
	    "the server has no such component: Prosody needs a line "
	    "Component \"NAME\" whose NAME is that of passd.conf and no "
	    "VirtualHost" },
	{ "host-gone",
	    "the component was removed from the server's configuration" },
	{ "invalid-namespace",
	    "this port is not for components (XEP-0114): Prosody: "
	    "component_ports, ejabberd: a listener with module: "
	    "ejabberd_service" },
	{ "improper-addressing",
	    "the component name in passd.conf is not what the server "
	    "expects" },
	{ "invalid-from",
	    "the component name in passd.conf is not the one that the "
	    "server has authenticated" },
	{ "policy-violation",
	    "a limit of the server was reached; ejabberd: max_stanza_size "
	    "and shaper of the listener" },
	{ "not-well-formed",
	    "the server could not read a stanza, or it was too big for "
	    "Prosody's component_stanza_size_limit" },
	{ "resource-constraint",
	    "the server is overloaded or a limit of it was reached" },
	{ "connection-timeout",
	    "the server had not heard from passd for too long" },
	{ "system-shutdown",
	    "the server is stopping; passd tries again by itself" },
	{ "reset",
	    "the server wants a new stream; passd tries again by itself" },
};

const char *
xmpp_hint(const char *condition)
{
	size_t	 i;

	for (i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strcmp(hints[i].condition, condition) == 0)
			return (hints[i].hint);
	return ("the server's log says more");
}
