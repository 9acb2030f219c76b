/* SPDX-License-Identifier: ISC */
#ifndef MASTER_SKIP_H
#define MASTER_SKIP_H

#include <stddef.h>

/*
 * Finds the end of an element that is not wanted, in constant memory
 * whatever it holds: expat would keep every open tag and remember every
 * name it has seen.  Only tags are counted; names are not compared, for the
 * server has parsed the stanza before it passed it on.  For the feeder.
 */
struct skip {
	size_t		 depth;	/* elements still open */
	unsigned char	 state;
	unsigned char	 quote;	/* of the attribute value we are in */
	unsigned char	 count;	/* bytes matched of a delimiter */
};

enum skip_result {
	SKIP_MORE,		/* all bytes used, the end has not come */
	SKIP_DONE,		/* the last end tag was read */
	SKIP_NOT_WELL_FORMED,
	SKIP_RESTRICTED		/* PI, comment or DTD: RFC 6120 11.1 */
};

/*
 * skip_start(k, depth, in_cdata):
 * Begin right behind a complete tag or between two characters of text,
 * which is that of a CDATA section if ${in_cdata}, inside of ${depth} (at
 * least 1) elements whose ends are to be found.
 */
void	skip_start(struct skip *, size_t, int);

/*
 * skip_feed(k, bytes, len, used):
 * Go through at most ${len} ${bytes}; ${used} says how many of them belong
 * to what was skipped.
 */
enum skip_result skip_feed(struct skip *, const char *, size_t, size_t *);

#endif
