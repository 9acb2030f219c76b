/* SPDX-License-Identifier: ISC */
/*
 * The effective configuration in the grammar of passd.conf(5).
 */
#include <inttypes.h>
#include <stdio.h>

#include "conf.h"
#include "conf_source.h"

/* The two characters that end or escape in a string; see parse.y. */
static void
print_quoted(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

const char *
conf_time(uint32_t seconds, char buf[CONF_TIMELEN])
{
	static const struct {
		uint32_t	 length;
		char		 letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	size_t	 i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (seconds != 0 && seconds % units[i].length == 0) {
			snprintf(buf, CONF_TIMELEN, "%" PRIu32 "%c",
			    seconds / units[i].length, units[i].letter);
			return (buf);
		}
	snprintf(buf, CONF_TIMELEN, "%" PRIu32 "s", seconds);
	return (buf);
}

static void
print_time(FILE *out, const char *name, uint32_t seconds)
{
	char	 buf[CONF_TIMELEN];

	fprintf(out, "\t%s %s\n", name, conf_time(seconds, buf));
}

static void
print_server(const struct conf *c, FILE *out)
{
	char	 buf[ADDR_STRLEN];

	fputs("server ", out);
	switch (c->server) {
	case SERVER_ADDR:
		fprintf(out, "%s port %u", addr_format(&c->server_addr, buf),
		    c->server_port);
		break;
	case SERVER_HOST:
		print_quoted(out, c->server_host);
		fprintf(out, " port %u", c->server_port);
		break;
	case SERVER_UNIX:
		print_quoted(out, c->server_path);
		break;
	case SERVER_NONE:
		break;
	}
	putc('\n', out);
}

static void
print_listen(const struct conf_listen *l, FILE *out)
{
	char	 buf[ADDR_STRLEN];

	if (!l->set)
		return;
	fprintf(out, "listen on %s", addr_format(&l->bind, buf));
	fprintf(out, " advertise %s\n", addr_format(&l->advertise, buf));
}

static void
print_acls(const struct conf *c, FILE *out)
{
	const struct conf_acl	*a;

	if (!TAILQ_EMPTY(&c->acls))
		putc('\n', out);
	TAILQ_FOREACH(a, &c->acls, entry) {
		fputs(a->deny ? "deny " : "allow ", out);
		if (a->kind == ACL_ANY)
			fputs("any", out);
		else
			print_quoted(out, a->jid->full);
		putc('\n', out);
	}
}

static void
print_contacts(const struct conf *c, FILE *out)
{
	static const char	*names[] = {
		[CONTACT_ABUSE] = "abuse",
		[CONTACT_ADMIN] = "admin",
		[CONTACT_SECURITY] = "security",
		[CONTACT_STATUS] = "status",
	};
	const struct conf_contact *k;

	if (!TAILQ_EMPTY(&c->contacts))
		putc('\n', out);
	TAILQ_FOREACH(k, &c->contacts, entry) {
		fprintf(out, "contact %s ", names[k->kind]);
		print_quoted(out, k->uri);
		putc('\n', out);
	}
}

static void
print_quota(const struct conf_quota *q, FILE *out)
{
	fputs("\nquota ", out);
	if (q->jid != NULL)
		print_quoted(out, q->jid->full);
	else
		fputs("default", out);
	fputs(" {\n", out);
	if (q->set & QUOTA_PORTS)
		fprintf(out, "\tports %" PRIu32 "\n", q->ports);
	if (q->set & QUOTA_SESSIONS_PORT) {
		fprintf(out, "\tsessions %" PRIu32 " per port",
		    q->sessions_port);
		if (q->set & QUOTA_SESSIONS_ALL)
			fprintf(out, ", %" PRIu32 " in all",
			    q->sessions_all);
		putc('\n', out);
	}
	if (q->set & QUOTA_PENDING)
		fprintf(out, "\tpending %" PRIu32 " per port\n", q->pending);
	if (q->set & QUOTA_LIFETIME)
		print_time(out, "lifetime", q->lifetime);
	fputs("}\n", out);
}

static void
print_timeouts(const struct conf_timeouts *t, FILE *out)
{
	fputs("\ntimeout {\n", out);
	print_time(out, "answer", t->answer / 1000);
	print_time(out, "connect", t->connect / 1000);
	print_time(out, "idle", t->idle / 1000);
	print_time(out, "half-close", t->half_close / 1000);
	print_time(out, "owner-gone", t->owner_gone / 1000);
	print_time(out, "stop", t->stop / 1000);
	fputs("}\n", out);
}

void
conf_print(const struct conf *c, FILE *out)
{
	static const char	*levels[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	const struct conf_quota	*q;

	fputs("component ", out);
	print_quoted(out, c->component->full);
	putc('\n', out);
	print_server(c, out);
	fputs("secret file ", out);
	print_quoted(out, c->secret_path);
	fprintf(out, "\n\nports %u:%u\n", c->ports.lo, c->ports.hi);
	if (c->rendezvous.lo != 0)
		fprintf(out, "rendezvous ports %u:%u\n", c->rendezvous.lo,
		    c->rendezvous.hi);
	print_listen(&c->listen4, out);
	print_listen(&c->listen6, out);
	fprintf(out, "owner leg %s\n", c->owner_leg == LEG_SAME_PORT ?
	    "same-port" : "rendezvous");
	fprintf(out, "owner %s\n", c->owner_full ? "full" : "bare");
	print_acls(c, out);
	print_contacts(c, out);
	fprintf(out, "\nlog level %s\n", levels[c->log_level]);
	print_quota(&c->quota_default, out);
	TAILQ_FOREACH(q, &c->quotas, entry)
		print_quota(q, out);
	print_timeouts(&c->timeout, out);
}
