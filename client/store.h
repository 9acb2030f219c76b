/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_STORE_H
#define CLIENT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "transfer.h"

/*
 * Where a receiver puts what comes: below one directory, which no name can
 * leave, since every directory on the way is opened by its descriptor and
 * without following links.  Nothing that exists is ever written to.
 *
 * A file is written as NAME.passcat-part and gets its name when it is
 * verified.  A directory is made as NAME.passcat-part and gets its name when
 * all that belongs into it is there, and nothing else.  A later run finds
 * these and goes on.
 * A directory that has its name already is only compared, never added to.
 *
 * Of the mode only the right to execute arrives: files are 0600 or 0700,
 * directories 0700.
 */
struct store;

/* What is there already of a file. */
struct store_found {
	int		 whole;		/* under its name, else unfinished */
	uint64_t	 have;		/* bytes that may be right */
};

/*
 * store_new(dir):
 * A store below the directory ${dir}, a descriptor that stays the caller's
 * and open.  Return NULL if memory is short.
 */
struct store *store_new(int);
void	store_free(struct store *);

/*
 * Every path below satisfies fname_ok() and is at most WIRE_PATH_MAX long.
 * All functions return TRANSFER_STORED (0) if they did what they say, else
 * why not.
 */

/*
 * store_mkdir(s, path):
 * See that the directory ${path} exists, finished (TRANSFER_ALREADY) or not.
 */
enum transfer_code store_mkdir(struct store *, const char *);

/*
 * store_leave(s, path, sec, nsec, entries):
 * All of the directory ${path} has come; set its time of change and, if it
 * is a top one and has ${entries} files and directories below it, give it its
 * name.  Anything else in it is of an earlier run, maybe of somebody else.
 * STORE_LACKS: something could not be stored.
 */
#define STORE_LACKS	UINT64_MAX
enum transfer_code store_leave(struct store *, const char *, int64_t, uint32_t,
	    uint64_t);

/*
 * store_look(s, path, size, found):
 * See what there is of a file that has ${size} bytes.  It may be written if
 * !found->whole; else it has that size and has only to be compared.
 */
enum transfer_code store_look(struct store *, const char *, uint64_t,
	    struct store_found *);

/*
 * store_open(s, path, whole, fd):
 * Open for reading what store_look() found.
 */
enum transfer_code store_open(struct store *, const char *, int, int *);

/*
 * store_begin(s, path, offset, fd):
 * Open the unfinished file of ${path} for writing at ${offset}, where it is
 * cut; it must have that many bytes.  It is locked as long as it is open.
 */
enum transfer_code store_begin(struct store *, const char *, uint64_t, int *);

/*
 * store_commit(s, path, fd, exec, sec, nsec):
 * Give the verified file that store_begin() opened as ${fd} its mode, its
 * time and its name.  ${fd} stays open.
 */
enum transfer_code store_commit(struct store *, const char *, int, int,
	    int64_t, uint32_t);

/* store_code(error): the code for an errno. */
enum transfer_code store_code(int);

#endif
