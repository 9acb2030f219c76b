/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <string.h>

#include "fname.h"
#include "loop.h"
#include "mono.h"
#include "move.h"
#include "ui.h"

#define NAME_MAX_SHOWN	512

/* ---- what is told -------------------------------------------------------*/

static void
on_item(void *arg, enum transfer_code code, const char *path)
{
	struct event	 e;
	char		 name[NAME_MAX_SHOWN];
	int		 top = strchr(path, '/') == NULL;

	(void)arg;
	fname_show(path, name, sizeof(name));
	ui_event(&e, transfer_code_ok(code) ? "stored" : "skipped");
	ui_str(&e, "path", path);
	ui_str(&e, "why", transfer_code_text(code));
	ui_end(&e);
	if (!transfer_code_ok(code)) {
		if (!ui.json)
			ui_warn("%s: %s", name, transfer_code_text(code));
	} else if (top)
		ui_say("%s: %s", name, transfer_code_text(code));
	else
		ui_debug("%s: %s", name, transfer_code_text(code));
}

const struct transfer_hooks *
move_hooks(void)
{
	static const struct transfer_hooks	 hooks = { on_item, NULL };

	return (&hooks);
}

static void
show_progress(struct transfer *t, const char *label)
{
	const struct transfer_progress	*p = transfer_progress(t);

	ui_progress(label, p->moved + p->skipped, p->total.bytes);
}

/* ---- the loop -----------------------------------------------------------*/

static void
on_ready(int fd, short revents, void *arg)
{
	(void)fd;
	(void)revents;
	(void)arg;
}

void
move_watch(int fd, short events)
{
	loop_del(fd);
	if (events != 0)
		loop_add(fd, events, on_ready, NULL);
}

/* Wait for what the transfer needs; 0: the user wants an end. */
static int
wait(struct transfer *t)
{
	int64_t	 wake = transfer_wake(t);
	int	 more;

	move_watch(transfer_fd(t), transfer_events(t));
	if (wake > mono_ms())
		(void)loop_once(wake);
	else {
		/* There is work: see what else there is, but do not wait. */
		loop_poke();
		(void)loop_once(-1);
	}
	more = !loop_interrupted();
	loop_del(transfer_fd(t));
	return (more);
}

static int
failed(const struct transfer *t, enum transfer_state state)
{
	const char	*why = transfer_why(t);

	if (state == TRANSFER_LOST)
		return (ui_fail(EXIT_PEER, "the other side %s; run both again "
		    "to go on from there", why));
	if (transfer_theirs(t))
		return (ui_fail(EXIT_REFUSED, "the other side gave up: %s",
		    why));
	return (ui_fail(EXIT_USAGE, "gave up: %s", why));
}

static int
verdict(const struct transfer *t)
{
	const struct transfer_progress	*p = transfer_progress(t);
	struct event			 e;
	char				 all[32], moved[32];

	ui_event(&e, "done");
	ui_num(&e, "files", (int64_t)p->done.files);
	ui_num(&e, "bytes", (int64_t)p->done.bytes);
	ui_num(&e, "moved", (int64_t)p->moved);
	ui_num(&e, "failures", (int64_t)p->failures);
	ui_end(&e);
	ui_say("%llu of %llu files verified, %s; %s were moved",
	    (unsigned long long)p->done.files,
	    (unsigned long long)p->total.files,
	    ui_size(p->done.bytes, all, sizeof(all)),
	    ui_size(p->moved, moved, sizeof(moved)));
	if (p->failures == 0)
		return (EXIT_DONE);
	return (ui_fail(EXIT_REFUSED, "%llu were not stored, see above",
	    (unsigned long long)p->failures));
}

int
move_run(struct transfer *t, const char *label)
{
	enum transfer_state	 state;
	int			 code;

	while ((state = transfer_step(t, mono_ms())) == TRANSFER_RUNNING) {
		show_progress(t, label);
		if (!wait(t)) {
			transfer_stop(t, TRANSFER_STOPPED, mono_ms());
			state = TRANSFER_FAILED;
			break;
		}
	}
	show_progress(t, label);
	ui_progress_end();
	code = state == TRANSFER_DONE ? verdict(t) : failed(t, state);
	transfer_free(t);
	return (code);
}
