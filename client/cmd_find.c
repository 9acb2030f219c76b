/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "decloak.h"
#include "disco.h"
#include "el.h"
#include "ui.h"

#define FIND_MS		8000

static struct decloak_peer	 found[DECLOAK_PEERS];

/* What is worth saying about a client, in the words of a person. */
static void
abilities(const struct decloak_peer *p, char *buf, size_t size)
{
	static const struct {
		const char	*ns, *word;
	} table[] = {
		{ NS_PASSD, "passcat" },
		{ NS_PASS, "pass" },
		{ NS_OOB, "files-by-url" },
		{ "urn:xmpp:jingle:apps:file-transfer:5", "jingle-files" },
		{ "urn:xmpp:jingle:apps:rtp:1", "calls" },
		{ NS_DECLOAK, "decloak" },
	};
	size_t	 i;

	buf[0] = '\0';
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!decloak_has(p, table[i].ns))
			continue;
		if (buf[0] != '\0')
			(void)strlcat(buf, " ", size);
		(void)strlcat(buf, table[i].word, size);
	}
}

int
cmd_find(struct options *o, char **args, int nargs)
{
	struct event	 e;
	char		 can[256];
	int64_t		 ms = o->timeout ? (int64_t)o->timeout * 1000 :
			    FIND_MS;
	int		 i, n, status;

	(void)nargs;
	disco_serve();
	decloak_serve(o);
	if ((status = client_begin(o, 0)) != 0)
		return (client_end(status));
	client_lock(NULL, 0);
	n = decloak_find(args[0], o->reason, ms, found, DECLOAK_PEERS);
	for (i = 0; i < n; i++) {
		abilities(&found[i], can, sizeof(can));
		ui_event(&e, "peer");
		ui_str(&e, "jid", found[i].jid);
		ui_str(&e, "can", can);
		ui_str(&e, "features", found[i].features);
		ui_end(&e);
		ui_result("%s%s%s", found[i].jid, can[0] != '\0' ? "  " : "",
		    can);
	}
	if (n < 0)
		status = -1 - n;
	else if (n == 0)
		status = ui_fail(EXIT_REFUSED, "%s does not show; he may be "
		    "offline, or has not agreed to be seen (passcat: "
		    "--decloak)", args[0]);
	decloak_end();
	return (client_end(status));
}
