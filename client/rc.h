/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_RC_H
#define CLIENT_RC_H

/*
 * The configuration file, $XDG_CONFIG_HOME/passcat/config: one setting a
 * line, words as in a shell with double quotes, # begins a comment.
 */
struct rc {
	char	*account;
	char	*password_file;
	char	*password_command;
	char	*host;
	char	*ca_file;
	char	*service;
	int	 direct_tls;
};

/*
 * rc_load(rc, path):
 * Read ${path}, which has to be there, or if it is NULL the usual file, if it
 * is there.  Return 0, or an exit code after each error was reported as
 * "file:line: text".
 */
int	rc_load(struct rc *, const char *);

/* rc_clear(rc): free the strings. */
void	rc_clear(struct rc *);

/*
 * rc_path(path):
 * Return ${path} with a leading "~/" replaced by the home directory; the
 * caller frees it.
 */
char	*rc_path(const char *);

#endif
