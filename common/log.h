/* SPDX-License-Identifier: ISC */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * Logging of the passd program (the worker reports by message only).  The
 * parent writes to syslog or to standard error; every other process sends
 * its lines to the parent through the function set with log_to().
 */

/* Levels, as in passd.conf(5) "log level"; smaller is more important. */
enum log_level {
	LOG_LEVEL_ERROR = 0,
	LOG_LEVEL_WARN = 1,
	LOG_LEVEL_INFO = 2,
	LOG_LEVEL_DEBUG = 3
};

/* Longest line, terminating NUL included; longer ones are cut. */
#define LOG_LINE_MAX	2048

/*
 * log_init(to_stderr, name):
 * Start logging as the parent does: to standard error with the time in
 * front if ${to_stderr}, else to syslog(3), facility daemon, as ${name}
 * (a string that lives as long as the process).
 */
void	log_init(int, const char *);

/*
 * log_to(fn, arg):
 * Hand each finished line to ${fn} with ${arg} instead of writing it.
 * The line has no newline and is at most LOG_LINE_MAX - 1 bytes long.
 */
void	log_to(void (*)(enum log_level, const char *, void *), void *);

/* log_set_level(level): drop lines less important than ${level}. */
void	log_set_level(enum log_level);

/* log_get_level(): the level in force. */
enum log_level log_get_level(void);

/*
 * log_line(level, text):
 * Write the finished line ${text}; whatever is not printable ASCII in it
 * is replaced by '?', so that no process can forge a second line.
 */
void	log_line(enum log_level, const char *);

/*
 * log_error/log_warn/log_info/log_debug(fmt, ...):
 * One line, printf(3) format, no newline.  log_warn_errno() adds ": " and
 * the text of errno.  errno is kept.
 */
void	log_error(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
void	log_warn(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
void	log_warn_errno(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
void	log_info(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));
void	log_debug(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * fatal(fmt, ...), fatalx(fmt, ...):
 * Log at level error, fatal() with the text of errno, and exit with status
 * 1.  For start-up and broken invariants only: nothing that a peer, a user
 * or a worker does may lead here.
 */
void	fatal(const char *, ...)
	    __attribute__((__noreturn__, __format__(__printf__, 1, 2)));
void	fatalx(const char *, ...)
	    __attribute__((__noreturn__, __format__(__printf__, 1, 2)));

/*
 * log_safe(text, buf, size):
 * Write peer-given ${text} into ${buf} as jid_log() does for a JID: vis(3)
 * escapes, cut with "...".  "-" for NULL or empty.  Return ${buf}.
 */
const char *log_safe(const char *, char *, unsigned long);

#endif
