/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "xmpp.h"

/*
 * The link against a server that the test plays, on loopback and in the
 * same event loop: pump() lets the link work, everything else is said and
 * expected in order.
 */

#define HEADER	"<?xml version='1.0'?><stream:stream xmlns='jabber:component" \
		":accept' xmlns:stream='http://etherx.jabber.org/streams' " \
		"to='pass.example.org'>"
#define ANSWER	"<?xml version='1.0'?><stream:stream xmlns:stream='" \
		NS_STREAMS "' xmlns='" NS_COMPONENT "' from='pass.example." \
		"org' id='%s'>"
/* SHA1("1" "s3cret") */
#define SHAKE	"<handshake>83ebc0cda341bfd3bbd8a8d48d8e18b5c6637fb4" \
		"</handshake>"

static int	 listener = -1;
static int	 conn = -1;		/* the server's end */
static char	 got[1 << 20];		/* what the server has read */
static size_t	 ngot;
static char	 logged[65536];
static int	 ups, downs, asked, dones, skips;
static char	 last_stanza[256];
static int	 unix_fd = -1, unix_error;
static int	 close_in_stanza;
static struct xmpp_times times;

/* ---- what the link calls ------------------------------------------------ */

static void
on_log(enum log_level level, const char *line, void *arg)
{
	(void)arg;
	(void)strlcat(logged, level == LOG_LEVEL_ERROR ? "ERROR " : "",
	    sizeof(logged));
	(void)strlcat(logged, line, sizeof(logged));
	(void)strlcat(logged, "\n", sizeof(logged));
}

static void
on_up(void *arg)
{
	cr_assert_eq(arg, &ups);
	cr_expect_eq(xmpp_is_up(), 1);
	ups++;
}

static void
on_down(void *arg)
{
	cr_assert_eq(arg, &ups);
	cr_expect_eq(xmpp_is_up(), 0);
	downs++;
}

static void
on_done(void *arg)
{
	cr_assert_eq(arg, &dones);
	dones++;
}

static void
on_stanza(struct stanza *s, void *arg)
{
	const char	*id = stanza_attr(s, "id");

	cr_assert_eq(arg, &ups);
	(void)snprintf(last_stanza, sizeof(last_stanza), "%s %s", s->name,
	    id == NULL ? "" : id);
	if (close_in_stanza)
		xmpp_close(on_done, &dones);
	stanza_free(s);
}

static void
on_skipped(struct stanza *s, enum stanza_bad bad, void *arg)
{
	cr_assert_eq(arg, &ups);
	cr_expect_eq(bad, STANZA_TOO_BIG);
	skips++;
	stanza_free(s);
}

static void
on_connect(void *arg)
{
	cr_assert_eq(arg, &ups);
	asked++;
	if (unix_fd != -1 || unix_error != 0)
		xmpp_connected(unix_fd, unix_error);
	unix_fd = -1;
}

static const struct xmpp_handler handler = {
	on_up, on_down, on_stanza, on_skipped, on_connect
};

/* ---- the server --------------------------------------------------------- */

static void
pump(void)
{
	struct timespec	 ts = { 0, 500000 };

	cr_assert(event_loop(EVLOOP_NONBLOCK) != -1);
	(void)nanosleep(&ts, NULL);
}

static void
pump_ms(int64_t ms)
{
	int64_t	 end = mono_ms() + ms;

	while (mono_ms() < end)
		pump();
}

/* Pump until ${cond}, at most three seconds. */
#define WAIT(cond) do {						\
	int64_t	 wait_end = mono_ms() + 3000;			\
	int	 wait_ok;					\
								\
	/* Some conditions are true but once. */		\
	while (!(wait_ok = (cond)) && mono_ms() < wait_end)	\
		pump();						\
	cr_assert(wait_ok, "%s\n%s", #cond, logged);		\
} while (0)

static int
tcp_listen(struct addr *a)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(sin);
	int			 fd;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert(fd != -1);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	cr_assert_eq(addr_from_sa(a, (struct sockaddr *)&sin), 0);
	return (fd);
}

static int
server_accepts(void)
{
	conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	return (conn != -1);
}

/* Read what there is; 1 while the connection lasts. */
static int
server_reads(void)
{
	ssize_t	 n;

	n = recv(conn, got + ngot, sizeof(got) - 1 - ngot, 0);
	if (n > 0) {
		ngot += (size_t)n;
		got[ngot] = '\0';
	}
	return (n > 0 || (n == -1 && errno == EAGAIN));
}

/* Something comes that has ${what} in it; it is used up. */
static int
server_got(const char *what)
{
	char	*at;

	(void)server_reads();
	at = memmem(got, ngot, what, strlen(what));
	if (at == NULL)
		return (0);
	at += strlen(what);
	ngot -= (size_t)(at - got);
	memmove(got, at, ngot + 1);
	return (1);
}

static void
server_says(const char *text)
{
	cr_assert_eq(send(conn, text, strlen(text), MSG_NOSIGNAL),
	    (ssize_t)strlen(text));
}

static void
server_closes(void)
{
	(void)close(conn);
	conn = -1;
	ngot = 0;
}

static void
server_resets(void)
{
	struct linger	 l = { 1, 0 };

	(void)setsockopt(conn, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	server_closes();
}

static void
server_header(const char *id)
{
	char	 head[1024];

	ngot = 0;
	WAIT(server_got(HEADER));
	(void)snprintf(head, sizeof(head), ANSWER, id);
	server_says(head);
}

static void
server_login(void)
{
	int	 before = ups;

	WAIT(server_accepts());
	server_header("1");
	WAIT(server_got(SHAKE));
	server_says("<handshake/>");
	WAIT(ups == before + 1);
}

static void
start_with(const struct addr *servers, size_t n)
{
	struct xmpp_params	 p = {
		.component = "pass.example.org", .secret = "s3cret",
		.servers = servers, .nservers = n
	};

	static struct event_base *base;

	if (times.retry_min == 0)
		times.retry_min = times.retry_max = 20;
	p.times = times;
	log_to(on_log, NULL);
	if (base == NULL)
		base = event_init();
	cr_assert_not_null(base);
	xmpp_init(&p, &handler, &ups);
	cr_expect_eq(asked, 0);
}

static void
start(void)
{
	struct addr	 a;

	listener = tcp_listen(&a);
	start_with(&a, 1);
}

static void
stop(void)
{
	xmpp_close(on_done, &dones);
	if (conn != -1)
		server_closes();
	WAIT(dones == 1);
	pump_ms(30);
	cr_expect_eq(dones, 1);
	if (listener != -1)
		(void)close(listener);
}

/* ---- tests -------------------------------------------------------------- */

Test(xmpp, login, .timeout = 20)
{
	struct xml_out	 x;

	start();
	xml_init(&x);
	xml_elem(&x, "message", NULL, NULL);
	cr_expect_eq(xmpp_send(&x), -1);
	WAIT(server_accepts());
	server_header("a&amp;b&lt;&#xe9;");
	/* SHA1 of the id as it is, and of the secret */
	WAIT(server_got("<handshake>"
	    "b9a0475ffd3b3f55533c845faa2b784386fbf9e0</handshake>"));
	cr_expect_eq(ngot, 0);
	cr_expect_eq(ups, 0);
	cr_expect_eq(xmpp_is_up(), 0);
	cr_expect_eq(xmpp_send(&x), -1);
	server_says("<handshake></handshake>");
	WAIT(ups == 1);
	cr_expect_eq(xmpp_is_up(), 1);
	cr_expect_not_null(strstr(logged, "link up server=127.0.0.1:"));
	cr_expect_eq(xmpp_send(&x), 0);
	WAIT(server_got("<message/>"));
	xml_open(&x, "unfinished", NULL);
	cr_expect_eq(xmpp_send(&x), -1);
	xml_free(&x);
	cr_expect_eq(downs, 0);
	stop();
	cr_expect_eq(downs, 0);
}

Test(xmpp, nothing_secret_in_the_log, .timeout = 20)
{
	log_set_level(LOG_LEVEL_DEBUG);
	start();
	server_login();
	server_closes();
	server_login();
	cr_expect_null(strstr(logged, "s3cret"));
	stop();
	cr_expect_null(strstr(logged, "s3cret"));
}

Test(xmpp, stanzas, .timeout = 20)
{
	char	*big;

	start();
	WAIT(server_accepts());
	server_header("1");
	WAIT(server_got(SHAKE));
	/* One segment, as a server may send it. */
	server_says("<handshake/><iq id='q1'/> <iq id='q2'/>");
	WAIT(strcmp(last_stanza, "iq q2") == 0);
	cr_expect_eq(ups, 1);
	big = malloc(100001);
	cr_assert_not_null(big);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	server_says("<message><body>");
	server_says(big);
	free(big);
	server_says("</body></message><presence id='p'/>");
	WAIT(strcmp(last_stanza, "presence p") == 0);
	cr_expect_eq(skips, 1);
	stop();
}

static void
expect_again(const char *line)
{
	int	 before = ups;

	WAIT(downs == before);
	cr_expect_not_null(strstr(logged, line), "%s in\n%s", line, logged);
	if (conn != -1)
		server_closes();
	server_login();
	cr_expect_eq(ups, before + 1);
}

Test(xmpp, comes_back, .timeout = 20)
{
	start();
	server_login();
	server_closes();
	expect_again("link down reason=eof server=127.0.0.1:");
	server_resets();
	expect_again("link down reason=reset error=Connection\\040reset");
	server_says("</stream:stream>");
	expect_again("link down reason=closed server=");
	server_says("<?pi?>");
	WAIT(server_got("<stream:error><restricted-xml xmlns='" NS_XSTREAMS
	    "'/></stream:error></stream:stream>"));
	expect_again("link down reason=bad-xml condition=restricted-xml ");
	server_says("<iq></message>");
	WAIT(server_got("<stream:error><not-well-formed "));
	expect_again("link down reason=bad-xml condition=not-well-formed ");
	stop();
}

Test(xmpp, stream_errors, .timeout = 20)
{
	start();
	server_login();
	server_says("<stream:error><conflict xmlns='" NS_XSTREAMS "'/>"
	    "<text xmlns='" NS_XSTREAMS "'>a b&#10;c</text></stream:error>"
	    "</stream:stream><iq id='late'/>");
	expect_again("ERROR link down reason=conflict text=a\\040b\\012c "
	    "server=127.0.0.1:");
	cr_expect_not_null(strstr(logged, "component_conflict_resolve"));
	cr_expect_null(strstr(last_stanza, "late"));
	server_says("<stream:error><odd xmlns='" NS_XSTREAMS "'/>"
	    "</stream:error>");
	expect_again("ERROR link down reason=odd text=- server=127.0.0.1:");
	cr_expect_not_null(strstr(logged, "the server's log says more"));
	server_says("<stream:error/>");
	expect_again("ERROR link down reason=undefined-condition text=- ");
	server_closes();
	/* Before the handshake, and the server's close hides nothing. */
	WAIT(server_accepts());
	server_header("1");
	WAIT(server_got(SHAKE));
	server_says("<stream:error><not-authorized xmlns='" NS_XSTREAMS
	    "'/></stream:error></stream:stream>");
	server_resets();
	server_login();
	cr_expect_not_null(strstr(logged, "ERROR link down "
	    "reason=not-authorized "), "%s", logged);
	cr_expect_not_null(strstr(logged, "secret file"));
	stop();
}

Test(xmpp, login_that_fails, .timeout = 20)
{
	times.login = 50;
	start();
	/* No header. */
	WAIT(server_accepts());
	WAIT(strstr(logged, "reason=login error=no-header") != NULL);
	server_closes();
	/* An empty id: no hash of the bare secret. */
	logged[0] = '\0';
	WAIT(server_accepts());
	server_header("");
	WAIT(strstr(logged, "reason=login error=no-header") != NULL);
	cr_expect_not(server_got("<handshake>"));
	server_closes();
	/* None at all. */
	WAIT(server_accepts());
	WAIT(server_got(HEADER));
	server_says("<s:stream xmlns:s='" NS_STREAMS "' xmlns='"
	    NS_COMPONENT "'>");
	WAIT(strstr(logged, "reason=no-id") != NULL);
	server_closes();
	/* No handshake. */
	WAIT(server_accepts());
	server_header("1");
	server_says("<iq/>");
	WAIT(strstr(logged, "reason=login error=no-handshake") != NULL);
	server_closes();
	/* No XMPP. */
	WAIT(server_accepts());
	WAIT(server_got(HEADER));
	server_says("HTTP/1.0 400 Bad Request\r\n\r\n");
	WAIT(strstr(logged, "reason=bad-xml condition=") != NULL);
	server_closes();
	/* No component port. */
	logged[0] = '\0';
	WAIT(server_accepts());
	WAIT(server_got(HEADER));
	server_says("<s:stream xmlns:s='" NS_STREAMS "' xmlns="
	    "'jabber:client' id='1'>");
	WAIT(strstr(logged, "ERROR link down reason=bad-xml "
	    "condition=invalid-namespace") != NULL);
	cr_expect_not_null(strstr(logged, "not for components"));
	server_closes();
	cr_expect_eq(downs, 0);
	cr_expect_eq(last_stanza[0], '\0');
	times.login = 0;
	server_login();
	stop();
}

/* Return the id of the next ping that the server gets. */
static const char *
server_pinged(void)
{
	static char	 id[64];
	size_t		 n;

	WAIT(server_got("<iq type='get' id='"));
	WAIT(memchr(got, '\'', ngot) != NULL || !server_reads());
	n = strcspn(got, "'");
	cr_assert(n < sizeof(id));
	memcpy(id, got, n);
	id[n] = '\0';
	WAIT(server_got("' from='pass.example.org' to='pass.example.org'>"
	    "<ping xmlns='urn:xmpp:ping'/></iq>"));
	return (id);
}

static void
server_pongs(const char *type, const char *id, const char *from)
{
	char	 xml[256];

	(void)snprintf(xml, sizeof(xml), "<iq type='%s' id='%s' from='%s' "
	    "to='pass.example.org'/>", type, id, from);
	server_says(xml);
}

Test(xmpp, pings, .timeout = 20)
{
	static const char	 us[] = "pass.example.org";
	char			 id[64];
	int			 i;

	times.ping = 40;
	times.pong = 400;
	start();
	server_login();
	for (i = 0; i < 3; i++) {
		/* Our request coming back is proof enough. */
		(void)strlcpy(id, server_pinged(), sizeof(id));
		cr_expect_eq(strlen(id), 32);
		server_pongs("get", id, us);
	}
	cr_expect_str_neq(server_pinged(), id);
	/* One miss is none, if the second one is answered. */
	(void)strlcpy(id, server_pinged(), sizeof(id));
	server_pongs("get", id, us);
	(void)strlcpy(id, server_pinged(), sizeof(id));
	cr_expect_eq(downs, 0);
	cr_expect_eq(last_stanza[0], '\0');
	/* Others cannot answer it. */
	server_pongs("get", id, "pass.example.com");
	server_pongs("get", "0", us);
	WAIT(strcmp(last_stanza, "iq 0") == 0);
	WAIT(downs == 1);
	cr_expect_not_null(strstr(logged, "link down reason=ping "
	    "error=no-answer server="));
	server_closes();
	server_login();
	stop();
}

static int	 pongs;

static void
pong_stanza(struct stanza *s, void *arg)
{
	(void)arg;
	pongs += xmpp_pong(s);
	stanza_free(s);
}

Test(xmpp, pong_by_the_iq_layer, .timeout = 20)
{
	static const struct xmpp_handler h = {
		on_up, on_down, pong_stanza, on_skipped, on_connect
	};
	struct xmpp_params	 p = {
		.component = "pass.example.org", .secret = "s3cret",
		.nservers = 1, .times = { .ping = 40, .pong = 1500,
		    .retry_min = 20, .retry_max = 20 }
	};
	struct addr		 a;
	char			 id[64];

	listener = tcp_listen(&a);
	p.servers = &a;
	log_to(on_log, NULL);
	event_init();
	xmpp_init(&p, &h, &ups);
	server_login();
	(void)strlcpy(id, server_pinged(), sizeof(id));
	server_pongs("result", "1", "pass.example.org");
	server_pongs("result", id, "x.example.org");
	server_pongs("set", id, "pass.example.org");
	server_pongs("result", id, "pass.example.org");
	server_pongs("result", id, "pass.example.org");
	WAIT(pongs == 1);
	(void)strlcpy(id, server_pinged(), sizeof(id));
	server_pongs("error", id, "pass.example.org");
	WAIT(pongs == 2);
	cr_expect_eq(downs, 0);
	stop();
}

Test(xmpp, a_space_when_idle, .timeout = 20)
{
	struct xml_out	 x;
	int64_t		 since;

	times.idle = 400;
	start();
	server_login();
	since = mono_ms();
	WAIT(server_got(" "));
	cr_expect(mono_ms() - since >= 350);
	WAIT(server_got(" "));
	/* Whoever speaks is not idle. */
	pump_ms(200);
	xml_init(&x);
	xml_elem(&x, "a", NULL, NULL);
	cr_expect_eq(xmpp_send(&x), 0);
	xml_free(&x);
	WAIT(server_got("<a/>"));
	pump_ms(250);
	cr_expect_not(server_got(" "));
	WAIT(server_got(" "));
	cr_expect_eq(downs, 0);
	stop();
}

Test(xmpp, back_off_grows, .timeout = 20)
{
	int64_t	 before, took[6];
	size_t	 i;

	times.retry_min = 50;
	times.retry_max = 400;
	times.stable = 100;
	start();
	for (i = 0; i < 6; i++) {
		before = mono_ms();
		WAIT(server_accepts());
		took[i] = mono_ms() - before;
		server_closes();
	}
	/* 0, 50 to 100, 100 to 200, 200 to 400 and so on. */
	cr_expect(took[0] < 50, "%d", (int)took[0]);
	for (i = 1; i < 6; i++) {
		int64_t	 least = i < 3 ? 25 << i : 200;

		cr_expect(took[i] >= least - 15 && took[i] <= 2 * least + 200,
		    "%zu: %d", i, (int)took[i]);
	}
	/* A stream that did not last changes nothing, one that did does. */
	server_login();
	server_closes();
	before = mono_ms();
	server_login();
	cr_expect(mono_ms() - before >= 180);
	pump_ms(120);
	server_closes();
	before = mono_ms();
	server_login();
	cr_expect(mono_ms() - before < 180);
	stop();
}

Test(xmpp, servers_in_turn, .timeout = 20)
{
	struct addr	 a[3];
	int		 fd[2];
	int64_t		 before;

	times.retry_min = times.retry_max = 400;
	fd[0] = tcp_listen(&a[0]);
	fd[1] = tcp_listen(&a[1]);
	listener = tcp_listen(&a[2]);
	(void)close(fd[0]);
	(void)close(fd[1]);
	before = mono_ms();
	start_with(a, 3);
	server_login();
	/* Nobody waits while there is another server. */
	cr_expect(mono_ms() - before < 200);
	cr_expect_not_null(strstr(logged, "link down reason=connect "
	    "error=Connection\\040refused server=127.0.0.1:"));
	/* The one that worked is asked first. */
	server_closes();
	before = mono_ms();
	server_login();
	cr_expect(mono_ms() - before >= 180);
	(void)close(listener);
	listener = -1;
	server_closes();
	WAIT(downs == 2);
	logged[0] = '\0';
	pump_ms(1000);
	/* Rounds of three, a pause behind each. */
	cr_expect_not_null(strstr(logged, "retry=0.000"));
	cr_expect(strlen(logged) < 15 * 100, "%s", logged);
	stop();
}

Test(xmpp, ipv6, .timeout = 20)
{
	struct sockaddr_in6	 sin6 = { .sin6_family = AF_INET6 };
	socklen_t		 len = sizeof(sin6);
	struct addr		 a;

	sin6.sin6_addr = in6addr_loopback;
	listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener == -1 || bind(listener, (struct sockaddr *)&sin6,
	    sizeof(sin6)) == -1)
		cr_skip_test("no IPv6 here");
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&sin6, &len),
	    0);
	cr_assert_eq(addr_from_sa(&a, (struct sockaddr *)&sin6), 0);
	start_with(&a, 1);
	server_login();
	cr_expect_not_null(strstr(logged, "link up server=[::1]:"));
	stop();
}

/* A server that does not accept: its backlog is full. */
Test(xmpp, connect_timeout, .timeout = 20)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	struct addr		 a;
	int			 fd[8];
	size_t			 i;

	listener = tcp_listen(&a);
	cr_assert_eq(listen(listener, 0), 0);
	len = addr_to_sa(&a, &ss);
	for (i = 0; i < 8; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fd[i], (struct sockaddr *)&ss, len);
	}
	times.connect = 50;
	start_with(&a, 1);
	WAIT(strstr(logged, "reason=connect error=timeout server=") != NULL);
	stop();
	for (i = 0; i < 8; i++)
		(void)close(fd[i]);
}

Test(xmpp, unix_path, .timeout = 20)
{
	int	 sv[2];

	times.connect = 50;
	/* Answered within the call: an error, then a socket. */
	unix_error = ENOENT;
	start_with(NULL, 0);
	WAIT(asked == 1);
	cr_expect_not_null(strstr(logged, "link down reason=connect "
	    "error=No\\040such\\040file\\040or\\040directory server=unix"));
	unix_error = 0;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	(void)fcntl(sv[1], F_SETFL, O_NONBLOCK);
	unix_fd = sv[0];
	conn = sv[1];
	WAIT(asked == 2);
	server_header("1");
	WAIT(server_got(SHAKE));
	server_says("<handshake/>");
	WAIT(ups == 1);
	cr_expect_not_null(strstr(logged, "link up server=unix"));
	cr_expect(fcntl(sv[0], F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(sv[0], F_GETFL) & O_NONBLOCK);
	server_closes();
	/* No answer in time; what comes after it is closed. */
	WAIT(asked == 3);
	WAIT(strstr(logged, "reason=connect error=timeout server=unix") !=
	    NULL);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	xmpp_connected(sv[0], 0);
	cr_expect_eq(fcntl(sv[0], F_GETFD), -1);
	(void)close(sv[1]);
	/* Answered later. */
	WAIT(asked == 4);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	(void)fcntl(sv[1], F_SETFL, O_NONBLOCK);
	conn = sv[1];
	xmpp_connected(sv[0], 0);
	server_header("1");
	WAIT(server_got(SHAKE));
	server_says("<handshake/>");
	WAIT(ups == 2);
	stop();
}

Test(xmpp, close_ends_the_stream, .timeout = 20)
{
	struct xml_out	 x;

	start();
	server_login();
	xml_init(&x);
	xml_elem(&x, "last", NULL, NULL);
	cr_expect_eq(xmpp_send(&x), 0);
	xmpp_close(on_done, &dones);
	xmpp_close(on_done, &dones);
	cr_expect_eq(dones, 0);
	cr_expect_eq(xmpp_is_up(), 0);
	cr_expect_eq(xmpp_send(&x), -1);
	xml_free(&x);
	WAIT(server_got("<last/></stream:stream>"));
	/* What the server says now is not for us any more. */
	server_says("<iq id='late'/>");
	pump_ms(20);
	cr_expect_eq(dones, 0);
	server_says("</stream:stream>");
	WAIT(dones == 1);
	WAIT(!server_reads());
	pump_ms(50);
	cr_expect_eq(dones, 1);
	cr_expect_eq(downs, 0);
	cr_expect_eq(last_stanza[0], '\0');
	cr_expect_not(server_accepts());
}

Test(xmpp, close_waits_for_so_long, .timeout = 20)
{
	int64_t	 before;

	times.close = 100;
	start();
	server_login();
	before = mono_ms();
	xmpp_close(on_done, &dones);
	WAIT(dones == 1);
	cr_expect(mono_ms() - before >= 80);
	/* The event loop has nothing left to do. */
	cr_expect_eq(event_loop(EVLOOP_NONBLOCK), 1);
}

Test(xmpp, close_from_a_stanza, .timeout = 20)
{
	start();
	server_login();
	close_in_stanza = 1;
	server_says("<iq id='1'/><iq id='2'/>");
	WAIT(server_got("</stream:stream>"));
	cr_expect_str_eq(last_stanza, "iq 1");
	server_closes();
	WAIT(dones == 1);
}

Test(xmpp, close_without_a_stream, .timeout = 20)
{
	struct addr	 a;

	/* While waiting, in the middle of a login, and when all is over. */
	listener = tcp_listen(&a);
	start_with(&a, 1);
	xmpp_close(on_done, &dones);
	cr_expect_eq(dones, 0);
	WAIT(dones == 1);
	start_with(&a, 1);
	WAIT(server_accepts());
	WAIT(server_got(HEADER));
	xmpp_close(on_done, &dones);
	cr_expect_eq(dones, 1);
	WAIT(dones == 2);
	WAIT(!server_reads());
	pump_ms(30);
	cr_expect_eq(dones, 2);
	(void)close(listener);
}

Test(xmpp, close_before_init, .timeout = 20)
{
	event_init();
	xmpp_close(on_done, &dones);
	cr_expect_eq(dones, 0);
	WAIT(dones == 1);
}

/* A server that does not read: bounded, and nothing of it is lost. */
Test(xmpp, queue_is_bounded, .timeout = 60)
{
	struct xml_out	 x;
	size_t		 sent = 0, read = 0, i;
	char		*fill;

	start();
	server_login();
	fill = malloc(60001);
	cr_assert_not_null(fill);
	memset(fill, 'x', 60000);
	fill[60000] = '\0';
	xml_init(&x);
	xml_elem(&x, "m", NULL, fill);
	for (i = 0; i < 2000 && xmpp_send(&x) == 0; i++) {
		sent += x.len;
		pump();
	}
	cr_expect(i < 2000);
	cr_expect(sent >= XMPP_OUT_MAX - x.len);
	cr_expect_eq(xmpp_is_up(), 1);
	ngot = 0;
	for (i = 0; i < 100000 && read < sent; i++) {
		(void)server_reads();
		read += ngot;
		ngot = 0;
		pump();
	}
	cr_expect_eq(read, sent);
	cr_expect_eq(xmpp_send(&x), 0);
	WAIT(server_got("</m>"));
	xml_free(&x);
	free(fill);
	stop();
}
