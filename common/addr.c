/* SPDX-License-Identifier: ISC */
/*
 * Addresses.  The worker links this file: no stdio, no resolver, nothing
 * that makes a system call.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <string.h>

#include "addr.h"

static const uint8_t	mapped_prefix[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

static void
set_v4(struct addr *a, const void *ip)
{
	a->family = ADDR_V4;
	memcpy(a->ip, ip, 4);
}

/*
 * The only way an IPv6 address gets into a struct addr: 127.0.0.1 spelled
 * ::ffff:127.0.0.1 walked past the access lists of other relays
 * (CVE-2026-27624 in a TURN server).
 */
static void
set_v6(struct addr *a, const void *ip)
{
	if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		set_v4(a, (const uint8_t *)ip + sizeof(mapped_prefix));
		return;
	}
	a->family = ADDR_V6;
	memcpy(a->ip, ip, 16);
}

int
addr_parse(struct addr *a, const char *text)
{
	struct in_addr	 in;
	struct in6_addr	 in6;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &in) == 1) {
		set_v4(a, &in);
		return (0);
	}
	if (inet_pton(AF_INET6, text, &in6) == 1) {
		set_v6(a, &in6);
		return (0);
	}
	return (-1);
}

int
addr_from_sa(struct addr *a, const struct sockaddr *sa)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	/* Copied, not cast: the caller's buffer may be aligned for less. */
	memset(a, 0, sizeof(*a));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&sin, sa, sizeof(sin));
		set_v4(a, &sin.sin_addr);
		a->port = ntohs(sin.sin_port);
		return (0);
	case AF_INET6:
		memcpy(&sin6, sa, sizeof(sin6));
		set_v6(a, &sin6.sin6_addr);
		a->port = ntohs(sin6.sin6_port);
		return (0);
	default:
		return (-1);
	}
}

socklen_t
addr_to_sa(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(ss, 0, sizeof(*ss));
	switch (a->family) {
	case ADDR_V4:
		memset(&sin, 0, sizeof(sin));
		sin.sin_family = AF_INET;
		sin.sin_port = htons(a->port);
		memcpy(&sin.sin_addr, a->ip, 4);
		memcpy(ss, &sin, sizeof(sin));
		return (sizeof(sin));
	case ADDR_V6:
		memset(&sin6, 0, sizeof(sin6));
		sin6.sin6_family = AF_INET6;
		sin6.sin6_port = htons(a->port);
		memcpy(&sin6.sin6_addr, a->ip, 16);
		memcpy(ss, &sin6, sizeof(sin6));
		return (sizeof(sin6));
	default:
		return (0);
	}
}

const char *
addr_format(const struct addr *a, char buf[ADDR_STRLEN])
{
	int	 af;

	af = a->family == ADDR_V4 ? AF_INET : AF_INET6;
	if ((a->family != ADDR_V4 && a->family != ADDR_V6) ||
	    inet_ntop(af, a->ip, buf, ADDR_STRLEN) == NULL)
		memcpy(buf, "none", sizeof("none"));
	return (buf);
}

static int
same_bytes(const struct addr *a, const struct addr *b, size_t v6len)
{
	if (a->family != b->family)
		return (0);
	switch (a->family) {
	case ADDR_V4:
		return (memcmp(a->ip, b->ip, 4) == 0);
	case ADDR_V6:
		return (memcmp(a->ip, b->ip, v6len) == 0);
	default:
		return (0);
	}
}

int
addr_same_ip(const struct addr *a, const struct addr *b)
{
	return (same_bytes(a, b, 16));
}

int
addr_same_site(const struct addr *a, const struct addr *b)
{
	return (same_bytes(a, b, 8));
}

int
addr_is_loopback(const struct addr *a)
{
	static const uint8_t	loopback6[16] = { [15] = 1 };

	switch (a->family) {
	case ADDR_V4:
		return (a->ip[0] == 127);
	case ADDR_V6:
		return (memcmp(a->ip, loopback6, 16) == 0);
	default:
		return (0);
	}
}

int
addr_is_wildcard(const struct addr *a)
{
	static const uint8_t	zero[16];

	switch (a->family) {
	case ADDR_V4:
		return (memcmp(a->ip, zero, 4) == 0);
	case ADDR_V6:
		return (memcmp(a->ip, zero, 16) == 0);
	default:
		return (0);
	}
}

int
addr_is_unicast(const struct addr *a)
{
	switch (a->family) {
	case ADDR_V4:
		/* 0/8 is "this host", 224/4 multicast, 240/4 no use. */
		return (a->ip[0] != 0 && a->ip[0] < 224);
	case ADDR_V6:
		return (!addr_is_wildcard(a) && a->ip[0] != 0xff);
	default:
		return (0);
	}
}

int
addr_is_link_local(const struct addr *a)
{
	return (a->family == ADDR_V6 && a->ip[0] == 0xfe &&
	    (a->ip[1] & 0xc0) == 0x80);
}
