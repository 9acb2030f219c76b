/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer_rig.h"
#include "wire.h"

/* An other side that knows the secret and is not nice. */

static struct rig	 r;

static void
setup(void)
{
	rig_begin(&r);
}

static void
teardown(void)
{
	rig_end(&r);
}

TestSuite(rude, .init = setup, .fini = teardown, .timeout = 60);

static void
say(int side, const struct wire *w, int last)
{
	uint8_t	 buf[WIRE_HEAD_MAX + WIRE_PATH_MAX];
	size_t	 n = wire_pack(w, buf);

	if (w->len > 0)
		memcpy(buf + n, w->data, w->len);
	(void)seal_put(r.link.seal[side], (uint8_t)w->type, buf, n + w->len,
	    last);
}

/* One transfer against a seal that the test speaks for. */
static void
against(int side)
{
	struct transfer_hooks	 hooks = { NULL, NULL };
	struct transfer_total	 all = { 1000, 1000, 1 << 30 };
	char			 why[256], *path;
	struct walk		*w;

	link_open(&r.link, NULL);
	cr_assert(link_prove(&r.link));
	if (side == CALLER)
		r.t[CALLER] = transfer_receive(r.link.seal[CALLER], r.to, &all,
		    &hooks, r.link.now);
	else {
		path = strdup(rig_path(&r, "from/x"));
		w = walk_open(&path, 1, why, sizeof(why));
		cr_assert_not_null(w, "%s", why);
		free(path);
		cr_assert_eq(walk_total(w, &all), 0);
		r.t[OWNER] = transfer_send(r.link.seal[OWNER], w, &all, &hooks,
		    r.link.now);
	}
	r.link.seal[side] = NULL;
	r.end[side] = TRANSFER_RUNNING;
}

static void
push(int side)
{
	int	 i;

	for (i = 0; i < 50; i++) {
		(void)seal_turn(r.link.seal[!side], r.link.now);
		(void)link_pass(&r.link);
		if (r.end[side] == TRANSFER_RUNNING)
			r.end[side] = transfer_step(r.t[side], r.link.now);
	}
}

static void
offer(uint64_t files, uint64_t bytes)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_OFFER;
	w.code = WIRE_VERSION;
	w.id = files;
	w.dirs = files;
	w.size = bytes;
	say(OWNER, &w, 0);
}

static void
entry(enum wire_kind kind, const char *path, size_t len, uint64_t size)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_ENTRY;
	w.code = (uint8_t)kind;
	w.size = size;
	w.data = (const uint8_t *)path;
	w.len = len;
	say(OWNER, &w, 0);
}

static void
message(int side, enum wire_type type, uint64_t id, uint64_t size)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = type;
	w.id = id;
	w.size = size;
	if (type == WIRE_DATA) {
		w.data = (const uint8_t *)"some data of a file";
		w.len = size;
	}
	say(side, &w, type == WIRE_FINISH || type == WIRE_DONE);
}

static void
expect_nonsense(int side, const char *what)
{
	push(side);
	cr_expect_eq(r.end[side], TRANSFER_FAILED, "%s", what);
	cr_expect_not(transfer_theirs(r.t[side]), "%s", what);
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "to"), 0, "%s", what);
}

Test(rude, hostile_names)
{
	static const char	*const names[] = { "../x", "/tmp/x",
		"a/../../x", "..", ".", "", "x/", "a//b", "d.passcat-part/x" };
	size_t			 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i][0] == '\0')
			continue;
		against(CALLER);
		offer(1000, 1 << 20);
		entry(WIRE_FILE, names[i], strlen(names[i]), 5);
		entry(WIRE_DIR, names[i], strlen(names[i]), 0);
		entry(WIRE_LEAVE, names[i], strlen(names[i]), 0);
		entry(WIRE_FILE, "a\0b", 3, 5);
		push(CALLER);
		cr_expect_eq(r.end[CALLER], TRANSFER_RUNNING, "%s", names[i]);
		cr_expect_eq(transfer_progress(r.t[CALLER])->failures, 4);
		rig_stop(&r);
		cr_expect_eq(rig_count(&r, "to"), 0, "%s", names[i]);
		cr_expect_eq(rig_count(&r, "."), 2, "%s", names[i]);
	}
}

Test(rude, hostile_sender)
{
	int	 i;

	against(CALLER);
	entry(WIRE_FILE, "x", 1, 5);
	expect_nonsense(CALLER, "an entry without offer");
	against(CALLER);
	offer(1000, 1000);
	offer(1000, 1000);
	expect_nonsense(CALLER, "two offers");
	against(CALLER);
	offer(1000, 1000);
	message(OWNER, WIRE_DATA, 0, 5);
	expect_nonsense(CALLER, "data that nobody asked for");
	against(CALLER);
	offer(1000, 1000);
	message(OWNER, WIRE_SUMMED, 3, 0);
	expect_nonsense(CALLER, "a sum that nobody asked for");
	against(CALLER);
	offer(1000, 1000);
	message(OWNER, WIRE_GET, 0, 0);
	expect_nonsense(CALLER, "a receiver's message");
	against(CALLER);
	offer(1000, 1000);
	entry(WIRE_FILE, "x", 1, 1001);
	expect_nonsense(CALLER, "more than was offered");
	against(CALLER);
	offer(1000, 1 << 30);
	for (i = 0; i < WIRE_WINDOW + 1; i++)
		entry(WIRE_FILE, "x", 1, 5);
	expect_nonsense(CALLER, "too far ahead");
	against(CALLER);
	offer(1000, 1000);
	entry(WIRE_FILE, "x", 1, 5);
	message(OWNER, WIRE_FINISH, 0, 0);
	expect_nonsense(CALLER, "an end too early");
}

Test(rude, sender_who_sends_too_much_of_a_file)
{
	against(CALLER);
	offer(1, 10);
	entry(WIRE_FILE, "x", 1, 10);
	push(CALLER);
	message(OWNER, WIRE_DATA, 0, 8);
	message(OWNER, WIRE_DATA, 0, 8);
	push(CALLER);
	cr_expect_eq(r.end[CALLER], TRANSFER_FAILED);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/x"));
}

/* The end of a directory gives its name to a directory, and to nothing else. */
Test(rude, directory_that_is_none)
{
	rig_write(&r, "to/x.passcat-part", 5, 1);
	cr_assert_eq(symlink("..", rig_path(&r, "to/up.passcat-part")), 0);
	against(CALLER);
	offer(1000, 1000);
	entry(WIRE_LEAVE, "x", 1, 0);
	entry(WIRE_LEAVE, "up", 2, 0);
	push(CALLER);
	cr_expect_eq(r.end[CALLER], TRANSFER_RUNNING);
	cr_expect_eq(transfer_progress(r.t[CALLER])->failures, 2);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/x"));
	cr_expect_not(rig_exists(&r, "to/up"));
}

Test(rude, wrong_sum)
{
	against(CALLER);
	offer(1, 8);
	entry(WIRE_FILE, "x", 1, 8);
	push(CALLER);
	message(OWNER, WIRE_DATA, 0, 8);
	message(OWNER, WIRE_END, 0, 0);
	push(CALLER);
	cr_expect_eq(r.end[CALLER], TRANSFER_RUNNING);
	cr_expect_eq(transfer_progress(r.t[CALLER])->failures, 1);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/x"));
	cr_expect(rig_is(&r, "to/x.passcat-part", 0, 0));
}

Test(rude, hostile_receiver)
{
	rig_write(&r, "from/x", 1000, 1);
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_GET, 7, 0);
	expect_nonsense(OWNER, "an entry that there is not");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_GET, 0, 1001);
	expect_nonsense(OWNER, "from behind the end");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_GET, 0, 0);
	message(CALLER, WIRE_GET, 0, 0);
	expect_nonsense(OWNER, "twice");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_RESULT, 0, 0);
	message(CALLER, WIRE_RESULT, 0, 0);
	expect_nonsense(OWNER, "two results");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_DONE, 0, 0);
	expect_nonsense(OWNER, "an end too early");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_DATA, 0, 5);
	expect_nonsense(OWNER, "a sender's message");
	against(OWNER);
	push(OWNER);
	message(CALLER, WIRE_GET, 0, 0);
	message(CALLER, WIRE_SUM, 0, 5);
	expect_nonsense(OWNER, "a sum after the file");
}

/* ---- waiting ------------------------------------------------------------*/

/* Ten minutes in which the other side says only that it lives, or nothing. */
static int
idle(int ticking)
{
	struct seal_frame	 f;
	int			 i, heard = 0;

	against(CALLER);
	for (i = 0; i < 60; i++) {
		r.link.now += 10000;
		if (ticking)
			message(OWNER, WIRE_TICK, 0, 0);
		push(CALLER);
		while (seal_get(r.link.seal[OWNER], &f) == 1)
			heard += f.type == WIRE_TICK;
	}
	return (heard);
}

Test(rude, ticks_keep_it_alive)
{
	cr_expect_geq(idle(1), 20);
	cr_expect_eq(r.end[CALLER], TRANSFER_RUNNING);
	rig_stop(&r);
}

Test(rude, silence_ends_it)
{
	cr_expect_leq(idle(0), 4);
	cr_expect_eq(r.end[CALLER], TRANSFER_LOST);
	cr_expect_eq(transfer_seal_why(r.t[CALLER]), SEAL_SILENT);
	rig_stop(&r);
}
