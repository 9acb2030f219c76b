/* SPDX-License-Identifier: ISC */

/*
 * Linked into sanitizer builds only.  The leak checker at exit wants to
 * trace its own process through /proc: neither works in an empty root
 * directory or in a process that is not dumpable.  Leaks are looked for by
 * the unit tests.
 */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return ("detect_leaks=0");
}
