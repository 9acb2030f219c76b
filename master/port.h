/* SPDX-License-Identifier: ISC */
#ifndef MASTER_PORT_H
#define MASTER_PORT_H

#include <stdint.h>

#include "cause.h"
#include "iq.h"
#include "jid.h"
#include "registry.h"

/*
 * The life of a port (DESIGN.md section 2): from the registration to the
 * end of its worker.
 */

/*
 * port_register(iq, expire, oneshot, full_owner):
 * Open a port for iq->from, for ${expire} seconds (0: as long as allowed)
 * or, with ${oneshot}, one relay.  Quotas are checked here.  The request is
 * answered when the worker is ready, or at once with an error.
 */
void	port_register(const struct iq *, uint64_t, int, int);

/*
 * port_change(p, iq, expire, oneshot):
 * Change the controls of ${p} (XEP-0003 4), which moves it to the resource
 * that asks: ${expire} seconds from now on (0: as before), ${oneshot} arms
 * it.  Answers.
 */
void	port_change(struct port *, const struct iq *, uint64_t, int);

/*
 * port_close(p, cause):
 * Stop listening on ${p}; undecided clients are dropped with ${cause},
 * relays go on.  Tells the owner where the cause calls for it: expire and
 * oneshot by their element, the rest, but for his own close and his absence,
 * by a plain <close/>.
 */
void	port_close(struct port *, enum cause);

/* port_fill_server(x, p): write <server/>, one per advertised address. */
void	port_fill_server(struct xml_out *, const struct port *);

/*
 * port_fill_proxy(x, number):
 * Write <proxy/> with ${number} and the advertised address; there is room
 * for one only: v4 where there is one.
 */
void	port_fill_proxy(struct xml_out *, uint16_t);

/*
 * port_watch_leaving(p):
 * A relay of ${p} has begun or ended.  If ${p} does not listen any more its
 * worker has ten seconds to leave, from when there is none.
 */
void	port_watch_leaving(struct port *);

/* port_send(p, m, len, fds, nfds): a message to the worker of ${p}. */
void	port_send(struct port *, const void *, size_t, const int *, size_t);

/*
 * port_kill(p, why):
 * The worker of ${p} has done what it must not: log ${why}, kill it.  Its
 * end closes the port as any other death does.
 */
void	port_kill(struct port *, const char *);

/*
 * port_owner_left(jid):
 * The full JID ${jid} seems to be offline (unavailable presence, or a
 * request to him that came back): close each port of that very resource
 * after "timeout owner-gone", unless he is seen before.
 */
void	port_owner_left(const struct jid *);

/*
 * port_owner_seen(jid):
 * A stanza shows that the full JID ${jid} is there: calls off what
 * port_owner_left() has begun for his ports.
 */
void	port_owner_seen(const struct jid *);

/* port_spawned(m), port_exited(m): the spawner's news of a worker. */
void	port_spawned(const struct msg_spawned *);
void	port_exited(const struct msg_exited *);

/* port_orphan(m): the parent's news of a worker that no spawner has. */
void	port_orphan(const struct msg_orphan *);

/*
 * port_spawner_new():
 * There is a (new) spawner: registrations that wait for one are taken up.
 */
void	port_spawner_new(void);

/*
 * port_spawner_bad():
 * Have the spawner replaced; asked for once a spawner.
 */
void	port_spawner_bad(void);

/* port_limits_all(): tell each worker the limits of the new configuration. */
void	port_limits_all(void);

/*
 * port_stop_all(grace_ms):
 * End every port: relays have ${grace_ms} to come to an end by themselves,
 * pending registrations are answered with an error, owners are told.
 */
void	port_stop_all(uint32_t);

/* client.c: the connections of strangers. */

/* client_event(p, in): CLIENT, LEG, PAIRED, ENDED or REFUSED of ${p}. */
void	client_event(struct port *, const struct msg_in *);

/* client_lost(c, cause): log ${c} as ended with ${cause}; free it. */
void	client_lost(struct client *, enum cause);

#endif
