/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CONF_SOURCE_H
#define MASTER_CONF_SOURCE_H

#include "conf.h"

/*
 * Between parse.y, which reads the file, conf_set.c, which checks each
 * statement, conf.c, which checks the whole, and printconf.c; nobody else
 * includes this.
 */

/* Statements that may stand once. */
enum conf_stmt {
	STMT_COMPONENT,
	STMT_SERVER,
	STMT_SECRET,
	STMT_PORTS,
	STMT_RENDEZVOUS,
	STMT_LISTEN4,
	STMT_LISTEN6,
	STMT_OWNER_LEG,
	STMT_OWNER,
	STMT_LOG,
	STMT_QUOTA_DEFAULT,
	STMT_TIMEOUT,
	STMT_ANSWER,
	STMT_CONNECT,
	STMT_IDLE,
	STMT_HALF_CLOSE,
	STMT_OWNER_GONE,
	STMT_STOP,
	STMT_MAX
};

/* After so many errors the rest of the file is not worth reading. */
#define CONF_ERRORS_MAX	100

struct conf_source {
	const char	*name;		/* of the file, for messages */
	conf_error_fn	 err;
	void		*arg;
	unsigned int	 errors;
	unsigned int	 end;		/* the last line of the file */
	unsigned int	 line[STMT_MAX];	/* where stated; 0: not */
	int		 tried[STMT_MAX];	/* begun, maybe with an error */
	struct conf	*conf;		/* what is being filled in */
	struct conf_quota *quota;	/* whose block is being read */
	struct conf_quota waste;	/* for the block of a refused quota */
};

/* A token as the grammar hands it on. */
struct conf_token {
	const char	*text;	/* as written; a string without its quotes */
	unsigned int	 line;
};

/*
 * conf_error(src, line, fmt, ...):
 * Report one error at ${line}; the text has no newline.
 */
void	conf_error(struct conf_source *, unsigned int, const char *, ...)
	    __attribute__((__format__(__printf__, 3, 4)));

/*
 * conf_new():
 * Return a configuration with every default that does not depend on a
 * statement, or NULL with errno ENOMEM.  conf_free() frees it.
 */
struct conf *conf_new(void);

/*
 * conf_check(c, src):
 * Once the whole file is read: fill in the defaults that depend on other
 * statements and report to ${src} what is missing or does not fit together.
 */
void	conf_check(struct conf *, struct conf_source *);

/*
 * conf_time(seconds, buf):
 * Write ${seconds} into ${buf} as passd.conf(5) does, in the largest unit
 * that says it without a remainder ("36h").  Return ${buf}.
 */
#define CONF_TIMELEN	16
const char *conf_time(uint32_t, char [CONF_TIMELEN]);

/*
 * conf_show(text):
 * Return ${text} cut to what an error message bears, between two UTF-8
 * sequences.  Static; two results live at a time.
 */
const char *conf_show(const char *);

/*
 * conf_set.c: one function a statement, called as it is read.  The token is
 * the statement's keyword (for component: its value) and names the line of
 * errors; the texts are the values as written.  Each checks the values,
 * then stores them in src->conf, or reports what is wrong and leaves the
 * default there.
 */
void	conf_set_component(struct conf_source *, struct conf_token);
/* (.., server, port or NULL) */
void	conf_set_server(struct conf_source *, struct conf_token,
	    const char *, const char *);
void	conf_set_secret(struct conf_source *, struct conf_token,
	    const char *);
void	conf_set_ports(struct conf_source *, struct conf_token,
	    const char *);
void	conf_set_rendezvous(struct conf_source *, struct conf_token,
	    const char *);
/* (.., address, advertised address or NULL) */
void	conf_set_listen(struct conf_source *, struct conf_token,
	    const char *, const char *);
void	conf_set_owner_leg(struct conf_source *, struct conf_token,
	    enum conf_leg);
/* (.., 1: full, 0: bare) */
void	conf_set_owner(struct conf_source *, struct conf_token, int);
void	conf_set_log_level(struct conf_source *, struct conf_token,
	    const char *);
/* (.., 1: deny, 0: allow; JID or domain, NULL: any) */
void	conf_add_acl(struct conf_source *, struct conf_token, int,
	    const char *);
/* (.., kind, URI) */
void	conf_add_contact(struct conf_source *, struct conf_token,
	    const char *, const char *);
/* (.., stmt, time): STMT_ANSWER to STMT_STOP */
void	conf_set_timeout(struct conf_source *, struct conf_token,
	    enum conf_stmt, const char *);
void	conf_timeout_begin(struct conf_source *, struct conf_token);

/*
 * A quota: conf_quota_begin() with the JID or NULL for the default, or
 * conf_quota_waste() with the name of a kind that is not enforced, then
 * its items.
 */
void	conf_quota_begin(struct conf_source *, struct conf_token,
	    const char *);
void	conf_quota_waste(struct conf_source *, struct conf_token,
	    const char *);
void	conf_quota_ports(struct conf_source *, struct conf_token,
	    const char *);
/* (.., per port, in all or NULL) */
void	conf_quota_sessions(struct conf_source *, struct conf_token,
	    const char *, const char *);
void	conf_quota_pending(struct conf_source *, struct conf_token,
	    const char *);
void	conf_quota_lifetime(struct conf_source *, struct conf_token,
	    const char *);

/*
 * conf_not_enforced(src, token, name):
 * Report that this version knows ${name} but does not enforce it.
 */
void	conf_not_enforced(struct conf_source *, struct conf_token,
	    const char *);

#endif
