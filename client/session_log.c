/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session_impl.h"
#include "ui.h"
#include "xalloc.h"

/*
 * libstrophe puts no limit on a stanza.  All its memory, stanzas and parser
 * included, has to fit in here; servers' limits are a hundredth of it.
 */
#define MEMORY_MAX	(16U << 20)

union header {
	size_t		 size;
	max_align_t	 align;
};

static size_t	 memory_used;

static void *
allocate(size_t size, void *arg)
{
	union header	*h;

	(void)arg;
	if (size > MEMORY_MAX || memory_used + size > MEMORY_MAX)
		exit(ui_fail(EXIT_SERVICE, "the server sends more than fits "
		    "into any sensible stanza"));
	if ((h = malloc(sizeof(*h) + size)) == NULL)
		return (NULL);
	h->size = size;
	memory_used += size;
	return (h + 1);
}

static void
release(void *p, void *arg)
{
	union header	*h = p;

	(void)arg;
	if (p == NULL)
		return;
	h--;
	memory_used -= h->size;
	freezero(h, sizeof(*h) + h->size);
}

static void *
reallocate(void *p, size_t size, void *arg)
{
	union header	*h = p;
	void		*new;

	if ((new = allocate(size, arg)) == NULL || p == NULL)
		return (new);
	memcpy(new, p, (h - 1)->size < size ? (h - 1)->size : size);
	release(p, arg);
	return (new);
}

static const xmpp_mem_t	 memory = { allocate, release, reallocate, NULL };

/*
 * Elements whose text nobody is to see, not even on the user's own terminal:
 * people paste what -v shows into bug reports.
 */
static const char *const secret_elements[] = {
	"auth", "response", "challenge", "success", "leg", "secret",
	"handshake", "url",
};

/* Length of the name at ${s} if it is one of those, else 0. */
static size_t
secret_name(const char *s)
{
	size_t	 i, len;

	for (i = 0; i < sizeof(secret_elements) / sizeof(secret_elements[0]);
	    i++) {
		len = strlen(secret_elements[i]);
		if (strncmp(s, secret_elements[i], len) == 0 &&
		    strchr(" />", s[len]) != NULL && s[len] != '\0')
			return (len);
	}
	return (0);
}

/* Print a stanza without the text of secret elements, a KB at a time. */
static void
show(const char *way, const char *xml)
{
	char	 line[1024];
	size_t	 len = 0;
	int	 hide = 0;

	for (; *xml != '\0'; xml++) {
		if (*xml == '<') {
			if (hide && len + 4 < sizeof(line))
				len = strlcat(line, "...", sizeof(line));
			hide = 0;
		}
		if (hide == 0 && len + 1 < sizeof(line)) {
			line[len++] = *xml;
			line[len] = '\0';
		}
		if (*xml == '>' && len > 0 && hide == 0) {
			char	*open = strrchr(line, '<');

			hide = open != NULL && xml[-1] != '/' &&
			    secret_name(open + 1) > 0 && xml[1] != '<' &&
			    xml[1] != '\0';
		}
	}
	line[len] = '\0';
	ui_debug("%s %s%s", way, line, len + 1 == sizeof(line) ? "..." : "");
}

/* libstrophe says why a login failed in its log, and nowhere else. */
static void
on_log(void *arg, xmpp_log_level_t level, const char *area, const char *msg)
{
	(void)arg;
	(void)level;
	(void)area;
	if (strncmp(msg, "SENT: ", 6) == 0) {
		if (ui.verbose)
			show("->", msg + 6);
		return;
	}
	if (strncmp(msg, "RECV: ", 6) == 0) {
		if (ui.verbose)
			show("<-", msg + 6);
		return;
	}
	if (strstr(msg, "auth failed") != NULL ||
	    strstr(msg, "Cannot authenticate") != NULL)
		ss.login_failed = 1;
	else if (strstr(msg, "set as mandatory") != NULL)
		ss.no_tls = 1;
	else if (strstr(msg, "onnection successful") != NULL)
		ss.fd_seen = 1;
	if (ui.verbose > 1)
		ui_debug("strophe: %s", msg);
}

static const xmpp_log_t	 logger = { on_log, NULL };

void
session_context(void)
{
	if ((ss.ctx = xmpp_ctx_new(&memory, &logger)) == NULL)
		exit(ui_fail(EXIT_USAGE, "out of memory"));
	el_context(ss.ctx);
}
