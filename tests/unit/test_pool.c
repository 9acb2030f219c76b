/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "pool.h"

TestSuite(pool, .timeout = 30);

#define LO	28000
#define REST	60000

/* Take all there are; each at most once and within the range. */
static size_t
take_all(struct pool *p, int64_t now, uint16_t lo, uint16_t hi)
{
	static unsigned char	 seen[UINT16_MAX + 1];
	size_t			 n;
	uint16_t		 port;

	memset(seen, 0, sizeof(seen));
	for (n = 0; (port = pool_take(p, now)) != 0; n++) {
		cr_assert_geq(port, lo);
		cr_assert_leq(port, hi);
		cr_assert_not(seen[port], "%u twice", port);
		seen[port] = 1;
	}
	return (n);
}

Test(pool, every_number_once)
{
	struct pool	*p = pool_new(LO, LO + 999, REST);

	cr_assert_not_null(p);
	cr_expect_eq(pool_left(p, 0), 1000);
	cr_expect_eq(take_all(p, 0, LO, LO + 999), 1000);
	cr_expect_eq(pool_left(p, INT64_MAX), 0);
	cr_expect_eq(pool_take(p, INT64_MAX), 0);
	pool_free(p);
}

Test(pool, the_whole_range_there_is)
{
	struct pool	*p = pool_new(1, UINT16_MAX, REST);

	cr_assert_not_null(p);
	cr_expect_eq(pool_left(p, -5), UINT16_MAX);
	/* Each take moves what is in front of it: a few thousand will do. */
	while (pool_left(p, 0) > UINT16_MAX - 3000)
		cr_expect_neq(pool_take(p, 0), 0);
	pool_free(p);
	pool_free(NULL);
}

Test(pool, one_number)
{
	struct pool	*p = pool_new(UINT16_MAX, UINT16_MAX, REST);

	cr_expect_eq(pool_take(p, 10), UINT16_MAX);
	cr_expect_eq(pool_take(p, 10), 0);
	pool_give(p, UINT16_MAX, 1000);
	cr_expect_eq(pool_left(p, 1000), 0);
	cr_expect_eq(pool_take(p, 1000), 0);
	cr_expect_eq(pool_take(p, 1000 + REST - 1), 0);
	cr_expect_eq(pool_left(p, 1000 + REST), 1);
	cr_expect_eq(pool_take(p, 1000 + REST), UINT16_MAX);
	pool_free(p);
}

/* A number that was never taken cannot come back: no double booking. */
Test(pool, giving_too_much)
{
	struct pool	*p = pool_new(LO, LO + 3, REST);

	pool_give(p, LO, 0);
	cr_expect_eq(pool_left(p, INT64_MAX), 4);
	cr_expect_eq(take_all(p, 0, LO, LO + 3), 4);
	pool_free(p);
}

Test(pool, rest_is_kept_by_each)
{
	struct pool	*p = pool_new(LO, LO + 9, REST);
	int64_t		 t;
	int		 i;

	cr_expect_eq(take_all(p, 0, LO, LO + 9), 10);
	for (i = 0; i < 10; i++)
		pool_give(p, (uint16_t)(LO + i), i * 1000);
	for (i = 0; i < 10; i++) {
		t = REST + i * 1000;
		cr_expect_eq(pool_left(p, t - 1), 0);
		cr_expect_eq(pool_take(p, t - 1), 0);
		cr_expect_eq(pool_left(p, t), 1);
		cr_expect_eq(pool_take(p, t), LO + i);
	}
	pool_free(p);
}

/* The first number of a fresh pool: any, each about as often. */
Test(pool, spread_of_a_fresh_pool)
{
	enum { SIZE = 16, ROUNDS = 3200 };
	int		 hits[SIZE] = { 0 };
	struct pool	*p;
	int		 i;

	for (i = 0; i < ROUNDS; i++) {
		p = pool_new(LO, LO + SIZE - 1, REST);
		hits[pool_take(p, 0) - LO]++;
		pool_free(p);
	}
	/* 200 each; less than 100 or more than 300 is one in 10^11. */
	for (i = 0; i < SIZE; i++) {
		cr_expect_gt(hits[i], 100, "%d: %d", i, hits[i]);
		cr_expect_lt(hits[i], 300, "%d: %d", i, hits[i]);
	}
}

Test(pool, not_in_sequence)
{
	struct pool	*p = pool_new(LO, LO + 999, REST);
	uint16_t	 port, last = 0;
	int		 i, next = 0;

	for (i = 0; i < 1000; i++) {
		port = pool_take(p, 0);
		if (port == last + 1 || port == last - 1)
			next++;
		last = port;
	}
	/* Two are expected; twenty is one in 10^13. */
	cr_expect_lt(next, 20, "%d neighbours in a row", next);
	pool_free(p);
}

/*
 * Of numbers that have been used the half unused longest is drawn from, and
 * nothing is left out of that half.
 */
Test(pool, the_half_unused_longest)
{
	enum { SIZE = 20, ROUNDS = 2000 };
	int		 hits[SIZE] = { 0 }, i, round;
	struct pool	*p;

	for (round = 0; round < ROUNDS; round++) {
		p = pool_new(LO, LO + SIZE - 1, REST);
		cr_assert_eq(take_all(p, 0, LO, LO + SIZE - 1), SIZE);
		for (i = 0; i < SIZE; i++)
			pool_give(p, (uint16_t)(LO + i), i);
		hits[pool_take(p, 10 * REST) - LO]++;
		pool_free(p);
	}
	for (i = 0; i < SIZE / 2; i++)
		cr_expect_gt(hits[i], 100, "%d: %d", i, hits[i]);
	for (; i < SIZE; i++)
		cr_expect_eq(hits[i], 0, "%d: %d", i, hits[i]);
}

/* What was never used goes before what was, however long it has rested. */
Test(pool, never_used_first)
{
	struct pool	*p = pool_new(LO, LO + 99, REST);
	uint16_t	 used[10];
	int		 i, j;

	for (i = 0; i < 10; i++)
		used[i] = pool_take(p, 0);
	for (i = 0; i < 10; i++)
		pool_give(p, used[i], 0);
	cr_expect_eq(pool_left(p, REST), 100);
	for (i = 0; i < 50; i++) {
		uint16_t	 port = pool_take(p, REST);

		for (j = 0; j < 10; j++)
			cr_expect_neq(port, used[j]);
	}
	pool_free(p);
}

/* A long life: never a number twice, never one before its time. */
Test(pool, a_long_life)
{
	enum { SIZE = 50, STEPS = 20000 };
	struct pool	*p = pool_new(LO, LO + SIZE - 1, REST);
	int64_t		 given[SIZE], now = 0;
	int		 taken[SIZE] = { 0 }, i, out = 0, n;
	uint16_t	 port;

	for (i = 0; i < SIZE; i++)
		given[i] = -REST;
	for (i = 0; i < STEPS; i++) {
		now += arc4random_uniform(4000);
		n = (int)arc4random_uniform(SIZE);
		if (taken[n]) {
			pool_give(p, (uint16_t)(LO + n), now);
			given[n] = now;
			taken[n] = 0;
			out--;
		}
		if ((port = pool_take(p, now)) == 0)
			continue;
		n = port - LO;
		cr_assert(n >= 0 && n < SIZE);
		cr_assert_not(taken[n]);
		cr_assert_geq(now - given[n], REST);
		taken[n] = 1;
		out++;
	}
	cr_expect_eq(pool_left(p, INT64_MAX), (size_t)(SIZE - out));
	pool_free(p);
}
