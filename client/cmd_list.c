/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "el.h"
#include "pass.h"
#include "svc.h"
#include "ui.h"

#define PORTS_MAX	1024

static struct pass_port	 ports[PORTS_MAX];

/* Log in and fetch our ports.  Return their number or -1 minus a code. */
static int
fetch(struct options *o, uint64_t *limit)
{
	char	 service[PASS_JID_MAX];
	int	 status;

	if ((status = client_begin(o, 0)) != 0)
		return (-1 - status);
	client_lock(NULL, 0);
	if ((status = client_service(o, service, sizeof(service))) != 0)
		return (-1 - status);
	return (pass_list(service, ports, PORTS_MAX, limit));
}

static void
show(const struct pass_port *p)
{
	struct event	 e;
	size_t		 i;

	ui_event(&e, "port");
	ui_num(&e, "port", p->port);
	ui_str(&e, "host", p->host[0]);
	if (p->nhosts > 1)
		ui_str(&e, "host2", p->host[1]);
	ui_str(&e, "service", p->service);
	ui_end(&e);
	for (i = 0; i < p->nhosts; i++)
		ui_result("%s %u", p->host[i], p->port);
}

int
cmd_list(struct options *o, char **args, int nargs)
{
	uint64_t	 limit;
	int		 i, n;

	(void)args;
	(void)nargs;
	if ((n = fetch(o, &limit)) < 0)
		return (client_end(-1 - n));
	for (i = 0; i < n; i++)
		show(&ports[i]);
	if (limit > 0)
		ui_say("%d of %llu ports", n, (unsigned long long)limit);
	return (client_end(EXIT_DONE));
}

/* Which of our ports an operand means.  Return its index or -1. */
static int
find(const char *text, int n)
{
	uint64_t	 number;
	int		 i;

	if (el_number(text, &number) == -1)
		return (-1);
	for (i = 0; i < n; i++) {
		if (ports[i].port == number)
			return (i);
	}
	return (-1);
}

static int
close_one(struct pass_port *p)
{
	struct event	 e;
	unsigned int	 number = p->port;
	int		 code = pass_close(p);

	if (code != 0)
		return (ui_fail(code, "port %u could not be closed; see "
		    "passcat list", number));
	ui_event(&e, "closed");
	ui_num(&e, "port", (int64_t)number);
	ui_end(&e);
	ui_say("port %u closed", number);
	return (0);
}

static int
check(char **args, int nargs)
{
	uint64_t	 number;
	int		 i;

	if (nargs == 1 && strcmp(args[0], "all") == 0)
		return (0);
	for (i = 0; i < nargs; i++) {
		if (el_number(args[i], &number) == -1 || number == 0 ||
		    number > UINT16_MAX)
			return (ui_fail(EXIT_USAGE, "%s: not a port number, "
			    "nor all", args[i]));
	}
	return (0);
}

int
cmd_close(struct options *o, char **args, int nargs)
{
	uint64_t	 limit;
	int		 i, k, n, one, code;

	if ((code = check(args, nargs)) != 0)
		return (code);
	if ((n = fetch(o, &limit)) < 0)
		return (client_end(-1 - n));
	if (nargs == 1 && strcmp(args[0], "all") == 0) {
		for (i = 0; i < n; i++) {
			if ((one = close_one(&ports[i])) != 0)
				code = one;
		}
		return (client_end(code));
	}
	for (i = 0; i < nargs; i++) {
		if ((k = find(args[i], n)) == -1)
			code = ui_fail(EXIT_SERVICE, "you have no port %s; "
			    "see passcat list", args[i]);
		else if ((one = close_one(&ports[k])) != 0)
			code = one;
	}
	return (client_end(code));
}

int
cmd_services(struct options *o, char **args, int nargs)
{
	struct svc_list	 list;
	struct svc	*s;
	struct limit	*l;
	struct event	 e;
	int		 status;

	(void)args;
	(void)nargs;
	if ((status = client_begin(o, 0)) != 0)
		return (client_end(status));
	client_lock(NULL, 0);
	if ((status = svc_find(&list)) != 0)
		return (client_end(status));
	STAILQ_FOREACH(s, &list, entry) {
		ui_event(&e, "service");
		ui_str(&e, "jid", s->jid);
		ui_str(&e, "name", s->name);
		STAILQ_FOREACH(l, &s->limits, entry)
			ui_str(&e, l->name, l->value);
		ui_end(&e);
		ui_result("%s%s%s", s->jid, s->name != NULL ? "  " : "",
		    s->name != NULL ? s->name : "");
		STAILQ_FOREACH(l, &s->limits, entry)
			ui_result("    %s  %s", l->name, l->value);
	}
	if (STAILQ_EMPTY(&list))
		status = ui_fail(EXIT_SERVICE, "the server tells of no PASS "
		    "service; one of another server can be named with -s");
	svc_clear(&list);
	return (client_end(status));
}
