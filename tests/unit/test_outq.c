/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "outq.h"
#include "xmpp.h"

/* What a server that does not read is not told, and what waits for it. */

TestSuite(outq, .timeout = 60);

static int	 server = -1;
static int	 up;

static void
on_log(enum log_level level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
}

static void
on_up(void *arg)
{
	(void)arg;
	up = 1;
}

static void
on_down(void *arg)
{
	(void)arg;
	up = 0;
}

static void
on_stanza(struct stanza *s, void *arg)
{
	(void)arg;
	stanza_free(s);
}

static void
on_skipped(struct stanza *s, enum stanza_bad bad, void *arg)
{
	(void)bad;
	(void)arg;
	stanza_free(s);
}

static void
on_connect(void *arg)
{
	int	 fds[2];

	(void)arg;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	server = fds[0];
	xmpp_connected(fds[1], 0);
}

static void
pump(void)
{
	cr_assert(event_loop(EVLOOP_NONBLOCK) != -1);
}

static void
log_in(void)
{
	static const struct xmpp_handler h = {
		on_up, on_down, on_stanza, on_skipped, on_connect
	};
	static const char	 said[] = "<stream:stream xmlns:stream='"
	    NS_STREAMS "' xmlns='" NS_COMPONENT "' id='1'><handshake/>";
	struct xmpp_params	 p = { "pass.example.org", "secret", NULL, 0,
		{ 0 } };

	log_to(on_log, NULL);
	cr_assert_not_null(event_init());
	xmpp_init(&p, &h, NULL);
	while (server == -1)
		pump();
	cr_assert_eq(write(server, said, sizeof(said) - 1),
	    (ssize_t)sizeof(said) - 1);
	while (!up)
		pump();
}

/* Send until it is refused; how many bytes went in. */
static size_t
fill(const struct xml_out *x, enum xmpp_class class)
{
	size_t	 n = 0;
	int	 i;

	for (i = 0; i < 3000 && xmpp_send_as(x, class) == 0; i++) {
		n += x->len;
		pump();
	}
	cr_assert_lt(i, 3000, "bounded");
	return (n);
}

Test(outq, errors_go_first_then_answers)
{
	static char	 buf[1 << 16];
	struct xml_out	 x;
	size_t		 sent, n;
	char		*text;
	ssize_t		 got;

	log_in();
	cr_assert_not_null(text = malloc(32001));
	memset(text, 'x', 32000);
	text[32000] = '\0';
	xml_init(&x);
	xml_elem(&x, "m", NULL, text);
	/* What the kernel takes is on top. */
	sent = fill(&x, XMPP_REFUSAL);
	cr_expect_geq(sent, XMPP_OUT_MAX / 2 - x.len);
	n = fill(&x, XMPP_ANSWER);
	cr_expect_geq(n, XMPP_OUT_MAX / 4 - x.len);
	cr_expect_leq(n, XMPP_OUT_MAX / 4 + x.len);
	sent += n;
	cr_expect_eq(xmpp_send_as(&x, XMPP_REFUSAL), -1);
	/* The last quarter is for nobody but us. */
	n = fill(&x, XMPP_REQUEST);
	cr_expect_geq(n, XMPP_OUT_MAX / 4 - x.len);
	cr_expect_leq(n, XMPP_OUT_MAX / 4 + x.len);
	sent += n;
	cr_expect_eq(xmpp_send_as(&x, XMPP_ANSWER), -1);
	cr_expect_eq(xmpp_send_as(&x, XMPP_REFUSAL), -1);
	cr_expect_eq(xmpp_is_up(), 1);
	/* It reads again: all that was taken comes, and all is as before. */
	for (n = 0; n < sent; n += (size_t)got) {
		pump();
		got = recv(server, buf, sizeof(buf), MSG_DONTWAIT);
		cr_assert(got > 0 || errno == EAGAIN);
		if (got == -1)
			got = 0;
	}
	pump();
	cr_expect_eq(xmpp_send_as(&x, XMPP_REFUSAL), 0);
	cr_expect_eq(xmpp_send_as(&x, XMPP_ANSWER), 0);
	xml_free(&x);
	free(text);
	close(server);
}

Test(outq, bytes)
{
	struct outq	 q = { NULL, 0, 0, 0 };
	char		 buf[64];
	int		 fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
	    0);
	cr_expect_eq(outq_send(&q, fds[0]), 0);
	cr_expect_eq(outq_add(&q, "abc", 3, 4), 0);
	cr_expect_eq(outq_add(&q, "de", 2, 4), -1);
	cr_expect_eq(errno, ENOBUFS);
	cr_expect_eq(outq_add(&q, "d", 1, 4), 0);
	cr_expect_eq(outq_add(&q, "", 0, 4), 0);
	cr_expect_eq(outq_send(&q, fds[0]), 4);
	cr_assert_eq(read(fds[1], buf, sizeof(buf)), 4);
	cr_expect_eq(memcmp(buf, "abcd", 4), 0);
	close(fds[1]);
	cr_expect_eq(outq_add(&q, "e", 1, 4), 0);
	cr_expect_eq(outq_send(&q, fds[0]), -1);
	outq_clear(&q);
	cr_expect_eq(q.len, 0);
	close(fds[0]);
}
