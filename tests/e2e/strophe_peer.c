/* SPDX-License-Identifier: ISC */
/*
 * A PASS client on libstrophe for the end-to-end tests: a second XMPP
 * library, by another author and in another language than the first.
 *
 * usage: strophe_peer jid password host port service
 *
 * Commands are lines on standard input, answers lines on standard output:
 *
 *	register [expire N] [oneshot]	registered PORT ADDRESS
 *	close [PORT [ADDRESS]]		closed
 *	accept IN OUT			relayed SENT RECEIVED
 *	deny				denied
 *	quit
 *
 * Either of the first two may also end in "error CODE TYPE CONDITION".
 * "accept" answers the last request with a result, connects to its proxy
 * right away, as XEP-0003 3 says, sends the file IN, and writes what comes
 * to the file OUT.  Unasked come "online", "offline", "request PEER PORT
 * PROXY PORT" and "notice NAME... PORT ADDRESS".
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strophe.h>

#define NS_PASS		"jabber:iq:pass"
#define NS_STANZAS	"urn:ietf:params:xml:ns:xmpp-stanzas"
#define WORDS		8

struct peer {
	xmpp_ctx_t	*ctx;
	xmpp_conn_t	*conn;
	const char	*service;
	xmpp_stanza_t	*request;	/* the last one, NULL when answered */
	int		 quit;
	unsigned int	 count;		/* of our ids */
};

/* Print one line; whoever reads it waits for it. */
static void __attribute__((__format__(__printf__, 1, 2)))
say(const char *fmt, ...)
{
	va_list		 ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static const char *
or_dash(const char *text)
{
	return text == NULL || *text == '\0' ? "-" : text;
}

/* Append a new element <name/> to parent and return it, still ours. */
static xmpp_stanza_t *
element(struct peer *p, xmpp_stanza_t *parent, const char *name,
    const char *ns)
{
	xmpp_stanza_t	*s;

	if ((s = xmpp_stanza_new(p->ctx)) == NULL)
		errx(1, "out of memory");
	xmpp_stanza_set_name(s, name);
	if (ns != NULL)
		xmpp_stanza_set_ns(s, ns);
	if (parent != NULL) {
		xmpp_stanza_add_child(parent, s);
		xmpp_stanza_release(s);		/* the parent holds it */
	}
	return s;
}

static void
add_text(struct peer *p, xmpp_stanza_t *parent, const char *text)
{
	xmpp_stanza_t	*s;

	if ((s = xmpp_stanza_new(p->ctx)) == NULL)
		errx(1, "out of memory");
	xmpp_stanza_set_text(s, text);
	xmpp_stanza_add_child(parent, s);
	xmpp_stanza_release(s);
}

/* The text of stanza as a string to be freed with xmpp_free(), or NULL. */
static char *
text_of(xmpp_stanza_t *stanza)
{
	return stanza == NULL ? NULL : xmpp_stanza_get_text(stanza);
}

/* Print "error CODE TYPE CONDITION" for an IQ of type error. */
static void
say_error(xmpp_stanza_t *iq)
{
	xmpp_stanza_t	*error, *child;
	const char	*condition = NULL, *ns;

	if ((error = xmpp_stanza_get_child_by_name(iq, "error")) == NULL) {
		say("error - - -");
		return;
	}
	for (child = xmpp_stanza_get_children(error); child != NULL;
	    child = xmpp_stanza_get_next(child)) {
		ns = xmpp_stanza_get_ns(child);
		if (ns != NULL && strcmp(ns, NS_STANZAS) == 0 &&
		    strcmp(xmpp_stanza_get_name(child), "text") != 0)
			condition = xmpp_stanza_get_name(child);
	}
	say("error %s %s %s",
	    or_dash(xmpp_stanza_get_attribute(error, "code")),
	    or_dash(xmpp_stanza_get_attribute(error, "type")),
	    or_dash(condition));
}

/* The answer to "register" or "close". */
static int
on_answer(xmpp_conn_t *conn, xmpp_stanza_t *iq, void *arg)
{
	xmpp_stanza_t	*query, *server = NULL;
	const char	*type = xmpp_stanza_get_type(iq);
	char		*address;

	(void)conn;
	(void)arg;
	if (type == NULL || strcmp(type, "result") != 0) {
		say_error(iq);
		return 0;
	}
	if ((query = xmpp_stanza_get_child_by_name(iq, "query")) != NULL)
		server = xmpp_stanza_get_child_by_name(query, "server");
	if (server == NULL) {
		say("closed");
		return 0;
	}
	address = text_of(server);
	say("registered %s %s",
	    or_dash(xmpp_stanza_get_attribute(server, "port")),
	    or_dash(address));
	if (address != NULL)
		xmpp_free(xmpp_conn_get_context(conn), address);
	return 0;
}

/* Send <iq type='set'><query/></iq> to the service; takes query. */
static void
ask(struct peer *p, xmpp_stanza_t *query)
{
	xmpp_stanza_t	*iq;
	char		 id[32];

	snprintf(id, sizeof(id), "strophe-%u", ++p->count);
	if ((iq = xmpp_iq_new(p->ctx, "set", id)) == NULL)
		errx(1, "out of memory");
	xmpp_stanza_set_to(iq, p->service);
	xmpp_stanza_add_child(iq, query);
	xmpp_stanza_release(query);
	xmpp_id_handler_add(p->conn, on_answer, id, p);
	xmpp_send(p->conn, iq);
	xmpp_stanza_release(iq);
}

static void
cmd_register(struct peer *p, char **word, int words)
{
	xmpp_stanza_t	*query;
	int		 i;

	query = element(p, NULL, "query", NS_PASS);
	for (i = 1; i < words; i++) {
		if (strcmp(word[i], "expire") == 0 && i + 1 < words)
			add_text(p, element(p, query, "expire", NULL),
			    word[++i]);
		else
			element(p, query, word[i], NULL);
	}
	ask(p, query);
}

static void
cmd_close(struct peer *p, char **word, int words)
{
	xmpp_stanza_t	*query, *proxy;

	query = element(p, NULL, "query", NS_PASS);
	element(p, query, "close", NULL);
	if (words > 1) {
		proxy = element(p, query, "proxy", NULL);
		xmpp_stanza_set_attribute(proxy, "port", word[1]);
		if (words > 2)
			add_text(p, proxy, word[2]);
	}
	ask(p, query);
}

/* Connect to a numeric address and port; fatal on failure. */
static int
dial(const char *address, const char *port)
{
	struct addrinfo	 hints, *ai;
	int		 fd;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (getaddrinfo(address, port, &hints, &ai) != 0)
		errx(1, "no address: %s port %s", address, port);
	fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, ai->ai_addr, ai->ai_addrlen) == -1)
		err(1, "connect to %s port %s", address, port);
	freeaddrinfo(ai);
	return fd;
}

static void
write_all(int fd, const char *data, size_t len)
{
	ssize_t		 n;

	for (; len > 0; data += n, len -= (size_t)n)
		if ((n = write(fd, data, len)) == -1)
			err(1, "write");
}

/* Copy once from one descriptor to another; return what read returned. */
static size_t
copy(int from, int to)
{
	static char	 buf[65536];
	ssize_t		 n;

	if ((n = read(from, buf, sizeof(buf))) == -1)
		err(1, "read");
	write_all(to, buf, (size_t)n);
	return (size_t)n;
}

/*
 * Child process: send the file in, half-close, write what comes to the file
 * out, both at once, until the other side has ended as well.
 */
static void
relay(int sock, const char *in, const char *out)
{
	struct pollfd	 pfd = { .fd = sock, .events = POLLIN | POLLOUT };
	size_t		 n, sent = 0, received = 0;
	int		 src, dst;

	if ((src = open(in, O_RDONLY | O_CLOEXEC)) == -1)
		err(1, "%s", in);
	if ((dst = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600)) == -1)
		err(1, "%s", out);
	for (;;) {
		if (poll(&pfd, 1, 60000) <= 0)
			errx(1, "nothing happens on the relay");
		if (pfd.revents & POLLIN) {
			if ((n = copy(sock, dst)) == 0)
				pfd.events &= ~POLLIN;
			received += n;
		}
		if ((pfd.events & POLLOUT) && (pfd.revents & POLLOUT)) {
			if ((n = copy(src, sock)) == 0) {
				shutdown(sock, SHUT_WR);
				pfd.events &= ~POLLOUT;
			}
			sent += n;
		}
		if (pfd.events == 0)
			break;
		if (pfd.revents & POLLERR)
			errx(1, "the relay was reset");
	}
	say("relayed %zu %zu", sent, received);
	_exit(0);
}

/* Answer the last request: a result, or an error that echoes its query. */
static void
answer(struct peer *p, int yes)
{
	xmpp_stanza_t	*reply, *query, *error;

	reply = xmpp_iq_new(p->ctx, yes ? "result" : "error",
	    xmpp_stanza_get_id(p->request));
	if (reply == NULL)
		errx(1, "out of memory");
	xmpp_stanza_set_to(reply, xmpp_stanza_get_from(p->request));
	if (yes)
		element(p, reply, "query", NS_PASS);
	else {
		query = xmpp_stanza_copy(xmpp_stanza_get_child_by_name(
		    p->request, "query"));
		xmpp_stanza_add_child(reply, query);
		xmpp_stanza_release(query);
		error = element(p, reply, "error", NULL);
		xmpp_stanza_set_attribute(error, "code", "401");
		xmpp_stanza_set_type(error, "auth");
		element(p, error, "not-authorized", NS_STANZAS);
	}
	xmpp_send(p->conn, reply);
	xmpp_stanza_release(reply);
	xmpp_stanza_release(p->request);
	p->request = NULL;
}

static void
cmd_accept(struct peer *p, char **word, int words)
{
	xmpp_stanza_t	*proxy;
	char		*address, port[6];
	pid_t		 pid;

	if (p->request == NULL || words != 3)
		errx(1, "nothing to accept, or no files");
	proxy = xmpp_stanza_get_child_by_name(xmpp_stanza_get_child_by_name(
	    p->request, "query"), "proxy");
	if ((address = text_of(proxy)) == NULL)
		errx(1, "request without proxy");
	snprintf(port, sizeof(port), "%s",
	    or_dash(xmpp_stanza_get_attribute(proxy, "port")));
	answer(p, 1);
	xmpp_run_once(p->ctx, 1);	/* the result leaves now */
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		relay(dial(address, port), word[1], word[2]);
	xmpp_free(p->ctx, address);
}

static void
command(struct peer *p, char *line)
{
	char		*word[WORDS], *at;
	int		 words = 0;

	while (words < WORDS && (at = strsep(&line, " \n")) != NULL)
		if (*at != '\0')
			word[words++] = at;
	if (words == 0)
		return;
	if (strcmp(word[0], "register") == 0)
		cmd_register(p, word, words);
	else if (strcmp(word[0], "close") == 0)
		cmd_close(p, word, words);
	else if (strcmp(word[0], "accept") == 0)
		cmd_accept(p, word, words);
	else if (strcmp(word[0], "deny") == 0 && p->request != NULL) {
		answer(p, 0);
		say("denied");
	} else if (strcmp(word[0], "quit") == 0)
		p->quit = 1;
	else
		errx(1, "unknown command: %s", word[0]);
}

/* Read at most one command; the end of the input is "quit". */
static void
read_command(struct peer *p)
{
	struct pollfd	 pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	char		 line[1024];
	size_t		 len = 0;

	if (poll(&pfd, 1, 0) <= 0)
		return;
	/* Byte by byte: what follows the line stays for the next poll. */
	while (len < sizeof(line) - 1) {
		if (read(STDIN_FILENO, &line[len], 1) != 1) {
			p->quit = 1;
			return;
		}
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	command(p, line);
}

/* A notification: print the names of its elements and answer it. */
static void
notice(struct peer *p, xmpp_stanza_t *iq, xmpp_stanza_t *query)
{
	xmpp_stanza_t	*child, *proxy;
	char		*address, names[128] = "";
	size_t		 len = 0;
	int		 n;

	for (child = xmpp_stanza_get_children(query); child != NULL;
	    child = xmpp_stanza_get_next(child)) {
		if (xmpp_stanza_get_name(child) == NULL)
			continue;
		n = snprintf(names + len, sizeof(names) - len, "%s ",
		    xmpp_stanza_get_name(child));
		if (n < 0 || (size_t)n >= sizeof(names) - len)
			break;
		len += (size_t)n;
	}
	proxy = xmpp_stanza_get_child_by_name(query, "proxy");
	address = text_of(proxy);
	say("notice %s%s %s", names, proxy == NULL ? "-" :
	    or_dash(xmpp_stanza_get_attribute(proxy, "port")),
	    or_dash(address));
	if (address != NULL)
		xmpp_free(p->ctx, address);
	if (p->request != NULL)
		xmpp_stanza_release(p->request);
	p->request = xmpp_stanza_clone(iq);
	answer(p, 1);
}

static int
on_set(xmpp_conn_t *conn, xmpp_stanza_t *iq, void *arg)
{
	struct peer	*p = arg;
	xmpp_stanza_t	*query, *client, *proxy;
	char		*peer, *address;

	(void)conn;
	query = xmpp_stanza_get_child_by_name(iq, "query");
	if (query == NULL)
		return 1;
	client = xmpp_stanza_get_child_by_name(query, "client");
	proxy = xmpp_stanza_get_child_by_name(query, "proxy");
	if (client == NULL || proxy == NULL) {
		notice(p, iq, query);
		return 1;
	}
	if (p->request != NULL)
		xmpp_stanza_release(p->request);
	p->request = xmpp_stanza_clone(iq);
	peer = text_of(client);
	address = text_of(proxy);
	say("request %s %s %s %s", or_dash(peer),
	    or_dash(xmpp_stanza_get_attribute(client, "port")),
	    or_dash(address),
	    or_dash(xmpp_stanza_get_attribute(proxy, "port")));
	if (peer != NULL)
		xmpp_free(p->ctx, peer);
	if (address != NULL)
		xmpp_free(p->ctx, address);
	return 1;
}

static void
on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
    xmpp_stream_error_t *stream_error, void *arg)
{
	struct peer	*p = arg;
	xmpp_stanza_t	*presence;

	(void)error;
	(void)stream_error;
	if (event != XMPP_CONN_CONNECT) {
		say("offline");
		xmpp_stop(p->ctx);
		p->quit = 1;
		return;
	}
	xmpp_handler_add(conn, on_set, NS_PASS, "iq", "set", p);
	presence = xmpp_presence_new(p->ctx);
	xmpp_send(conn, presence);
	xmpp_stanza_release(presence);
	say("online");
}

int
main(int argc, char **argv)
{
	struct peer	 p;
	const char	*errstr;
	unsigned short	 port;
	int		 turns;

	if (argc != 6) {
		fprintf(stderr, "usage: strophe_peer jid password host port "
		    "service\n");
		return 1;
	}
	port = (unsigned short)strtonum(argv[4], 1, 65535, &errstr);
	if (errstr != NULL)
		errx(1, "port is %s: %s", errstr, argv[4]);
	memset(&p, 0, sizeof(p));
	p.service = argv[5];
	xmpp_initialize();
	if ((p.ctx = xmpp_ctx_new(NULL, NULL)) == NULL ||
	    (p.conn = xmpp_conn_new(p.ctx)) == NULL)
		errx(1, "out of memory");
	xmpp_conn_set_flags(p.conn, XMPP_CONN_FLAG_DISABLE_TLS);
	xmpp_conn_set_jid(p.conn, argv[1]);
	xmpp_conn_set_pass(p.conn, argv[2]);
	if (xmpp_connect_client(p.conn, argv[3], port, on_connection,
	    &p) != XMPP_EOK)
		errx(1, "cannot connect");
	while (!p.quit) {
		xmpp_run_once(p.ctx, 10);
		if (xmpp_conn_is_connected(p.conn))
			read_command(&p);
		waitpid(-1, NULL, WNOHANG);
	}
	xmpp_disconnect(p.conn);
	for (turns = 0; turns < 100 && xmpp_conn_is_connected(p.conn);
	    turns++)
		xmpp_run_once(p.ctx, 10);
	if (p.request != NULL)
		xmpp_stanza_release(p.request);
	xmpp_conn_release(p.conn);
	xmpp_ctx_free(p.ctx);
	xmpp_shutdown();
	return 0;
}
