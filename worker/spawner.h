/* SPDX-License-Identifier: ISC */
#ifndef WORKER_SPAWNER_H
#define WORKER_SPAWNER_H

/*
 * spawner_main():
 * Run the spawner on MSG_CHANNEL_FD, the channel to the parent: wait for
 * BOOT, drop privileges, then fork workers as control asks, tell it when
 * they end, and kill what is left when the parent says so or has gone.
 * Does not return.
 */
void	spawner_main(void) __attribute__((__noreturn__));

#endif
