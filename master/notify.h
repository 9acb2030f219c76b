/* SPDX-License-Identifier: ISC */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdint.h>

/*
 * What the service manager is told (sd_notify(3), systemd 252 and later): a
 * datagram of text to the socket that $NOTIFY_SOCKET names.  Only the parent
 * does this: it has the environment, which its children do not get, and is
 * outside their empty root.  Nothing here blocks; what the manager does not
 * take at once is sent later, in order, and only the latest status.  Without
 * $NOTIFY_SOCKET, and on systems that are not Linux, all of it does nothing.
 */

/*
 * notify_init():
 * Read $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, which are left where
 * they are: the program that an upgrade executes needs them again.  Call
 * before the parent forks, since the watchdog is meant for this process id
 * and whoever it becomes.  A name that cannot be used is logged.
 */
void	notify_init(void);

/* notify_ready(): all is up, or a reload is over.  Names this process. */
void	notify_ready(void);

/* notify_reloading(): a reload begins; notify_ready() has to follow. */
void	notify_reloading(void);

/* notify_stopping(): the end begins. */
void	notify_stopping(void);

/*
 * notify_status(text):
 * ${text}, one short line, is the state of passd for "systemctl status";
 * what is longer than 127 bytes is cut.  The same as before is not sent.
 */
void	notify_status(const char *);

/*
 * notify_turn(now):
 * Call at each turn of the parent's loop, with mono_ms(): sends what waits,
 * and the sign of life at half of $WATCHDOG_USEC.
 */
void	notify_turn(int64_t);

/*
 * notify_deadline():
 * The mono_ms() time by which notify_turn() has to be called; INT64_MAX:
 * there is nothing to be done.
 */
int64_t	notify_deadline(void);

#endif
