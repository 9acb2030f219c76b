/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_DOOR_H
#define CLIENT_DOOR_H

#include "addr.h"
#include "options.h"
#include "pass.h"

/*
 * A port of ours at a PASS service, from its registration to its end: who
 * may come in, the owner's leg for each visitor, renewal, and what a lost
 * XMPP stream does to it.  One door a process.
 */

struct visit {
	struct addr		 peer;
	void			*data;		/* the command's own */
	struct pass_request	*request;	/* until it is answered */
};

struct door_ops {
	/*
	 * prepare(v): the rules let ${v} in; get ready, then call door_accept()
	 * or door_refuse(), now or later.  NULL: always ready.
	 */
	void	 (*prepare)(struct visit *);
	/*
	 * arrived(v, fd): the owner's leg, a non-blocking socket that is the
	 * callee's, as is ${v}, to be freed with door_forget().
	 */
	void	 (*arrived)(struct visit *, int);
	/* failed(v): accepted, but the leg could not be made; free ${v}. */
	void	 (*failed)(struct visit *);
};

#define DOOR_ONESHOT	0x1	/* for one session */
#define DOOR_RENEW	0x2	/* for ever: renew it before it expires */
#define DOOR_ALL	0x4	/* everybody may connect: proven later */

enum door_state { DOOR_OPEN, DOOR_EXPIRED, DOOR_USED, DOOR_SHUT };

/*
 * door_open(o, ops, flags, expire):
 * Find the service, register a port for ${expire} seconds (0: as long as the
 * service gives), and let visitors come.  The session is open.  Return 0, or
 * an exit code after it was said why not.
 */
int	door_open(const struct options *, const struct door_ops *,
	    unsigned int, uint64_t);

/* door_port(): the registered port. */
const struct pass_port *door_port(void);

/*
 * door_turn(until):
 * loop_once(), and what the door needs in between.  Return as loop_once().
 */
int	door_turn(int64_t);

/* door_state(): whether it is open, or why not. */
enum door_state door_state(void);

/* door_accept(v), door_refuse(v, why): answer a visitor; refusing frees it. */
void	door_accept(struct visit *);
void	door_refuse(struct visit *, const char *);

/* door_forget(v): free it. */
void	door_forget(struct visit *);

/* door_close(): close the port, if it is open still. */
void	door_close(void);

#endif
