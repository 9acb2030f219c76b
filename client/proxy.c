/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <string.h>

#include "proxy.h"

/* "The PROXY protocol", HAProxy's document, section 2.2. */
static const unsigned char	 signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
};

static size_t
put_port(unsigned char *p, uint16_t port)
{
	p[0] = (unsigned char)(port >> 8);
	p[1] = (unsigned char)(port & 0xff);
	return (2);
}

size_t
proxy_make(unsigned char buf[PROXY_MAX], const struct addr *peer,
    const char *host, uint16_t port)
{
	struct addr	 to;
	size_t		 iplen = peer->family == ADDR_V4 ? 4 : 16, len = 16;

	memset(buf, 0, PROXY_MAX);
	memcpy(buf, signature, sizeof(signature));
	buf[12] = 0x21;			/* version 2, PROXY */
	buf[13] = peer->family == ADDR_V4 ? 0x11 : 0x21;
	buf[15] = (unsigned char)(2 * iplen + 4);
	memcpy(buf + len, peer->ip, iplen);
	len += iplen;
	if (addr_parse(&to, host) == 0 && to.family == peer->family)
		memcpy(buf + len, to.ip, iplen);
	len += iplen;
	len += put_port(buf + len, peer->port);
	len += put_port(buf + len, port);
	return (len);
}

int
proxy_header(int fd, const struct addr *peer, const char *host,
    uint16_t port)
{
	unsigned char	 buf[PROXY_MAX];
	size_t		 len = proxy_make(buf, peer, host, port);

	return (send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1);
}
