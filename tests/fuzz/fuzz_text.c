/* SPDX-License-Identifier: ISC */
/*
 * JID and address text.  What was prepared once is not changed by being
 * prepared again, or one user could be taken for two; what is logged or
 * printed is harmless; an address is the same after a walk through text or
 * through the kernel's form.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "fuzz.h"
#include "jid.h"
#include "log.h"

static void
check_parts(const struct jid *j)
{
	const char	*end = j->full + strlen(j->full);

	FUZZ_CHECK(j->domain_len >= 1 && j->domain_len <= JID_PART_MAX,
	    "%s", j->full);
	FUZZ_CHECK(j->domain + j->domain_len == j->full + j->bare_len, "%s",
	    j->full);
	FUZZ_CHECK(j->has_local == (j->domain != j->full), "%s", j->full);
	if (j->has_local)
		FUZZ_CHECK(j->domain[-1] == '@' && j->domain - j->full - 1 <=
		    JID_PART_MAX, "%s", j->full);
	FUZZ_CHECK((j->resource == NULL) == (end == j->full + j->bare_len),
	    "%s", j->full);
	if (j->resource != NULL)
		FUZZ_CHECK(j->resource == j->full + j->bare_len + 1 &&
		    j->resource[-1] == '/' && end - j->resource >= 1 &&
		    end - j->resource <= JID_PART_MAX, "%s", j->full);
	FUZZ_CHECK(strlen(j->full) < JID_STRLEN, "%s", j->full);
}

/* No byte of ${text} can forge a log line or end a quoted string. */
static void
check_safe(const char *text, const char *buf, size_t size)
{
	size_t	 i;

	if (size == 0)
		return;
	FUZZ_CHECK(memchr(buf, '\0', size) != NULL, "%zu: %s", size, text);
	for (i = 0; buf[i] != '\0'; i++)
		FUZZ_CHECK(buf[i] > ' ' && buf[i] <= '~' && buf[i] != '"' &&
		    buf[i] != '\'', "%zu: %s", size, text);
	FUZZ_CHECK(i > 0 || size == 1, "%zu: %s", size, text);
}

static void
check_log(const char *text, size_t size)
{
	char	*buf = malloc(size == 0 ? 1 : size);

	FUZZ_CHECK(buf != NULL, "memory");
	FUZZ_CHECK(log_safe(text, buf, size) == buf, "%s", text);
	check_safe(text, buf, size);
	free(buf);
}

static void
check_jid(const char *text)
{
	struct jid	*j, *again, *bare, *dup;

	errno = 0;
	if ((j = jid_parse(text)) == NULL) {
		FUZZ_CHECK(errno == EINVAL, "errno %d", errno);
		return;
	}
	check_parts(j);
	again = jid_parse(j->full);
	FUZZ_CHECK(again != NULL, "not a JID any more: %s", j->full);
	FUZZ_CHECK(jid_same(j, again), "%s is %s", j->full, again->full);
	check_parts(again);
	FUZZ_CHECK((dup = jid_dup(j)) != NULL, "memory");
	FUZZ_CHECK((bare = jid_bare(j)) != NULL, "memory");
	check_parts(dup);
	check_parts(bare);
	FUZZ_CHECK(jid_same(dup, j) && jid_same_bare(bare, j) &&
	    bare->resource == NULL, "%s", j->full);
	FUZZ_CHECK(jid_same(bare, j) == (j->resource == NULL), "%s", j->full);
	check_log(j->full, 64);
	check_log(j->full, 4 * JID_STRLEN);
	jid_free(j);
	jid_free(again);
	jid_free(dup);
	jid_free(bare);
}

/* ---- addresses ----------------------------------------------------------*/

static void
check_round_trip(const struct addr *a)
{
	struct sockaddr_storage	 ss;
	struct addr		 b;
	char			 buf[ADDR_STRLEN];
	socklen_t		 len;

	FUZZ_CHECK(addr_format(a, buf) == buf, "address");
	FUZZ_CHECK(addr_parse(&b, buf) == 0, "%s", buf);
	FUZZ_CHECK(addr_same_ip(a, &b) && addr_same_site(a, &b) &&
	    b.port == 0, "%s", buf);
	len = addr_to_sa(a, &ss);
	FUZZ_CHECK(len != 0 && addr_from_sa(&b, (struct sockaddr *)&ss) == 0,
	    "%s", buf);
	FUZZ_CHECK(memcmp(a, &b, sizeof(b)) == 0, "%s", buf);
	FUZZ_CHECK(a->family != ADDR_V6 || memcmp(a->ip,
	    "\0\0\0\0\0\0\0\0\0\0\377\377", 12) != 0, "v4-mapped: %s", buf);
	FUZZ_CHECK(!addr_is_wildcard(a) || !addr_is_unicast(a), "%s", buf);
	FUZZ_CHECK(!addr_is_loopback(a) || addr_is_unicast(a), "%s", buf);
}

static void
check_addr(const char *text)
{
	struct addr	 a;
	struct in6_addr	 in;

	if (addr_parse(&a, text) == -1) {
		FUZZ_CHECK(a.family == ADDR_NONE, "%s", text);
		FUZZ_CHECK(inet_pton(AF_INET6, text, &in) != 1, "%s", text);
		return;
	}
	FUZZ_CHECK(a.port == 0, "%s", text);
	check_round_trip(&a);
}

/* The kernel may hand us any bytes. */
static void
check_bytes(struct fuzz_in *in)
{
	struct sockaddr_storage	 ss;
	struct sockaddr_in6	 sin6;
	struct addr		 a;
	size_t			 i;

	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = fuzz_u8(in) & 1 ? AF_INET : AF_INET6;
	sin6.sin6_port = fuzz_u16(in);
	for (i = 0; i < 16; i++)
		sin6.sin6_addr.s6_addr[i] = fuzz_u8(in);
	memset(&ss, 0, sizeof(ss));
	memcpy(&ss, &sin6, sizeof(sin6));
	FUZZ_CHECK(addr_from_sa(&a, (struct sockaddr *)&ss) == 0, "bytes");
	check_round_trip(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };
	size_t		 size;
	char		*text;

	fuzz_seed(len);
	size = (size_t)fuzz_u8(&in) * 8;
	if ((text = malloc(in.left + 1)) == NULL)
		return (0);
	memcpy(text, in.p, in.left);
	text[in.left] = '\0';
	check_log(text, size);
	check_jid(text);
	check_addr(text);
	free(text);
	check_bytes(&in);
	return (0);
}
