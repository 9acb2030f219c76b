/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "compat.h"

int
timingsafe_bcmp(const void *a, const void *b, size_t len)
{
	/*
	 * Volatile, so that no compiler may turn the loop into a memcmp()
	 * that stops at the first difference.
	 */
	const volatile unsigned char	*p = a, *q = b;
	unsigned char			 diff = 0;
	size_t				 i;

	for (i = 0; i < len; i++)
		diff = (unsigned char)(diff | (p[i] ^ q[i]));
	return (diff != 0);
}
