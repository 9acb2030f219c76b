/* SPDX-License-Identifier: ISC */
#ifndef WORKER_TCP_H
#define WORKER_TCP_H

#include <stdint.h>

/*
 * What the relay asks of a TCP socket beside moving bytes.  All platform
 * differences of that kind are in tcp.c.
 */

/*
 * tcp_tune(fd):
 * Set what both legs of a relay need on the connected socket ${fd}: no
 * Nagle delay, urgent bytes in line (they are bytes like others to us),
 * keepalive and user timeout.  Options that the platform lacks or refuses
 * are left out.
 */
void	tcp_tune(int);

/*
 * tcp_paused(fd):
 * Return 1 if the other end of ${fd} is alive and does not read: all that
 * was sent is acknowledged, the rest waits for its window to open.  0 if
 * not, or if the platform cannot tell.
 */
int	tcp_paused(int);

/*
 * tcp_patience(fd, on):
 * Lift the user timeout of ${fd} or set it again.  The kernel counts it
 * from the day the window was shut, however often the other end answers
 * its probes; without this a reader that pauses for two minutes would be
 * taken for dead.
 */
void	tcp_patience(int, int);

/*
 * tcp_abort(fd):
 * Close ${fd} so that the other end gets a RST; what was not sent yet is
 * thrown away.
 */
void	tcp_abort(int);

/*
 * tcp_error(fd):
 * Return the pending error of ${fd}, and clear it, or 0.
 */
int	tcp_error(int);

/*
 * tcp_delivered(fd):
 * Return 1 if all bytes and our FIN have been acknowledged by the other
 * end of ${fd}, or never will be since the connection is gone; 0 if they
 * are under way or the platform cannot tell.
 */
int	tcp_delivered(int);

#endif
