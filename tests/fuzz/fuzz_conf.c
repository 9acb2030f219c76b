/* SPDX-License-Identifier: ISC */
/*
 * The configuration: whatever the file holds, each error is one printable
 * line; and what is accepted is printed so that reading it again gives the
 * same configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "fuzz.h"

#define ERRORS_MAX	102	/* a hundred, "too many", and no more */

static void
on_error(const char *text, void *arg)
{
	unsigned int	*n = arg;
	size_t		 i;

	(*n)++;
	FUZZ_CHECK(strncmp(text, "fuzz:", 5) == 0, "%s", text);
	FUZZ_CHECK(text[5] >= '1' && text[5] <= '9', "%s", text);
	for (i = 0; text[i] != '\0'; i++)
		FUZZ_CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f,
		    "byte %d in an error", text[i]);
}

static struct conf *
parse(const char *text, size_t len)
{
	struct conf	*c;
	unsigned int	 errors = 0;
	FILE		*f;

	/* fmemopen(3) does not take an empty buffer everywhere. */
	if (len == 0)
		f = fopen("/dev/null", "r");
	else
		f = fmemopen((void *)(uintptr_t)text, len, "r");
	FUZZ_CHECK(f != NULL, "stream");
	c = conf_parse(f, "fuzz", on_error, &errors);
	fclose(f);
	FUZZ_CHECK((c == NULL) == (errors > 0), "%u errors", errors);
	FUZZ_CHECK(errors <= ERRORS_MAX, "%u errors", errors);
	return (c);
}

static char *
print(const struct conf *c, size_t *len)
{
	char	*text = NULL;
	FILE	*f = open_memstream(&text, len);

	FUZZ_CHECK(f != NULL, "stream");
	conf_print(c, f);
	fclose(f);
	return (text);
}

/* The questions that control asks have the same answers. */
static void
check_same(const struct conf *a, const struct conf *b)
{
	static const char *const	 names[] = {
		"alice@example.org/x", "bob@example.org", "example.net",
		"room@conference.example.org/nick"
	};
	struct conf_quota		 qa, qb;
	enum acl_kind			 ka, kb;
	struct jid			*j;
	size_t				 i;

	FUZZ_CHECK(conf_fixed_change(a, b) == NULL, "%s",
	    conf_fixed_change(a, b));
	FUZZ_CHECK(conf_link_exposed(a) == conf_link_exposed(b), "link");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		FUZZ_CHECK((j = jid_parse(names[i])) != NULL, "%s", names[i]);
		FUZZ_CHECK(conf_allowed(a, j, &ka) ==
		    conf_allowed(b, j, &kb) && ka == kb, "%s", names[i]);
		conf_quota_for(a, j, &qa);
		conf_quota_for(b, j, &qb);
		FUZZ_CHECK(qa.ports == qb.ports && qa.pending == qb.pending &&
		    qa.sessions_port == qb.sessions_port &&
		    qa.sessions_all == qb.sessions_all &&
		    qa.lifetime == qb.lifetime, "%s", names[i]);
		jid_free(j);
	}
	FUZZ_CHECK(memcmp(&a->timeout, &b->timeout, sizeof(a->timeout)) == 0,
	    "timeout");
}

/* What no accepted configuration may be without. */
static void
check_sane(const struct conf *c)
{
	FUZZ_CHECK(c->component != NULL && !c->component->has_local &&
	    c->component->resource == NULL, "component");
	FUZZ_CHECK(c->server != SERVER_NONE && c->secret_path[0] == '/',
	    "server or secret");
	FUZZ_CHECK(c->ports.lo >= CONF_PORT_MIN && c->ports.lo <= c->ports.hi,
	    "ports");
	FUZZ_CHECK(c->listen4.set || c->listen6.set, "listen");
	FUZZ_CHECK(c->owner_leg == LEG_SAME_PORT ||
	    (c->rendezvous.lo >= CONF_PORT_MIN &&
	    c->rendezvous.lo <= c->rendezvous.hi), "rendezvous");
	FUZZ_CHECK(c->rendezvous.lo == 0 || c->rendezvous.lo > c->ports.hi ||
	    c->rendezvous.hi < c->ports.lo, "overlap");
	FUZZ_CHECK(c->quota_default.ports > 0 &&
	    c->quota_default.sessions_port > 0 &&
	    c->quota_default.sessions_port <= c->quota_default.sessions_all &&
	    c->quota_default.pending > 0 &&
	    c->quota_default.lifetime >= CONF_LIFETIME_MIN, "quota");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct conf	*first, *second;
	char		*text, *again;
	size_t		 text_len, again_len;

	fuzz_seed(len);
	if ((first = parse((const char *)bytes, len)) == NULL)
		return (0);
	check_sane(first);
	text = print(first, &text_len);
	second = parse(text, text_len);
	FUZZ_CHECK(second != NULL, "refused:\n%s", text);
	again = print(second, &again_len);
	FUZZ_CHECK(strcmp(text, again) == 0, "printed:\n%s\nthen:\n%s", text,
	    again);
	check_same(first, second);
	conf_free(first);
	conf_free(second);
	free(text);
	free(again);
	return (0);
}
