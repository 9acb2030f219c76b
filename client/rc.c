/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rc.h"
#include "ui.h"
#include "xalloc.h"

#define WORDS	4

char *
rc_path(const char *path)
{
	const char	*home = getenv("HOME");
	char		*full;
	size_t		 size;

	if (strncmp(path, "~/", 2) != 0 || home == NULL)
		return (xstrdup(path));
	size = strlen(home) + strlen(path);
	full = xcalloc(1, size);
	(void)snprintf(full, size, "%s%s", home, path + 1);
	return (full);
}

/* $XDG_CONFIG_HOME/passcat/config, or ~/.config/passcat/config, or NULL. */
static char *
usual_path(void)
{
	const char	*dir = getenv("XDG_CONFIG_HOME");
	char		*path;
	size_t		 size;

	if (dir == NULL || *dir != '/')
		return (getenv("HOME") == NULL ? NULL :
		    rc_path("~/.config/passcat/config"));
	size = strlen(dir) + sizeof("/passcat/config");
	path = xcalloc(1, size);
	(void)snprintf(path, size, "%s/passcat/config", dir);
	return (path);
}

/*
 * Split a line in place.  In double quotes a backslash takes the next
 * character as it is.  Return the number of words, or -1: an open quote, or
 * too many of them.
 */
static int
split(char *line, char *word[WORDS])
{
	char	*in = line, *out;
	int	 n = 0, quoted;

	for (;;) {
		in += strspn(in, " \t\r\n");
		if (*in == '\0' || *in == '#')
			return (n);
		if (n == WORDS)
			return (-1);
		word[n++] = out = in;
		quoted = 0;
		for (; *in != '\0'; in++) {
			if (*in == '"') {
				quoted = !quoted;
				continue;
			}
			if (!quoted && strchr(" \t\r\n", *in) != NULL)
				break;
			if (quoted && *in == '\\' && in[1] != '\0')
				in++;
			*out++ = *in;
		}
		if (quoted)
			return (-1);
		if (*in != '\0')
			in++;
		*out = '\0';
	}
}

/* The settings that take one string, by their one or two words. */
static char **
find(struct rc *rc, char **word, int *n)
{
	struct {
		const char	*first, *second;
		char		**value;
	} table[] = {
		{ "account",	NULL,		&rc->account },
		{ "password",	"file",		&rc->password_file },
		{ "password",	"command",	&rc->password_command },
		{ "host",	NULL,		&rc->host },
		{ "ca",		"file",		&rc->ca_file },
		{ "service",	NULL,		&rc->service },
	};
	size_t	 i;
	int	 used;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		used = table[i].second == NULL ? 1 : 2;
		if (strcmp(word[0], table[i].first) != 0 ||
		    (used == 2 && (*n < 2 ||
		    strcmp(word[1], table[i].second) != 0)))
			continue;
		*n -= used;
		return (table[i].value);
	}
	return (NULL);
}

/* One line.  Return NULL, or what is wrong with it. */
static const char *
setting(struct rc *rc, char **word, int n)
{
	char	**value;
	int	 rest = n;

	if (n == 2 && strcmp(word[0], "direct") == 0 &&
	    strcmp(word[1], "tls") == 0) {
		rc->direct_tls = 1;
		return (NULL);
	}
	if ((value = find(rc, word, &rest)) == NULL)
		return (strcmp(word[0], "password") == 0 ?
		    "a password does not belong here; say password file or "
		    "password command" : "no such setting");
	if (rest != 1)
		return ("one value is needed, in quotes if it has spaces");
	if (*value != NULL)
		return ("set twice");
	*value = xstrdup(word[n - 1]);
	return (NULL);
}

static int
read_lines(struct rc *rc, FILE *f, const char *path)
{
	const char	*wrong;
	char		*line = NULL, *word[WORDS];
	size_t		 size = 0;
	int		 n, number = 0, status = 0;

	while (getline(&line, &size, f) != -1) {
		number++;
		n = split(line, word);
		if (n == 0)
			continue;
		wrong = n == -1 ? "an open quote, or too many words" :
		    setting(rc, word, n);
		if (wrong != NULL)
			status = ui_fail(EXIT_USAGE, "%s:%d: %s", path,
			    number, wrong);
	}
	free(line);
	return (status);
}

int
rc_load(struct rc *rc, const char *given)
{
	char	*path = given != NULL ? xstrdup(given) : usual_path();
	FILE	*f;
	int	 status = 0;

	memset(rc, 0, sizeof(*rc));
	if (path == NULL)
		return (0);
	if ((f = fopen(path, "re")) != NULL) {
		status = read_lines(rc, f, path);
		(void)fclose(f);
	} else if (given != NULL || errno != ENOENT)
		status = ui_fail(EXIT_USAGE, "%s: %s", path,
		    strerror(errno));
	free(path);
	return (status);
}

void
rc_clear(struct rc *rc)
{
	free(rc->account);
	free(rc->password_file);
	free(rc->password_command);
	free(rc->host);
	free(rc->ca_file);
	free(rc->service);
	memset(rc, 0, sizeof(*rc));
}
