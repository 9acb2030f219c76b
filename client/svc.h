/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_SVC_H
#define CLIENT_SVC_H

#include <sys/types.h>
#include <sys/queue.h>

/* PASS services of the account's server, found by disco (XEP-0030). */

struct limit {			/* a field of a form of XEP-0128 */
	char			*name;
	char			*value;
	STAILQ_ENTRY(limit)	 entry;
};

struct svc {
	char			*jid;
	char			*name;		/* or NULL */
	STAILQ_HEAD(, limit)	 limits;
	STAILQ_ENTRY(svc)	 entry;
};
STAILQ_HEAD(svc_list, svc);

/*
 * svc_find(list):
 * Put the server's PASS services into ${list}; it may stay empty.  Return 0,
 * or an exit code after it was said why not.  Runs the loop.
 */
int	svc_find(struct svc_list *);

/* svc_clear(list): free the list. */
void	svc_clear(struct svc_list *);

/*
 * svc_choose(given, service, size):
 * Write the JID of the service to be used into ${service}: ${given}, or if
 * that is NULL the one that svc_find() finds.  Return as svc_find(), or
 * EXIT_SERVICE if there is none.
 */
int	svc_choose(const char *, char *, size_t);

#endif
