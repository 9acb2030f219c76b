/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jid.h"
#include "mono.h"
#include "ui.h"

struct ui	 ui = { 0, 0, 0, STDOUT_FILENO };

static struct {
	int64_t		 begun;
	int64_t		 shown;
	uint64_t	 first;		/* where it began: a resumed file */
	int		 open;		/* a line is on the terminal */
} progress;

static int	 stdout_lost;

void
ui_init(int verbose, int quiet, int json, int data)
{
	ui.verbose = verbose;
	ui.quiet = quiet;
	ui.json = json;
	ui.json_fd = data ? STDERR_FILENO : STDOUT_FILENO;
}

/* A closed or full output is no reason to stop relaying. */
static int
put(int fd, const char *text, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = write(fd, text, len)) == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		text += n;
		len -= (size_t)n;
	}
	return (0);
}

static void put_line(int, const char *, const char *, va_list)
    __attribute__((__format__(__printf__, 3, 0)));

/* One line; what a peer put into it cannot steer the terminal. */
static void
put_line(int fd, const char *prefix, const char *fmt, va_list ap)
{
	char	 line[2048];
	size_t	 len, i;
	int	 n;

	if (progress.open)
		(void)put(STDERR_FILENO, "\r\033[K", 4);
	progress.open = 0;
	len = strlcpy(line, prefix, sizeof(line));
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	if (n < 0)
		return;
	len = strlen(line);
	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	if (put(fd, line, len) == -1 && fd == STDOUT_FILENO)
		stdout_lost = 1;
}

void
ui_say(const char *fmt, ...)
{
	va_list	 ap;

	if (ui.quiet || ui.json)
		return;
	va_start(ap, fmt);
	put_line(STDERR_FILENO, "passcat: ", fmt, ap);
	va_end(ap);
}

void
ui_debug(const char *fmt, ...)
{
	va_list	 ap;

	if (!ui.verbose)
		return;
	va_start(ap, fmt);
	put_line(STDERR_FILENO, "passcat: ", fmt, ap);
	va_end(ap);
}

void
ui_result(const char *fmt, ...)
{
	va_list	 ap;

	if (ui.json)
		return;
	va_start(ap, fmt);
	put_line(STDOUT_FILENO, "", fmt, ap);
	va_end(ap);
}

int
ui_stdout_lost(void)
{
	return (stdout_lost);
}

static void complain(const char *, int, const char *, va_list)
    __attribute__((__format__(__printf__, 3, 0)));

static void
complain(const char *event, int code, const char *fmt, va_list ap)
{
	struct event	 e;
	char		 text[1024];

	if (!ui.json) {
		put_line(STDERR_FILENO, "passcat: ", fmt, ap);
		return;
	}
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	ui_event(&e, event);
	if (code >= 0)
		ui_num(&e, "exit", code);
	ui_str(&e, "text", text);
	ui_end(&e);
}

void
ui_warn(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain("warning", -1, fmt, ap);
	va_end(ap);
}

int
ui_fail(int code, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain("error", code, fmt, ap);
	va_end(ap);
	return (code);
}

/* ---- events -------------------------------------------------------------- */

static void
raw(struct event *e, const char *text, size_t len)
{
	if (e->len + len >= sizeof(e->text)) {
		e->full = 1;
		return;
	}
	memcpy(e->text + e->len, text, len);
	e->len += len;
}

static void
quoted(struct event *e, const char *text)
{
	char	 code[8];
	size_t	 n;

	raw(e, "\"", 1);
	for (; *text != '\0'; text += n) {
		n = jid_utf8_len(text);
		if (n == 0) {
			raw(e, "\\ufffd", 6);
			n = 1;
		} else if (*text == '"' || *text == '\\') {
			raw(e, "\\", 1);
			raw(e, text, 1);
		} else if ((unsigned char)*text < ' ' || *text == 0x7f) {
			(void)snprintf(code, sizeof(code), "\\u%04x",
			    (unsigned int)*text);
			raw(e, code, 6);
		} else
			raw(e, text, n);
	}
	raw(e, "\"", 1);
}

void
ui_event(struct event *e, const char *name)
{
	e->len = 0;
	e->full = 0;
	raw(e, "{\"event\":", 9);
	quoted(e, name);
}

static void
key(struct event *e, const char *name)
{
	raw(e, ",", 1);
	quoted(e, name);
	raw(e, ":", 1);
}

void
ui_str(struct event *e, const char *name, const char *value)
{
	if (value == NULL)
		return;
	key(e, name);
	quoted(e, value);
}

void
ui_num(struct event *e, const char *name, int64_t value)
{
	char	 text[24];

	key(e, name);
	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	raw(e, text, strlen(text));
}

void
ui_end(struct event *e)
{
	raw(e, "}\n", 2);
	if (!ui.json || e->full)
		return;
	if (put(ui.json_fd, e->text, e->len) == -1 &&
	    ui.json_fd == STDOUT_FILENO)
		stdout_lost = 1;
}

/* ---- progress ------------------------------------------------------------ */

const char *
ui_size(uint64_t bytes, char *buf, size_t size)
{
	static const char	*const unit[] = { "kB", "MB", "GB", "TB" };
	double			 value = (double)bytes / 1000;
	size_t			 i;

	if (bytes < 1000) {
		(void)snprintf(buf, size, "%u byte%s", (unsigned int)bytes,
		    bytes == 1 ? "" : "s");
		return (buf);
	}
	for (i = 0; i < 3 && value >= 999.95; i++)
		value /= 1000;
	(void)snprintf(buf, size, "%.1f %s", value, unit[i]);
	return (buf);
}

const char *
ui_duration(uint64_t s, char *buf, size_t size)
{
	const char	*unit = "s";

	if (s >= 7200) {
		unit = "h";
		s = (s + 1800) / 3600;
	} else if (s >= 120) {
		unit = "min";
		s = (s + 30) / 60;
	}
	(void)snprintf(buf, size, "%llu %s", (unsigned long long)s, unit);
	return (buf);
}

static void
progress_event(const char *label, uint64_t done, uint64_t total)
{
	struct event	 e;

	ui_event(&e, "progress");
	ui_str(&e, "what", label);
	ui_num(&e, "bytes", (int64_t)done);
	if (total > 0)
		ui_num(&e, "total", (int64_t)total);
	ui_end(&e);
}

static void
progress_line(const char *label, uint64_t done, uint64_t total, int64_t ms)
{
	char		 line[256], size[32], rate[32], left[32];
	uint64_t	 speed;
	int		 n;

	if (ms <= 0)
		ms = 1;
	speed = done < progress.first ? 0 :
	    (uint64_t)((double)(done - progress.first) * 1000 / (double)ms);
	n = snprintf(line, sizeof(line), "\r\033[K%.60s  %s  %s/s", label,
	    ui_size(done, size, sizeof(size)),
	    ui_size(speed, rate, sizeof(rate)));
	if (n > 0 && total >= done && total > 0 && speed > 0)
		(void)snprintf(line + n, sizeof(line) - (size_t)n,
		    "  %u %%  %s left",
		    (unsigned int)((double)done * 100 / (double)total),
		    ui_duration((total - done) / speed, left, sizeof(left)));
	(void)put(STDERR_FILENO, line, strlen(line));
	progress.open = 1;
}

void
ui_progress(const char *label, uint64_t done, uint64_t total)
{
	int64_t	 now = mono_ms();

	if (progress.begun == 0) {
		progress.begun = now;
		progress.first = done;
	}
	if (now - progress.shown < (ui.json ? 1000 : 200))
		return;
	if (ui.json)
		progress_event(label, done, total);
	else if (!ui.quiet && isatty(STDERR_FILENO) == 1)
		progress_line(label, done, total, now - progress.begun);
	progress.shown = now;
}

void
ui_progress_end(void)
{
	if (progress.open)
		(void)put(STDERR_FILENO, "\n", 1);
	memset(&progress, 0, sizeof(progress));
}
