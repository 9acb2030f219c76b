/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static uint64_t	 state;

/* AddressSanitizer's, where it is linked in. */
size_t	__sanitizer_get_current_allocated_bytes(void)
	    __attribute__((__weak__));

uint8_t
fuzz_u8(struct fuzz_in *in)
{
	if (in->left == 0)
		return (0);
	in->left--;
	return (*in->p++);
}

uint16_t
fuzz_u16(struct fuzz_in *in)
{
	unsigned int	 hi = fuzz_u8(in);

	return ((uint16_t)(hi << 8 | fuzz_u8(in)));
}

/* ---- numbers that can be had again --------------------------------------*/

void
fuzz_seed(uint64_t seed)
{
	state = seed;
}

/* SplitMix64. */
static uint64_t
next(void)
{
	uint64_t	 z;

	z = state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31);
}

/* In place of those of the C library. */
uint32_t
arc4random(void)
{
	return ((uint32_t)next());
}

void
arc4random_buf(void *buf, size_t len)
{
	unsigned char	*p = buf;

	while (len-- > 0)
		*p++ = (unsigned char)next();
}

uint32_t
arc4random_uniform(uint32_t bound)
{
	return (bound < 2 ? 0 : (uint32_t)(next() % bound));
}

/* ---- what is held -------------------------------------------------------*/

size_t
fuzz_heap(void)
{
	return (__sanitizer_get_current_allocated_bytes == NULL ? 0 :
	    __sanitizer_get_current_allocated_bytes());
}

int
fuzz_fds(void)
{
	DIR	*dir = opendir("/proc/self/fd");
	int	 n = 0;

	FUZZ_CHECK(dir != NULL, "no /proc");
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

void
fuzz_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list	 ap;

	fprintf(stderr, "%s:%d: does not hold: %s: ", file, line, what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
	abort();
}
