/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "privdrop.h"
#include "resolver.h"
#include "role.h"
#include "sandbox.h"

#define RESOLVE_SECONDS	5
#define WAIT_MS		5000
#define DATA_MAX	(UINT64_C(256) << 20)	/* bytes of private memory */

static void
resolve(const char *host, struct msg_resolved *m)
{
	struct addrinfo	 hints, *res, *ai;
	int		 error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	if ((error = getaddrinfo(host, NULL, &hints, &res)) != 0) {
		log_error("server \"%s\": %s", host, gai_strerror(error));
		m->error = (uint32_t)(error < 0 ? -error : error);
		return;
	}
	for (ai = res; ai != NULL && m->count < MSG_ADDRS_MAX;
	    ai = ai->ai_next) {
		if (addr_from_sa(&m->addr[m->count], ai->ai_addr) == 0)
			m->count++;
	}
	freeaddrinfo(res);
}

/* A root directory of its own would hide the files that it reads. */
static void
lock_in(const struct msg_boot *boot)
{
	struct msg_ready	 m;
	const char		*failed = NULL;

	if (boot->flags & BOOT_DROP)
		failed = priv_drop("/", boot->uid, boot->gid);
	if (failed == NULL)
		failed = priv_lock(0, DATA_MAX);
	if (failed == NULL)
		failed = sandbox_resolver();
	if (failed != NULL)
		fatal("resolver: %s", failed);
	msg_init(&m, sizeof(m), MSG_READY, 0);
	m.own = layers_own();
	if (msg_send(MSG_CHANNEL_FD, &m, sizeof(m), NULL, 0) == -1)
		fatal("resolver: send");
}

void
resolver_main(void)
{
	static struct msg_in	 in;
	struct pollfd		 pfd = { MSG_CHANNEL_FD, POLLIN, 0 };
	struct msg_resolved	 m;

	role_boot(EDGE_PARENT_RESOLVER, "resolver", &in);
	(void)alarm(RESOLVE_SECONDS);
	lock_in(&in.boot);
	if (poll(&pfd, 1, WAIT_MS) != 1 || msg_recv(MSG_CHANNEL_FD,
	    EDGE_PARENT_RESOLVER, MSG_ST_START, &in) != MSG_OK ||
	    !msg_text_ok(in.resolve.host, sizeof(in.resolve.host)))
		fatalx("resolver: no host name");
	msg_init(&m, sizeof(m), MSG_RESOLVED, 0);
	resolve(in.resolve.host, &m);
	if (msg_send(MSG_CHANNEL_FD, &m, sizeof(m), NULL, 0) == -1)
		fatal("resolver: send");
	exit(0);
}
