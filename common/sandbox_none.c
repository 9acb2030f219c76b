/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "sandbox.h"

const char *
sandbox_lock(void)
{
	return (NULL);
}

void
sandbox_subreaper(void)
{
}

const char *
sandbox_name(void)
{
	return ("none");
}
