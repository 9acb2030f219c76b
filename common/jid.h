/* SPDX-License-Identifier: ISC */
#ifndef COMMON_JID_H
#define COMMON_JID_H

#include <stddef.h>

#include "bounds.h"

/*
 * A prepared JID: every part has gone through its stringprep profile
 * (RFC 6122 appendix A and B, RFC 3491), so that two JIDs are the same
 * entity if and only if their bytes are the same.  Allocated as one piece
 * that holds just the bytes needed.
 */
struct jid {
	size_t		 bare_len;	/* length of the bare JID in full */
	const char	*domain;	/* points into full: the domainpart */
	size_t		 domain_len;
	const char	*resource;	/* points into full, NULL when bare */
	int		 has_local;	/* 1: there is a localpart */
	char		 full[];	/* the whole JID, NUL-terminated */
};

/*
 * jid_parse(text):
 * Split and prepare ${text}.  Return a new JID that the caller frees with
 * jid_free(), or NULL with errno EINVAL if ${text} is not a JID (empty or
 * over-long part, not UTF-8, a character the profile prohibits, a part that
 * would change if it were prepared again) or ENOMEM.
 */
struct jid *jid_parse(const char *);

/*
 * jid_dup(j), jid_bare(j):
 * Return a new copy of ${j}, or of its bare JID; NULL with errno ENOMEM.
 * The caller frees it with jid_free().
 */
struct jid *jid_dup(const struct jid *);
struct jid *jid_bare(const struct jid *);

/*
 * jid_utf8_len(text):
 * Return the length in bytes, 1 to 4, of the UTF-8 sequence at the start of
 * the NUL-terminated ${text} (1 for the NUL itself), or 0 if there is none:
 * truncated, over-long, a surrogate or beyond U+10FFFF.
 */
size_t	 jid_utf8_len(const char *);

/* jid_free(j): free ${j}; NULL is allowed. */
void	 jid_free(struct jid *);

/*
 * jid_same(a, b), jid_same_bare(a, b):
 * Return 1 if the full JIDs, or their bare JIDs, are equal; else 0.
 */
int	 jid_same(const struct jid *, const struct jid *);
int	 jid_same_bare(const struct jid *, const struct jid *);

/*
 * jid_log(j, buf, size):
 * Write ${j} into ${buf} of ${size} bytes for a log line: control
 * characters, spaces, quotes and anything that is not ASCII become
 * vis(3) escapes.  What does not fit is cut part by part, "..." behind each
 * that is: a localpart or resource, however long, does not hide the domain,
 * which has half of the buffer.  "-" for NULL.  Return ${buf}.
 */
const char *jid_log(const struct jid *, char *, size_t);

#endif
