/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/resource.h>

#include <netinet/in.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "listener.h"

static void
start(void)
{
	fake_start(NULL);
}

TestSuite(listener, .init = start, .fini = fake_stop, .timeout = 30);

/* A listener of somebody else on one number of our address. */
static int
occupy(uint16_t port)
{
	struct sockaddr_storage	 ss;
	struct addr		 a = ctl.conf->listen4.bind;
	socklen_t		 len;
	int			 fd;

	a.port = port;
	cr_assert_neq(len = addr_to_sa(&a, &ss), 0);
	cr_assert_geq(fd = socket(AF_INET, SOCK_STREAM, 0), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return (fd);
}

Test(listener, listens_where_it_says)
{
	struct sockaddr_storage	 ss;
	struct listeners	 l;
	struct addr		 a;
	socklen_t		 len = sizeof(ss);
	int			 before = fake_fds(), v = 0;

	cr_assert_eq(listeners_open(ctl.conf, ctl.ports, 0, 8, &l), 0);
	cr_expect_eq(l.n, 1);
	cr_expect_geq(l.port, ctl.conf->ports.lo);
	cr_expect_leq(l.port, ctl.conf->ports.hi);
	cr_assert_eq(getsockname(l.fd[0], (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sa(&a, (struct sockaddr *)&ss), 0);
	cr_expect_eq(a.port, l.port);
	cr_expect(addr_same_ip(&a, &ctl.conf->listen4.bind));
	len = sizeof(v);
	cr_assert_eq(getsockopt(l.fd[0], SOL_SOCKET, SO_ACCEPTCONN, &v,
	    &len), 0);
	cr_expect_eq(v, 1);
	cr_expect(fcntl(l.fd[0], F_GETFL) & O_NONBLOCK);
	cr_expect_eq(fcntl(l.fd[0], F_GETFD), FD_CLOEXEC);
	cr_expect_eq(pool_left(ctl.ports, 0), 49);
	listeners_close(&l);
	cr_expect_eq(l.n, 0);
	listeners_close(&l);
	cr_expect_eq(fake_fds(), before);
	cr_expect_eq(pool_left(ctl.ports, 0), 49, "the number stays taken");
}

/* Numbers that others hold are skipped, and 502 only when none is left. */
Test(listener, skips_what_others_hold)
{
	struct pool		*p = pool_new(23100, 23104, 60000);
	struct listeners	 l[2];
	int			 held[4], i, before = fake_fds();

	for (i = 0; i < 4; i++)
		held[i] = occupy((uint16_t)(23100 + i));
	cr_assert_eq(listeners_open(ctl.conf, p, 0, 8, &l[0]), 0);
	cr_expect_eq(l[0].port, 23104);
	errno = 0;
	cr_expect_eq(listeners_open(ctl.conf, p, 0, 8, &l[1]), -1);
	cr_expect_eq(errno, ENOSPC);
	cr_expect_eq(l[1].n, 0);
	cr_expect_eq(l[1].port, 0);
	/* They rest like any other, and are tried again. */
	cr_expect_eq(pool_left(p, 60000), 4);
	close(held[2]);
	cr_assert_eq(listeners_open(ctl.conf, p, 60000, 8, &l[1]), 0);
	cr_expect_eq(l[1].port, 23102);
	for (i = 0; i < 4; i++) {
		if (i != 2)
			close(held[i]);
	}
	listeners_close(&l[0]);
	listeners_close(&l[1]);
	cr_expect_eq(fake_fds(), before);
	pool_free(p);
}

/* Both families or none: v6 does not take v4-mapped connections. */
Test(listener, both_families)
{
	struct listeners	 l;
	int			 before = fake_fds(), v = 0;
	socklen_t		 len = sizeof(v);

	fake_conf("listen on ::1 advertise 2001:db8::7");
	cr_assert_eq(listeners_open(ctl.conf, ctl.ports, 0, 8, &l), 0);
	cr_expect_eq(l.n, 2);
	cr_assert_eq(getsockopt(l.fd[1], IPPROTO_IPV6, IPV6_V6ONLY, &v,
	    &len), 0);
	cr_expect_eq(v, 1);
	listeners_close(&l);
	cr_expect_eq(fake_fds(), before);
}

Test(listener, second_family_is_taken)
{
	struct sockaddr_in6	 sin6;
	struct pool		*p;
	struct listeners	 l;
	socklen_t		 len = sizeof(sin6);
	int			 fd, before;

	fake_conf("listen on ::1 advertise 2001:db8::7");
	before = fake_fds();
	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_addr = in6addr_loopback;
	cr_assert_geq(fd = socket(AF_INET6, SOCK_STREAM, 0), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sin6, len), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	p = pool_new(ntohs(sin6.sin6_port), ntohs(sin6.sin6_port), 1000);
	cr_expect_eq(listeners_open(ctl.conf, p, 0, 8, &l), -1);
	cr_expect_eq(errno, ENOSPC);
	cr_expect_eq(fake_fds(), before + 1, "the first family's is closed");
	cr_expect_eq(pool_left(p, 1000), 1);
	close(fd);
	pool_free(p);
}

/* An address that is not ours is no lack of ports. */
Test(listener, no_such_address)
{
	struct listeners	 l;
	int			 before = fake_fds();

	cr_assert_eq(addr_parse(&ctl.conf->listen4.bind, "192.0.2.1"), 0);
	cr_expect_eq(listeners_open(ctl.conf, ctl.ports, 0, 8, &l), -1);
	cr_expect_eq(errno, EADDRNOTAVAIL);
	cr_expect_eq(pool_left(ctl.ports, 60000), 50);
	cr_expect_eq(fake_fds(), before);
}

Test(listener, no_descriptors)
{
	struct rlimit		 was, none;
	struct listeners	 l;
	int			 lowest;

	cr_assert_geq(lowest = dup(0), 0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)lowest;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_expect_eq(listeners_open(ctl.conf, ctl.ports, 0, 8, &l), -1);
	cr_expect_eq(errno, EMFILE);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	/* One number rests now, the others are as they were. */
	cr_expect_eq(pool_left(ctl.ports, 0), 49);
	cr_expect_eq(pool_left(ctl.ports, 60000), 50);
}
