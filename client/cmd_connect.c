/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "client.h"
#include "dial.h"
#include "relay.h"
#include "sandbox_client.h"
#include "ui.h"

/*
 * Somebody else's port, from standard input and output: any TCP client would
 * do, this one gets half-close right.  Needs no account.
 */
int
cmd_connect(struct options *o, char **args, int nargs)
{
	struct relay	 r = { -1, STDIN_FILENO, STDOUT_FILENO, 0, -1, 0, 0,
			    NULL, NULL };
	const char	*why;
	char		 text[256];
	int		 code;

	(void)o;
	(void)nargs;
	(void)signal(SIGPIPE, SIG_IGN);
	if ((r.peer = dial_name(args[0], args[1], &why)) == -1)
		return (ui_fail(EXIT_PEER, "%s port %s: %s; ask whoever gave "
		    "you the port whether it is still open", args[0],
		    args[1], why));
	ui_debug("connected to %s port %s", args[0], args[1]);
	sandbox_client(SANDBOX_RELAY, NULL, 0);
	relay_stdio(0);
	code = relay_run(&r, text, sizeof(text));
	relay_stdio(1);
	if (code == EXIT_PEER)
		return (ui_fail(EXIT_PEER, "%s port %s: %s", args[0], args[1],
		    text));
	return (code == EXIT_DONE ? code : ui_fail(EXIT_USAGE, "%s", text));
}
