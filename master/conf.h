/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "jid.h"
#include "log.h"

/*
 * The configuration, passd.conf(5): what the grammar in parse.y fills in,
 * conf_print() prints and the control process uses.  All text from the
 * file is checked and prepared when it gets here.
 */

#define CONF_PATH_MAX	104		/* sun_path, the smallest there is */
#define CONF_HOST_MAX	253		/* RFC 1035 2.3.4 */

/* Hard bounds of the grammar; passd.conf(5) states them. */
#define CONF_SESSIONS_MAX	256	/* sessions per port */
#define CONF_PENDING_MAX	64	/* pending per port */
#define CONF_TIMEOUT_MAX	(7u * 86400u)	/* seconds */
#define CONF_LIFETIME_MAX	(3650u * 86400u)
#define CONF_LIFETIME_MIN	60u		/* seconds */
#define CONF_PORT_MIN		1024u		/* below: the system's own */
#define CONF_QUOTA_PORTS_MAX	(65536u - CONF_PORT_MIN)
#define CONF_SESSIONS_ALL_MAX	65536u	/* sessions in all */
#define CONF_RULES_MAX		10000u	/* allow, deny; the same of quotas */
#define CONF_CONTACTS_MAX	64u
#define CONF_FILE_MAX		(1024u * 1024u)	/* bytes */

enum conf_server { SERVER_NONE, SERVER_ADDR, SERVER_HOST, SERVER_UNIX };
enum conf_leg { LEG_RENDEZVOUS, LEG_SAME_PORT };

struct conf_range {			/* a range of TCP ports */
	uint16_t	 lo;		/* 0: not set */
	uint16_t	 hi;
};

struct conf_listen {			/* one family */
	int		 set;
	struct addr	 bind;		/* port 0 */
	struct addr	 advertise;	/* what clients are told; port 0 */
};

/* allow or deny: one JID, one domain, or any. */
enum acl_kind { ACL_ANY, ACL_DOMAIN, ACL_JID };

struct conf_acl {
	TAILQ_ENTRY(conf_acl)	 entry;
	enum acl_kind		 kind;
	int			 deny;
	struct jid		*jid;	/* domain or bare JID; NULL for any */
};
TAILQ_HEAD(conf_acls, conf_acl);

/* Which fields of a struct conf_quota were stated. */
#define QUOTA_PORTS		0x01
#define QUOTA_SESSIONS_PORT	0x02
#define QUOTA_SESSIONS_ALL	0x04
#define QUOTA_PENDING		0x08
#define QUOTA_LIFETIME		0x10

struct conf_quota {
	TAILQ_ENTRY(conf_quota)	 entry;
	struct jid		*jid;	/* bare; NULL: quota default */
	unsigned int		 set;	/* QUOTA_* bits; default has all */
	uint32_t		 ports;		/* registered at once */
	uint32_t		 sessions_port;	/* relays per port */
	uint32_t		 sessions_all;	/* relays of the JID */
	uint32_t		 pending;	/* unanswered, per port */
	uint32_t		 lifetime;	/* seconds a port may live */
	unsigned int		 line_sessions;	/* in the file; 0: default */
	unsigned int		 line_pending;
};
TAILQ_HEAD(conf_quotas, conf_quota);

/* contact KIND "uri": XEP-0157. */
enum conf_contact_kind {
	CONTACT_ABUSE, CONTACT_ADMIN, CONTACT_SECURITY, CONTACT_STATUS
};

struct conf_contact {
	TAILQ_ENTRY(conf_contact) entry;
	enum conf_contact_kind	 kind;
	char			*uri;
};
TAILQ_HEAD(conf_contacts, conf_contact);

struct conf_timeouts {			/* all in milliseconds */
	uint32_t	 answer;	/* owner's answer to a request */
	uint32_t	 connect;	/* owner's leg after the answer */
	uint32_t	 idle;		/* relay without a byte; 0: never */
	uint32_t	 half_close;	/* the same after the first FIN */
	uint32_t	 owner_gone;	/* grace before ports are closed */
	uint32_t	 stop;		/* relays at SIGTERM */
};

struct conf {
	struct jid		*component;	/* a domain */
	enum conf_server	 server;
	struct addr		 server_addr;	/* SERVER_ADDR, with port */
	uint16_t		 server_port;	/* SERVER_ADDR, SERVER_HOST */
	char			 server_host[CONF_HOST_MAX + 1];
	char			 server_path[CONF_PATH_MAX]; /* SERVER_UNIX */
	char			 secret_path[1024];
	struct conf_range	 ports;
	struct conf_range	 rendezvous;	/* unused with same-port */
	struct conf_listen	 listen4;
	struct conf_listen	 listen6;
	enum conf_leg		 owner_leg;
	int			 owner_full;	/* owner full */
	struct conf_acls	 acls;
	struct conf_quota	 quota_default;
	struct conf_quotas	 quotas;	/* quota "jid" */
	struct conf_contacts	 contacts;
	enum log_level		 log_level;
	struct conf_timeouts	 timeout;
};

/* Receives each error as "file:line: text" (no newline). */
typedef void	(*conf_error_fn)(const char *, void *);

/*
 * conf_parse(f, name, err, arg):
 * Read a configuration from the open stream ${f} (not closed), called
 * ${name} in error messages, and check it as a whole.  Every error is
 * handed to ${err} with ${arg}, not only the first.  Touches neither the
 * network nor any other file and needs no privilege.  Return a
 * configuration that the caller frees with conf_free(), or NULL if there
 * was an error.  A statement that this version does not enforce is an
 * error that names it.
 */
struct conf *conf_parse(FILE *, const char *, conf_error_fn, void *);

/* conf_free(c): free ${c}; NULL is allowed. */
void	 conf_free(struct conf *);

/*
 * conf_print(c, out):
 * Print the effective configuration to ${out}, defaults included, in the
 * grammar of passd.conf(5): conf_parse() of the output gives the same.
 */
void	 conf_print(const struct conf *, FILE *);

/*
 * conf_quota_for(c, j, q):
 * Fill ${q} with the limits in force for ${j}: quota "jid" of its bare JID
 * where stated, quota default elsewhere.  q->jid is not set.
 */
void	 conf_quota_for(const struct conf *, const struct jid *,
	    struct conf_quota *);

/*
 * conf_allowed(c, j, kind):
 * Return 1 if ${j} may register: the most specific of its allow and deny
 * rules (JID, then domain, then any) decides, deny wins a tie, no rule
 * means no.  ${kind}, unless NULL, gets the kind of the rule that decided:
 * ACL_ANY makes ownership a matter of full JIDs (PROTOCOL row 13).
 */
int	 conf_allowed(const struct conf *, const struct jid *,
	    enum acl_kind *);

/*
 * conf_link_exposed(c):
 * Return 1 if the component stream, which nothing encrypts, leaves this
 * machine as far as ${c} tells: the server is neither a UNIX socket nor a
 * loopback address nor "localhost".
 */
int	 conf_link_exposed(const struct conf *);

/*
 * conf_fixed_change(old, new):
 * Return NULL if a running passd can swap ${old} for ${new}, or the name
 * of the first statement that needs a new start (component, server, secret
 * file, ports, rendezvous ports, listen, owner leg).
 */
const char *conf_fixed_change(const struct conf *, const struct conf *);

#endif
