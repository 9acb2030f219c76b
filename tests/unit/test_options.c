/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "proxy.h"
#include "rc.h"
#include "ui.h"

static int
seconds(const char *text, uint64_t want)
{
	uint64_t	 value = 0;

	return (options_seconds(text, &value) == 0 && value == want);
}

Test(options, seconds)
{
	static const char *const bad[] = {
		"", "0", "0m", "m", "-1", "+5", "1.5", " 5", "5 ", "5x", "5mm",
		"99999999999999999999", "1000000000d"
	};
	uint64_t		 value;
	size_t			 i;

	cr_assert(seconds("1", 1));
	cr_assert(seconds("90s", 90));
	cr_assert(seconds("10m", 600));
	cr_assert(seconds("2h", 7200));
	cr_assert(seconds("3d", 259200));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(options_seconds(bad[i], &value), -1, "%s",
		    bad[i]);
}

static int
has(const char *net, const char *ip)
{
	struct net	 n;
	struct addr	 a;

	cr_assert_eq(options_net(&n, net), 0, "%s", net);
	cr_assert_eq(addr_parse(&a, ip), 0, "%s", ip);
	return (options_net_has(&n, &a));
}

Test(options, net)
{
	static const char *const bad[] = {
		"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
		"2001:db8::/129", "example.org", "10.0.0.0/8/8",
		"1111111111111111111111111111111111111111111111111111"
	};
	struct net		 n;
	size_t			 i;

	cr_assert(has("198.51.100.7", "198.51.100.7"));
	cr_assert_not(has("198.51.100.7", "198.51.100.6"));
	cr_assert(has("198.51.100.0/25", "198.51.100.127"));
	cr_assert_not(has("198.51.100.0/25", "198.51.100.128"));
	cr_assert(has("0.0.0.0/0", "203.0.113.9"));
	cr_assert_not(has("0.0.0.0/0", "2001:db8::1"));
	cr_assert(has("2001:db8::/47", "2001:db8:1::1"));
	cr_assert_not(has("2001:db8::/47", "2001:db8:2::1"));
	/* What is v4 in IPv6's clothes is v4. */
	cr_assert(has("127.0.0.0/8", "::ffff:127.0.0.1"));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(options_net(&n, bad[i]), -1, "%s", bad[i]);
}

static void
expect_place(const char *text, const char *want, uint16_t want_port)
{
	char		 host[64];
	uint16_t	 port;

	cr_assert_eq(options_host_port(text, host, sizeof(host), &port), 0,
	    "%s", text);
	cr_assert_str_eq(host, want);
	cr_assert_eq(port, want_port, "%s", text);
}

Test(options, host_port)
{
	static const char *const bad[] = {
		"", ":80", "host:", "host:0", "host:65536", "host:http",
		"[::1", "[::1]80", "[]:80"
	};
	char			 host[64];
	uint16_t		 port;
	size_t			 i;

	expect_place("xmpp.example.org", "xmpp.example.org", 0);
	expect_place("xmpp.example.org:5222", "xmpp.example.org", 5222);
	expect_place("::1", "::1", 0);
	expect_place("[::1]", "::1", 0);
	expect_place("[2001:db8::7]:65535", "2001:db8::7", 65535);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(options_host_port(bad[i], host, sizeof(host),
		    &port), -1, "%s", bad[i]);
	cr_assert_eq(options_host_port("too-long", host, 8, &port), -1);
}

/* Write a configuration and read it; the result of rc_load(). */
static int
load(struct rc *rc, const char *text)
{
	char	 path[] = "/tmp/passd-test-rc.XXXXXX";
	int	 fd = mkstemp(path), status;

	cr_assert(fd != -1);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	status = rc_load(rc, path);
	(void)unlink(path);
	return (status);
}

Test(rc, settings)
{
	struct rc	 rc;

	cr_assert_eq(load(&rc, "# comment\n\n"
	    "account alice@example.org # mine\n"
	    "password command \"pass show \\\"a b\\\" | head\"\n"
	    "\tca  file\t\"/a b/ca.pem\"\n"
	    "direct tls\nhost [::1]:5223"), 0);
	cr_assert_str_eq(rc.account, "alice@example.org");
	cr_assert_str_eq(rc.password_command, "pass show \"a b\" | head");
	cr_assert_str_eq(rc.ca_file, "/a b/ca.pem");
	cr_assert_str_eq(rc.host, "[::1]:5223");
	cr_assert(rc.direct_tls);
	cr_assert_null(rc.password_file);
	rc_clear(&rc);
}

Test(rc, errors)
{
	static const char *const bad[] = {
		"acount a@b\n", "account\n", "account a b\n",
		"account \"a@b\n", "password secret\n", "password file\n",
		"account a@b\naccount c@d\n", "a b c d e f\n", "direct\n"
	};
	struct rc		 rc;
	size_t			 i;

	/* What it says is seen by the end-to-end tests. */
	cr_assert(freopen("/dev/null", "w", stderr) != NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(load(&rc, bad[i]), EXIT_USAGE, "%s", bad[i]);
		rc_clear(&rc);
	}
}

Test(proxy, v6)
{
	static const unsigned char want[] = {
		0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
		0x54, 0x0a, 0x21, 0x21, 0x00, 0x24,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
		0x9c, 0xa4, 0x6d, 0x71
	};
	unsigned char		 buf[PROXY_MAX];
	struct addr		 peer;

	cr_assert_eq(addr_parse(&peer, "2001:db8::9"), 0);
	peer.port = 40100;
	cr_assert_eq(proxy_make(buf, &peer, "2001:db8::7", 28017),
	    sizeof(want));
	cr_assert_arr_eq(buf, want, sizeof(want));
}

/* The destination is of the other family: nothing is made up. */
Test(proxy, families)
{
	unsigned char	 buf[PROXY_MAX];
	struct addr	 peer;

	cr_assert_eq(addr_parse(&peer, "198.51.100.7"), 0);
	peer.port = 1;
	cr_assert_eq(proxy_make(buf, &peer, "2001:db8::7", 2), 28);
	cr_assert_arr_eq(buf + 16, "\xc6\x33\x64\x07\0\0\0\0\0\1\0\2", 12);
}
