/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the fuzz targets share.  A target is one function,
 * LLVMFuzzerTestOneInput(); libFuzzer calls it, or replay.c where there is no
 * libFuzzer.  A property that does not hold ends the process by abort(3).
 */

/* The bytes of an input that are not used yet. */
struct fuzz_in {
	const uint8_t	*p;
	size_t		 left;
};

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* fuzz_u8(in), fuzz_u16(in): the next number, 0 when there are no more. */
uint8_t	 fuzz_u8(struct fuzz_in *);
uint16_t fuzz_u16(struct fuzz_in *);

/*
 * fuzz_seed(seed):
 * Every input begins with this: from now on arc4random(3) and its family
 * give the same numbers for the same ${seed}, so that a finding can be
 * replayed.
 */
void	 fuzz_seed(uint64_t);

/*
 * fuzz_heap():
 * Return the bytes allocated on the heap, or 0 if nobody counts them (no
 * AddressSanitizer).
 */
size_t	 fuzz_heap(void);

/* fuzz_fds(): how many descriptors are open. */
int	 fuzz_fds(void);

/* fuzz_fail(file, line, what, fmt, ...): print and abort. */
void	 fuzz_fail(const char *, int, const char *, const char *, ...)
	    __attribute__((__noreturn__, __format__(__printf__, 4, 5)));

/* FUZZ_CHECK(cond, fmt, ...): ${cond} always holds. */
#define FUZZ_CHECK(cond, ...) do {					\
	if (!(cond))							\
		fuzz_fail(__FILE__, __LINE__, #cond, __VA_ARGS__);	\
} while (0)

#endif
