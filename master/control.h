/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

/*
 * control_main():
 * The process that speaks XMPP: reads the configuration that the parent
 * opened, keeps the component link, answers users and steers the workers.
 * Runs on MSG_CHANNEL_FD until the parent tells it to stop or goes away.
 * Does not return.
 */
void	control_main(void) __attribute__((__noreturn__));

#endif
