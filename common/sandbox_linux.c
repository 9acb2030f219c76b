/* SPDX-License-Identifier: ISC */
#include <sys/prctl.h>

#include <stddef.h>

#include "sandbox.h"

const char *
sandbox_lock(void)
{
	/*
	 * Dumpable is cleared by a change of user already, but not when
	 * passd runs as an ordinary user from the start.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return ("prctl dumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return ("prctl no_new_privs");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return ("verification of no_new_privs");
	return (NULL);
}

void
sandbox_subreaper(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

const char *
sandbox_name(void)
{
	return ("linux: no_new_privs, not dumpable");
}
