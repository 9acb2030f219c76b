/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stddef.h>

#include "options.h"
#include "sandbox_client.h"

/*
 * What most commands begin and end with.
 */

/*
 * client_begin(o, flags):
 * Load the account, catch signals, log in (flags as session_open()).  Return
 * 0, or an exit code after it was said why not.
 */
int	client_begin(const struct options *, unsigned int);

/*
 * client_service(o, service, size):
 * The service named by option or configuration, else the one that the server
 * has.  Return as svc_choose().
 */
int	client_service(const struct options *, char *, size_t);

#define CLIENT_PATHS	16

/*
 * client_lock(paths, n):
 * sandbox_client(SANDBOX_SESSION) with up to CLIENT_PATHS paths and what
 * coming back after a loss needs.  Once all other files are open.
 */
void	client_lock(const struct sandbox_path *, size_t);

/*
 * client_end(code):
 * Log out, end all children, wipe the account.  Return ${code}; if a signal
 * asked us to end, end by it instead.
 */
int	client_end(int);

/* The commands; see struct command in options.h. */
int	cmd_close(struct options *, char **, int);
int	cmd_connect(struct options *, char **, int);
int	cmd_find(struct options *, char **, int);
int	cmd_forward(struct options *, char **, int);
int	cmd_list(struct options *, char **, int);
int	cmd_listen(struct options *, char **, int);
int	cmd_receive(struct options *, char **, int);
int	cmd_send(struct options *, char **, int);
int	cmd_services(struct options *, char **, int);

#endif
