/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>

#include "addr.h"

static struct addr
ip(const char *text)
{
	struct addr	 a;

	cr_assert_eq(addr_parse(&a, text), 0, "%s", text);
	return (a);
}

Test(addr, parse_and_format)
{
	static const struct {
		const char	*in, *out;
		int		 family;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", ADDR_V4 },
		{ "0.0.0.0", "0.0.0.0", ADDR_V4 },
		{ "255.255.255.255", "255.255.255.255", ADDR_V4 },
		{ "::", "::", ADDR_V6 },
		{ "::1", "::1", ADDR_V6 },
		{ "2001:DB8:0:0::7", "2001:db8::7", ADDR_V6 },
		{ "1:22:333:4444:5555:6666:7777:8888",
		    "1:22:333:4444:5555:6666:7777:8888", ADDR_V6 },
		/* The longest text that inet_ntop(3) knows. */
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_V6 },
		{ "::ffff:192.0.2.1", "192.0.2.1", ADDR_V4 },
		{ "::FFFF:C000:201", "192.0.2.1", ADDR_V4 },
		{ "0:0:0:0:0:ffff:7f00:1", "127.0.0.1", ADDR_V4 },
		{ "::ffff:0:192.0.2.1", "::ffff:0:c000:201", ADDR_V6 },
	};
	char		 buf[ADDR_STRLEN];
	struct addr	 a;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&a, 0xff, sizeof(a));
		cr_expect_eq(addr_parse(&a, cases[i].in), 0);
		cr_expect_eq(a.family, cases[i].family);
		cr_expect_eq(a.port, 0);
		cr_expect_str_eq(addr_format(&a, buf), cases[i].out);
	}
}

Test(addr, parse_refuses)
{
	static const char	*cases[] = {
		"", " ", "x", "192.0.2", "192.0.2.256", "192.0.2.1 ",
		" 192.0.2.1", "192.0.2.1:80", "192.0.2.01", "3221225985",
		"0xc0.0.2.1", "[::1]", "::1%lo", "fe80::1%eth0", ":::",
		"1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g", "::1/64",
		"localhost", "::ffff:192.0.2.256", "12345::",
	};
	char		 buf[ADDR_STRLEN];
	struct addr	 a;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&a, 0xff, sizeof(a));
		cr_expect_eq(addr_parse(&a, cases[i]), -1, "%s", cases[i]);
		cr_expect_eq(a.family, ADDR_NONE);
		cr_expect_str_eq(addr_format(&a, buf), "none");
	}
}

Test(addr, sockaddr)
{
	static const char	*cases[] = {
		"192.0.2.1", "0.0.0.0", "::", "2001:db8::7"
	};
	struct sockaddr_storage	 ss;
	struct addr		 a, b;
	socklen_t		 len;
	size_t			 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = ip(cases[i]);
		a.port = 28017;
		len = addr_to_sa(&a, &ss);
		cr_expect_eq(len, a.family == ADDR_V4 ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		cr_expect_eq(addr_from_sa(&b, (struct sockaddr *)&ss), 0);
		cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0, "%s", cases[i]);
	}
	memset(&a, 0, sizeof(a));
	cr_expect_eq(addr_to_sa(&a, &ss), 0u);
	a.family = 5;
	cr_expect_eq(addr_to_sa(&a, &ss), 0u);
	memset(&ss, 0, sizeof(ss));
	ss.ss_family = AF_UNIX;
	memset(&b, 0xff, sizeof(b));
	cr_expect_eq(addr_from_sa(&b, (struct sockaddr *)&ss), -1);
	cr_expect_eq(b.family, ADDR_NONE);
}

/* What accept(2) on a v6 socket that takes v4 too would return. */
Test(addr, mapped_sockaddr)
{
	struct sockaddr_in6	 sin6;
	struct addr		 a, b;

	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_port = htons(443);
	cr_assert_eq(inet_pton(AF_INET6, "::ffff:127.0.0.1",
	    &sin6.sin6_addr), 1);
	cr_assert_eq(addr_from_sa(&a, (struct sockaddr *)&sin6), 0);
	b = ip("127.0.0.1");
	cr_expect(addr_same_ip(&a, &b));
	cr_expect(addr_is_loopback(&a));
	cr_expect_eq(a.port, 443);
	/* No byte of the IPv6 address is left behind. */
	b.port = 443;
	cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
}

Test(addr, same)
{
	static const struct {
		const char	*a, *b;
		int		 ip, site;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 1, 1 },
		{ "192.0.2.1", "::ffff:192.0.2.1", 1, 1 },
		{ "192.0.2.1", "192.0.2.2", 0, 0 },
		{ "2001:db8::1", "2001:db8::1", 1, 1 },
		{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:2", 0, 1 },
		{ "2001:db8::1", "2001:db8:0:1::1", 0, 0 },
		{ "0.0.0.0", "::", 0, 0 },
		{ "192.0.2.1", "c000:201::", 0, 0 },
	};
	struct addr	 a, b;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = ip(cases[i].a);
		b = ip(cases[i].b);
		a.port = 1;
		b.port = 2;
		cr_expect_eq(addr_same_ip(&a, &b), cases[i].ip);
		cr_expect_eq(addr_same_ip(&b, &a), cases[i].ip);
		cr_expect_eq(addr_same_site(&a, &b), cases[i].site);
		cr_expect_eq(addr_same_site(&b, &a), cases[i].site);
	}
	memset(&a, 0, sizeof(a));
	b = a;
	cr_expect_not(addr_same_ip(&a, &b));
	cr_expect_not(addr_same_site(&a, &b));
}

Test(addr, kinds)
{
	static const struct {
		const char	*text;
		int		 loopback, wildcard, unicast, link_local;
	} cases[] = {
		{ "127.0.0.1", 1, 0, 1, 0 },
		{ "127.255.0.9", 1, 0, 1, 0 },
		{ "128.0.0.1", 0, 0, 1, 0 },
		{ "::1", 1, 0, 1, 0 },
		{ "::2", 0, 0, 1, 0 },
		{ "::ffff:127.0.0.1", 1, 0, 1, 0 },
		{ "0.0.0.0", 0, 1, 0, 0 },
		{ "0.0.0.1", 0, 0, 0, 0 },
		{ "::", 0, 1, 0, 0 },
		{ "::ffff:0.0.0.0", 0, 1, 0, 0 },
		{ "223.255.255.255", 0, 0, 1, 0 },
		{ "224.0.0.1", 0, 0, 0, 0 },
		{ "255.255.255.255", 0, 0, 0, 0 },
		{ "ff02::1", 0, 0, 0, 0 },
		{ "fe80::1", 0, 0, 1, 1 },
		{ "febf::1", 0, 0, 1, 1 },
		{ "fec0::1", 0, 0, 1, 0 },
		{ "2001:db8::1", 0, 0, 1, 0 },
	};
	struct addr	 a;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = ip(cases[i].text);
		cr_expect_eq(addr_is_loopback(&a), cases[i].loopback, "%s",
		    cases[i].text);
		cr_expect_eq(addr_is_wildcard(&a), cases[i].wildcard);
		cr_expect_eq(addr_is_unicast(&a), cases[i].unicast, "%s",
		    cases[i].text);
		cr_expect_eq(addr_is_link_local(&a), cases[i].link_local);
	}
	memset(&a, 0, sizeof(a));
	cr_expect_not(addr_is_loopback(&a) || addr_is_wildcard(&a) ||
	    addr_is_unicast(&a) || addr_is_link_local(&a));
}
