/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_LOOP_H
#define CLIENT_LOOP_H

#include <poll.h>
#include <stdint.h>

/*
 * The one event loop of the process: descriptors, timers, signals, ended
 * children, and the XMPP stream as the pump.  A command is written as a
 * sequence that calls loop_once() until what it waits for has come; what
 * happens meanwhile is told by callbacks.  A callback may add and remove
 * anything, but runs the loop itself only if its module says so.
 */

struct loop_timer;

/* fn(fd, revents, arg) */
typedef void (*loop_fd_fn)(int, short, void *);
typedef void (*loop_fn)(void *);

/*
 * loop_init():
 * Catch SIGINT, SIGTERM and SIGHUP from now on, once each: a second one ends
 * the process at once.  Ignore SIGPIPE.  Call once.
 */
void	loop_init(void);

/*
 * loop_interrupted():
 * Return the signal that asks us to end, or 0.
 */
int	loop_interrupted(void);

/*
 * loop_once(until):
 * Wait until something happens or mono_ms() reaches ${until} (-1: no limit),
 * and tell those concerned.  Return 1 if the command should go on, 0 if
 * ${until} has come or a signal asks us to end.
 */
int	loop_once(int64_t);

/*
 * loop_linger(until):
 * As loop_once(), but also after a signal: for what is to be put in order
 * before the end.
 */
void	loop_linger(int64_t);

/* loop_add(fd, events, fn, arg): watch ${fd}, which is not watched yet. */
void	loop_add(int, short, loop_fd_fn, void *);

/* loop_del(fd): no longer watch ${fd}; call it before close(2). */
void	loop_del(int);

/*
 * loop_timer(ms, fn, arg):
 * Call ${fn} once, in ${ms} milliseconds.  The handle is good until then.
 */
struct loop_timer *loop_timer(int64_t, loop_fn, void *);

/* loop_timer_del(t): forget a timer that has not fired; NULL is allowed. */
void	loop_timer_del(struct loop_timer *);

/*
 * loop_pump(fn):
 * Call ${fn} before each wait.  It may set a descriptor and events to wait
 * for (-1: none), and returns the most milliseconds to wait, or -1.
 */
void	loop_pump(int (*)(int *, short *));

/*
 * loop_poke():
 * From the pump: somebody was told something, so that the caller of
 * loop_once() has to look before anything is waited for.
 */
void	loop_poke(void);

/* loop_on_child(fn): call ${fn} when a child may have ended. */
void	loop_on_child(void (*)(void));

#endif
