/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_PROXY_H
#define CLIENT_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

#define PROXY_MAX	52	/* longest header */

/*
 * proxy_make(buf, peer, host, port):
 * Write a header of the PROXY protocol, version 2, into ${buf}: a TCP
 * connection from ${peer} to ${host}, an address as text, and ${port}.  With
 * addresses of two families, or none, the destination is all zeros.  Return
 * its length.
 */
size_t	proxy_make(unsigned char [PROXY_MAX], const struct addr *,
	    const char *, uint16_t);

/*
 * proxy_header(fd, peer, host, port):
 * Send it as the first bytes on a new socket.  Return 0 or -1.
 */
int	proxy_header(int, const struct addr *, const char *, uint16_t);

#endif
