/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"

static int
open_regular(const char *path, const char *what, struct stat *st)
{
	int	 fd;

	/* Non-blocking: a FIFO by that name must not stop us for ever. */
	if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) == -1) {
		log_warn_errno("%s \"%s\"", what, path);
		return (-1);
	}
	if (fstat(fd, st) == -1 || !S_ISREG(st->st_mode)) {
		log_error("%s \"%s\": not a regular file", what, path);
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

int
open_config(const char *path)
{
	struct stat	 st;

	return (open_regular(path, "configuration file", &st));
}

int
open_secret(const char *path)
{
	struct stat	 st;
	int		 fd;

	if ((fd = open_regular(path, "secret file", &st)) == -1)
		return (-1);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		log_error("secret file \"%s\": owned by uid %u: chown it",
		    path, (unsigned int)st.st_uid);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		log_error("secret file \"%s\": mode %04o lets others read "
		    "it: chmod 600 it", path,
		    (unsigned int)(st.st_mode & 07777));
	else
		return (fd);
	(void)close(fd);
	return (-1);
}

int
open_server(const char *path)
{
	struct sockaddr_un	 sun;
	int			 fd, saved;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	/* Does not block: a full backlog is EAGAIN, and tried again later. */
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return (-1);
	}
	return (fd);
}
