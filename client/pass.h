/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_PASS_H
#define CLIENT_PASS_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "el.h"
#include "session.h"

/* XEP-0003, the client's side.  See also PROTOCOL in passd(8). */

#define PASS_JID_MAX		1024
#define PASS_HOST_MAX		256	/* an address or a host name */
#define PASS_ADDRESSES		2
#define PASS_TOKEN_LEN		16

/* A registered port. */
struct pass_port {
	char		 service[PASS_JID_MAX];
	char		 host[PASS_ADDRESSES][PASS_HOST_MAX];
	size_t		 nhosts;
	uint16_t	 port;		/* 0: none */
	uint64_t	 expire;	/* seconds granted, 0: for ever */
	uint64_t	 sessions;	/* at once, 0: not told */
	int		 token;		/* the service knows <leg/> */
};

/*
 * pass_register(port, service, expire, oneshot):
 * Ask ${service} for a port, for ${expire} seconds (0: as long as it gives)
 * and, with ${oneshot}, for one connection.  Return 0, or an exit code after
 * it was said why not.  Runs the loop.
 */
int	pass_register(struct pass_port *, const char *, uint64_t, int);

/*
 * pass_change(port, expire, oneshot, gone):
 * Change a port, whose owner becomes our present JID.  Return 0, or an exit
 * code; nothing is said.  ${gone} is 1 if the port is no more, or another's.
 */
int	pass_change(struct pass_port *, uint64_t, int, int *);

/*
 * pass_close(port):
 * Close a port, at once and without running the loop more than a second, for
 * the end of a command; also after a signal.  Return 0 if the service has
 * confirmed it, or an exit code; nothing is said.
 */
int	pass_close(struct pass_port *);

/*
 * pass_list(service, ports, number, limit):
 * Store up to ${number} of our ports, and how many we may have (0: not told).
 * Return their number, or -1 minus an exit code after it was said why not.
 */
int	pass_list(const char *, struct pass_port *, size_t, uint64_t *);

/* Somebody has connected to our port, and we are asked. */
struct pass_request {
	struct addr	 peer;
	struct addr	 proxy;		/* where we connect if we agree */
	xmpp_stanza_t	*iq;		/* a reference; NULL when answered */
};

/* Why a port was closed. */
enum pass_end { PASS_EXPIRED, PASS_ONESHOT, PASS_CLOSED };

struct pass_events {
	/* Decide with pass_accept() or pass_deny(), now or later; the callee
	 * frees ${request} with pass_forget(). */
	void	 (*request)(struct pass_request *, void *);
	/* The service has closed the port. */
	void	 (*closed)(enum pass_end, void *);
	void	*arg;
};

/*
 * pass_serve(port, events):
 * Take requests and notices of the service of ${port} from now on; both have
 * to live as long as the session.
 */
void	pass_serve(const struct pass_port *, const struct pass_events *);

/* fn(fd, error, arg): the owner's leg, as dial_fn. */
typedef void (*pass_leg_fn)(int, int, void *);

/*
 * pass_accept(request, fn, arg):
 * Agree, and connect to the service.  When the leg is there and its token has
 * been sent ${fn} gets it, a non-blocking socket; or -1 and an errno.  Bytes
 * written to it before the peer's side is joined wait.
 */
void	pass_accept(struct pass_request *, pass_leg_fn, void *);

/* pass_deny(request): say no, as XEP-0003 5.2 has it. */
void	pass_deny(struct pass_request *);

/* pass_forget(request): free it; NULL is allowed. */
void	pass_forget(struct pass_request *);

/*
 * pass_explain(service, e):
 * Say what an error of a service means for the user.  Return the exit code.
 */
int	pass_explain(const char *, const struct el_error *);

#endif
