/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox_client.h"
#include "ui.h"

static void
must(int r, const char *what)
{
	if (r == -1)
		exit(ui_fail(EXIT_USAGE, "the sandbox cannot be set up: %s: "
		    "%s", what, strerror(errno)));
}

void
sandbox_client(enum sandbox_kind kind, const struct sandbox_path *paths,
    size_t n)
{
	size_t	 i;
	int	 writing = 0;

	if (kind == SANDBOX_RELAY) {
		must(pledge("stdio", NULL), "pledge");
		return;
	}
	/* The certificates, for coming back after a loss. */
	must(unveil("/etc/ssl", "r"), "unveil");
	for (i = 0; i < n; i++) {
		must(unveil(paths[i].path, paths[i].write ? "rwc" : "r"),
		    paths[i].path);
		writing |= paths[i].write;
	}
	must(unveil(NULL, NULL), "unveil");
	must(pledge(writing ? "stdio rpath wpath cpath fattr flock inet proc "
	    "tty" : "stdio rpath inet proc tty", NULL), "pledge");
}
