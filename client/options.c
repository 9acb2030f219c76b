/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "el.h"
#include "options.h"
#include "ui.h"

enum {
	O_ALLOW = 256, O_ASK, O_CA_FILE, O_CONFIG, O_DECLOAK, O_DIRECT_TLS,
	O_EXPIRE, O_FROM, O_HOST, O_IDLE, O_JSON, O_ONESHOT, O_PASSWORD_FILE,
	O_PROXY, O_REASON, O_SESSIONS, O_TIMEOUT, O_YES
};

static const struct option longopts[] = {
	{ "allow",		required_argument,	NULL, O_ALLOW },
	{ "ask",		no_argument,		NULL, O_ASK },
	{ "ca-file",		required_argument,	NULL, O_CA_FILE },
	{ "config",		required_argument,	NULL, O_CONFIG },
	{ "decloak",		required_argument,	NULL, O_DECLOAK },
	{ "direct-tls",		no_argument,		NULL, O_DIRECT_TLS },
	{ "expire",		required_argument,	NULL, O_EXPIRE },
	{ "from",		required_argument,	NULL, O_FROM },
	{ "help",		no_argument,		NULL, 'h' },
	{ "host",		required_argument,	NULL, O_HOST },
	{ "idle",		required_argument,	NULL, O_IDLE },
	{ "jid",		required_argument,	NULL, 'j' },
	{ "json",		no_argument,		NULL, O_JSON },
	{ "oneshot",		no_argument,		NULL, O_ONESHOT },
	{ "password-file",	required_argument,	NULL, O_PASSWORD_FILE },
	{ "proxy-protocol",	no_argument,		NULL, O_PROXY },
	{ "quiet",		no_argument,		NULL, 'q' },
	{ "reason",		required_argument,	NULL, O_REASON },
	{ "service",		required_argument,	NULL, 's' },
	{ "sessions",		required_argument,	NULL, O_SESSIONS },
	{ "timeout",		required_argument,	NULL, O_TIMEOUT },
	{ "verbose",		no_argument,		NULL, 'v' },
	{ "version",		no_argument,		NULL, 'V' },
	{ "yes",		no_argument,		NULL, O_YES },
	{ NULL,			0,			NULL, 0 }
};

/* Which commands know an option; 0: all do. */
static unsigned int
needs(int opt)
{
	switch (opt) {
	case O_ALLOW: case O_ASK:
		return (OPT_ACCESS);
	case O_YES:
		return (OPT_ACCESS | OPT_YES);
	case O_EXPIRE:
		return (OPT_PORT | OPT_EXPIRE);
	case O_IDLE: case O_ONESHOT: case O_SESSIONS:
		return (OPT_PORT);
	case O_PROXY:
		return (OPT_PROXY);
	case O_DECLOAK:
		return (OPT_DECLOAK);
	case O_FROM:
		return (OPT_FROM);
	case O_TIMEOUT:
		return (OPT_TIMEOUT);
	case O_REASON:
		return (OPT_REASON);
	default:
		return (0);
	}
}

int
options_seconds(const char *text, uint64_t *value)
{
	static const struct {
		char		 letter;
		uint64_t	 seconds;
	} unit[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t	 factor = 1;
	char		 digits[16];
	size_t		 i, len = strlen(text);

	for (i = 0; i < sizeof(unit) / sizeof(unit[0]) && len > 1; i++) {
		if (text[len - 1] == unit[i].letter) {
			factor = unit[i].seconds;
			len--;
			break;
		}
	}
	if (len == 0 || len > 9)
		return (-1);
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (el_number(digits, value) == -1 || *value == 0)
		return (-1);
	*value *= factor;
	return (0);
}

int
options_net(struct net *net, const char *text)
{
	const char	*slash = strchr(text, '/');
	uint64_t	 bits;
	char		 ip[ADDR_STRLEN];
	size_t		 len = slash == NULL ? strlen(text) :
			    (size_t)(slash - text);

	if (len >= sizeof(ip))
		return (-1);
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (addr_parse(&net->addr, ip) == -1)
		return (-1);
	net->bits = net->addr.family == ADDR_V4 ? 32 : 128;
	if (slash == NULL)
		return (0);
	if (el_number(slash + 1, &bits) == -1 || bits > net->bits)
		return (-1);
	net->bits = (unsigned int)bits;
	return (0);
}

int
options_net_has(const struct net *net, const struct addr *a)
{
	size_t		 whole = net->bits / 8;
	unsigned int	 rest = net->bits % 8;

	if (a->family != net->addr.family ||
	    memcmp(a->ip, net->addr.ip, whole) != 0)
		return (0);
	return (rest == 0 ||
	    ((a->ip[whole] ^ net->addr.ip[whole]) >> (8 - rest)) == 0);
}

int
options_host_port(const char *text, char *host, size_t size, uint16_t *port)
{
	const char	*colon = strrchr(text, ':'), *end;
	uint64_t	 n = 0;

	end = text + strlen(text);
	if (*text == '[') {
		if ((end = strchr(text, ']')) == NULL ||
		    (end[1] != '\0' && end[1] != ':'))
			return (-1);
		colon = end[1] == ':' ? end + 1 : NULL;
		text++;
	} else if (colon != NULL && strchr(text, ':') != colon)
		colon = NULL;		/* an IPv6 address without port */
	else if (colon != NULL)
		end = colon;
	if (colon != NULL && (el_number(colon + 1, &n) == -1 || n == 0 ||
	    n > UINT16_MAX))
		return (-1);
	if (end == text || (size_t)(end - text) >= size)
		return (-1);
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	*port = (uint16_t)n;
	return (0);
}

static void
print_usage(void)
{
	const struct command	*c;

	printf("usage:");
	for (c = commands; c->name != NULL; c++)
		printf("%s passcat [options] %s%s%s\n", c == commands ? "" :
		    "      ", c->name, *c->usage ? " " : "", c->usage);
	printf("account: -j JID  --config FILE  --password-file FILE  "
	    "--host HOST[:PORT]\n         --ca-file FILE  --direct-tls  "
	    "-s SERVICE\noutput:  -q  -v  --json\nAll options and their "
	    "meaning: man passcat\n");
}

static int
add_allow(struct options *o, const char *text)
{
	if (o->nallow == OPTIONS_ALLOW)
		return (ui_fail(EXIT_USAGE, "more than %d --allow",
		    OPTIONS_ALLOW));
	if (options_net(&o->allow[o->nallow], text) == -1)
		return (ui_fail(EXIT_USAGE, "--allow %s: not an address or "
		    "network, such as 198.51.100.7 or 2001:db8::/32", text));
	o->nallow++;
	return (0);
}

static int
add_decloak(struct options *o, const char *text)
{
	if (o->ndecloak == OPTIONS_DECLOAK)
		return (ui_fail(EXIT_USAGE, "more than %d --decloak",
		    OPTIONS_DECLOAK));
	o->decloak[o->ndecloak++] = text;
	return (0);
}

static int
set_seconds(uint64_t *value, const char *name, const char *text)
{
	if (options_seconds(text, value) == 0)
		return (0);
	return (ui_fail(EXIT_USAGE, "%s %s: not a time, such as 90, 10m or "
	    "2h", name, text));
}

static int
set_sessions(struct options *o, const char *text)
{
	if (el_number(text, &o->sessions) == 0 && o->sessions >= 1 &&
	    o->sessions <= 256)
		return (0);
	return (ui_fail(EXIT_USAGE, "--sessions %s: not a number from 1 to "
	    "256", text));
}

/* One option.  Return 0, -1 if there is nothing left to do, or a code. */
static int
one(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'j': o->jid = arg; break;
	case 's': o->service = arg; break;
	case 'q': o->quiet = 1; break;
	case 'v': o->verbose++; break;
	case 'h': print_usage(); return (-1);
	case 'V': printf("%s\n", PASSD_FEATURES); return (-1);
	case O_ALLOW: return (add_allow(o, arg));
	case O_ASK: o->ask = 1; break;
	case O_CA_FILE: o->ca_file = arg; break;
	case O_CONFIG: o->config = arg; break;
	case O_DECLOAK: return (add_decloak(o, arg));
	case O_DIRECT_TLS: o->direct_tls = 1; break;
	case O_EXPIRE: return (set_seconds(&o->expire, "--expire", arg));
	case O_FROM: o->from = arg; break;
	case O_HOST: o->host = arg; break;
	case O_IDLE: return (set_seconds(&o->idle, "--idle", arg));
	case O_JSON: o->json = 1; break;
	case O_ONESHOT: o->oneshot = 1; break;
	case O_PASSWORD_FILE: o->password_file = arg; break;
	case O_PROXY: o->proxy_protocol = 1; break;
	case O_REASON: o->reason = arg; break;
	case O_SESSIONS: return (set_sessions(o, arg));
	case O_TIMEOUT: return (set_seconds(&o->timeout, "--timeout", arg));
	case O_YES: o->yes = 1; break;
	default:
		/* getopt_long(3) has said which. */
		return (ui_fail(EXIT_USAGE, "try passcat -h"));
	}
	return (0);
}

static const struct command *
find_command(const char *name)
{
	const struct command	*c;

	for (c = commands; c->name != NULL; c++) {
		if (strcmp(c->name, name) == 0)
			return (c);
	}
	return (NULL);
}

static int
check(const struct command *c, const int *seen, size_t nseen, int n)
{
	const struct option	*l;
	size_t			 i;

	if (n < c->min || (c->max >= 0 && n > c->max))
		return (ui_fail(EXIT_USAGE, "usage: passcat [options] %s %s",
		    c->name, c->usage));
	for (i = 0; i < nseen; i++) {
		if (needs(seen[i]) == 0 || (needs(seen[i]) & c->options))
			continue;
		for (l = longopts; l->val != seen[i]; l++)
			;
		return (ui_fail(EXIT_USAGE, "passcat %s has no option --%s",
		    c->name, l->name));
	}
	return (0);
}

int
options_parse(struct options *o, int argc, char **argv,
    const struct command **command, char ***args, int *nargs)
{
	int	 seen[64];
	size_t	 nseen = 0;
	int	 opt, status;

	memset(o, 0, sizeof(*o));
	while ((opt = getopt_long(argc, argv, "hj:qs:vV", longopts,
	    NULL)) != -1) {
		if ((status = one(o, opt, optarg)) != 0)
			return (status);
		if (nseen < sizeof(seen) / sizeof(seen[0]))
			seen[nseen++] = opt;
	}
	ui_init(o->verbose, o->quiet, o->json, 0);
	if (optind == argc)
		return (ui_fail(EXIT_USAGE, "what is to be done? Try "
		    "passcat -h"));
	if ((*command = find_command(argv[optind])) == NULL)
		return (ui_fail(EXIT_USAGE, "there is no command %s; try "
		    "passcat -h", argv[optind]));
	*args = argv + optind + 1;
	*nargs = argc - optind - 1;
	if (o->ask && o->yes)
		return (ui_fail(EXIT_USAGE, "--ask and --yes exclude each "
		    "other"));
	return (check(*command, seen, nseen, *nargs));
}
