/* SPDX-License-Identifier: ISC */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <sys/types.h>
#include <sys/socket.h>

#include <stdint.h>

/*
 * An IP address and port in the form in which every part of passd, the
 * messages between its processes included, keeps it.  A v4-mapped IPv6
 * address (::ffff:192.0.2.1) never appears here: the constructors turn it
 * into the IPv4 address that it is, so that no comparison can be fooled.
 */
struct addr {
	uint8_t		 family;	/* ADDR_NONE, ADDR_V4 or ADDR_V6 */
	uint8_t		 pad;
	uint16_t	 port;		/* host byte order; 0: none */
	uint8_t		 ip[16];	/* network order; IPv4 uses ip[0..3] */
};
_Static_assert(sizeof(struct addr) == 20, "struct addr is sent as it is");

#define ADDR_NONE	0
#define ADDR_V4		4
#define ADDR_V6		6

/* Longest text of an address without port, terminating NUL included. */
#define ADDR_STRLEN	46

/*
 * addr_parse(a, text):
 * Read an IPv4 or IPv6 address without port, brackets or zone from ${text}
 * into ${a}, with port 0.  No name is looked up.  Return 0, or -1 if the
 * text is not an address (${a} is then ADDR_NONE).
 */
int	addr_parse(struct addr *, const char *);

/*
 * addr_from_sa(a, sa):
 * Take address and port from ${sa} (AF_INET or AF_INET6; v4-mapped becomes
 * IPv4).  Return 0, or -1 for any other family (${a} is then ADDR_NONE).
 */
int	addr_from_sa(struct addr *, const struct sockaddr *);

/*
 * addr_to_sa(a, ss):
 * Fill ${ss} from ${a}.  Return the length to pass to bind(2) or
 * connect(2), or 0 if ${a} is not a valid address.
 */
socklen_t addr_to_sa(const struct addr *, struct sockaddr_storage *);

/*
 * addr_format(a, buf):
 * Write the address without its port into ${buf}, which has room for
 * ADDR_STRLEN bytes; "none" for ADDR_NONE.  Return ${buf}.  Uses neither
 * stdio nor the resolver, so that the worker may call it.
 */
const char *addr_format(const struct addr *, char [ADDR_STRLEN]);

/*
 * addr_same_ip(a, b):
 * Return 1 if family and address are equal, whatever the ports; else 0.
 * ADDR_NONE equals nothing, not even itself.
 */
int	addr_same_ip(const struct addr *, const struct addr *);

/*
 * addr_same_site(a, b):
 * As addr_same_ip(), but for IPv6 only the first 64 bits count: whoever
 * holds one address of a /64 usually holds all of them.
 */
int	addr_same_site(const struct addr *, const struct addr *);

/*
 * addr_is_loopback(a):
 * Return 1 for 127.0.0.0/8 and ::1, else 0.
 */
int	addr_is_loopback(const struct addr *);

/*
 * addr_is_wildcard(a):
 * Return 1 for 0.0.0.0 and ::, else 0.
 */
int	addr_is_wildcard(const struct addr *);

/*
 * addr_is_unicast(a):
 * Return 1 if one host can have this address and be reached by it: not a
 * wildcard, not multicast, not 0.0.0.0/8 and not 240.0.0.0/4; else 0.
 */
int	addr_is_unicast(const struct addr *);

/*
 * addr_is_link_local(a):
 * Return 1 for fe80::/10, which means nothing without a zone; else 0.
 */
int	addr_is_link_local(const struct addr *);

#endif
