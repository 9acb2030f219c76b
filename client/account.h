/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_ACCOUNT_H
#define CLIENT_ACCOUNT_H

#include <stdint.h>

/*
 * Who logs in, where and how.  Strings are the account's own.
 */
struct account {
	char		*jid;		/* bare, prepared */
	char		*domain;	/* points into jid */
	char		*password;
	char		*host;		/* instead of DNS, or NULL */
	uint16_t	 port;		/* 0: the usual one */
	char		*ca_file;	/* certificates to trust, or NULL */
	int		 direct_tls;	/* TLS from the first byte */
	char		*service;	/* PASS service, or NULL: to be found */
};

struct options;

/*
 * account_load(a, o):
 * Fill ${a} from options, environment, configuration file, and last a prompt
 * for the password, in this order of precedence.  Runs the password command.
 * Return 0, or an exit code after it was said what is wrong.
 */
int	account_load(struct account *, const struct options *);

/* account_clear(a): wipe the password and free everything. */
void	account_clear(struct account *);

#endif
