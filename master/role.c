/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "role.h"

#define BOOT_WAIT_MS	10000

static unsigned int	 lost;		/* lines that the parent did not take */

static int
send_line(enum log_level level, const char *text)
{
	struct msg_log	 m;
	size_t		 len = strlen(text);

	if (len == 0)
		return (0);
	if (len > sizeof(m.text))
		len = sizeof(m.text);
	msg_init(&m, offsetof(struct msg_log, text), MSG_LOG, 0);
	m.level = (uint32_t)level;
	memcpy(m.text, text, len);
	return (msg_send(MSG_CHANNEL_FD, &m,
	    offsetof(struct msg_log, text) + len, NULL, 0));
}

/* Nothing here may block: a log that is full must not stop a relay. */
static void
log_by_message(enum log_level level, const char *text, void *arg)
{
	char	 note[64];

	(void)arg;
	if (lost > 0) {
		(void)snprintf(note, sizeof(note), "log lost=%u lines", lost);
		if (send_line(LOG_LEVEL_WARN, note) == 0)
			lost = 0;
	}
	if (send_line(level, text) == -1)
		lost++;
}

void
role_boot(enum msg_edge edge, const char *name, struct msg_in *in)
{
	struct pollfd	 pfd = { .fd = MSG_CHANNEL_FD, .events = POLLIN };

	(void)signal(SIGPIPE, SIG_IGN);
	/* The parent decides: ^C and a service manager signal everybody. */
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	if (poll(&pfd, 1, BOOT_WAIT_MS) != 1 ||
	    msg_recv(MSG_CHANNEL_FD, edge, MSG_ST_BOOT, in) != MSG_OK ||
	    in->hdr.type != MSG_BOOT ||
	    !msg_text_ok(in->boot.chroot, sizeof(in->boot.chroot)) ||
	    in->boot.log_level > LOG_LEVEL_DEBUG)
		_exit(1);
	log_to(log_by_message, NULL);
	log_set_level((enum log_level)in->boot.log_level);
	setproctitle("%s", name);
}
