/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <sha1.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "outq.h"
#include "xmpp.h"
#include "xmpp_hint.h"

#define NS_PING		"urn:xmpp:ping"

#define PING_MISSES	2	/* unanswered pings that end a stream */
/* TCP: a dead server shows within a minute, with or without data to it. */
#define TCP_DEAD_MS	40000
#define TCP_IDLE_S	30
#define TCP_PROBE_S	10
#define TCP_PROBES	3
/* Our own bytes go out beside a queue that stanzas have filled. */
#define QUEUE_SLACK	1024

enum state {
	IDLE,			/* before xmpp_init() and at the very end */
	WAITING,		/* for the next attempt */
	ASKED,			/* for the socket on a UNIX path */
	CONNECTING,
	LOGIN,			/* header and handshake */
	UP,
	CLOSING			/* our </stream:stream> is queued */
};

/* Why the stream has to go; the first reason is the one that counts. */
struct reason {
	char		 word[64];	/* "": none yet */
	char		 detail[256];	/* " key=value ..." or "" */
	const char	*hint;		/* of a stream error, or NULL */
};

static struct {
	enum state	 state;
	struct xmpp_handler h;
	void		*arg;
	char		*component;
	/*
	 * Each reconnection needs it, and the file it came from is out of
	 * reach by then; this is the only copy there is.
	 */
	char		 secret[XMPP_SECRET_MAX + 1];
	struct addr	 servers[XMPP_SERVERS_MAX];
	size_t		 nservers;
	size_t		 server;	/* the one in use, or to try next */
	size_t		 refused;	/* servers not reached in this round */
	struct xmpp_times t;
	unsigned int	 failures;	/* back-offs in a row */

	int		 fd;
	int		 send_error;	/* errno that ended sending, or 0 */
	struct event	 ev_in;
	struct event	 ev_out;
	struct event	 timer;
	struct stanza_feeder *feeder;
	struct outq	 out;
	struct reason	 why;
	int		 have_id;
	int64_t		 up_since;
	int64_t		 last_out;	/* last byte sent */

	char		 ping_id[33];
	int		 pinging;	/* a ping is not answered yet */
	int		 misses;
	int64_t		 ping_at;	/* next ping, or its answer, is due */

	int		 stopping;	/* xmpp_close() was called */
	void		(*done)(void *);
	void		*done_arg;
} lnk = { .fd = -1 };

static void	lost(void);

/* ---- small helpers ------------------------------------------------------ */

static void
arm(int64_t ms)
{
	struct timeval	 tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	(void)evtimer_del(&lnk.timer);
	if (evtimer_add(&lnk.timer, &tv) == -1)
		fatalx("link: no timer");
}

/* Note why the stream has to end; the caller sees to it that it does. */
__attribute__((__format__(__printf__, 2, 3)))
static void
blame(const char *word, const char *fmt, ...)
{
	va_list	 ap;

	if (lnk.why.word[0] != '\0')
		return;
	(void)strlcpy(lnk.why.word, word, sizeof(lnk.why.word));
	va_start(ap, fmt);
	(void)vsnprintf(lnk.why.detail, sizeof(lnk.why.detail), fmt, ap);
	va_end(ap);
}

static void
blame_errno(const char *word, int error)
{
	char	 text[128];

	blame(word, " error=%s", log_safe(strerror(error), text,
	    sizeof(text)));
}

static const char *
server_name(char *buf, size_t size)
{
	const struct addr	*a = &lnk.servers[lnk.server];
	char			 ip[ADDR_STRLEN];

	if (lnk.nservers == 0)
		(void)strlcpy(buf, "unix", size);
	else
		(void)snprintf(buf, size, a->family == ADDR_V6 ? "[%s]:%u" :
		    "%s:%u", addr_format(a, ip), (unsigned int)a->port);
	return (buf);
}

/* ---- output ------------------------------------------------------------- */

static void
want_out(void)
{
	if (lnk.out.len > 0 && lnk.send_error == 0 &&
	    event_add(&lnk.ev_out, NULL) == -1)
		fatalx("link: no event");
}

/*
 * Queue bytes of our own.  When even the slack is used up the server has not
 * read for long; the ping that is then missing ends the stream.
 */
static void
say(const char *bytes, size_t len)
{
	if (outq_add(&lnk.out, bytes, len, XMPP_OUT_MAX + QUEUE_SLACK) == -1)
		log_debug("link queue full");
	want_out();
}

/*
 * A broken connection is left to be found by on_in(): the server's last
 * words, such as a stream error, may still be there to be read.
 */
static void
flush(void)
{
	ssize_t	 n;

	n = outq_send(&lnk.out, lnk.fd);
	if (n > 0)
		lnk.last_out = mono_ms();
	else if (n == -1)
		lnk.send_error = errno;
	want_out();
}

static void
on_out(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	flush();
}

/* Not by the writer alone: the header is an element that stays open. */
static void
say_header(void)
{
	static const char	 decl[] = "<?xml version='1.0'?>";
	struct xml_out		 x;

	xml_init(&x);
	xml_open(&x, "stream:stream", NS_COMPONENT);
	xml_attr(&x, "xmlns:stream", NS_STREAMS);
	xml_attr(&x, "to", lnk.component);
	/* Without memory the login times out. */
	if (!x.failed) {
		say(decl, sizeof(decl) - 1);
		say(x.buf, x.len);
		say(">", 1);
	}
	xml_free(&x);
}

/* XEP-0114 3: lower-case hex, which ejabberd insists on. */
static void
say_handshake(const char *id)
{
	SHA1_CTX	 ctx;
	char		 hex[SHA1_DIGEST_STRING_LENGTH];
	struct xml_out	 x;

	SHA1Init(&ctx);
	SHA1Update(&ctx, (const uint8_t *)id, strlen(id));
	SHA1Update(&ctx, (const uint8_t *)lnk.secret, strlen(lnk.secret));
	(void)SHA1End(&ctx, hex);
	explicit_bzero(&ctx, sizeof(ctx));
	xml_init(&x);
	xml_elem(&x, "handshake", NULL, hex);
	if (xml_done(&x) == 0)
		say(x.buf, x.len);
	xml_free(&x);
}

static void
say_ping(void)
{
	struct xml_out	 x;

	xml_init(&x);
	xml_open(&x, "iq", NULL);
	xml_attr(&x, "type", "get");
	xml_attr(&x, "id", lnk.ping_id);
	xml_attr(&x, "from", lnk.component);
	xml_attr(&x, "to", lnk.component);
	xml_elem(&x, "ping", NS_PING, NULL);
	xml_close(&x);
	if (xml_done(&x) == 0)
		say(x.buf, x.len);
	xml_free(&x);
}

/* RFC 6120 4.9.1.1: say why, then close.  One try, nobody waits for it. */
static void
say_stream_error(enum stream_bad bad)
{
	char	 xml[256];
	int	 n;

	n = snprintf(xml, sizeof(xml), "<stream:error><%s xmlns='"
	    NS_XSTREAMS "'/></stream:error></stream:stream>",
	    stream_error_name(bad));
	if (n > 0 && (size_t)n < sizeof(xml))
		say(xml, (size_t)n);
	flush();
}

/* ---- liveness ----------------------------------------------------------- */

/*
 * A ping from our domain to our domain comes back through the server's
 * router, which proves more than a living TCP connection does.
 */
static int
is_own_ping(const struct stanza *s, const char *type)
{
	const char	*has = stanza_attr(s, "type");
	const char	*from = stanza_attr(s, "from");
	const char	*to = stanza_attr(s, "to");
	const char	*id = stanza_attr(s, "id");

	return (lnk.state == UP && lnk.pinging &&
	    stanza_is(s, NS_COMPONENT, "iq") &&
	    has != NULL && strcmp(has, type) == 0 &&
	    id != NULL && strcmp(id, lnk.ping_id) == 0 &&
	    from != NULL && strcmp(from, lnk.component) == 0 &&
	    to != NULL && strcmp(to, lnk.component) == 0);
}

static void
alive(void)
{
	lnk.pinging = 0;
	lnk.misses = 0;
	lnk.ping_at = mono_ms() + lnk.t.ping;
}

int
xmpp_pong(const struct stanza *s)
{
	if (!is_own_ping(s, "result") && !is_own_ping(s, "error"))
		return (0);
	/*
	 * An error is an answer as well: a server that will not route our
	 * own address is alive, and a new stream would not change its mind.
	 */
	alive();
	return (1);
}

static void
ping(int64_t now)
{
	static const char	 hex[] = "0123456789abcdef";
	size_t			 i;

	if (lnk.pinging && ++lnk.misses >= PING_MISSES) {
		blame("ping", " error=no-answer");
		return;
	}
	/* The second time with the same id: a late answer is one, too. */
	for (i = 0; !lnk.pinging && i < sizeof(lnk.ping_id) - 1; i++)
		lnk.ping_id[i] = hex[arc4random_uniform(16)];
	lnk.pinging = 1;
	lnk.ping_at = now + lnk.t.pong;
	say_ping();
}

static void
tick(void)
{
	int64_t	 idle, now = mono_ms();

	if (now >= lnk.ping_at)
		ping(now);
	if (lnk.why.word[0] != '\0') {
		lost();
		return;
	}
	/* A queue that waits for the server needs no space on top. */
	idle = lnk.last_out + lnk.t.idle;
	if (lnk.out.len > 0)
		idle = now + lnk.t.idle;
	else if (now >= idle) {
		say(" ", 1);
		idle = now + lnk.t.idle;
	}
	arm((lnk.ping_at < idle ? lnk.ping_at : idle) - now);
}

/* ---- input -------------------------------------------------------------- */

static void
on_header(const char *id, void *arg)
{
	(void)arg;
	if (lnk.state != LOGIN)
		return;
	if (id == NULL) {
		blame("no-id", "%s", "");
		return;
	}
	/*
	 * Prosody sends an empty id before the stream error host-unknown;
	 * there is nothing to hash then, and no reason to show a server the
	 * bare hash of the secret.
	 */
	if (*id == '\0')
		return;
	lnk.have_id = 1;
	say_handshake(id);
}

static void
on_stream_error(const struct stanza *s)
{
	const struct stanza	*c, *text;
	const char		*condition = "undefined-condition";
	char			 word[64], safe[160];

	for (c = s->child; c != NULL; c = c->next)
		if (strcmp(c->ns, NS_XSTREAMS) == 0 &&
		    strcmp(c->name, "text") != 0) {
			condition = c->name;
			break;
		}
	text = stanza_child(s, NS_XSTREAMS, "text");
	blame(log_safe(condition, word, sizeof(word)), " text=%s",
	    log_safe(text == NULL ? NULL : text->text, safe, sizeof(safe)));
	lnk.why.hint = xmpp_hint(condition);
}

static void
go_up(void)
{
	char	 name[ADDR_STRLEN + 16];

	lnk.state = UP;
	lnk.refused = 0;
	lnk.up_since = mono_ms();
	alive();
	log_info("link up server=%s", server_name(name, sizeof(name)));
	arm(0);
	lnk.h.up(lnk.arg);
}

static void
on_stanza(struct stanza *s, void *arg)
{
	(void)arg;
	if (lnk.why.word[0] != '\0' || lnk.state == CLOSING)
		stanza_free(s);
	else if (stanza_is(s, NS_STREAMS, "error")) {
		on_stream_error(s);
		stanza_free(s);
	} else if (lnk.state == LOGIN) {
		if (lnk.have_id && stanza_is(s, NS_COMPONENT, "handshake"))
			go_up();
		stanza_free(s);
	} else if (is_own_ping(s, "get")) {
		/* Our request is back; what an answer would prove is shown. */
		alive();
		stanza_free(s);
	} else
		lnk.h.stanza(s, lnk.arg);
}

static void
on_skipped(struct stanza *s, enum stanza_bad bad, void *arg)
{
	(void)arg;
	if (lnk.state == UP && lnk.why.word[0] == '\0')
		lnk.h.skipped(s, bad, lnk.arg);
	else
		stanza_free(s);
}

static void
on_end(void *arg)
{
	(void)arg;
	blame("closed", "%s", "");
}

static const struct stanza_handler feeder_handler = {
	on_header, on_stanza, on_skipped, on_end
};

static void
on_in(int fd, short what, void *arg)
{
	static char	 buf[65536];
	enum stream_bad	 bad;
	ssize_t		 n;

	(void)what;
	(void)arg;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1)
		blame_errno("reset", errno);
	else if (n == 0 && lnk.send_error != 0)
		blame_errno("reset", lnk.send_error);
	else if (n == 0)
		blame("eof", "%s", "");
	else if (feeder_feed(lnk.feeder, buf, (size_t)n, &bad) == -1) {
		if (lnk.why.word[0] == '\0') {
			say_stream_error(bad);
			if (bad == STREAM_BAD_HEADER)
				lnk.why.hint = xmpp_hint("invalid-namespace");
		}
		blame("bad-xml", " condition=%s", stream_error_name(bad));
	}
	if (lnk.why.word[0] != '\0')
		lost();
}

/* ---- connecting --------------------------------------------------------- */

static void
set_option(int fd, int level, int option, int value)
{
	/* What the platform does not have, the pings make up for. */
	if (setsockopt(fd, level, option, &value, sizeof(value)) == -1)
		log_debug("link option level=%d option=%d error=%d", level,
		    option, errno);
}

static void
tcp_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, TCP_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, TCP_PROBE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, TCP_PROBES);
#endif
#ifdef TCP_USER_TIMEOUT
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_DEAD_MS);
#endif
}

/* The socket is connected: open the stream. */
static void
login(void)
{
	lnk.state = LOGIN;
	lnk.have_id = 0;
	lnk.send_error = 0;
	lnk.last_out = mono_ms();
	lnk.feeder = feeder_new(&feeder_handler, NULL);
	event_set(&lnk.ev_in, lnk.fd, EV_READ | EV_PERSIST, on_in, NULL);
	event_set(&lnk.ev_out, lnk.fd, EV_WRITE, on_out, NULL);
	if (lnk.feeder == NULL || event_add(&lnk.ev_in, NULL) == -1) {
		blame_errno("memory", ENOMEM);
		lost();
		return;
	}
	arm(lnk.t.login);
	say_header();
}

static void
on_connect(int fd, short what, void *arg)
{
	int		 error = 0;
	socklen_t	 len = sizeof(error);

	(void)what;
	(void)arg;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		blame_errno("connect", error);
		lost();
		return;
	}
	tcp_options(fd);
	login();
}

static void
connect_tcp(void)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;

	memset(&ss, 0, sizeof(ss));
	len = addr_to_sa(&lnk.servers[lnk.server], &ss);
	lnk.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (lnk.fd == -1 ||
	    (connect(lnk.fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)) {
		blame_errno("connect", errno);
		lost();
		return;
	}
	lnk.state = CONNECTING;
	event_set(&lnk.ev_out, lnk.fd, EV_WRITE, on_connect, NULL);
	if (event_add(&lnk.ev_out, NULL) == -1)
		fatalx("link: no event");
	arm(lnk.t.connect);
}

static void
attempt(void)
{
	memset(&lnk.why, 0, sizeof(lnk.why));
	if (lnk.nservers > 0) {
		connect_tcp();
		return;
	}
	lnk.state = ASKED;
	arm(lnk.t.connect);
	lnk.h.connect(lnk.arg);
}

void
xmpp_connected(int fd, int error)
{
	int	 flags;

	if (lnk.state != ASKED) {
		/* Too late; another attempt has its own answer. */
		if (fd != -1)
			(void)close(fd);
		return;
	}
	lnk.fd = fd;
	if (fd == -1) {
		blame_errno("connect", error);
		lost();
		return;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
		blame_errno("connect", errno);
		lost();
		return;
	}
	login();
}

/* ---- the end of a stream, and the next ---------------------------------- */

static void
drop(void)
{
	if (lnk.fd != -1) {
		if (lnk.state == LOGIN || lnk.state == UP ||
		    lnk.state == CLOSING)
			(void)event_del(&lnk.ev_in);
		if (lnk.state != ASKED && lnk.state != WAITING)
			(void)event_del(&lnk.ev_out);
		(void)close(lnk.fd);
	}
	lnk.fd = -1;
	feeder_free(lnk.feeder);
	lnk.feeder = NULL;
	outq_clear(&lnk.out);
	(void)evtimer_del(&lnk.timer);
}

/*
 * How long to wait: not at all before the next server of a list was tried,
 * else twice as long each time, between half of that and all of it.
 */
static uint32_t
back_off(int was_connecting)
{
	uint64_t	 most;
	unsigned int	 shift;

	if (was_connecting) {
		lnk.server = (lnk.server + 1) %
		    (lnk.nservers > 0 ? lnk.nservers : 1);
		if (++lnk.refused < lnk.nservers)
			return (0);
	}
	lnk.refused = 0;
	shift = lnk.failures < 20 ? lnk.failures : 20;
	most = (uint64_t)lnk.t.retry_min << (shift + 1);
	if (most > lnk.t.retry_max)
		most = lnk.t.retry_max;
	lnk.failures++;
	return ((uint32_t)(most / 2) +
	    arc4random_uniform((uint32_t)(most - most / 2) + 1));
}

static void
finish(void)
{
	void	(*done)(void *) = lnk.done;

	drop();
	lnk.state = IDLE;
	explicit_bzero(lnk.secret, sizeof(lnk.secret));
	free(lnk.component);
	lnk.component = NULL;
	lnk.done = NULL;
	if (done != NULL)
		done(lnk.done_arg);
}

/*
 * The stream, or the attempt at one, has failed for the reason in lnk.why.
 * Never called from within the feeder.
 */
static void
lost(void)
{
	char		 name[ADDR_STRLEN + 16];
	enum state	 was = lnk.state;
	uint32_t	 ms;

	if (was == CLOSING) {
		finish();
		return;
	}
	(void)server_name(name, sizeof(name));
	if (was == UP && mono_ms() - lnk.up_since >= lnk.t.stable)
		lnk.failures = 0;
	drop();
	lnk.state = WAITING;
	ms = back_off(was != UP && was != LOGIN);
	if (lnk.why.hint != NULL)
		log_error("link down reason=%s%s server=%s retry=%u.%03u: %s",
		    lnk.why.word, lnk.why.detail, name, ms / 1000, ms % 1000,
		    lnk.why.hint);
	else
		log_warn("link down reason=%s%s server=%s retry=%u.%03u",
		    lnk.why.word, lnk.why.detail, name, ms / 1000, ms % 1000);
	arm(ms);
	if (was == UP)
		lnk.h.down(lnk.arg);
}

static void
on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	switch (lnk.state) {
	case IDLE:
		break;
	case WAITING:
		if (lnk.stopping)
			finish();
		else
			attempt();
		break;
	case ASKED:
	case CONNECTING:
		blame("connect", " error=timeout");
		lost();
		break;
	case LOGIN:
		blame("login", lnk.have_id ? " error=no-handshake" :
		    " error=no-header");
		lost();
		break;
	case UP:
		tick();
		break;
	case CLOSING:
		finish();
		break;
	}
}

/* ---- for everybody ------------------------------------------------------ */

static void
set_times(const struct xmpp_times *t)
{
	lnk.t.connect = t->connect > 0 ? t->connect : 10000;
	lnk.t.login = t->login > 0 ? t->login : 10000;
	lnk.t.idle = t->idle > 0 ? t->idle : 60000;
	lnk.t.ping = t->ping > 0 ? t->ping : 60000;
	lnk.t.pong = t->pong > 0 ? t->pong : 30000;
	lnk.t.retry_min = t->retry_min > 0 ? t->retry_min : 1000;
	lnk.t.retry_max = t->retry_max > 0 ? t->retry_max : 60000;
	lnk.t.stable = t->stable > 0 ? t->stable : 60000;
	lnk.t.close = t->close > 0 ? t->close : 2000;
}

void
xmpp_set_secret(const char *secret)
{
	(void)strlcpy(lnk.secret, secret, sizeof(lnk.secret));
}

void
xmpp_init(const struct xmpp_params *p, const struct xmpp_handler *h,
    void *arg)
{
	if (lnk.state != IDLE)
		fatalx("link: already there");
	if (p->nservers > XMPP_SERVERS_MAX)
		fatalx("link: too many addresses");
	lnk.h = *h;
	lnk.arg = arg;
	lnk.component = strdup(p->component);
	if (lnk.component == NULL)
		fatal("link");
	if (strlcpy(lnk.secret, p->secret, sizeof(lnk.secret)) >=
	    sizeof(lnk.secret))
		fatalx("link: secret too long");
	if (p->nservers > 0)
		memcpy(lnk.servers, p->servers,
		    p->nservers * sizeof(p->servers[0]));
	lnk.nservers = p->nservers;
	lnk.server = lnk.refused = 0;
	lnk.failures = 0;
	lnk.stopping = 0;
	lnk.done = NULL;
	set_times(&p->times);
	evtimer_set(&lnk.timer, on_timer, NULL);
	lnk.state = WAITING;
	arm(0);
}

int
xmpp_send_as(const struct xml_out *x, enum xmpp_class class)
{
	static const size_t	 share[] = {
		[XMPP_REFUSAL] = XMPP_OUT_MAX / 2,
		[XMPP_ANSWER] = XMPP_OUT_MAX / 4 * 3,
		[XMPP_REQUEST] = XMPP_OUT_MAX,
	};

	if (lnk.state != UP || xml_done(x) == -1 ||
	    outq_add(&lnk.out, x->buf, x->len, share[class]) == -1)
		return (-1);
	want_out();
	return (0);
}

int
xmpp_send(const struct xml_out *x)
{
	return (xmpp_send_as(x, XMPP_REQUEST));
}

int
xmpp_is_up(void)
{
	return (lnk.state == UP);
}

void
xmpp_close(void (*done)(void *), void *arg)
{
	static const char	 end[] = "</stream:stream>";

	if (lnk.stopping)
		return;
	lnk.stopping = 1;
	lnk.done = done;
	lnk.done_arg = arg;
	if (lnk.state == UP) {
		say(end, sizeof(end) - 1);
		lnk.state = CLOSING;
		arm(lnk.t.close);
		return;
	}
	/* No stream to end; ${done} is still not called from in here. */
	if (lnk.state == IDLE)
		evtimer_set(&lnk.timer, on_timer, NULL);
	drop();
	lnk.state = WAITING;
	arm(0);
}
