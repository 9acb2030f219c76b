/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "account.h"
#include "child.h"
#include "client.h"
#include "loop.h"
#include "relay.h"
#include "session.h"
#include "svc.h"
#include "ui.h"

static struct account	 account;

int
client_begin(const struct options *o, unsigned int flags)
{
	int	 status;

	if ((status = account_load(&account, o)) != 0)
		return (status);
	loop_init();
	if ((status = session_open(&account, flags)) != 0)
		return (status);
	ui_debug("logged in as %s", session_jid());
	return (0);
}

int
client_service(const struct options *o, char *service, size_t size)
{
	(void)o;	/* the account has its choice, or that of the file */
	return (svc_choose(account.service, service, size));
}

void
client_lock(const struct sandbox_path *paths, size_t n)
{
	struct sandbox_path	 all[CLIENT_PATHS + 1];
	size_t			 i;

	for (i = 0; i < n && i < CLIENT_PATHS; i++)
		all[i] = paths[i];
	if (account.ca_file != NULL)
		all[i++] = (struct sandbox_path){ account.ca_file, 0 };
	sandbox_client(SANDBOX_SESSION, all, i);
}

int
client_end(int code)
{
	int	 sig = loop_interrupted();

	child_end_all();
	session_close();
	account_clear(&account);
	relay_stdio(1);
	if (ui_stdout_lost() && code == EXIT_DONE)
		code = ui_fail(EXIT_USAGE, "standard output cannot be "
		    "written");
	if (sig != 0) {
		/* The shell is to see what it was. */
		(void)signal(sig, SIG_DFL);
		(void)raise(sig);
	}
	return (code);
}
