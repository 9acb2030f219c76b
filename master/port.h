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

/* port_limits_all(): tell each worker the limits of the new configuration. */
void	port_limits_all(void);

/*
 * port_stop_all(grace_ms):
 * End every port: relays have ${grace_ms} to come to an end by themselves,
 * pending registrations are answered with an error, owners are told.
 */
void	port_stop_all(uint32_t);

/*
 * port_hold(p, number):
 * ${p} has ${number} from now on; its timers are set up.
 */
void	port_hold(struct port *, uint16_t);

/* port_start_timer(p): its worker has to answer within a short time. */
void	port_start_timer(struct port *);

/* port_set_timer(p): from now on ${p} is there until it expires. */
void	port_set_timer(struct port *);

/* port_timer(ev, ms): let ${ev} fire in ${ms}, or at once if that is past. */
void	port_timer(struct event *, int64_t);

/* port_owner(p): its owner for the log, valid until the next call. */
const char *port_owner(const struct port *);

/* port_ready(p): its worker has started; the registration is answered. */
void	port_ready(struct port *);

/* port_link_up(): answer the registrations that waited for the link. */
void	port_link_up(void);

/*
 * port_closed(p, cause, state):
 * ${p} listens no more, for whatever reason, and is in ${state} now: log it
 * and tell the owner.
 */
void	port_closed(struct port *, enum cause, enum port_state);

/*
 * port_give_up(p, error):
 * Answer the registration of ${p} with ${error} and let its worker go.
 */
void	port_give_up(struct port *, enum iq_error);

/* port_worker.c: the worker of a port, its start, news and end. */

/*
 * port_spawn(p):
 * Hand channel and listeners to the spawner; without one, the next one gets
 * them.  Return 0, or -1 with errno.
 */
int	port_spawn(struct port *);

/*
 * port_serve(p, fd, states):
 * The channel to the worker of ${p} is ${fd}, taken over; messages are
 * judged by ${states}.  Return 0, or -1 with errno; ${fd} is then closed.
 */
int	port_serve(struct port *, int, uint16_t);

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

/* port_spawned(m), port_exited(m): the spawner's news of a worker. */
void	port_spawned(const struct msg_spawned *);
void	port_exited(const struct msg_exited *);

/* port_orphan(m): the parent's news of a worker that no spawner has. */
void	port_orphan(const struct msg_orphan *);

/* port_send(p, m, len, fds, nfds): a message to the worker of ${p}. */
void	port_send(struct port *, const void *, size_t, const int *, size_t);

/* port_send_limits(p): tell it its limits. */
void	port_send_limits(struct port *);

/*
 * port_send_close(p, cause, relays, grace_ms):
 * Tell it to stop listening; with ${relays} its relays end too, after
 * ${grace_ms}.
 */
void	port_send_close(struct port *, enum cause, int, uint32_t);

/* port_refresh(p): tell the worker its limits, or again that it closes. */
void	port_refresh(struct port *);

/* port_acknowledge(p): tell the worker which events have been applied. */
void	port_acknowledge(struct port *);

/*
 * port_kill(p, why):
 * The worker of ${p} has done what it must not: log ${why}, kill it.  Its
 * end closes the port as any other death does.
 */
void	port_kill(struct port *, const char *);

/*
 * port_cut_off(p):
 * Kill the worker and do not wait for it: its channel is closed from the
 * event loop.
 */
void	port_cut_off(struct port *);

/* port_lost(p): the worker of ${p} is no more. */
void	port_lost(struct port *);

/*
 * port_overdue(p):
 * The channel of ${p} has ended, but nobody has said that its process did.
 */
void	port_overdue(struct port *);

/* port_release(p): the parent need not keep the record of ${p} any more. */
void	port_release(struct port *);

/* adopt.c: ports of the control before this one. */

/*
 * adopt_record(in):
 * Take over what MSG_ADOPT ${in} brings: a port and the channel to its
 * worker, who is asked what it does, or a notice.
 */
void	adopt_record(struct msg_in *);

/*
 * adopt_message(p, in):
 * What the worker of ${p} says until all is known (p->sync).
 */
void	adopt_message(struct port *, const struct msg_in *);

/*
 * adopt_replay(p, in):
 * An event of ${p} that the control before this one may have seen: what it
 * still changes is done, the rest is in the worker's STATE.
 */
void	adopt_replay(struct port *, const struct msg_in *);

/* client.c: the connections of strangers. */

/*
 * client_adopt(p, m):
 * A session that the worker of ${p} has: an undecided one is asked for
 * again, under the same id, unless a connection waits that may be the
 * owner's answer.
 */
void	client_adopt(struct port *, const struct msg_session *);

/* client_adopted_end(p, m): ENDED of a session that began before us. */
void	client_adopted_end(struct port *, const struct msg_ended *);

/* client_event(p, in): CLIENT, LEG, PAIRED, ENDED or REFUSED of ${p}. */
void	client_event(struct port *, const struct msg_in *);

/* client_lost(c, cause): log ${c} as ended with ${cause}; free it. */
void	client_lost(struct client *, enum cause);

#endif
