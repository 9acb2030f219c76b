/* SPDX-License-Identifier: ISC */
#ifndef MASTER_ROLE_H
#define MASTER_ROLE_H

#include "msg.h"

/*
 * role_boot(edge, name, in):
 * What every process that the parent executes from this program does first:
 * wait for BOOT on MSG_CHANNEL_FD over ${edge}, log through the parent, and
 * take the title ${name}.  The message is left in ${in}.  Ends the process
 * if the parent does not speak.
 */
void	role_boot(enum msg_edge, const char *, struct msg_in *);

#endif
