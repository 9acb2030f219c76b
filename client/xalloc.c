/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "ui.h"
#include "xalloc.h"

static void *
there(void *p)
{
	if (p == NULL)
		exit(ui_fail(EXIT_USAGE, "out of memory"));
	return (p);
}

void *
xcalloc(size_t n, size_t size)
{
	return (there(calloc(n, size)));
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	return (there(reallocarray(p, n, size)));
}

char *
xstrdup(const char *s)
{
	return (there(strdup(s)));
}
