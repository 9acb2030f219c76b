/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lack.h"
#include "log.h"
#include "mono.h"

static const char *const	 names[LACKS] = {
	[LACK_DESCRIPTORS] = "descriptors",
	[LACK_MEMORY] = "memory",
	[LACK_PROCESSES] = "processes",
	[LACK_PORTS] = "ports",
	[LACK_RENDEZVOUS] = "rendezvous-ports",
	[LACK_OUTPUT] = "output",
	[LACK_NOTICES] = "notices",
	[LACK_WORKERS] = "room-in-workers",
	[LACK_OTHER] = "other",
};

static struct {
	unsigned int	 count;		/* since the last line */
	int64_t		 next;		/* no line before; 0: there was none */
} lacks[LACKS];

void
lack_notes(enum lack what, unsigned int n, const char *detail)
{
	int64_t	 now = mono_ms();

	lacks[what].count += n;
	if (lacks[what].next != 0 && now < lacks[what].next)
		return;
	log_warn("lack of=%s times=%u%s%s", names[what], lacks[what].count,
	    detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
	lacks[what].count = 0;
	lacks[what].next = now + LACK_LINE_MS;
}

void
lack_note(enum lack what, const char *detail)
{
	lack_notes(what, 1, detail);
}

static enum lack
kind(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
		return (LACK_DESCRIPTORS);
	case ENOMEM:
	case ENOBUFS:
		return (LACK_MEMORY);
	case EAGAIN:			/* of fork(2) */
		return (LACK_PROCESSES);
	default:
		return (LACK_OTHER);
	}
}

void
lack_errno(const char *detail)
{
	char	 text[512];
	int	 error = errno;

	/* What does not fit is cut. */
	(void)snprintf(text, sizeof(text), "%s: %s", detail, strerror(error));
	lack_note(kind(error), text);
	errno = error;
}

int
lack_files(void)
{
	int	 fd[LACK_FILES_SPARE], i, n;

	for (n = 0; n < LACK_FILES_SPARE; n++) {
		fd[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd[n] == -1)
			break;
	}
	/* EBADF: there is nothing to try with, which is no lack. */
	i = n < LACK_FILES_SPARE && (errno == EMFILE || errno == ENFILE);
	while (n > 0)
		(void)close(fd[--n]);
	return (i);
}
