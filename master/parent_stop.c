/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <signal.h>

#include "log.h"
#include "mono.h"
#include "notify.h"
#include "parent.h"

#define STOP_EXTRA_MS	5000	/* beyond timeout stop */
#define KILL_MS		3000	/* for the spawner to kill the workers */

static void
kill_all(void)
{
	enum proc_role	 role;

	for (role = 0; role < PROC_ROLES; role++) {
		if (parent.proc[role].pid > 0)
			(void)kill(parent.proc[role].pid, SIGKILL);
	}
}

static void
send_stop(enum proc_role role)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_STOP, 0);
	(void)proc_send(role, &m, sizeof(m), -1);
}

/* First control, which ends the relays; then the spawner; then us. */
void
stop_begin(void)
{
	if (parent.stop_at != INT64_MAX) {
		log_warn("stop: told twice, killing what is left");
		parent.stop_at = 0;
		return;
	}
	log_info("stopping timeout=%us", parent.needs.stop_ms / 1000);
	notify_stopping();
	parent.stop_at = mono_ms() + parent.needs.stop_ms + STOP_EXTRA_MS;
	send_stop(PROC_CONTROL);
}

int
stop_turn(int64_t now)
{
	if (now >= parent.stop_at && !parent.killed) {
		/* The spawner still has workers to kill. */
		if (parent.proc[PROC_CONTROL].pid > 0)
			(void)kill(parent.proc[PROC_CONTROL].pid, SIGKILL);
		else
			kill_all();
		parent.stop_at = now + KILL_MS;
	}
	if (parent.proc[PROC_CONTROL].pid > 0)
		return (0);
	if (!parent.killed) {
		parent.killed = 1;
		parent.stop_at = now + KILL_MS;
		send_stop(PROC_SPAWNER);
	} else if (now >= parent.stop_at)
		kill_all();
	if (parent.proc[PROC_SPAWNER].pid > 0)
		return (0);
	/* Workers without a spawner see the end of their channel, or this. */
	keep_release_all();
	return (!workers_end() || now >= parent.stop_at);
}
