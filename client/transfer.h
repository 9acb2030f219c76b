/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_TRANSFER_H
#define CLIENT_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "seal.h"

/*
 * Files and directories over a proven seal, both sides of it.  Nothing
 * blocks but the disk, in pieces of 64 KiB; the caller has the loop.
 * wire.h is the protocol, walk.h the sender's files, store.h the receiver's.
 */
struct transfer;
struct walk;

/* What became of one file or directory, or why all came to an end. */
enum transfer_code {
	TRANSFER_STORED,	/* verified and under its name */
	TRANSFER_ALREADY,	/* was there, and is the same */
	TRANSFER_EXISTS,	/* something else has this name */
	TRANSFER_BADNAME,	/* cannot be a name here */
	TRANSFER_BLOCKED,	/* what is in the way is no file of ours */
	TRANSFER_NODIR,		/* its directory could not be made */
	TRANSFER_BUSY,		/* another passcat is receiving it */
	TRANSFER_DAMAGED,	/* the sum was wrong */
	TRANSFER_INCOMPLETE,	/* a directory that lacks or holds too much */
	TRANSFER_CHANGED,	/* changed while it was sent */
	TRANSFER_UNREADABLE,	/* the sender cannot read it */
	TRANSFER_SYMLINK,	/* not sent */
	TRANSFER_SPECIAL,	/* device, socket or pipe: not sent */
	TRANSFER_DENIED,	/* no permission to write */
	TRANSFER_NOSPACE,
	TRANSFER_IO,
	TRANSFER_TOOMUCH,	/* more than was offered */
	TRANSFER_VERSION,
	TRANSFER_PROTOCOL,
	TRANSFER_STOPPED,	/* by its user */
	TRANSFER_CODES
};

enum transfer_state {
	TRANSFER_RUNNING,
	TRANSFER_DONE,		/* to the end, see failures in the progress */
	TRANSFER_LOST,		/* the connection, see transfer_why() */
	TRANSFER_FAILED		/* one side gave up, see transfer_why() */
};

/* How much there is. */
struct transfer_total {
	uint64_t	 files;
	uint64_t	 dirs;
	uint64_t	 bytes;
};

struct transfer_progress {
	struct transfer_total total;	/* as offered */
	struct transfer_total done;	/* stored, or already there */
	uint64_t	 moved;		/* bytes, over this connection */
	uint64_t	 skipped;	/* bytes that need not be sent again */
	uint64_t	 failures;	/* files and directories not stored */
	const char	*path;		/* on its way now, or NULL */
};

/*
 * item(arg, code, path): called once for every file or directory when its
 * fate is known.  ${path} is as it came: show it by fname_show() only.
 */
struct transfer_hooks {
	void	(*item)(void *, enum transfer_code, const char *);
	void	*arg;
};

/*
 * transfer_send(seal, walk, total, hooks, now):
 * Send all of ${walk}, which the transfer then owns, as the proven ${seal}
 * does; ${total} is what walk_total() found.  ${hooks} is copied.  ${now}
 * here and below is mono_ms().  Return NULL if memory is short; both are then
 * freed.
 */
struct transfer *transfer_send(struct seal *, struct walk *,
	    const struct transfer_total *, const struct transfer_hooks *,
	    int64_t);

/*
 * transfer_receive(seal, dir, agreed, hooks, now):
 * Receive into the directory ${dir}, a descriptor that stays the caller's.
 * More than ${agreed} ends the transfer.  Else as above.
 */
struct transfer *transfer_receive(struct seal *, int,
	    const struct transfer_total *, const struct transfer_hooks *,
	    int64_t);

/* transfer_free(t): close all.  What is unfinished stays, for later. */
void	transfer_free(struct transfer *);

/*
 * transfer_step(t, now):
 * Do what can be done without waiting, for some milliseconds at most.  Call it
 * when poll(2) says so, and when transfer_wake() has come.
 */
enum transfer_state transfer_step(struct transfer *, int64_t);

/*
 * transfer_stop(t, code):
 * Tell the other end, as far as the socket takes it, that this ends for the
 * reason ${code}; the state is then TRANSFER_FAILED.
 */
void	transfer_stop(struct transfer *, enum transfer_code, int64_t);

/*
 * transfer_fd(t), transfer_events(t), transfer_wake(t): for poll(2): the
 * socket, what to wait for, and mono_ms() of the next step in any case.
 */
int	transfer_fd(const struct transfer *);
short	transfer_events(const struct transfer *);
int64_t	transfer_wake(const struct transfer *);

/* transfer_progress(t): how far it is; valid until the next step. */
const struct transfer_progress *transfer_progress(const struct transfer *);

/*
 * transfer_why(t):
 * For TRANSFER_LOST and TRANSFER_FAILED: a sentence without its end, about
 * the other side or ours.
 */
const char *transfer_why(const struct transfer *);

/* transfer_theirs(t): 1 if the end was not our doing. */
int	transfer_theirs(const struct transfer *);

/* transfer_seal_why(t): for TRANSFER_LOST, what the seal says. */
enum seal_why transfer_seal_why(const struct transfer *);

/* transfer_code_text(code): in words, to follow the name and a colon. */
const char *transfer_code_text(enum transfer_code);

/* transfer_code_ok(code): 1 if the file is there now, as it should be. */
int	transfer_code_ok(enum transfer_code);

#endif
