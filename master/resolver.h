/* SPDX-License-Identifier: ISC */
#ifndef MASTER_RESOLVER_H
#define MASTER_RESOLVER_H

/*
 * resolver_main():
 * The short-lived process that turns the XMPP server's host name into
 * addresses: drops privileges, but not into a chroot, where the resolver's
 * files are not; answers on MSG_CHANNEL_FD and ends, within five seconds in
 * any case.
 */
void	resolver_main(void) __attribute__((__noreturn__));

#endif
