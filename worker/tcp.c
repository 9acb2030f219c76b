/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string.h>
#include <unistd.h>

#include "tcp.h"

/* A silent peer is found dead after 60 + 4 * 15 seconds. */
#define KEEPALIVE_IDLE		60
#define KEEPALIVE_INTERVAL	15
#define KEEPALIVE_COUNT		4
#define USER_TIMEOUT_MS		120000

/*
 * Where the cage takes options of TCP away (pledge(2) without "inet"), none
 * is touched: TCP_NODELAY comes with the listener, and a silent peer is found
 * dead by the system's own times.
 */
#ifdef NO_TCP_OPTIONS
#undef TCP_INFO
#undef TCP_KEEPIDLE
#undef TCP_USER_TIMEOUT
#endif

static void
set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void
tcp_tune(int fd)
{
#ifndef NO_TCP_OPTIONS
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
#endif
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
#endif
	tcp_patience(fd, 0);
}

void
tcp_patience(int fd, int on)
{
#ifdef TCP_USER_TIMEOUT
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, on ? 0 : USER_TIMEOUT_MS);
#else
	(void)fd;
	(void)on;
#endif
}

int
tcp_paused(int fd)
{
#if defined(__linux__) && defined(TCP_INFO)
	struct tcp_info	 info;
	socklen_t	 len;

	memset(&info, 0, sizeof(info));
	len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return (0);
	return (info.tcpi_unacked == 0);
#else
	(void)fd;
	return (0);
#endif
}

void
tcp_abort(int fd)
{
	struct linger	 linger = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

int
tcp_error(int fd)
{
	socklen_t	 len;
	int		 error = 0;

	len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return (0);
	return (error);
}

int
tcp_delivered(int fd)
{
#ifdef TCP_INFO
	struct tcp_info	 info;
	socklen_t	 len;

	memset(&info, 0, sizeof(info));
	len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return (0);
#ifdef __linux__
	/* After our FIN the state leaves these only when it is acked. */
	return (info.tcpi_state == TCP_FIN_WAIT2 ||
	    info.tcpi_state == TCP_TIME_WAIT || info.tcpi_state == TCP_CLOSE);
#else
	/* Elsewhere the numbers are those of netinet/tcp_fsm.h. */
	return (info.tcpi_state == 0 || info.tcpi_state >= 9);
#endif
#else
	(void)fd;
	return (0);
#endif
}
