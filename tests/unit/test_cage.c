/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cage.h"

#if defined(__linux__) && defined(__x86_64__) && \
    !defined(WITH_SANITIZERS)
#include <seccomp.h>

TestSuite(cage, .timeout = 30);

#define TEXT_MAX	65536

static size_t
slurp(FILE *f, char *text)
{
	size_t	 n;

	rewind(f);
	n = fread(text, 1, TEXT_MAX - 1, f);
	text[n] = '\0';
	return (n);
}

/*
 * The filter as text equals the one in the tree: a call more, or an argument
 * less, is a change that somebody has to read.  CAGE_GOLDEN=update writes
 * the files anew.
 */
static void
compare(enum cage cage, const char *name)
{
	const struct scmp_version	*v = seccomp_version();
	static char			 got[TEXT_MAX], want[TEXT_MAX];
	const char			*dir = getenv("srcdir");
	char				 path[512];
	FILE				*f, *golden;

	/* The text is the library's own: another release, another text. */
	if (v->major != 2 || v->minor != 5)
		cr_skip_test("libseccomp %u.%u", v->major, v->minor);
	cr_assert_not_null(f = tmpfile());
	cr_assert_eq(cage_print(cage, fileno(f)), 0);
	cr_assert_gt(slurp(f, got), 0);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "%s/tests/unit/cage/%s.pfc",
	    dir == NULL ? "." : dir, name);
	if (getenv("CAGE_GOLDEN") != NULL) {
		cr_assert_not_null(golden = fopen(path, "w"));
		cr_assert_geq(fputs(got, golden), 0);
		cr_assert_eq(fclose(golden), 0);
		return;
	}
	cr_assert_not_null(golden = fopen(path, "r"), "%s", path);
	(void)slurp(golden, want);
	(void)fclose(golden);
	cr_assert_str_eq(got, want, "the filter %s is not the one in %s",
	    name, path);
}

Test(cage, worker_filter_is_the_golden_one)
{
	compare(CAGE_WORKER, "worker");
}

Test(cage, control_filter_is_the_golden_one)
{
	compare(CAGE_CONTROL, "control");
}

Test(cage, resolver_filter_is_the_golden_one)
{
	compare(CAGE_RESOLVER, "resolver");
}
#endif
