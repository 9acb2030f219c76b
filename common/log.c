/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* Room for "2026-01-31T23:59:59.999Z " and more digits than years have. */
#define LOG_STAMP_MAX	64

static struct {
	enum log_level	 level;
	int		 syslog;
	void		(*fn)(enum log_level, const char *, void *);
	void		*arg;
} out = { .level = LOG_LEVEL_INFO };

static const char *const level_name[] = { "error", "warn", "info", "debug" };
static const int level_prio[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void
log_init(int to_stderr, const char *name)
{
	/*
	 * The time zone is loaded here, once: gmtime_r(3) does so too, and
	 * by then there may be no file system to read it from.
	 */
	tzset();
	out.fn = NULL;
	out.syslog = !to_stderr;
	if (!to_stderr)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_to(void (*fn)(enum log_level, const char *, void *), void *arg)
{
	out.fn = fn;
	out.arg = arg;
}

void
log_set_level(enum log_level level)
{
	out.level = level;
}

enum log_level
log_get_level(void)
{
	return (out.level);
}

/*
 * Local time would differ between the processes and machines whose logs are
 * read side by side; UTC does not.
 */
static void
put_stamp(char *buf, size_t size)
{
	struct timespec	 ts;
	struct tm	 tm;

	if (clock_gettime(CLOCK_REALTIME, &ts) == -1 ||
	    gmtime_r(&ts.tv_sec, &tm) == NULL) {
		(void)strlcpy(buf, "-", size);
		return;
	}
	(void)snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
}

/*
 * One write(2) a line, so that lines of several processes on the same
 * terminal or file do not mix.  A log that cannot be written has nowhere
 * to be reported: errors are ignored.
 */
static void
write_line(enum log_level level, const char *text)
{
	char	 line[LOG_STAMP_MAX + LOG_LINE_MAX + 16];
	char	 stamp[LOG_STAMP_MAX];
	int	 n;

	put_stamp(stamp, sizeof(stamp));
	n = snprintf(line, sizeof(line), "%s %s %s\n", stamp,
	    level_name[level], text);
	if (n <= 0 || (size_t)n >= sizeof(line))
		return;
	if (write(STDERR_FILENO, line, (size_t)n) == -1)
		return;
}

/*
 * Nobody reads the pipe or the terminal: the line is lost, since the parent
 * has more to do than to wait.  What poll(2) calls writable takes a line.
 */
static void
put_stderr(enum log_level level, const char *text)
{
	static unsigned int	 lost;
	struct pollfd		 pfd = { STDERR_FILENO, POLLOUT, 0 };
	char			 note[64];

	if (poll(&pfd, 1, 0) == 0) {
		lost++;
		return;
	}
	if (lost > 0) {
		(void)snprintf(note, sizeof(note), "log lost=%u lines", lost);
		lost = 0;
		write_line(LOG_LEVEL_WARN, note);
		put_stderr(level, text);
		return;
	}
	write_line(level, text);
}

void
log_line(enum log_level level, const char *text)
{
	char	 clean[LOG_LINE_MAX];
	size_t	 i;
	int	 error;

	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_DEBUG)
		level = LOG_LEVEL_ERROR;
	if (level > out.level)
		return;
	error = errno;
	for (i = 0; i < sizeof(clean) - 1 && text[i] != '\0'; i++)
		clean[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	clean[i] = '\0';
	if (out.fn != NULL)
		out.fn(level, clean, out.arg);
	else if (out.syslog)
		syslog(level_prio[level], "%s", clean);
	else
		put_stderr(level, clean);
	errno = error;
}

__attribute__((__format__(__printf__, 2, 0)))
static void
log_va(enum log_level level, const char *fmt, va_list ap)
{
	char	 line[LOG_LINE_MAX];
	int	 error;

	if (level > out.level)
		return;
	error = errno;
	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		(void)strlcpy(line, fmt, sizeof(line));
	log_line(level, line);
	errno = error;
}

/* The same with ": " and the text of errno. */
__attribute__((__format__(__printf__, 2, 0)))
static void
log_va_errno(enum log_level level, const char *fmt, va_list ap)
{
	char	 line[LOG_LINE_MAX];
	int	 error;

	if (level > out.level)
		return;
	error = errno;
	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		(void)strlcpy(line, fmt, sizeof(line));
	/* A line too long loses its end, as any other does. */
	(void)strlcat(line, ": ", sizeof(line));
	(void)strlcat(line, strerror(error), sizeof(line));
	log_line(level, line);
	errno = error;
}

void
log_error(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
log_warn_errno(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va_errno(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va_errno(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_va(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(1);
}

/*
 * The escapes are those of vis(3) with VIS_OCTAL, so that unvis(1) gives
 * the text back; written here because vis(3) follows the locale and the
 * two families of BSDs disagree on the arguments of strnvis(3).
 */
const char *
log_safe(const char *text, char *buf, unsigned long size)
{
	static const char	 dots[] = "...";
	const unsigned char	*p;
	size_t			 n, cut, need;

	if (size == 0)
		return (buf);
	if (text == NULL || *text == '\0')
		text = "-";
	n = cut = 0;
	for (p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '\\')
			need = 2;
		else if (*p > ' ' && *p <= '~' && *p != '"' && *p != '\'')
			need = 1;
		else
			need = 4;
		if (n + need >= size) {
			/* No escape is cut in the middle. */
			(void)strlcpy(buf + cut, dots, size - cut);
			return (buf);
		}
		if (need == 1)
			buf[n] = (char)*p;
		else if (need == 2)
			memcpy(buf + n, "\\\\", 2);
		else {
			buf[n] = '\\';
			buf[n + 1] = (char)('0' + (*p >> 6));
			buf[n + 2] = (char)('0' + (*p >> 3 & 7));
			buf[n + 3] = (char)('0' + (*p & 7));
		}
		n += need;
		if (n + sizeof(dots) <= size)
			cut = n;
	}
	buf[n] = '\0';
	return (buf);
}
