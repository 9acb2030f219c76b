/* SPDX-License-Identifier: ISC */
#ifndef MASTER_LACK_H
#define MASTER_LACK_H

/*
 * What runs out.  Whoever meets a lack refuses what was asked for, goes on,
 * and notes it here, which makes one line a minute of it for each kind:
 * a lack is met over and over, and a log that fills up would be the next.
 */

enum lack {
	LACK_DESCRIPTORS,
	LACK_MEMORY,
	LACK_PROCESSES,
	LACK_PORTS,		/* to be registered */
	LACK_RENDEZVOUS,	/* ports for owners' legs */
	LACK_OUTPUT,		/* the server does not read */
	LACK_NOTICES,		/* too many wait for the link */
	LACK_WORKERS,		/* a worker could not take a peer */
	LACK_OTHER,		/* the system refused for another reason */
	LACKS
};

#define LACK_LINE_MS	60000	/* between two lines of one kind */

/*
 * lack_note(what, detail):
 * Something was refused for a lack of ${what}: log it, with how often it was
 * since the last line and with ${detail} unless NULL, or only count it.
 */
void	lack_note(enum lack, const char *);

/* lack_notes(what, n, detail): the same for ${n} at once. */
void	lack_notes(enum lack, unsigned int, const char *);

/*
 * lack_errno(detail):
 * The same for the lack that errno, which is kept, tells of; its text
 * follows ${detail}.
 */
void	lack_errno(const char *);

/*
 * lack_files():
 * Return 1 if this process has fewer than LACK_FILES_SPARE descriptors left:
 * for the link's next connection, for owners' legs of the ports that are
 * there, for what the parent sends.  Asks the system each time, since limits
 * can be changed from outside (prlimit(1)).
 */
#define LACK_FILES_SPARE	16
int	lack_files(void);

#endif
