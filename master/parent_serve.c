/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "log.h"
#include "parent.h"

int
serve_config_load(void)
{
	int	 fd;

	if ((fd = open_config(parent.opt.config)) == -1)
		return (-1);
	/* A copy: what is in force stays so, whatever becomes of the file. */
	parent.config_new = cage_copy(fd);
	(void)close(fd);
	if (parent.config_new == -1) {
		log_warn_errno("copy of \"%s\"", parent.opt.config);
		return (-1);
	}
	return (0);
}

void
serve_config_send(int fd)
{
	struct msg_config	 m;

	/* Whoever read it last has moved the offset. */
	(void)lseek(fd, 0, SEEK_SET);
	msg_init(&m, sizeof(m), MSG_CONFIG, 0);
	(void)strlcpy(m.name, parent.opt.config, sizeof(m.name));
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
}

void
serve_config_done(int ok)
{
	if (parent.config_new == -1)
		return;
	if (ok && parent.config_fd != -1)
		(void)close(parent.config_fd);
	if (ok)
		parent.config_fd = parent.config_new;
	else
		(void)close(parent.config_new);
	parent.config_new = -1;
}

void
serve_secret(void)
{
	struct msg_status	 m;
	int			 fd;

	msg_init(&m, sizeof(m), MSG_SECRET, 0);
	fd = open_secret(parent.needs.secret);
	m.error = fd == -1 ? EACCES : 0;
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
	if (fd != -1)
		(void)close(fd);
}

static void
start_resolver(void)
{
	struct msg_resolve	 m;

	parent.resolved = 0;
	proc_start(PROC_RESOLVER);
	msg_init(&m, sizeof(m), MSG_RESOLVE, 0);
	memcpy(m.host, parent.needs.host, sizeof(m.host));
	(void)proc_send(PROC_RESOLVER, &m, sizeof(m), -1);
}

/*
 * The table lets this through from a control that starts, and only then: it
 * has read the configuration but not heard a word from the network.  One
 * that is taken later cannot have other files opened.
 */
void
serve_needs(const struct msg_needs *m)
{
	if (!msg_text_ok(m->secret, sizeof(m->secret)) ||
	    !msg_text_ok(m->unix_path, sizeof(m->unix_path)) ||
	    !msg_text_ok(m->host, sizeof(m->host)) ||
	    m->log_level > LOG_LEVEL_DEBUG)
		return;
	parent.needs = *m;
	if (!parent.opt.debug)
		log_set_level((enum log_level)m->log_level);
	serve_secret();
	if (parent.needs.host[0] != '\0' &&
	    parent.proc[PROC_RESOLVER].state == PROC_NONE)
		start_resolver();
}

void
serve_connect(void)
{
	struct msg_status	 m;
	int			 fd;

	msg_init(&m, sizeof(m), MSG_XMPP, 0);
	fd = -1;
	m.error = ENOENT;
	if (parent.needs.unix_path[0] != '\0') {
		fd = open_server(parent.needs.unix_path);
		m.error = fd == -1 ? errno : 0;
	}
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), fd);
	if (fd != -1)
		(void)close(fd);
}

void
serve_resolved(const struct msg_in *in)
{
	parent.resolved = 1;
	/* Fixed struct in, the same fixed struct out. */
	(void)proc_send(PROC_CONTROL, in->bytes, in->len, -1);
}

void
serve_resolver_ended(void)
{
	struct msg_resolved	 m;

	if (parent.resolved)
		return;
	msg_init(&m, sizeof(m), MSG_RESOLVED, 0);
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), -1);
}

/* Bytes that are not looked at, and the channel that goes with them. */
void
serve_escrow(struct msg_in *in)
{
	int	 fd = in->nfds == 1 ? in->fds[0] : -1;

	if (keep_put(in->hdr.id, in->record.record,
	    in->len - offsetof(struct msg_record, record), fd) == -1)
		log_error("record id=%u not kept: out of memory", in->hdr.id);
	else if (fd != -1)
		in->fds[0] = -1;
}

void
serve_log(const struct msg_in *in)
{
	char	 text[LOG_LINE_MAX];
	size_t	 len = in->len - offsetof(struct msg_log, text);

	if (in->log.level > LOG_LEVEL_DEBUG)
		return;
	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, in->log.text, len);
	text[len] = '\0';
	log_line((enum log_level)in->log.level, text);
}
