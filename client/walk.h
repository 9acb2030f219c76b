/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_WALK_H
#define CLIENT_WALK_H

#include <sys/types.h>
#include <sys/stat.h>

#include <stddef.h>

#include "transfer.h"

/*
 * What a sender offers: the files and directories that he named, and all
 * below them, one after the other.  Nothing is remembered but the current
 * directory, whatever the size of the tree.
 */
struct walk;

enum walk_kind {
	WALK_FILE,
	WALK_DIR,		/* what is in it follows */
	WALK_LEAVE,		/* nothing of it follows any more */
	WALK_SKIP		/* cannot be sent: code says why */
};

struct walk_item {
	enum walk_kind	 kind;
	enum transfer_code code;	/* WALK_SKIP */
	const char	*local;		/* to open it; until the next call */
	const char	*path;		/* for the receiver, in local */
	struct stat	 st;		/* not for WALK_SKIP */
};

/*
 * walk_open(names, n, why, size):
 * Prepare to walk the ${n} paths at ${names}.  A path is offered under its
 * last component ("." and ".." under their real name); it is followed if it
 * is a symbolic link, those below it are not.  Return NULL and a sentence in
 * ${why} (${size} bytes) if one does not exist, or two have the same last
 * component.
 */
struct walk *walk_open(char *const *, size_t, char *, size_t);

void	walk_close(struct walk *);

/*
 * walk_next(w, item):
 * Return 1 and the next item, 0 after the last one, or -1 and errno if the
 * walk cannot go on.
 */
int	walk_next(struct walk *, struct walk_item *);

/*
 * walk_rewind(w):
 * Begin again.  Return 0, or -1 if memory is short.
 */
int	walk_rewind(struct walk *);

/*
 * walk_total(w, total):
 * Walk all of it, count files, directories and bytes into ${total}, and begin
 * again.  Return 0, or -1 and errno.
 */
int	walk_total(struct walk *, struct transfer_total *);

/*
 * walk_title(w):
 * Return the last component of the first path: what the offer is called.
 */
const char *walk_title(const struct walk *);

#endif
