/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_SANDBOX_CLIENT_H
#define CLIENT_SANDBOX_CLIENT_H

#include <stddef.h>

/*
 * passcat locks itself in as soon as it has what it needs: after the login,
 * and before it sees a byte of a peer.  One file a platform.
 */
enum sandbox_kind {
	SANDBOX_RELAY,		/* the open descriptors, and nothing else */
	SANDBOX_SESSION		/* the XMPP stream, TCP connections, fork */
};

struct sandbox_path {
	const char	*path;		/* a directory or a file */
	int		 write;		/* what is below may be written, too */
};

/*
 * sandbox_client(kind, paths, n):
 * Lock the process and its children in for good: no program is started, no
 * privilege gained, and no file opened but, with SANDBOX_SESSION, those below
 * ${paths} and what TLS needs to check a certificate again.  What the kernel
 * does not have is left out; what fails ends the process.
 */
void	sandbox_client(enum sandbox_kind, const struct sandbox_path *, size_t);

#endif
