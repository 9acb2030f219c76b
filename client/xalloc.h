/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_XALLOC_H
#define CLIENT_XALLOC_H

#include <stddef.h>

/*
 * Memory that is always there: a client that has none left says so and ends
 * with EXIT_USAGE.  The caller frees with free(3).
 */
void	*xcalloc(size_t, size_t);
void	*xrealloc(void *, size_t, size_t);	/* pointer, number, size */
char	*xstrdup(const char *);

#endif
