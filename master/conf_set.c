/* SPDX-License-Identifier: ISC */
/*
 * What each statement of passd.conf(5) may say.  parse.y calls these for
 * one statement at a time and neither knows nor cares what they make of it:
 * an error is reported and the statement leaves the default in place.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conf_source.h"

#define SHOW_MAX	48	/* bytes of the file in an error message */

/* What is not printable would forge lines or hide in them. */
const char *
conf_show(const char *text)
{
	static char	 bufs[2][SHOW_MAX + 4];
	static unsigned	 turn;
	char		*buf = bufs[turn++ % 2];
	size_t		 i, len;

	if ((len = strlen(text)) > SHOW_MAX) {
		len = SHOW_MAX;
		while (len > 0 && (text[len] & 0xc0) == 0x80)
			len--;
		memcpy(buf + len, "...", 4);
	} else
		buf[len] = '\0';
	for (i = 0; i < len; i++)
		buf[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ?
		    '?' : text[i];
	return (buf);
}

/*
 * Values.  Each returns 0, or reports an error and returns -1.
 */

/* A count: digits only, ${min} to ${max}. */
static int
get_count(struct conf_source *src, struct conf_token at, const char *text,
    unsigned int min, unsigned int max, uint32_t *out)
{
	const char	*errstr;
	long long	 n;

	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
		conf_error(src, at.line, "\"%s\": \"%s\" is not a number",
		    at.text, conf_show(text));
		return (-1);
	}
	n = strtonum(text, min, max, &errstr);
	if (errstr != NULL) {
		conf_error(src, at.line, "\"%s\": %s is %s (%u to %u)",
		    at.text, conf_show(text), errstr, min, max);
		return (-1);
	}
	*out = (uint32_t)n;
	return (0);
}

/* A time, ${min} to ${max} seconds, with its unit. */
static int
get_time(struct conf_source *src, struct conf_token at, const char *text,
    unsigned int min, unsigned int max, uint32_t *out)
{
	static const struct {
		char		 letter;
		unsigned int	 seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char		 digits[16], lowest[CONF_TIMELEN];
	char		 highest[CONF_TIMELEN];
	const char	*errstr = NULL;
	size_t		 i, len;
	long long	 n;

	len = strspn(text, "0123456789");
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[len] == units[i].letter)
			break;
	if (len == 0 || i == sizeof(units) / sizeof(units[0]) ||
	    text[len + 1] != '\0') {
		conf_error(src, at.line, "\"%s\": \"%s\" is not a time (a "
		    "number and s, m, h or d)", at.text, conf_show(text));
		return (-1);
	}
	if (len >= sizeof(digits))
		n = -1;
	else {
		memcpy(digits, text, len);
		digits[len] = '\0';
		n = strtonum(digits, 0, max, &errstr);
		n = errstr != NULL ? -1 : n * units[i].seconds;
	}
	if (n < min || n > max) {
		conf_error(src, at.line, "\"%s\": %s is out of range (%s to "
		    "%s)", at.text, conf_show(text),
		    conf_time(min, lowest), conf_time(max, highest));
		return (-1);
	}
	*out = (uint32_t)n;
	return (0);
}

/* A range of ports, A:B, or one port. */
static int
get_range(struct conf_source *src, struct conf_token at, const char *text,
    struct conf_range *r)
{
	static const char	 digits[] = "0123456789";
	char			 lo[8];
	const char		*hi = text;
	size_t			 len;
	uint32_t		 a, b;

	len = strspn(text, digits);
	if (text[len] == ':')
		hi = text + len + 1;
	if (len == 0 || len >= sizeof(lo) || *hi == '\0' ||
	    hi[strspn(hi, digits)] != '\0') {
		conf_error(src, at.line, "\"%s\": \"%s\" is not a range of "
		    "ports", at.text, conf_show(text));
		return (-1);
	}
	memcpy(lo, text, len);
	lo[len] = '\0';
	if (get_count(src, at, lo, CONF_PORT_MIN, 65535, &a) == -1 ||
	    get_count(src, at, hi, CONF_PORT_MIN, 65535, &b) == -1)
		return (-1);
	if (a > b) {
		conf_error(src, at.line, "\"%s\": %s: the first port is "
		    "higher than the last", at.text, conf_show(text));
		return (-1);
	}
	r->lo = (uint16_t)a;
	r->hi = (uint16_t)b;
	return (0);
}

static struct jid *
get_jid(struct conf_source *src, struct conf_token at, const char *text)
{
	struct jid	*j;

	if ((j = jid_parse(text)) != NULL)
		return (j);
	if (errno == EINVAL)
		conf_error(src, at.line, "\"%s\": \"%s\" is not a JID",
		    at.text, conf_show(text));
	else
		conf_error(src, at.line, "%s", strerror(errno));
	return (NULL);
}

static int
get_path(struct conf_source *src, struct conf_token at, const char *text,
    char *out, size_t size)
{
	if (text[0] != '/')
		conf_error(src, at.line, "\"%s\": \"%s\" is not an absolute "
		    "path", at.text, conf_show(text));
	else if (strlcpy(out, text, size) >= size)
		conf_error(src, at.line, "\"%s\": path of more than %zu "
		    "bytes", at.text, size - 1);
	else
		return (0);
	return (-1);
}

/* 1 if ${text} can be the name of a host and cannot be a bad address. */
static int
is_host_name(const char *text)
{
	size_t	 i, label = 0, digits = 0;

	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] == '.') {
			if (label == 0 || text[i + 1] == '\0')
				return (0);
			label = digits = 0;
			continue;
		}
		if (strchr("abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
		    text[i]) == NULL || ++label > 63 ||
		    (label == 1 && text[i] == '-'))
			return (0);
		if (text[i] >= '0' && text[i] <= '9')
			digits++;
	}
	/* RFC 1123 section 2.1: 127.0.0.300 is an address gone wrong. */
	return (i <= CONF_HOST_MAX && label > 0 && digits < label);
}

/* An address of this host that a socket can be bound to. */
static int
get_addr(struct conf_source *src, struct conf_token at, const char *text,
    struct addr *a)
{
	if (addr_parse(a, text) == -1)
		conf_error(src, at.line, "\"%s\": \"%s\" is not an address",
		    at.text, conf_show(text));
	else if (addr_is_link_local(a))
		conf_error(src, at.line, "\"%s\": %s is link-local, which "
		    "works on one network segment only", at.text,
		    conf_show(text));
	else if (!addr_is_unicast(a) && !addr_is_wildcard(a))
		conf_error(src, at.line, "\"%s\": %s is not the address of "
		    "one host", at.text, conf_show(text));
	else
		return (0);
	return (-1);
}

/*
 * Statements.
 */

/* 0 the first time ${stmt} is stated, else an error. */
static int
once(struct conf_source *src, struct conf_token at, enum conf_stmt stmt,
    const char *name)
{
	if (src->line[stmt] == 0) {
		src->line[stmt] = at.line;
		return (0);
	}
	conf_error(src, at.line, "\"%s\" is stated twice, first on line %u",
	    name, src->line[stmt]);
	return (-1);
}

void
conf_not_enforced(struct conf_source *src, struct conf_token at,
    const char *name)
{
	conf_error(src, at.line, "\"%s\" is not enforced by this version",
	    name);
}

void
conf_set_component(struct conf_source *src, struct conf_token at)
{
	struct jid	*j;
	const char	*text = at.text;

	at.text = "component";
	if (once(src, at, STMT_COMPONENT, at.text) == -1 ||
	    (j = get_jid(src, at, text)) == NULL)
		return;
	if (j->has_local || j->resource != NULL) {
		conf_error(src, at.line, "\"component\": \"%s\" is not a "
		    "domain", conf_show(text));
		jid_free(j);
		return;
	}
	src->conf->component = j;
}

void
conf_set_server(struct conf_source *src, struct conf_token at, const char *text,
    const char *port)
{
	uint32_t	 n = 5347;

	if (once(src, at, STMT_SERVER, "server") == -1 ||
	    (port != NULL && get_count(src, at, port, 1, 65535, &n) == -1))
		return;
	if (text[0] == '/') {
		if (port != NULL)
			conf_error(src, at.line, "\"server\": a socket in "
			    "the file system has no port");
		else if (get_path(src, at, text, src->conf->server_path,
		    sizeof(src->conf->server_path)) == 0)
			src->conf->server = SERVER_UNIX;
		return;
	}
	src->conf->server_port = (uint16_t)n;
	if (addr_parse(&src->conf->server_addr, text) == 0) {
		src->conf->server_addr.port = (uint16_t)n;
		src->conf->server = SERVER_ADDR;
		if (!addr_is_unicast(&src->conf->server_addr) ||
		    addr_is_link_local(&src->conf->server_addr))
			conf_error(src, at.line, "\"server\": cannot connect "
			    "to %s", conf_show(text));
	} else if (is_host_name(text)) {
		strlcpy(src->conf->server_host, text,
		    sizeof(src->conf->server_host));
		src->conf->server = SERVER_HOST;
	} else
		conf_error(src, at.line, "\"server\": \"%s\" is neither an "
		    "address nor a host name nor an absolute path",
		    conf_show(text));
}

void
conf_set_secret(struct conf_source *src, struct conf_token at, const char *path)
{
	at.text = "secret file";
	if (once(src, at, STMT_SECRET, at.text) == 0)
		get_path(src, at, path, src->conf->secret_path,
		    sizeof(src->conf->secret_path));
}

void
conf_set_ports(struct conf_source *src, struct conf_token at, const char *range)
{
	if (once(src, at, STMT_PORTS, at.text) == 0)
		get_range(src, at, range, &src->conf->ports);
}

void
conf_set_rendezvous(struct conf_source *src, struct conf_token at,
    const char *range)
{
	at.text = "rendezvous ports";
	if (once(src, at, STMT_RENDEZVOUS, at.text) == 0)
		get_range(src, at, range, &src->conf->rendezvous);
}

void
conf_set_listen(struct conf_source *src, struct conf_token at, const char *text,
    const char *advertise)
{
	struct addr		 bind, adv;
	struct conf_listen	*l;
	int			 v4;

	at.text = "listen on";
	if (get_addr(src, at, text, &bind) == -1)
		return;
	adv = bind;
	if (advertise != NULL) {
		at.text = "advertise";
		if (get_addr(src, at, advertise, &adv) == -1)
			return;
	}
	if (adv.family != bind.family) {
		conf_error(src, at.line, "\"advertise\": %s is of another "
		    "family than %s", conf_show(advertise), conf_show(text));
		return;
	}
	if (addr_is_wildcard(&adv)) {
		conf_error(src, at.line, advertise != NULL ?
		    "\"advertise\": nobody can connect to %s" :
		    "\"listen on\": %s needs \"advertise\" and the address "
		    "that clients connect to",
		    conf_show(advertise != NULL ? advertise : text));
		return;
	}
	v4 = bind.family == ADDR_V4;
	if (once(src, at, v4 ? STMT_LISTEN4 : STMT_LISTEN6, v4 ?
	    "listen on an IPv4 address" : "listen on an IPv6 address") == -1)
		return;
	l = v4 ? &src->conf->listen4 : &src->conf->listen6;
	l->set = 1;
	l->bind = bind;
	l->advertise = adv;
}

void
conf_set_owner_leg(struct conf_source *src, struct conf_token at,
    enum conf_leg leg)
{
	if (once(src, at, STMT_OWNER_LEG, "owner leg") == 0)
		src->conf->owner_leg = leg;
}

void
conf_set_owner(struct conf_source *src, struct conf_token at, int full)
{
	if (once(src, at, STMT_OWNER, "owner") == 0)
		src->conf->owner_full = full;
}

void
conf_set_log_level(struct conf_source *src, struct conf_token at,
    const char *level)
{
	static const char	*names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	size_t	 i;

	if (once(src, at, STMT_LOG, "log level") == -1)
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(level, names[i]) == 0) {
			src->conf->log_level = (enum log_level)i;
			return;
		}
	conf_error(src, at.line, "\"log level\": \"%s\" is none of error, "
	    "warn, info, debug", conf_show(level));
}

/* A bare JID or a domain; with ${user}, a bare JID only. */
static struct jid *
get_bare(struct conf_source *src, struct conf_token at, const char *text,
    int user)
{
	struct jid	*j;

	if ((j = get_jid(src, at, text)) == NULL)
		return (NULL);
	if (j->resource != NULL)
		conf_error(src, at.line, "\"%s\": \"%s\" has a resource, "
		    "which is not wanted here", at.text, conf_show(text));
	else if (user && !j->has_local)
		conf_error(src, at.line, "\"%s\": \"%s\" is a domain (\"quota "
		    "domain\" is not enforced by this version)", at.text,
		    conf_show(text));
	else
		return (j);
	jid_free(j);
	return (NULL);
}

void
conf_add_acl(struct conf_source *src, struct conf_token at, int deny,
    const char *text)
{
	struct conf_acl	*a, *b;
	unsigned int	 n = 0;

	if ((a = calloc(1, sizeof(*a))) == NULL) {
		conf_error(src, at.line, "%s", strerror(errno));
		return;
	}
	a->deny = deny;
	a->kind = ACL_ANY;
	if (text != NULL) {
		if ((a->jid = get_bare(src, at, text, 0)) == NULL)
			goto drop;
		a->kind = a->jid->has_local ? ACL_JID : ACL_DOMAIN;
	}
	TAILQ_FOREACH(b, &src->conf->acls, entry) {
		n++;
		if (a->deny == b->deny && a->kind == b->kind &&
		    (text == NULL || jid_same_bare(a->jid, b->jid))) {
			conf_error(src, at.line, "\"%s %s\" is stated twice",
			    at.text, text != NULL ? conf_show(text) : "any");
			goto drop;
		}
	}
	if (n >= CONF_RULES_MAX) {
		conf_error(src, at.line, "more than %u rules",
		    CONF_RULES_MAX);
		goto drop;
	}
	TAILQ_INSERT_TAIL(&src->conf->acls, a, entry);
	return;

drop:
	jid_free(a->jid);
	free(a);
}

/* scheme ":" and printable ASCII, RFC 3986 section 3. */
static int
is_uri(const char *text)
{
	size_t	 i;

	i = strspn(text, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	if (i == 0 || text[i] != ':' || text[i + 1] == '\0')
		return (0);
	for (; text[i] != '\0'; i++)
		if (text[i] <= ' ' || text[i] > '~' ||
		    strchr("\"<>\\^`{|}", text[i]) != NULL)
			return (0);
	return (i <= 1023);
}

static int
get_contact_kind(struct conf_source *src, struct conf_token at,
    const char *name, enum conf_contact_kind *kind)
{
	static const char	*names[] = {
		[CONTACT_ABUSE] = "abuse",
		[CONTACT_ADMIN] = "admin",
		[CONTACT_SECURITY] = "security",
		[CONTACT_STATUS] = "status",
	};
	size_t	 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0) {
			*kind = (enum conf_contact_kind)i;
			return (0);
		}
	conf_error(src, at.line, "\"contact\": \"%s\" is none of abuse, "
	    "admin, security, status", conf_show(name));
	return (-1);
}

void
conf_add_contact(struct conf_source *src, struct conf_token at,
    const char *name, const char *uri)
{
	struct conf_contact	*k;
	enum conf_contact_kind	 kind;
	unsigned int		 n = 0;

	if (get_contact_kind(src, at, name, &kind) == -1)
		return;
	if (!is_uri(uri)) {
		conf_error(src, at.line, "\"contact %s\": \"%s\" is not a "
		    "URI, such as mailto:abuse@example.org", name,
		    conf_show(uri));
		return;
	}
	TAILQ_FOREACH(k, &src->conf->contacts, entry) {
		n++;
		if (k->kind == kind && strcmp(k->uri, uri) == 0) {
			conf_error(src, at.line, "\"contact %s\" \"%s\" is "
			    "stated twice", name, conf_show(uri));
			return;
		}
	}
	if (n >= CONF_CONTACTS_MAX) {
		conf_error(src, at.line, "more than %u contacts",
		    CONF_CONTACTS_MAX);
		return;
	}
	if ((k = calloc(1, sizeof(*k))) == NULL ||
	    (k->uri = strdup(uri)) == NULL) {
		conf_error(src, at.line, "%s", strerror(errno));
		free(k);
		return;
	}
	k->kind = kind;
	TAILQ_INSERT_TAIL(&src->conf->contacts, k, entry);
}

/*
 * Quotas.  The items of a block go to *quota; those of a block that is
 * refused go to quota_waste, so that they are checked all the same.
 */
void
conf_quota_begin(struct conf_source *src, struct conf_token at,
    const char *text)
{
	struct conf_quota	*q, *other;
	struct jid		*j;
	unsigned int		 n = 0;

	memset(&src->waste, 0, sizeof(src->waste));
	src->quota = &src->waste;
	if (text == NULL) {
		if (once(src, at, STMT_QUOTA_DEFAULT, "quota default") == 0)
			src->quota = &src->conf->quota_default;
		return;
	}
	at.text = "quota";
	if ((j = get_bare(src, at, text, 1)) == NULL)
		return;
	TAILQ_FOREACH(other, &src->conf->quotas, entry) {
		n++;
		if (jid_same_bare(other->jid, j)) {
			conf_error(src, at.line, "\"quota %s\" is stated "
			    "twice", conf_show(text));
			jid_free(j);
			return;
		}
	}
	if (n >= CONF_RULES_MAX) {
		conf_error(src, at.line, "more than %u quotas",
		    CONF_RULES_MAX);
		jid_free(j);
		return;
	}
	if ((q = calloc(1, sizeof(*q))) == NULL) {
		conf_error(src, at.line, "%s", strerror(errno));
		jid_free(j);
		return;
	}
	q->jid = j;
	TAILQ_INSERT_TAIL(&src->conf->quotas, q, entry);
	src->quota = q;
}

/* The block of a quota that this version does not enforce. */
void
conf_quota_waste(struct conf_source *src, struct conf_token at,
    const char *name)
{
	memset(&src->waste, 0, sizeof(src->waste));
	src->quota = &src->waste;
	conf_not_enforced(src, at, name);
}

/* 0 the first time the block states ${what}, else an error. */
static int
quota_once(struct conf_source *src, struct conf_token at, unsigned int what)
{
	if (src->quota->set & what) {
		conf_error(src, at.line, "\"%s\" is stated twice in this "
		    "quota", at.text);
		return (-1);
	}
	src->quota->set |= what;
	return (0);
}

void
conf_quota_ports(struct conf_source *src, struct conf_token at, const char *n)
{
	if (quota_once(src, at, QUOTA_PORTS) == 0)
		get_count(src, at, n, 1, CONF_QUOTA_PORTS_MAX,
		    &src->quota->ports);
}

void
conf_quota_sessions(struct conf_source *src, struct conf_token at,
    const char *port, const char *all)
{
	if (quota_once(src, at, QUOTA_SESSIONS_PORT) == -1)
		return;
	if (get_count(src, at, port, 1, CONF_SESSIONS_MAX,
	    &src->quota->sessions_port) == -1)
		return;
	if (all != NULL) {
		src->quota->set |= QUOTA_SESSIONS_ALL;
		if (get_count(src, at, all, 1, CONF_SESSIONS_ALL_MAX,
		    &src->quota->sessions_all) == -1)
			return;
	}
	src->quota->line_sessions = at.line;
}

void
conf_quota_pending(struct conf_source *src, struct conf_token at, const char *n)
{
	if (quota_once(src, at, QUOTA_PENDING) == 0 &&
	    get_count(src, at, n, 1, CONF_PENDING_MAX,
	    &src->quota->pending) == 0)
		src->quota->line_pending = at.line;
}

void
conf_quota_lifetime(struct conf_source *src, struct conf_token at,
    const char *t)
{
	if (quota_once(src, at, QUOTA_LIFETIME) == 0)
		get_time(src, at, t, CONF_LIFETIME_MIN, CONF_LIFETIME_MAX,
		    &src->quota->lifetime);
}

void
conf_timeout_begin(struct conf_source *src, struct conf_token at)
{
	once(src, at, STMT_TIMEOUT, at.text);
}

void
conf_set_timeout(struct conf_source *src, struct conf_token at,
    enum conf_stmt stmt, const char *text)
{
	uint32_t	*out, seconds;
	unsigned int	 min = 1;

	switch (stmt) {
	case STMT_ANSWER:
		out = &src->conf->timeout.answer;
		break;
	case STMT_CONNECT:
		out = &src->conf->timeout.connect;
		break;
	case STMT_IDLE:
		out = &src->conf->timeout.idle;
		min = 0;
		break;
	case STMT_HALF_CLOSE:
		out = &src->conf->timeout.half_close;
		break;
	case STMT_OWNER_GONE:
		out = &src->conf->timeout.owner_gone;
		break;
	default:
		out = &src->conf->timeout.stop;
		break;
	}
	if (once(src, at, stmt, at.text) == 0 &&
	    get_time(src, at, text, min, CONF_TIMEOUT_MAX, &seconds) == 0)
		*out = seconds * 1000;
}

