/* SPDX-License-Identifier: ISC */
/*
 * A worker allocates nothing from its READY on: here it runs with a malloc
 * that ends it, through the whole life of a port.
 */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mono.h"
#include "worker.h"
#include "worker_rig.h"

TestSuite(noheap, .timeout = 60);

#if defined(__GLIBC__) && !defined(WITH_SANITIZERS)

#define BULK	(6 * 1024 * 1024)

void	*__libc_malloc(size_t);
void	*__libc_calloc(size_t, size_t);
void	*__libc_realloc(void *, size_t);
void	 __libc_free(void *);

static volatile int	 closed;	/* in a worker that is ready */
static void	*brk_then;

static void
forbid(void)
{
	/* Not abort(3): it must end whatever the filter allows. */
	if (closed)
		_exit(99);
}

/* These take the place of libc's, for libc's own calls, too. */

void *
malloc(size_t size)
{
	forbid();
	return (__libc_malloc(size));
}

void *
calloc(size_t n, size_t size)
{
	forbid();
	return (__libc_calloc(n, size));
}

void *
realloc(void *p, size_t size)
{
	forbid();
	return (__libc_realloc(p, size));
}

void
free(void *p)
{
	forbid();
	__libc_free(p);
}

void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	forbid();
	return ((void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset));
}

/* The first thing that a worker sends is READY. */
ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t	 n;

	n = sendto(fd, buf, len, flags, NULL, 0);
	if (worker.id == 0)
		return (n);
	if (closed && sbrk(0) != brk_then)
		_exit(98);
	brk_then = sbrk(0);
	closed = 1;
	return (n);
}

/* The watch itself: each of them is noticed. */
static void
try(int which)
{
	void *volatile	 p = NULL;
	size_t volatile	 n = 100;

	closed = 1;
	switch (which) {
	case 0:
		p = malloc(n);
		break;
	case 1:
		p = calloc(n, 2);
		break;
	case 2:
		p = realloc(p, n);
		break;
	case 3:
		free(p);
		break;
	case 4:
		p = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
		break;
	default:
		p = strdup("libc's own");
		break;
	}
	closed = 0;
	_exit(p != NULL);
}

Test(noheap, is_noticed_0, .exit_code = 99) { try(0); }
Test(noheap, is_noticed_1, .exit_code = 99) { try(1); }
Test(noheap, is_noticed_2, .exit_code = 99) { try(2); }
Test(noheap, is_noticed_3, .exit_code = 99) { try(3); }
Test(noheap, is_noticed_4, .exit_code = 99) { try(4); }
Test(noheap, is_noticed_5, .exit_code = 99) { try(5); }

/* Read what is there; return the number of bytes, 0 at the end. */
static size_t
take(int fd, short revents)
{
	static char	 buf[65536];
	ssize_t		 n;

	if (!(revents & (POLLIN | POLLHUP)))
		return (0);
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	return (n > 0 ? (size_t)n : 0);
}

static size_t
give(int fd, short revents, size_t left)
{
	static char	 buf[65536];
	ssize_t		 n;

	if (!(revents & POLLOUT) || left == 0)
		return (0);
	n = sendto(fd, buf, left < sizeof(buf) ? left : sizeof(buf),
	    MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	return (n > 0 ? (size_t)n : 0);
}

/* Both ways at once. */
static void
bulk(int a, int b)
{
	struct pollfd	 pfd[2] = { { .fd = a }, { .fd = b } };
	size_t		 left[2] = { BULK, BULK }, due[2] = { BULK, BULK };
	int64_t		 limit = mono_ms() + 20000;
	int		 i;

	while (due[0] + due[1] > 0) {
		cr_assert_lt(mono_ms(), limit, "%zu and %zu missing", due[0],
		    due[1]);
		for (i = 0; i < 2; i++)
			pfd[i].events = (short)(POLLIN |
			    (left[i] > 0 ? POLLOUT : 0));
		(void)poll(pfd, 2, 100);
		for (i = 0; i < 2; i++) {
			left[i] -= give(pfd[i].fd, pfd[i].revents, left[i]);
			due[i] -= take(pfd[i].fd, pfd[i].revents);
		}
	}
}

/* A stranger, the owner's leg with its token, and a relay. */
static void
relay(struct rig *r, uint32_t session, const char *from, int *peer, int *leg)
{
	const char	*token = "0123456789abcdef";
	uint16_t	 rdv;

	cr_assert_geq(*peer = rig_connect(r->port, from), 0);
	rig_client(r, session, *peer);
	rdv = rig_rendezvous(r, session);
	rig_answer(r, session, "127.0.0.3", token);
	cr_assert_geq(*leg = rig_connect(rdv, "127.0.0.3"), 0);
	rig_say(*leg, token);
	rig_paired(r, session, *leg, 0);
}

static void
refused(struct rig *r, const char *from)
{
	int	 fd;

	cr_assert_geq(fd = rig_connect(r->port, from), 0);
	rig_rst(fd);
	rig_event(r, MSG_REFUSED);
}

Test(noheap, life_of_a_port)
{
	struct msg_limits	 l;
	struct rig		 r;
	int			 peer[3], leg[3], fd, i;

	rig_limits(&l);
	l.sessions = 3;
	rig_start(&r, &l);
	relay(&r, 1, "127.0.0.5", &peer[0], &leg[0]);
	relay(&r, 2, "127.0.0.6", &peer[1], &leg[1]);
	bulk(peer[0], leg[0]);
	bulk(peer[1], leg[1]);
	/* One that is dropped, one that leaves, one with a wrong leg. */
	cr_assert_geq(fd = rig_connect(r.port, "127.0.0.7"), 0);
	rig_client(&r, 3, fd);
	rig_drop(&r, 3, CAUSE_DENIED);
	rig_rst(fd);
	rig_ended(&r, 3, CAUSE_DENIED);
	cr_assert_geq(fd = rig_connect(r.port, "127.0.0.7"), 0);
	rig_client(&r, 4, fd);
	rig_reset(fd);
	rig_ended(&r, 4, CAUSE_PEER_GONE);
	relay(&r, 5, "127.0.0.7", &peer[2], &leg[2]);
	refused(&r, "127.0.0.8");
	l.idle_ms = 50000;
	rig_send(&r, &l, sizeof(l), MSG_LIMITS);
	bulk(peer[2], leg[2]);
	/* A FIN, both ways; a RST; and the end of all. */
	close(peer[0]);
	rig_fin(leg[0]);
	rig_ended(&r, 1, CAUSE_EOF);
	rig_reset(peer[1]);
	rig_rst(leg[1]);
	rig_ended(&r, 2, CAUSE_PEER_RESET);
	for (i = 0; i < 1000; i++) {
		rig_say(peer[2], "x");
		rig_hear(leg[2], "x");
	}
	rig_stop(&r);
	rig_rst(peer[2]);
	rig_rst(leg[2]);
}

#else

Test(noheap, life_of_a_port)
{
	cr_skip_test("no malloc of our own here");
}

#endif
