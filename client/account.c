/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <readpassphrase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "jid.h"
#include "options.h"
#include "rc.h"
#include "ui.h"
#include "xalloc.h"

#define PASSWORD_MAX	1024

/* Read the first line of ${fd}.  Return it, or NULL if there is none. */
static char *
first_line(int fd)
{
	char	 buf[PASSWORD_MAX], *line = NULL;
	size_t	 len = 0;
	ssize_t	 n;

	while (len < sizeof(buf) - 1 &&
	    ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0 ||
	    (n == -1 && errno == EINTR))) {
		if (n > 0)
			len += (size_t)n;
	}
	buf[len] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	if (buf[0] != '\0')
		line = xstrdup(buf);
	explicit_bzero(buf, sizeof(buf));
	return (line);
}

static int
from_file(struct account *a, const char *name)
{
	struct stat	 st;
	char		*path = rc_path(name);
	int		 fd, status = 0;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1 ||
	    fstat(fd, &st) == -1)
		status = ui_fail(EXIT_LOGIN, "password file %s: %s", path,
		    strerror(errno));
	else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		status = ui_fail(EXIT_LOGIN, "password file %s: others may "
		    "read it; chmod 600 it", path);
	else if ((a->password = first_line(fd)) == NULL)
		status = ui_fail(EXIT_LOGIN, "password file %s: it is empty",
		    path);
	if (fd != -1)
		(void)close(fd);
	free(path);
	return (status);
}

static int
run_command(const char *command, int *from)
{
	int	 fds[2];
	pid_t	 pid;

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		return (-1);
	if (pid == 0) {
		if (dup2(fds[1], STDOUT_FILENO) != -1)
			(void)execl("/bin/sh", "sh", "-c", command,
			    (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	*from = fds[0];
	return ((int)pid);
}

static int
from_command(struct account *a, const char *command)
{
	int	 fd, pid, status;

	if ((pid = run_command(command, &fd)) == -1)
		return (ui_fail(EXIT_LOGIN, "password command: %s",
		    strerror(errno)));
	a->password = first_line(fd);
	(void)close(fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	/* What does not want to be read to its end is killed by SIGPIPE. */
	if (a->password != NULL && (status == 0 || WIFSIGNALED(status)))
		return (0);
	return (ui_fail(EXIT_LOGIN, "password command failed: %s", command));
}

static int
from_prompt(struct account *a)
{
	char	 buf[PASSWORD_MAX], prompt[JID_STRLEN + 32];
	int	 status = 0;

	(void)snprintf(prompt, sizeof(prompt), "Password of %s: ", a->jid);
	if (readpassphrase(prompt, buf, sizeof(buf), RPP_REQUIRE_TTY) == NULL)
		status = ui_fail(EXIT_LOGIN, "no password for %s; set "
		    "password file or password command in the configuration, "
		    "or PASSCAT_PASSWORD", a->jid);
	else
		a->password = xstrdup(buf);
	explicit_bzero(buf, sizeof(buf));
	return (status);
}

static int
load_password(struct account *a, const struct options *o,
    const struct rc *rc)
{
	char	*env = getenv("PASSCAT_PASSWORD");

	if (o->password_file != NULL)
		return (from_file(a, o->password_file));
	if (env != NULL) {
		a->password = xstrdup(env);
		/* Neither our children nor ps(1) e shall find it. */
		explicit_bzero(env, strlen(env));
		(void)unsetenv("PASSCAT_PASSWORD");
		return (0);
	}
	if (rc->password_file != NULL)
		return (from_file(a, rc->password_file));
	if (rc->password_command != NULL)
		return (from_command(a, rc->password_command));
	return (from_prompt(a));
}

static const char *
first(const char *a, const char *b, const char *c)
{
	return (a != NULL ? a : b != NULL ? b : c);
}

static int
load_jid(struct account *a, const char *text)
{
	struct jid	*j;

	if (text == NULL)
		return (ui_fail(EXIT_LOGIN, "who are you? Give -j "
		    "user@domain, or write account \"user@domain\" into "
		    "~/.config/passcat/config"));
	if ((j = jid_parse(text)) == NULL || !j->has_local ||
	    j->resource != NULL) {
		jid_free(j);
		return (ui_fail(EXIT_LOGIN, "%s: not an account, such as "
		    "alice@example.org", text));
	}
	a->jid = xstrdup(j->full);
	a->domain = strchr(a->jid, '@') + 1;
	jid_free(j);
	return (0);
}

static int
load_place(struct account *a, const struct options *o, const struct rc *rc)
{
	const char	*host = first(o->host, rc->host, NULL);
	const char	*ca = first(o->ca_file, rc->ca_file, NULL);
	const char	*service = first(o->service, rc->service, NULL);
	char		 name[256];

	if (host != NULL) {
		if (options_host_port(host, name, sizeof(name),
		    &a->port) == -1)
			return (ui_fail(EXIT_USAGE, "host %s: not HOST or "
			    "HOST:PORT", host));
		a->host = xstrdup(name);
	}
	if (ca != NULL) {
		a->ca_file = rc_path(ca);
		if (access(a->ca_file, R_OK) == -1)
			return (ui_fail(EXIT_LOGIN, "CA file %s: %s",
			    a->ca_file, strerror(errno)));
	}
	if (service != NULL)
		a->service = xstrdup(service);
	a->direct_tls = o->direct_tls || rc->direct_tls;
	return (0);
}

int
account_load(struct account *a, const struct options *o)
{
	struct rc	 rc;
	int		 status;

	memset(a, 0, sizeof(*a));
	status = rc_load(&rc, o->config);
	if (status == 0)
		status = load_jid(a, first(o->jid, getenv("PASSCAT_JID"),
		    rc.account));
	if (status == 0)
		status = load_place(a, o, &rc);
	if (status == 0)
		status = load_password(a, o, &rc);
	rc_clear(&rc);
	if (status != 0)
		account_clear(a);
	return (status);
}

void
account_clear(struct account *a)
{
	if (a->password != NULL)
		freezero(a->password, strlen(a->password));
	free(a->jid);
	free(a->host);
	free(a->ca_file);
	free(a->service);
	memset(a, 0, sizeof(*a));
}
