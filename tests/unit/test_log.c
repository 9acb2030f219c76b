/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static char		 last[LOG_LINE_MAX];
static enum log_level	 last_level;
static int		 lines;

static void
keep_line(enum log_level level, const char *line, void *arg)
{
	cr_assert_eq(arg, &lines);
	last_level = level;
	(void)strlcpy(last, line, sizeof(last));
	lines++;
}

Test(log, levels_and_errno)
{
	log_to(keep_line, &lines);
	cr_expect_eq(log_get_level(), LOG_LEVEL_INFO);
	log_debug("dropped");
	cr_expect_eq(lines, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("kept %d", 1);
	cr_expect_str_eq(last, "kept 1");
	cr_expect_eq(last_level, LOG_LEVEL_DEBUG);
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("dropped");
	cr_expect_eq(lines, 1);
	log_error("e");
	cr_expect_eq(last_level, LOG_LEVEL_ERROR);
	log_set_level(LOG_LEVEL_INFO);
	errno = ENOENT;
	log_warn_errno("open %s", "x");
	cr_expect_str_eq(last, "open x: No such file or directory");
	cr_expect_eq(errno, ENOENT);
	log_info("i");
	cr_expect_eq(last_level, LOG_LEVEL_INFO);
}

Test(log, one_line_whatever_is_in_it)
{
	char	 big[2 * LOG_LINE_MAX];

	log_to(keep_line, &lines);
	log_info("a%sb", "\n\033[2J\x7f\xc3\xbc\t");
	cr_expect_str_eq(last, "a??[2J????b");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	cr_expect_eq(strlen(last), LOG_LINE_MAX - 1);
	log_line(LOG_LEVEL_INFO, big);
	cr_expect_eq(strlen(last), LOG_LINE_MAX - 1);
}

Test(log, fatal_exits, .exit_code = 1)
{
	errno = EPERM;
	fatal("%s", "start");
}

Test(log, fatalx_exits, .exit_code = 1)
{
	fatalx("%s", "start");
}

Test(log, safe)
{
	char	 buf[64];

	cr_expect_str_eq(log_safe(NULL, buf, sizeof(buf)), "-");
	cr_expect_str_eq(log_safe("", buf, sizeof(buf)), "-");
	cr_expect_str_eq(log_safe("a@b/c", buf, sizeof(buf)), "a@b/c");
	cr_expect_str_eq(log_safe("a b\"'\\\n\x7f\xc3", buf, sizeof(buf)),
	    "a\\040b\\042\\047\\\\\\012\\177\\303");
	cr_expect_str_eq(log_safe("1234567", buf, 8), "1234567");
	cr_expect_str_eq(log_safe("12345678", buf, 8), "1234...");
	cr_expect_str_eq(log_safe("123 567", buf, 8), "123...");
	cr_expect_str_eq(log_safe("   ", buf, 8), "\\040...");
	cr_expect_str_eq(log_safe("long", buf, 4), "...");
	cr_expect_str_eq(log_safe("long", buf, 3), "..");
	cr_expect_str_eq(log_safe("long", buf, 1), "");
}

/* A reader that has stopped: nobody waits for it, and it hears of that. */
Test(log, nobody_reads, .timeout = 20)
{
	static char	 buf[1 << 17];
	ssize_t		 n, all = 0;
	int		 fds[2], i, was;

	cr_assert_eq(pipe(fds), 0);
	cr_assert_geq(was = dup(STDERR_FILENO), 0);
	cr_assert_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	log_init(1, "test");
	for (i = 0; i < 3000; i++)
		log_info("%0100d", i);
	while (all < 1000 && (n = read(fds[0], buf, sizeof(buf))) > 0)
		all += n;
	log_info("heard again");
	cr_assert_eq(dup2(was, STDERR_FILENO), STDERR_FILENO);
	cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	for (all = 0; (n = read(fds[0], buf + all,
	    sizeof(buf) - 1 - (size_t)all)) > 0; all += n)
		continue;
	buf[all] = '\0';
	cr_expect_not_null(strstr(buf, " warn log lost="));
	cr_expect_not_null(strstr(buf, " lines\n"));
	cr_expect_not_null(strstr(buf, " info heard again\n"));
	cr_expect_null(strstr(buf, "002999"), "it was lost");
}
