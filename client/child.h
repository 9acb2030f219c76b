/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_CHILD_H
#define CLIENT_CHILD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Work on one connection in a process of its own: bytes go on whatever the
 * XMPP stream does, one that hangs or dies hurts no other, and there is a
 * core for each.  The child reports to the parent through a pipe.
 */

struct child;

/* What a child tells: its last report is its result. */
struct child_report {
	uint64_t	 in;		/* bytes from the peer */
	uint64_t	 out;		/* bytes to the peer */
	uint64_t	 total;		/* of a transfer, 0: not known */
	int32_t		 code;		/* an exit code */
	int32_t		 final;		/* 1: it is the result */
	char		 text[256];	/* why, or "" */
};

/* main(report_fd, arg): runs in the child, which ends when it returns.
 * Signals that end a command (Ctrl-C) end it at once. */
typedef void (*child_main)(int, void *);

/* fn(report, ended, arg): in the parent, for each report, and once with
 * ${ended} 1 when the child is no more: ${report} is then the last one, or
 * one with code EXIT_PEER if it died without a result. */
typedef void (*child_fn)(const struct child_report *, int, void *);

/*
 * child_start(main, arg, fn, fn_arg):
 * Fork.  ${main} gets a copy of ${arg}'s memory and of all descriptors; the
 * caller closes its own.  Return the child, good until ${fn} is told of its
 * end, or NULL with errno.
 */
struct child *child_start(child_main, void *, child_fn, void *);

/* child_report(fd, report): in the child: tell the parent.  A parent that
 * does not read misses reports, but never the final one. */
void	child_report(int, const struct child_report *);

/* child_stop(c): end it; ${fn} is still told, from the loop. */
void	child_stop(struct child *);

/* child_end_all(): end and reap all, for the end of a command. */
void	child_end_all(void);

#endif
