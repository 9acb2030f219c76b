/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "addr.h"
#include "el.h"
#include "jid.h"
#include "loop.h"
#include "mono.h"
#include "session.h"
#include "session_impl.h"
#include "ui.h"
#include "xalloc.h"

#define LOGIN_S		20	/* from the first packet to the resource */
#define LOGOUT_MS	2000
#define READS		6	/* a TLS record is four reads of libstrophe */

struct session	 ss;

int
session_online(void)
{
	return (ss.state == ST_ONLINE);
}

const char *
session_jid(void)
{
	return (ss.jid);
}

const char *
session_bare(void)
{
	return (ss.account->jid);
}

const char *
session_domain(void)
{
	return (ss.account->domain);
}

void
session_watch(void (*fn)(enum session_event))
{
	ss.watch = fn;
}

int
session_address(char *host, size_t size, uint16_t *port)
{
	if (ss.address[0] == '\0' || strlcpy(host, ss.address, size) >= size)
		return (-1);
	*port = ss.port;
	return (0);
}

/* ---- the stream ---------------------------------------------------------- */

/*
 * libstrophe waits for a TLS handshake in a loop of its own, without a limit
 * and deaf to our timers: a server that is silent there would hold us for
 * ever.  An alarm ends the connection under it.
 */
static volatile sig_atomic_t	 handshake_fd = -1;

static void
on_alarm(int sig)
{
	int	 saved = errno;

	(void)sig;
	if (handshake_fd != -1)
		(void)shutdown(handshake_fd, SHUT_RDWR);
	errno = saved;
}

/* libstrophe opens a socket: it has no other way to tell which. */
static int
on_socket(xmpp_conn_t *conn, void *sock)
{
	(void)conn;
	memcpy(&ss.fd, sock, sizeof(ss.fd));
	handshake_fd = ss.fd;
	return (xmpp_sockopt_cb_keepalive(conn, sock));
}

static int
on_bad_certificate(const xmpp_tlscert_t *cert, const char *const why)
{
	(void)cert;
	(void)strlcpy(ss.cert_error, why, sizeof(ss.cert_error));
	return (0);
}

/* The address that worked, so that coming back needs no DNS. */
static void
remember_address(void)
{
	struct sockaddr_storage	 sa;
	socklen_t		 len = sizeof(sa);
	struct addr		 a;

	if (ss.fd == -1 ||
	    getpeername(ss.fd, (struct sockaddr *)&sa, &len) == -1 ||
	    addr_from_sa(&a, (struct sockaddr *)&sa) == -1)
		return;
	(void)addr_format(&a, ss.address);
	ss.port = a.port;
}

static void
online(xmpp_conn_t *conn)
{
	const char	*jid = xmpp_conn_get_bound_jid(conn);

	if (jid == NULL || !xmpp_conn_is_secured(conn)) {
		(void)strlcpy(ss.why, "the server's answer makes no sense",
		    sizeof(ss.why));
		xmpp_disconnect(conn);
		return;
	}
	free(ss.jid);
	ss.jid = xstrdup(jid);
	ss.state = ST_ONLINE;
	ss.tries = 0;
	remember_address();
	session_stanzas_begin(conn);
	loop_timer_del(ss.timer);
	ss.timer = NULL;
	(void)alarm(0);
	if (ss.was_online && ss.watch != NULL)
		ss.watch(SESSION_BACK);
	ss.was_online = 1;
}

static void
on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
    xmpp_stream_error_t *stream_error, void *arg)
{
	(void)arg;
	loop_poke();
	if (event == XMPP_CONN_CONNECT) {
		online(conn);
		return;
	}
	if (event == XMPP_CONN_RAW_CONNECT)
		return;
	ss.conflict = stream_error != NULL &&
	    stream_error->type == XMPP_SE_CONFLICT;
	if (stream_error != NULL && ss.why[0] == '\0')
		(void)strlcpy(ss.why, stream_error->text != NULL ?
		    stream_error->text : "the server closed the stream",
		    sizeof(ss.why));
	if (error != 0 && ss.why[0] == '\0')
		(void)strlcpy(ss.why, strerror(error), sizeof(ss.why));
	/* Not freed here, in the middle of its own code: the pump does. */
	ss.fd = -1;
	ss.ended = 1;
}

static void
on_login_timeout(void *arg)
{
	(void)arg;
	ss.timer = NULL;
	(void)strlcpy(ss.why, "the server does not answer", sizeof(ss.why));
	ss.ended = 1;
}

/* One attempt; what becomes of it on_connection() is told. */
static void
connect_now(void)
{
	const struct account	*a = ss.account;
	const char		*host = a->host;
	uint16_t		 port = a->port;
	unsigned long		 flags = XMPP_CONN_FLAG_MANDATORY_TLS;
	char			 jid[JID_STRLEN + 32];

	if (ss.address[0] != '\0') {
		host = ss.address;
		port = ss.port;
	}
	if (a->direct_tls)
		flags |= XMPP_CONN_FLAG_LEGACY_SSL;
	if (!(ss.flags & SESSION_RECONNECT))
		flags |= XMPP_CONN_FLAG_DISABLE_SM;
	ss.state = ST_CONNECTING;
	ss.why[0] = ss.cert_error[0] = '\0';
	ss.login_failed = 0;
	if ((ss.conn = xmpp_conn_new(ss.ctx)) == NULL)
		exit(ui_fail(EXIT_USAGE, "out of memory"));
	(void)snprintf(jid, sizeof(jid), "%s/%s", a->jid, ss.resource);
	xmpp_conn_set_jid(ss.conn, jid);
	xmpp_conn_set_pass(ss.conn, a->password);
	(void)xmpp_conn_set_flags(ss.conn, (long)flags);
	if (a->ca_file != NULL)
		xmpp_conn_set_cafile(ss.conn, a->ca_file);
	xmpp_conn_set_certfail_handler(ss.conn, on_bad_certificate);
	xmpp_conn_set_sockopt_callback(ss.conn, on_socket);
	if (ss.sm != NULL &&
	    xmpp_conn_set_sm_state(ss.conn, ss.sm) == XMPP_EOK)
		ss.sm = NULL;		/* the connection's now */
	ss.timer = loop_timer(LOGIN_S * 1000, on_login_timeout, NULL);
	(void)alarm(LOGIN_S + 1);
	if (xmpp_connect_client(ss.conn, host, port, on_connection, NULL) !=
	    XMPP_EOK)
		ss.ended = 1;
}

static void
on_retry(void *arg)
{
	(void)arg;
	ss.timer = NULL;
	connect_now();
}

/* 1, 2, 4, ... 30 seconds, spread, so that not all users come at once. */
static void
retry(void)
{
	int64_t	 ms = 1000;
	int	 i;

	for (i = 0; i < ss.tries && ms < 30000; i++)
		ms *= 2;
	if (ms > 30000)
		ms = 30000;
	ms = ms / 2 + (int64_t)arc4random_uniform((uint32_t)ms);
	ss.tries++;
	ss.state = ST_WAITING;
	ui_debug("next attempt in %lld ms", (long long)ms);
	ss.timer = loop_timer(ms, on_retry, NULL);
}

/* The connection is no more: free it, and decide what comes next. */
static void
buried(void)
{
	enum session_state	 was = ss.state;

	ss.ended = 0;
	ss.fd = -1;
	loop_timer_del(ss.timer);
	ss.timer = NULL;
	(void)alarm(0);
	handshake_fd = -1;
	if (ss.sm != NULL)
		xmpp_free_sm_state(ss.sm);
	ss.sm = NULL;
	if (ss.flags & SESSION_RECONNECT)
		ss.sm = xmpp_conn_get_sm_state(ss.conn);
	xmpp_conn_release(ss.conn);
	ss.conn = NULL;
	ss.state = ST_OFFLINE;
	session_stanzas_lost();
	if (!ss.was_online || !(ss.flags & SESSION_RECONNECT) || ss.closing)
		return;
	if (was == ST_ONLINE && ss.watch != NULL)
		ss.watch(SESSION_LOST);
	if (ss.conflict) {
		/* Somebody took our place; do not fight over it. */
		(void)snprintf(ss.resource, sizeof(ss.resource),
		    "passcat-%08x", arc4random());
		if (ss.sm != NULL)
			xmpp_free_sm_state(ss.sm);
		ss.sm = NULL;
	}
	retry();
}

static int
pump(int *fd, short *events)
{
	int	 i;

	for (i = 0; i < READS && ss.conn != NULL && !ss.ended; i++)
		xmpp_run_once(ss.ctx, 0);
	if (ss.ended) {
		buried();
		loop_poke();
	}
	if (ss.conn == NULL)
		return (-1);
	*fd = ss.fd;
	*events = POLLIN;
	if (xmpp_conn_is_connecting(ss.conn))
		*events |= POLLOUT;
	/* libstrophe has timers of its own, and a queue when it is slow. */
	return (ss.state == ST_ONLINE && !ss.closing &&
	    xmpp_conn_send_queue_len(ss.conn) == 0 ? 1000 : 50);
}

/* ---- opening and closing ------------------------------------------------- */

static int
explain_failure(void)
{
	const struct account	*a = ss.account;
	const char		*where = a->host != NULL ? a->host : a->domain;

	if (ss.cert_error[0] != '\0')
		return (ui_fail(EXIT_LOGIN, "the certificate of %s is not "
		    "valid for %s: %s; if you trust it, give its CA with "
		    "--ca-file", where, a->domain, ss.cert_error));
	if (ss.login_failed)
		return (ui_fail(EXIT_LOGIN, "%s does not accept the password "
		    "of %s; check both", a->domain, a->jid));
	if (ss.no_tls)
		return (ui_fail(EXIT_LOGIN, "%s offers no TLS, and passcat "
		    "sends no password without", where));
	if (ss.why[0] == '\0')
		(void)strlcpy(ss.why, ss.fd_seen ? "the connection was "
		    "closed" : "the name is not known, or nothing listens "
		    "there", sizeof(ss.why));
	return (ui_fail(EXIT_LOGIN, "cannot log in at %s: %s; "
	    "%s", where, ss.why, a->host != NULL ?
	    "check --host" : "try --host if the server has another name"));
}

int
session_open(const struct account *account, unsigned int flags)
{
	ss.account = account;
	ss.flags = flags;
	ss.fd = -1;
	(void)snprintf(ss.resource, sizeof(ss.resource), "passcat-%08x",
	    arc4random());
	(void)signal(SIGALRM, on_alarm);
	xmpp_initialize();
	session_context();
	loop_pump(pump);
	connect_now();
	while (ss.state != ST_ONLINE && ss.state != ST_OFFLINE &&
	    loop_once(-1))
		;
	if (ss.state == ST_ONLINE)
		return (0);
	return (loop_interrupted() ? EXIT_LOGIN : explain_failure());
}

void
session_close(void)
{
	int64_t	 end = mono_ms() + LOGOUT_MS;
	int	 fd = -1;
	short	 events = 0;

	ss.closing = 1;
	(void)alarm(0);
	loop_timer_del(ss.timer);
	ss.timer = NULL;
	if (ss.conn != NULL)
		xmpp_disconnect(ss.conn);
	/* By hand: the loop does not run any more after a signal. */
	while (ss.conn != NULL && mono_ms() < end) {
		struct pollfd	 pfd;

		(void)pump(&fd, &events);
		pfd.fd = fd;
		pfd.events = events;
		if (ss.conn != NULL)
			(void)poll(&pfd, 1, 20);
	}
	if (ss.conn != NULL)
		xmpp_conn_release(ss.conn);
	if (ss.sm != NULL)
		xmpp_free_sm_state(ss.sm);
	loop_pump(NULL);
	session_stanzas_end();
	if (ss.ctx != NULL) {
		xmpp_ctx_free(ss.ctx);
		xmpp_shutdown();
	}
	free(ss.jid);
	memset(&ss, 0, sizeof(ss));
}
