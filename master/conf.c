/* SPDX-License-Identifier: ISC */
/*
 * The configuration as data: defaults, what the statements of a file must
 * keep to together, and the questions that control asks.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "conf_source.h"

/*
 * The defaults of passd.conf(5), safe on a public server: XEP-0003 serial
 * listening, one day at most.
 */
static const struct conf_quota	quota_defaults = {
	.ports = 4,
	.sessions_port = 1,
	.sessions_all = 8,
	.pending = 4,
	.lifetime = 24 * 60 * 60,
};

static const struct conf_timeouts timeout_defaults = {
	.answer = 30 * 1000,
	.connect = 30 * 1000,
	.idle = 10 * 60 * 1000,
	.half_close = 60 * 1000,
	.owner_gone = 10 * 1000,
	.stop = 10 * 1000,
};

#define QUOTA_EVERYTHING	(QUOTA_PORTS | QUOTA_SESSIONS_PORT | \
	    QUOTA_SESSIONS_ALL | QUOTA_PENDING | QUOTA_LIFETIME)

struct conf *
conf_new(void)
{
	struct conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return (NULL);
	TAILQ_INIT(&c->acls);
	TAILQ_INIT(&c->quotas);
	TAILQ_INIT(&c->contacts);
	c->owner_leg = LEG_RENDEZVOUS;
	c->log_level = LOG_LEVEL_INFO;
	c->quota_default = quota_defaults;
	c->timeout = timeout_defaults;
	return (c);
}

void
conf_free(struct conf *c)
{
	struct conf_acl		*a;
	struct conf_quota	*q;
	struct conf_contact	*k;

	if (c == NULL)
		return;
	while ((a = TAILQ_FIRST(&c->acls)) != NULL) {
		TAILQ_REMOVE(&c->acls, a, entry);
		jid_free(a->jid);
		free(a);
	}
	while ((q = TAILQ_FIRST(&c->quotas)) != NULL) {
		TAILQ_REMOVE(&c->quotas, q, entry);
		jid_free(q->jid);
		free(q);
	}
	while ((k = TAILQ_FIRST(&c->contacts)) != NULL) {
		TAILQ_REMOVE(&c->contacts, k, entry);
		free(k->uri);
		free(k);
	}
	jid_free(c->component);
	free(c);
}

void
conf_error(struct conf_source *src, unsigned int line, const char *fmt, ...)
{
	char	 text[1024], full[1536];
	va_list	 ap;

	if (src->errors > CONF_ERRORS_MAX)
		return;
	if (src->errors++ == CONF_ERRORS_MAX)
		strlcpy(text, "too many errors, giving up", sizeof(text));
	else {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	/* A long file name is cut, never the message. */
	snprintf(full, sizeof(full), "%.400s:%u: %s", src->name,
	    line, text);
	src->err(full, src->arg);
}

/* Without these there is nothing to run. */
static void
check_missing(struct conf_source *src)
{
	static const struct {
		enum conf_stmt	 stmt;
		const char	*name;
	} needed[] = {
		{ STMT_COMPONENT, "component" },
		{ STMT_SERVER, "server" },
		{ STMT_SECRET, "secret file" },
		{ STMT_PORTS, "ports" },
	};
	size_t	 i;

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (src->line[needed[i].stmt] == 0 &&
		    !src->tried[needed[i].stmt])
			conf_error(src, src->end, "\"%s\" is missing",
			    needed[i].name);
	if (src->line[STMT_LISTEN4] == 0 && src->line[STMT_LISTEN6] == 0 &&
	    !src->tried[STMT_LISTEN4])
		conf_error(src, src->end, "\"listen on\" is missing");
}

static void
check_ranges(const struct conf *c, struct conf_source *src)
{
	unsigned int	 a, b;

	if (c->rendezvous.lo == 0) {
		if (c->owner_leg == LEG_RENDEZVOUS &&
		    !src->tried[STMT_RENDEZVOUS] &&
		    src->line[STMT_RENDEZVOUS] == 0)
			conf_error(src, src->end, "\"rendezvous ports\" is "
			    "missing (needed unless \"owner leg same-port\")");
		return;
	}
	if (c->ports.lo == 0 || c->ports.hi < c->rendezvous.lo ||
	    c->rendezvous.hi < c->ports.lo)
		return;
	a = src->line[STMT_PORTS];
	b = src->line[STMT_RENDEZVOUS];
	conf_error(src, a > b ? a : b, "\"ports\" %u:%u (line %u) and "
	    "\"rendezvous ports\" %u:%u (line %u) overlap",
	    c->ports.lo, c->ports.hi, a, c->rendezvous.lo, c->rendezvous.hi,
	    b);
}

/* Checks one quota whose missing values come from ${eff}, at ${line}. */
static void
check_quota(const struct conf *c, struct conf_source *src,
    const struct conf_quota *q, const struct conf_quota *eff)
{
	/* What a JID's quota leaves to the default is reported there. */
	if (q->line_sessions != 0 && eff->sessions_port > eff->sessions_all)
		conf_error(src, q->line_sessions, "\"sessions\" %u per port "
		    "is more than the %u in all%s", eff->sessions_port,
		    eff->sessions_all, q->set & QUOTA_SESSIONS_ALL ? "" :
		    " of the default: state both");
	if (c->owner_leg != LEG_SAME_PORT)
		return;
	if (q->line_sessions != 0 && eff->sessions_port != 1)
		conf_error(src, q->line_sessions, "\"sessions\" must be 1 "
		    "per port with \"owner leg same-port\"");
	if (q->line_pending != 0 && eff->pending != 1)
		conf_error(src, q->line_pending, "\"pending\" must be 1 "
		    "per port with \"owner leg same-port\"");
}

void
conf_check(struct conf *c, struct conf_source *src)
{
	struct conf_quota	*q, eff;

	/* One port for both legs: two waiting clients could not be told. */
	if (c->owner_leg == LEG_SAME_PORT &&
	    !(c->quota_default.set & QUOTA_PENDING))
		c->quota_default.pending = 1;

	check_missing(src);
	check_ranges(c, src);
	check_quota(c, src, &c->quota_default, &c->quota_default);
	TAILQ_FOREACH(q, &c->quotas, entry) {
		conf_quota_for(c, q->jid, &eff);
		check_quota(c, src, q, &eff);
	}
	c->quota_default.set = QUOTA_EVERYTHING;
}

void
conf_quota_for(const struct conf *c, const struct jid *j,
    struct conf_quota *eff)
{
	const struct conf_quota	*q;

	*eff = c->quota_default;
	eff->jid = NULL;
	memset(&eff->entry, 0, sizeof(eff->entry));
	TAILQ_FOREACH(q, &c->quotas, entry)
		if (jid_same_bare(q->jid, j))
			break;
	if (q == NULL)
		return;
	if (q->set & QUOTA_PORTS)
		eff->ports = q->ports;
	if (q->set & QUOTA_SESSIONS_PORT)
		eff->sessions_port = q->sessions_port;
	if (q->set & QUOTA_SESSIONS_ALL)
		eff->sessions_all = q->sessions_all;
	if (q->set & QUOTA_PENDING)
		eff->pending = q->pending;
	if (q->set & QUOTA_LIFETIME)
		eff->lifetime = q->lifetime;
}

static int
acl_matches(const struct conf_acl *a, const struct jid *j)
{
	switch (a->kind) {
	case ACL_ANY:
		return (1);
	case ACL_DOMAIN:
		return (a->jid->domain_len == j->domain_len &&
		    memcmp(a->jid->domain, j->domain, j->domain_len) == 0);
	case ACL_JID:
		return (jid_same_bare(a->jid, j));
	}
	return (0);
}

int
conf_allowed(const struct conf *c, const struct jid *j, enum acl_kind *kind)
{
	const struct conf_acl	*a, *best = NULL;

	/* enum acl_kind is in the order of how specific a rule is. */
	TAILQ_FOREACH(a, &c->acls, entry) {
		if ((best != NULL && a->kind < best->kind) ||
		    !acl_matches(a, j))
			continue;
		if (best == NULL || a->kind > best->kind || a->deny)
			best = a;
	}
	if (kind != NULL)
		*kind = best != NULL ? best->kind : ACL_ANY;
	return (best != NULL && !best->deny);
}

static int
server_same(const struct conf *a, const struct conf *b)
{
	if (a->server != b->server || a->server_port != b->server_port)
		return (0);
	switch (a->server) {
	case SERVER_ADDR:
		return (addr_same_ip(&a->server_addr, &b->server_addr));
	case SERVER_HOST:
		return (strcasecmp(a->server_host, b->server_host) == 0);
	case SERVER_UNIX:
		return (strcmp(a->server_path, b->server_path) == 0);
	case SERVER_NONE:
		break;
	}
	return (1);
}

static int
range_same(const struct conf_range *a, const struct conf_range *b)
{
	return (a->lo == b->lo && a->hi == b->hi);
}

static int
listen_same(const struct conf_listen *a, const struct conf_listen *b)
{
	if (!a->set || !b->set)
		return (a->set == b->set);
	return (addr_same_ip(&a->bind, &b->bind) &&
	    addr_same_ip(&a->advertise, &b->advertise));
}

int
conf_link_exposed(const struct conf *c)
{
	switch (c->server) {
	case SERVER_ADDR:
		return (!addr_is_loopback(&c->server_addr));
	case SERVER_HOST:
		return (strcasecmp(c->server_host, "localhost") != 0);
	default:
		return (0);
	}
}

const char *
conf_fixed_change(const struct conf *old, const struct conf *new)
{
	if (!jid_same(old->component, new->component))
		return ("component");
	if (!server_same(old, new))
		return ("server");
	if (strcmp(old->secret_path, new->secret_path) != 0)
		return ("secret file");
	if (!range_same(&old->ports, &new->ports))
		return ("ports");
	if (old->owner_leg != new->owner_leg)
		return ("owner leg");
	if (old->owner_leg == LEG_RENDEZVOUS &&
	    !range_same(&old->rendezvous, &new->rendezvous))
		return ("rendezvous ports");
	if (!listen_same(&old->listen4, &new->listen4) ||
	    !listen_same(&old->listen6, &new->listen6))
		return ("listen");
	return (NULL);
}
