/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_CRITERION_H
#define TESTS_FUZZ_CRITERION_H

#include <string.h>

#include "fuzz.h"

/*
 * Stands in for Criterion where the fuzz targets use tests/unit/fake.c: what
 * it asserts holds here, too.  Texts are left out, they may be absent.
 */
#define cr_assert(c, ...)		FUZZ_CHECK(c, "fake.c")
#define cr_assert_not(c, ...)		FUZZ_CHECK(!(c), "fake.c")
#define cr_assert_not_null(a, ...)	FUZZ_CHECK((a) != NULL, "fake.c")
#define cr_assert_null(a, ...)		FUZZ_CHECK((a) == NULL, "fake.c")
#define cr_assert_eq(a, b, ...)		FUZZ_CHECK((a) == (b), "fake.c")
#define cr_assert_neq(a, b, ...)	FUZZ_CHECK((a) != (b), "fake.c")
#define cr_assert_lt(a, b, ...)		FUZZ_CHECK((a) < (b), "fake.c")
#define cr_assert_leq(a, b, ...)	FUZZ_CHECK((a) <= (b), "fake.c")
#define cr_assert_gt(a, b, ...)		FUZZ_CHECK((a) > (b), "fake.c")
#define cr_assert_geq(a, b, ...)	FUZZ_CHECK((a) >= (b), "fake.c")
#define cr_assert_str_eq(a, b, ...)					\
	FUZZ_CHECK(strcmp((a), (b)) == 0, "fake.c")
#define cr_assert_fail(...)		fuzz_fail(__FILE__, __LINE__,	\
					    "fail", __VA_ARGS__)
#define cr_expect			cr_assert
#define cr_expect_not			cr_assert_not
#define cr_expect_not_null		cr_assert_not_null
#define cr_expect_eq			cr_assert_eq
#define cr_expect_neq			cr_assert_neq
#define cr_expect_str_eq		cr_assert_str_eq
/* A spawner that lies is what is wanted here: its end may have a reason. */
#define cr_expect_null(a, ...)		((void)(a))

#endif
