/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_UI_H
#define CLIENT_UI_H

#include <stddef.h>
#include <stdint.h>

/*
 * What passcat says, and to whom.  Results go to standard output, all else
 * to standard error; with --json each of both is one line of JSON instead,
 * an event.
 */

/* The exit codes of passcat(1); append only. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_USAGE = 1,		/* options, configuration, local files */
	EXIT_REFUSED = 2,	/* somebody said no */
	EXIT_LOGIN = 3,		/* no account, no server, no login */
	EXIT_SERVICE = 4,	/* the service reports an error, or is none */
	EXIT_TIMEOUT = 5,
	EXIT_PEER = 6		/* the other side was lost */
};

struct ui {
	int	 verbose;	/* stanzas are shown */
	int	 quiet;		/* errors only */
	int	 json;		/* events instead of sentences */
	int	 json_fd;	/* where they go: 2 when 1 carries data */
};
extern struct ui ui;

/*
 * ui_init(verbose, quiet, json, data):
 * Set what is shown; with ${data} standard output belongs to the user's own
 * bytes and nothing else is ever written to it.
 */
void	ui_init(int, int, int, int);

/*
 * ui_say(fmt, ...):
 * One sentence for a person, to standard error; nothing when quiet or with
 * --json.  No newline in ${fmt}; control characters become "?".
 */
void	ui_say(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * ui_warn(fmt, ...):
 * As ui_say(), but shown when quiet, too, and an event "warning" with --json.
 */
void	ui_warn(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * ui_fail(code, fmt, ...):
 * Say why it did not work, and, after a semicolon, what to try next; an event
 * "error" with --json.  Return ${code}, for the caller to end with.
 */
int	ui_fail(int, const char *, ...)
	    __attribute__((__format__(__printf__, 2, 3)));

/* ui_debug(fmt, ...): as ui_say(), with -v only. */
void	ui_debug(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * ui_result(fmt, ...):
 * A line of what was asked for, to standard output; nothing with --json.
 */
void	ui_result(const char *, ...)
	    __attribute__((__format__(__printf__, 1, 2)));

/*
 * ui_stdout_lost(): 1 if a result could not be written, as to a full disk.
 */
int	ui_stdout_lost(void);

/* One event: JSON text of a bounded size. */
struct event {
	char	 text[4096];
	size_t	 len;
	int	 full;		/* it did not fit and is not written */
};

/*
 * ui_event(e, name), ui_str(e, key, value), ui_num(e, key, value), ui_end(e):
 * Build and write {"event":name,...}; without --json nothing happens.  Names
 * and keys are ours, values may be anything: what is not UTF-8 is replaced;
 * a NULL value is left out.
 */
void	ui_event(struct event *, const char *);
void	ui_str(struct event *, const char *, const char *);
void	ui_num(struct event *, const char *, int64_t);
void	ui_end(struct event *);

/*
 * ui_progress(label, done, total):
 * Show how far it is, with rate and time left, on a terminal and at most five
 * times a second; an event "progress" with --json, at most once a second.
 * ${total} 0: unknown.  ui_progress_end() finishes the line.  One at a time.
 */
void	ui_progress(const char *, uint64_t, uint64_t);
void	ui_progress_end(void);

/*
 * ui_size(bytes, buf, size):
 * "17 bytes", "1.2 MB" into ${buf}.  Return ${buf}.
 */
const char *ui_size(uint64_t, char *, size_t);

/*
 * ui_duration(seconds, buf, size):
 * "45 s", "3 min", "24 h" into ${buf}.  Return ${buf}.
 */
const char *ui_duration(uint64_t, char *, size_t);

#endif
