/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

const struct attempt *
attempt(size_t i)
{
	static const struct attempt *const	 lists[] = {
		net_attempts, file_attempts, proc_attempts, memory_attempts
	};
	const struct attempt			*a;
	size_t					 l;

	for (l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
		for (a = lists[l]; a->name != NULL; a++) {
			if (i-- == 0)
				return (a);
		}
	}
	return (NULL);
}

int
attempt_make(const struct prey *p)
{
	const struct attempt	*a;
	size_t			 i;

	for (i = 0; (a = attempt(i)) != NULL; i++) {
		if (strcmp(a->name, p->r.name) != 0)
			continue;
		errno = 0;
		return (a->make(p));
	}
	return (ENOTSUP);
}

const char *
attempt_path(const struct prey *p, const char *name)
{
	static char	 path[128];

	(void)strlcpy(path, p->r.dir, sizeof(path));
	(void)strlcat(path, "/", sizeof(path));
	(void)strlcat(path, name, sizeof(path));
	return (path);
}

int
attempt_result(long r)
{
	if (r != -1 || errno == EAGAIN || errno == EINPROGRESS)
		return (0);
	return (errno);
}

unsigned int
escape_layers(void)
{
	static int	 known;
	static unsigned int layers = ESCAPE_ALL;
	const char	*s;

	if (!known && (s = getenv("ESCAPE_LAYERS")) != NULL)
		layers = (unsigned int)strtonum(s, 0, ESCAPE_ALL, NULL);
	known = 1;
	return (layers);
}
