/* SPDX-License-Identifier: ISC */
/*
 * passd.conf(5).  tests/unit/conf holds the golden files: what NAME.in
 * prints, NAME.ok, or the errors it gives, NAME.err.  After a change that
 * is meant, CONF_GOLDEN=update makes the test write them anew; read the
 * difference before it is committed.
 */
#include <criterion/criterion.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

struct result {
	struct conf	*conf;
	char		*text;		/* printed, or the errors */
	size_t		 len;
};

static void
keep_error(const char *line, void *arg)
{
	fprintf(arg, "%s\n", line);
}

/* Parse ${f}; the text is the errors, or else what conf_print() says. */
static struct result
parse(FILE *f, const char *name)
{
	struct result	 r = { NULL, NULL, 0 };
	FILE		*out;

	out = open_memstream(&r.text, &r.len);
	cr_assert_not_null(out);
	if ((r.conf = conf_parse(f, name, keep_error, out)) != NULL) {
		cr_assert_eq(ftell(out), 0, "%s: an error, but a result",
		    name);
		conf_print(r.conf, out);
	}
	fclose(out);
	return (r);
}

static struct result
parse_text(const char *text, size_t len, const char *name)
{
	struct result	 r;
	FILE		*f;

	f = len > 0 ? fmemopen((void *)(uintptr_t)text, len, "r") :
	    fopen("/dev/null", "r");
	cr_assert_not_null(f);
	r = parse(f, name);
	fclose(f);
	return (r);
}

static void
result_free(struct result *r)
{
	conf_free(r->conf);
	free(r->text);
}

/* All of a file; NULL if there is none. */
static char *
slurp(const char *path, size_t *len)
{
	FILE	*f, *out;
	char	*text = NULL;
	int	 c;

	if ((f = fopen(path, "r")) == NULL)
		return (NULL);
	out = open_memstream(&text, len);
	cr_assert_not_null(out);
	while ((c = getc(f)) != EOF)
		putc(c, out);
	fclose(f);
	fclose(out);
	return (text);
}

static const char *
source_path(const char *name, char *buf, size_t size)
{
	const char	*dir = getenv("srcdir");

	snprintf(buf, size, "%s/%s", dir != NULL ? dir : ".", name);
	return (buf);
}

static void
update_golden(const char *path, const char *other, const struct result *r)
{
	FILE	*f;

	remove(other);
	cr_assert_not_null(f = fopen(path, "w"));
	fwrite(r->text, 1, r->len, f);
	fclose(f);
}

static void
check_golden(const char *in)
{
	struct result	 r, again;
	const char	*name = strrchr(in, '/') + 1;
	char		 ok[1024], err[1024], *want;
	size_t		 stem = strlen(in) - strlen("in"), len;
	FILE		*f;

	snprintf(ok, sizeof(ok), "%.*sok", (int)stem, in);
	snprintf(err, sizeof(err), "%.*serr", (int)stem, in);
	cr_assert_not_null(f = fopen(in, "r"));
	r = parse(f, name);
	fclose(f);
	if (getenv("CONF_GOLDEN") != NULL)
		update_golden(r.conf != NULL ? ok : err,
		    r.conf != NULL ? err : ok, &r);
	want = slurp(r.conf != NULL ? ok : err, &len);
	cr_expect_not_null(want, "%s: %s", name, r.conf != NULL ?
	    "parses, but should not" : r.text);
	if (want != NULL)
		cr_expect_str_eq(r.text, want, "%s:\n%s", name, r.text);
	free(want);
	if (r.conf != NULL) {
		again = parse_text(r.text, r.len, name);
		cr_expect_str_eq(again.text, r.text, "%s: what it prints "
		    "reads as\n%s", name, again.text);
		cr_expect(again.conf != NULL &&
		    conf_fixed_change(r.conf, again.conf) == NULL);
		result_free(&again);
	}
	result_free(&r);
}

Test(conf, golden)
{
	char	 pattern[1024];
	glob_t	 g;
	size_t	 i;

	source_path("tests/unit/conf/*.in", pattern, sizeof(pattern));
	cr_assert_eq(glob(pattern, 0, NULL, &g), 0, "no golden files");
	cr_expect_geq(g.gl_pathc, 40u);
	for (i = 0; i < g.gl_pathc; i++)
		check_golden(g.gl_pathv[i]);
	globfree(&g);
}

Test(conf, shipped_example)
{
	struct result	 r, again;
	char		 path[1024];
	FILE		*f;

	source_path("etc/passd.conf", path, sizeof(path));
	cr_assert_not_null(f = fopen(path, "r"));
	r = parse(f, "passd.conf");
	fclose(f);
	cr_assert_not_null(r.conf, "%s", r.text);
	again = parse_text(r.text, r.len, "printed");
	cr_expect_str_eq(r.text, again.text);
	result_free(&again);
	result_free(&r);
}

#define BASE	"component \"pass.example.org\"\n" \
		"server 127.0.0.1\n" \
		"secret file \"/etc/passd.secret\"\n" \
		"ports 28000:28999\n" \
		"rendezvous ports 29000:29499\n" \
		"listen on 192.0.2.1\n"

static struct conf *
must_parse(const char *text)
{
	struct result	 r;

	r = parse_text(text, strlen(text), "test");
	cr_assert_not_null(r.conf, "%s", r.text);
	free(r.text);
	return (r.conf);
}

/* 1 for "#word" and "#\tword", lines that etc/passd.conf offers. */
static int
is_offer(const char *line)
{
	return (line[0] == '#' && line[1] != ' ' && line[1] != '\n');
}

/* ... and for those of them whose values are examples, not defaults. */
static int
is_example(const char *line)
{
	static const char	*words[] = {
		"listen", "deny", "contact", "quota \""
	};
	size_t	 i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(line + 1, words[i], strlen(words[i])) == 0)
			return (1);
	return (0);
}

/*
 * The defaults that the example shows in comments have to be the defaults:
 * taken out of the comments, they change nothing.  The rest has to parse.
 */
static void
check_offers(int examples)
{
	struct result	 r, plain;
	char		 path[1024], *text, *line, *next, *all;
	size_t		 len, alllen;
	unsigned int	 offers = 0;
	FILE		*f;

	source_path("etc/passd.conf", path, sizeof(path));
	cr_assert_not_null(text = slurp(path, &len));
	plain = parse_text(text, len, "passd.conf");
	cr_assert_not_null(f = open_memstream(&all, &alllen));
	for (line = text; *line != '\0'; line = next) {
		next = strchr(line, '\n') + 1;
		if (is_offer(line) && (examples || !is_example(line))) {
			offers++;
			line++;
		}
		fwrite(line, 1, (size_t)(next - line), f);
	}
	fclose(f);
	r = parse_text(all, alllen, "offered");
	cr_expect_gt(offers, 15u);
	cr_expect_not_null(r.conf, "%s", r.text);
	if (!examples)
		cr_expect_str_eq(r.text, plain.text, "%s", r.text);
	result_free(&r);
	result_free(&plain);
	free(text);
	free(all);
}

Test(conf, shipped_example_offers)
{
	check_offers(0);
	check_offers(1);
}

/* What administrators copy from passd.conf(5). */
Test(conf, manual_examples)
{
	static const char	 begin[] = ".Bd -literal -offset indent\n"
				    "component ";
	struct result		 r;
	char			 path[1024], *text, *at, *end;
	unsigned int		 n = 0;
	size_t			 len;

	source_path("man/passd.conf.5", path, sizeof(path));
	cr_assert_not_null(text = slurp(path, &len));
	for (at = text; (at = strstr(at, begin)) != NULL; at = end) {
		at = strchr(at, '\n') + 1;
		cr_assert_not_null(end = strstr(at, "\n.Ed\n"));
		r = parse_text(at, (size_t)(end - at), "example");
		cr_expect_not_null(r.conf, "example %u:\n%s", n, r.text);
		result_free(&r);
		n++;
	}
	cr_expect_eq(n, 3u);
	free(text);
}

/* Any cut of a good file and any byte changed: an error or a result. */
Test(conf, damaged, .timeout = 60)
{
	static const char	 bytes[] = "\0\n\"\\{}# \x80\xff";
	struct result		 r;
	char			 path[1024], *text, c;
	size_t			 i, j, len;

	source_path("tests/unit/conf/full.in", path, sizeof(path));
	cr_assert_not_null(text = slurp(path, &len));
	for (i = 0; i < len; i++) {
		r = parse_text(text, i, "cut");
		cr_assert(r.conf != NULL || r.len > 0, "cut at %zu", i);
		result_free(&r);
		c = text[i];
		for (j = 0; j < sizeof(bytes) - 1; j++) {
			text[i] = bytes[j];
			r = parse_text(text, len, "changed");
			cr_assert(r.conf != NULL || r.len > 0,
			    "byte %zu as %02x", i, (unsigned char)bytes[j]);
			result_free(&r);
		}
		text[i] = c;
	}
	free(text);
}

Test(conf, file_size)
{
	struct result	 r;
	char		*text;

	text = malloc(CONF_FILE_MAX + 1);
	cr_assert_not_null(text);
	memset(text, '\n', CONF_FILE_MAX + 1);
	memcpy(text, BASE, sizeof(BASE) - 1);
	r = parse_text(text, CONF_FILE_MAX, "big");
	cr_expect_not_null(r.conf, "%s", r.text);
	result_free(&r);
	r = parse_text(text, CONF_FILE_MAX + 1, "big");
	cr_expect_str_eq(r.text, "big:1: more than 1048576 bytes\n");
	result_free(&r);
	/* The largest number of tokens, and of errors. */
	memset(text, ',', CONF_FILE_MAX);
	r = parse_text(text, CONF_FILE_MAX, "big");
	cr_expect_str_eq(r.text, "big:1: syntax error near \",\"\n"
	    "big:1: \"component\" is missing\n"
	    "big:1: \"server\" is missing\n"
	    "big:1: \"secret file\" is missing\n"
	    "big:1: \"ports\" is missing\n"
	    "big:1: \"listen on\" is missing\n"
	    "big:1: \"rendezvous ports\" is missing (needed unless "
	    "\"owner leg same-port\")\n");
	result_free(&r);
	free(text);
}

Test(conf, read_error)
{
	struct result	 r;
	FILE		*f;

	cr_assert_not_null(f = fopen("/", "r"));
	r = parse(f, "/");
	fclose(f);
	cr_expect_null(r.conf);
	cr_expect_str_eq(r.text, "/:1: Is a directory\n");
	result_free(&r);
}

Test(conf, too_many_rules, .timeout = 60)
{
	struct result	 r;
	char		*text;
	size_t		 len;
	FILE		*f;
	unsigned int	 i;

	cr_assert_not_null(f = open_memstream(&text, &len));
	fputs(BASE, f);
	for (i = 0; i <= CONF_RULES_MAX; i++)
		fprintf(f, "allow \"u%u@example.org\"\n", i);
	for (i = 0; i <= CONF_CONTACTS_MAX; i++)
		fprintf(f, "contact abuse \"mailto:u%u@example.org\"\n", i);
	fclose(f);
	r = parse_text(text, len, "many");
	cr_expect_str_eq(r.text, "many:10007: more than 10000 rules\n"
	    "many:10072: more than 64 contacts\n");
	result_free(&r);
	free(text);
}

/* As the reloads of a long-lived control process do. */
Test(conf, again_and_again)
{
	struct conf	*c;
	struct result	 r;
	int		 i;

	for (i = 0; i < 100; i++) {
		c = must_parse(BASE "quota default { ports 7 }\n");
		cr_assert_eq(c->quota_default.ports, 7u);
		conf_free(c);
		r = parse_text("quota \"a@b\" {\n", 14, "bad");
		cr_assert_null(r.conf);
		result_free(&r);
		/* Nothing of the ones before is left. */
		c = must_parse(BASE);
		cr_assert_eq(c->quota_default.ports, 4u);
		cr_assert(TAILQ_EMPTY(&c->quotas));
		conf_free(c);
	}
	conf_free(NULL);
}

Test(conf, server_forms)
{
	static const struct {
		const char	*text;
		enum conf_server kind;
		unsigned int	 port;
	} forms[] = {
		{ "127.0.0.1", SERVER_ADDR, 5347 },
		{ "127.0.0.1 port 5348", SERVER_ADDR, 5348 },
		{ "::1 port 1", SERVER_ADDR, 1 },
		{ "\"xmpp.example.org\" port 65535", SERVER_HOST, 65535 },
		{ "localhost", SERVER_HOST, 5347 },
		{ "\"/run/x.sock\"", SERVER_UNIX, 0 },
	};
	char		 text[512];
	struct conf	*c;
	size_t		 i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(text, sizeof(text), "component pass.example.org\n"
		    "server %s\nsecret file /s\nports 28000:28999\n"
		    "rendezvous ports 29000:29499\nlisten on ::1\n",
		    forms[i].text);
		c = must_parse(text);
		cr_expect_eq(c->server, forms[i].kind);
		cr_expect_eq(c->server_port, forms[i].port);
		if (c->server == SERVER_ADDR)
			cr_expect_eq(c->server_addr.port, forms[i].port);
		conf_free(c);
	}
}

static const char	acl_text[] = BASE
    "allow \"example.org\"\n"
    "deny \"spammer@example.org\"\n"
    "deny \"spam.example\"\n"
    "allow \"friend@spam.example\"\n"
    "allow \"torn@example.net\"\n"
    "deny \"torn@example.net\"\n"
    "deny \"torn.example\"\n"
    "allow \"torn.example\"\n";

struct acl_case {
	const char	*jid;
	int		 allowed;
	enum acl_kind	 kind;
};

static void
check_acl(const char *text, const struct acl_case *cases, size_t n)
{
	enum acl_kind	 kind;
	struct conf	*c;
	struct jid	*j;
	size_t		 i;

	c = must_parse(text);
	for (i = 0; i < n; i++) {
		cr_assert_not_null(j = jid_parse(cases[i].jid));
		cr_expect_eq(conf_allowed(c, j, &kind), cases[i].allowed,
		    "%s", cases[i].jid);
		cr_expect_eq(conf_allowed(c, j, NULL), cases[i].allowed);
		cr_expect_eq(kind, cases[i].kind, "%s", cases[i].jid);
		jid_free(j);
	}
	conf_free(c);
}

Test(conf, allowed)
{
	static const struct acl_case	 cases[] = {
		{ "alice@example.org", 1, ACL_DOMAIN },
		{ "ALICE@Example.Org./home", 1, ACL_DOMAIN },
		{ "example.org", 1, ACL_DOMAIN },
		{ "alice@sub.example.org", 0, ACL_ANY },
		{ "alice@notexample.org", 0, ACL_ANY },
		{ "alice@example.org.example", 0, ACL_ANY },
		{ "spammer@example.org/x", 0, ACL_JID },
		{ "spammer@spam.example", 0, ACL_DOMAIN },
		{ "friend@spam.example/y", 1, ACL_JID },
		{ "torn@example.net", 0, ACL_JID },
		{ "torn@torn.example", 0, ACL_DOMAIN },
		{ "stranger@example.com", 0, ACL_ANY },
	};

	check_acl(acl_text, cases, sizeof(cases) / sizeof(cases[0]));
}

Test(conf, allowed_any)
{
	static const struct acl_case	 any[] = {
		{ "alice@example.org", 1, ACL_DOMAIN },
		{ "spammer@example.org", 0, ACL_JID },
		{ "stranger@example.com", 1, ACL_ANY },
	};
	static const struct acl_case	 torn[] = {
		{ "stranger@example.com", 0, ACL_ANY },
	};
	static const struct acl_case	 none[] = {
		{ "alice@example.org", 0, ACL_ANY },
		{ "pass.example.org", 0, ACL_ANY },
	};
	char	 text[2048];

	snprintf(text, sizeof(text), "%sallow any\n", acl_text);
	check_acl(text, any, sizeof(any) / sizeof(any[0]));
	check_acl(BASE "allow any\ndeny any\n", torn, 1);
	check_acl(BASE "deny any\nallow any\n", torn, 1);
	check_acl(BASE, none, 2);
}

Test(conf, quota_for)
{
	static const struct {
		const char	*jid;
		uint32_t	 ports, sessions_port, sessions_all, pending;
		uint32_t	 lifetime;
	} cases[] = {
		{ "bob@example.org", 4, 2, 8, 4, 86400 },
		{ "alice@example.org", 9, 2, 8, 4, 3600 },
		{ "Alice@EXAMPLE.org/phone", 9, 2, 8, 4, 3600 },
		{ "carol@example.org", 4, 1, 3, 9, 86400 },
		{ "dave@example.org", 4, 5, 8, 4, 86400 },
		{ "alice@example.net", 4, 2, 8, 4, 86400 },
		{ "example.org", 4, 2, 8, 4, 86400 },
	};
	struct conf_quota	 q;
	struct conf		*c;
	struct jid		*j;
	size_t			 i;

	c = must_parse(BASE "quota default { sessions 2 per port }\n"
	    "quota \"alice@example.org\" { ports 9 lifetime 1h }\n"
	    "quota \"carol@example.org\" { sessions 1 per port, 3 in all\n"
	    "pending 9 per port }\n"
	    "quota \"dave@example.org\" { sessions 5 per port }\n");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_not_null(j = jid_parse(cases[i].jid));
		memset(&q, 0xff, sizeof(q));
		conf_quota_for(c, j, &q);
		cr_expect_null(q.jid);
		cr_expect_eq(q.ports, cases[i].ports, "%s", cases[i].jid);
		cr_expect_eq(q.sessions_port, cases[i].sessions_port);
		cr_expect_eq(q.sessions_all, cases[i].sessions_all);
		cr_expect_eq(q.pending, cases[i].pending);
		cr_expect_eq(q.lifetime, cases[i].lifetime);
		jid_free(j);
	}
	conf_free(c);
}

Test(conf, fixed_change)
{
	static const char	 old[] = "component \"pass.example.org\"\n"
	    "server 127.0.0.1\nsecret file \"/s\"\nports 28000:28999\n"
	    "rendezvous ports 29000:29499\nlisten on 192.0.2.1\n";
	static const struct {
		const char	*from, *to, *name;
	} changes[] = {
		{ "pass.example.org", "paso.example.org", "component" },
		{ "127.0.0.1", "127.0.0.2", "server" },
		{ "127.0.0.1", "127.0.0.1 port 5348", "server" },
		{ "127.0.0.1", "localhost", "server" },
		{ "127.0.0.1", "/run/s", "server" },
		{ "\"/s\"", "\"/t\"", "secret file" },
		{ "28999", "28998", "ports" },
		{ "29499", "29498", "rendezvous ports" },
		{ "on 192.0.2.1", "on 192.0.2.2", "listen" },
		{ "on 192.0.2.1", "on 192.0.2.1 advertise 192.0.2.9",
		    "listen" },
		{ "listen", "listen on ::1\nlisten", "listen" },
		{ "listen", "owner leg same-port\nlisten", "owner leg" },
		{ "127.0.0.1", "127.0.0.1 port 5347", NULL },
		{ "pass.example.org", "Pass.example.org.", NULL },
		{ "listen", "allow any\nowner full\nlog level debug\n"
		    "quota default { ports 9 }\nquota \"a@b\" { ports 8 }\n"
		    "contact abuse \"mailto:a@b\"\ntimeout { idle 1h }\n"
		    "listen", NULL },
	};
	char		 text[1024], *at;
	const char	*name;
	struct conf	*a, *b;
	size_t		 i;

	a = must_parse(old);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		at = strstr(old, changes[i].from);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - old),
		    old, changes[i].to, at + strlen(changes[i].from));
		b = must_parse(text);
		name = conf_fixed_change(a, b);
		if (changes[i].name == NULL)
			cr_expect_null(name, "%s", name);
		else
			cr_expect(name != NULL &&
			    strcmp(name, changes[i].name) == 0, "%s: %s",
			    changes[i].to, name);
		conf_free(b);
	}
	conf_free(a);
}
