/* SPDX-License-Identifier: ISC */
#ifndef COMMON_BOUNDS_H
#define COMMON_BOUNDS_H

/*
 * How much text is taken from others, and said to them: every limit of the
 * XML stream and of JIDs, in bytes if nothing else is stated.  passd(8),
 * "Limits of a stanza", names those that a user can meet.
 */

/* RFC 7622 3.1: of each part of a JID, before and after it is prepared. */
#define JID_PART_MAX	1023
/* localpart@domainpart/resourcepart, with terminating NUL. */
#define JID_STRLEN	(3 * JID_PART_MAX + 3)

/* Beyond one of these a stanza is skipped, and answered if it asks. */
#define STANZA_BYTES_MAX	65536	/* on the wire */
#define STANZA_DEPTH_MAX	32	/* nesting, the stanza itself is 1 */
#define STANZA_ATTRS_MAX	64	/* attributes of one element */
#define STANZA_ELEMS_MAX	512	/* elements in the whole stanza */

/* An attribute of a skipped stanza, or an id, that is still repeated. */
#define STANZA_KEEP_MAX		4096

/*
 * More than this inside one single tag ends the stream: expat has to hold a
 * tag in memory until it is complete.
 */
#define STANZA_TOKEN_MAX	(1024 * 1024)

/* Of the stream header: the name of the root, a prefix or URI it declares. */
#define STREAM_ROOT_MAX		64
#define STREAM_URI_MAX		256

/*
 * One stanza of ours: far more than anything we say; what a peer makes us
 * repeat may grow by escaping, but is then left out (xml_copy()).
 */
#define XMLOUT_MAX		(2 * STANZA_BYTES_MAX)
/* What waits for a server that does not read. */
#define XMPP_OUT_MAX		(8u * 1024 * 1024)

#endif
