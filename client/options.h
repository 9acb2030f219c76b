/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

/* What the command line says; strings point into argv. */

#define OPTIONS_ALLOW	64	/* --allow, at most */
#define OPTIONS_DECLOAK	16	/* --decloak, at most */

struct net {
	struct addr	 addr;
	unsigned int	 bits;		/* of the prefix */
};

struct options {
	/* account */
	const char	*jid;
	const char	*config;
	const char	*password_file;
	const char	*host;
	const char	*ca_file;
	const char	*service;
	int		 direct_tls;
	/* output */
	int		 verbose;
	int		 quiet;
	int		 json;
	/* who may connect */
	struct net	 allow[OPTIONS_ALLOW];
	size_t		 nallow;
	int		 ask;
	int		 yes;
	/* the port */
	uint64_t	 expire;	/* seconds; 0: not given */
	uint64_t	 idle;		/* seconds; 0: no limit */
	uint64_t	 timeout;	/* seconds; 0: the command's own */
	uint64_t	 sessions;	/* at once; 0: as the service allows */
	int		 oneshot;
	int		 proxy_protocol;
	/* people */
	const char	*decloak[OPTIONS_DECLOAK];
	size_t		 ndecloak;
	const char	*from;		/* receive: only this JID */
	const char	*reason;	/* find: reason of decloaking */
};

/* Which options a command knows, beside those of account and output. */
#define OPT_ACCESS	0x01	/* --allow --ask --yes */
#define OPT_PORT	0x02	/* --expire --oneshot --idle --sessions */
#define OPT_PROXY	0x04	/* --proxy-protocol */
#define OPT_DECLOAK	0x08	/* --decloak */
#define OPT_FROM	0x10	/* --from */
#define OPT_TIMEOUT	0x20	/* --timeout */
#define OPT_REASON	0x40	/* --reason */
#define OPT_EXPIRE	0x80	/* --expire alone */
#define OPT_YES		0x100	/* --yes alone */

struct command {
	const char	*name;
	const char	*usage;		/* what follows the name */
	unsigned int	 options;	/* OPT_* */
	int		 min, max;	/* operands; max -1: any number */
	int		 data;		/* standard output carries user data */
	/* run(options, operands, number): returns an exit code */
	int		 (*run)(struct options *, char **, int);
};

/* The table, in commands.c; ends with a NULL name. */
extern const struct command commands[];

/*
 * options_parse(o, argc, argv, command, args, nargs):
 * Read the command line; options may stand anywhere before "--".  On success
 * ${command} is the command and ${args} its operands.  Return 0; -1 if
 * everything asked for was done (-h, -V); else an exit code, after it was said
 * what is wrong.
 */
int	options_parse(struct options *, int, char **,
	    const struct command **, char ***, int *);

/*
 * options_net(net, text):
 * Read ADDR or ADDR/BITS.  Return 0 or -1.
 */
int	options_net(struct net *, const char *);

/* options_net_has(net, a): 1 if ${a} is in ${net}. */
int	options_net_has(const struct net *, const struct addr *);

/*
 * options_seconds(text, value):
 * Read a number of seconds, or with a letter: s, m, h, d.  At least 1.
 * Return 0 or -1.
 */
int	options_seconds(const char *, uint64_t *);

/*
 * options_host_port(text, host, size, port):
 * Split HOST, HOST:PORT, [V6]:PORT or a bare IPv6 address; ${port} 0 if there
 * is none.  Return 0 or -1.
 */
int	options_host_port(const char *, char *, size_t, uint16_t *);

#endif
