/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_FNAME_H
#define CLIENT_FNAME_H

#include <stddef.h>

/*
 * Names of files that come from strangers: which are allowed, what an
 * unfinished one is called, and how one is shown.
 */

/* What an unfinished file or directory has at the end of its name. */
#define FNAME_PART	".passcat-part"

/* Most directories in a path, and bytes in a name, the final NUL included. */
#define FNAME_DEPTH_MAX	64
#define FNAME_SIZE	256

/*
 * fname_ok(path, len):
 * Return 1 if the ${len} bytes at ${path} name something below a directory
 * of ours: components of 1 to 255 bytes with single slashes between them,
 * none of them "." or "..", none with a NUL, none with the ending of our own
 * unfinished files, at most FNAME_DEPTH_MAX.  The first one does not begin
 * with a dot: in somebody's home that would be a setting.  Else 0.  Any
 * other byte may be part of a name: names arrive as they were, and are
 * harmless as long as they are shown by fname_show() only.
 */
int	fname_ok(const char *, size_t);

/*
 * fname_part(name, buf):
 * Write the name of the unfinished file for the component ${name} into
 * ${buf}: ${name} with FNAME_PART behind it, or, when that is too long, as
 * much of ${name} as fits, "~" and a hash of all of it.  Return ${buf}.
 */
const char *fname_part(const char *, char [FNAME_SIZE]);

/*
 * fname_show(name, buf, size):
 * Write ${name} into ${buf} (at least 1 byte) so that a terminal and its
 * reader are safe: printable UTF-8 as it is, a backslash doubled, any other
 * byte, marks that change the direction of writing included, as \ooo.  What
 * does not fit is cut with "..." behind it.  Return ${buf}.
 */
const char *fname_show(const char *, char *, size_t);

#endif
