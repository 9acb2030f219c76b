/* SPDX-License-Identifier: ISC */
#ifndef MASTER_SUMMARY_H
#define MASTER_SUMMARY_H

/*
 * What control tells the parent of itself, for the service manager: whether
 * the link is up and how many ports there are.  At most once a second, and
 * only what has changed.
 */

#define SUMMARY_MS	1000

/*
 * summary_init(fd):
 * Tell it to the parent over the channel ${fd}, which stays the caller's.
 * Before that, or with -1, nothing is told.
 */
void	summary_init(int);

/* summary_changed(): the link or the number of ports may have changed. */
void	summary_changed(void);

/* summary_reloaded(): a reload is over, well or not; told at once. */
void	summary_reloaded(void);

#endif
