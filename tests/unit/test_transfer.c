/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fname.h"
#include "transfer_rig.h"

#define MIB	(1024 * 1024)

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

static void
expect_done(uint64_t files, uint64_t failures)
{
	int	 i;

	for (i = 0; i < 2; i++) {
		cr_expect_eq(r.end[i], TRANSFER_DONE, "side %d: %s", i,
		    r.t[i] == NULL ? "" : transfer_why(r.t[i]));
		if (r.t[i] == NULL)
			continue;
		cr_expect_eq(transfer_progress(r.t[i])->done.files, files);
		cr_expect_eq(transfer_progress(r.t[i])->failures, failures);
	}
}

/* Run what was started and expect both sides to say so. */
static void
run(const char *name, uint64_t files, uint64_t failures)
{
	rig_start(&r, &name, 1);
	rig_run(&r);
	expect_done(files, failures);
}

TestSuite(transfer, .init = setup, .fini = teardown, .timeout = 60);

Test(transfer, files_of_all_sizes)
{
	static const size_t	 sizes[] = { 0, 1, 65535, 65536, 65537,
				    3 * MIB + 5 };
	char			 name[32], from[64], to[64];
	size_t			 i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(name, sizeof(name), "file%zu", i);
		(void)snprintf(from, sizeof(from), "from/%s", name);
		(void)snprintf(to, sizeof(to), "to/%s", name);
		rig_write(&r, from, sizes[i], (uint32_t)i);
		run(name, 1, 0);
		cr_expect_eq(transfer_progress(r.t[OWNER])->moved, sizes[i]);
		cr_expect_eq(transfer_progress(r.t[CALLER])->done.bytes,
		    sizes[i]);
		cr_expect_eq(r.told[OWNER][TRANSFER_STORED], 1);
		cr_expect_eq(r.told[CALLER][TRANSFER_STORED], 1);
		rig_stop(&r);
		cr_expect(rig_is(&r, to, sizes[i], (uint32_t)i));
		cr_expect_eq(rig_count(&r, "to"), (int)i + 1);
	}
}

Test(transfer, mode_and_time)
{
	struct timespec	 ts[2] = { { 1, 0 }, { 1234567890, 123456789 } };
	struct stat	 st;

	rig_write(&r, "from/script", 10, 1);
	cr_assert_eq(chmod(rig_path(&r, "from/script"), 06755), 0);
	cr_assert_eq(utimensat(AT_FDCWD, rig_path(&r, "from/script"), ts, 0),
	    0);
	rig_write(&r, "from/text", 10, 1);
	cr_assert_eq(chmod(rig_path(&r, "from/text"), 0444), 0);
	rig_send(&r, "script");
	rig_send(&r, "text");
	cr_assert_eq(stat(rig_path(&r, "to/script"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	cr_expect_eq(st.st_mtim.tv_sec, 1234567890);
	cr_expect_eq(st.st_mtim.tv_nsec, 123456789);
	cr_assert_eq(stat(rig_path(&r, "to/text"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

/* ---- directories --------------------------------------------------------*/

static void
make_tree(int files)
{
	char	 name[64];
	int	 i;

	rig_mkdir(&r, "from/tree");
	rig_mkdir(&r, "from/tree/empty");
	rig_mkdir(&r, "from/tree/deep");
	rig_mkdir(&r, "from/tree/deep/er");
	for (i = 0; i < files; i++) {
		(void)snprintf(name, sizeof(name), "from/tree/%s%d\n\x1b[%d",
		    i % 3 == 0 ? "deep/er/" : "-", i, i);
		rig_write(&r, name, (size_t)i * 7, (uint32_t)i);
	}
}

static void
expect_tree(const char *where, int files)
{
	char	 name[96];
	int	 i;

	for (i = 0; i < files; i++) {
		(void)snprintf(name, sizeof(name), "%s/%s%d\n\x1b[%d", where,
		    i % 3 == 0 ? "deep/er/" : "-", i, i);
		cr_expect(rig_is(&r, name, (size_t)i * 7, (uint32_t)i), "%d",
		    i);
	}
}

Test(transfer, tree_with_odd_names)
{
	struct timespec	 ts[2] = { { 1, 0 }, { 1234567890, 0 } };
	struct stat	 st;

	make_tree(600);
	(void)utimensat(AT_FDCWD, rig_path(&r, "from/tree/deep"), ts, 0);
	run("tree", 600, 0);
	rig_stop(&r);
	expect_tree("to/tree", 600);
	cr_expect(rig_exists(&r, "to/tree/empty"));
	cr_expect_not(rig_exists(&r, "to/tree.passcat-part"));
	cr_expect_eq(rig_count(&r, "to"), 1);
	cr_assert_eq(stat(rig_path(&r, "to/tree/deep"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	cr_expect_eq(st.st_mtim.tv_sec, 1234567890);
	/* Again: all is there, nothing is sent. */
	run("tree", 600, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, 0);
	cr_expect_eq(r.told[CALLER][TRANSFER_ALREADY], 600 + 4);
	rig_stop(&r);
}

Test(transfer, links_and_pipes_are_skipped)
{
	rig_mkdir(&r, "from/d");
	rig_write(&r, "from/d/file", 5, 1);
	cr_assert_eq(symlink("/etc/passwd", rig_path(&r, "from/d/link")), 0);
	cr_assert_eq(mkfifo(rig_path(&r, "from/d/fifo"), 0600), 0);
	run("d", 1, 0);
	cr_expect_eq(r.told[OWNER][TRANSFER_SYMLINK], 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_SPECIAL], 1);
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "to/d"), 1);
}

Test(transfer, named_link_is_followed)
{
	rig_write(&r, "from/file", 5, 1);
	cr_assert_eq(symlink("file", rig_path(&r, "from/link")), 0);
	run("link", 1, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/link", 5, 1));
}

Test(transfer, several)
{
	const char	*const names[] = { "a", "tree", "b" };

	rig_write(&r, "from/a", 100, 1);
	rig_write(&r, "from/b", 100000, 2);
	make_tree(20);
	rig_start(&r, names, 3);
	rig_run(&r);
	expect_done(22, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/a", 100, 1));
	cr_expect(rig_is(&r, "to/b", 100000, 2));
	expect_tree("to/tree", 20);
}

Test(transfer, finished_directory_is_never_added_to)
{
	rig_mkdir(&r, "from/d");
	rig_write(&r, "from/d/same", 50, 1);
	rig_write(&r, "from/d/other", 50, 2);
	rig_write(&r, "from/d/new", 50, 3);
	rig_mkdir(&r, "from/d/newdir");
	rig_write(&r, "from/d/newdir/x", 50, 3);
	rig_mkdir(&r, "to/d");
	rig_write(&r, "to/d/same", 50, 1);
	rig_write(&r, "to/d/other", 50, 9);
	/* other, new, newdir and what is in it, d. */
	run("d", 1, 6);
	cr_expect_eq(r.told[OWNER][TRANSFER_ALREADY], 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_EXISTS], 4);
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "to/d"), 2);
	cr_expect(rig_is(&r, "to/d/other", 50, 9));
	cr_expect_eq(rig_count(&r, "to"), 1);
}

Test(transfer, directory_that_lacks_something_has_no_name)
{
	rig_mkdir(&r, "from/d");
	rig_write(&r, "from/d/a", 50, 1);
	rig_write(&r, "from/d/b", 50, 2);
	rig_mkdir(&r, "to/d.passcat-part");
	rig_mkdir(&r, "to/d.passcat-part/a");
	run("d", 1, 2);
	cr_expect_eq(r.told[CALLER][TRANSFER_INCOMPLETE], 1);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/d"));
	cr_expect(rig_is(&r, "to/d.passcat-part/b", 50, 2));
	/* What was in the way is gone: it is completed. */
	cr_assert_eq(rmdir(rig_path(&r, "to/d.passcat-part/a")), 0);
	run("d", 2, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, 50);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/d/a", 50, 1));
}

Test(transfer, directory_that_holds_something_else_has_no_name)
{
	rig_mkdir(&r, "from/d");
	rig_mkdir(&r, "from/d/e");
	rig_write(&r, "from/d/e/a", 50, 1);
	rig_mkdir(&r, "to/d.passcat-part");
	rig_mkdir(&r, "to/d.passcat-part/e");
	rig_write(&r, "to/d.passcat-part/e/old", 50, 2);
	run("d", 1, 1);
	cr_expect_eq(r.told[CALLER][TRANSFER_INCOMPLETE], 1);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/d"));
	cr_assert_eq(unlink(rig_path(&r, "to/d.passcat-part/e/old")), 0);
	run("d", 1, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/d/e/a", 50, 1));
}

/* ---- what exists --------------------------------------------------------*/

Test(transfer, nothing_is_overwritten)
{
	rig_write(&r, "from/x", 100, 1);
	rig_write(&r, "to/x", 100, 2);
	run("x", 0, 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_EXISTS], 1);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 100, 2));
	rig_write(&r, "to/x", 99, 1);
	run("x", 0, 1);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 99, 1));
	cr_expect_eq(rig_count(&r, "to"), 1);
}

static ssize_t
take_the_name(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	(void)p;
	(void)arg;
	if (from == OWNER && at > MIB && !rig_exists(&r, "to/x"))
		rig_write(&r, "to/x", 10, 5);
	return ((ssize_t)len);
}

Test(transfer, nothing_is_overwritten_at_the_end)
{
	rig_write(&r, "from/x", 2 * MIB, 1);
	r.link.tap = take_the_name;
	run("x", 0, 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_EXISTS], 1);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 10, 5));
	cr_expect(rig_is(&r, "to/x.passcat-part", 2 * MIB, 1));
}

Test(transfer, same_file_is_not_sent)
{
	rig_write(&r, "from/x", 300000, 1);
	rig_write(&r, "to/x", 300000, 1);
	run("x", 1, 0);
	cr_expect_eq(r.told[OWNER][TRANSFER_ALREADY], 1);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->skipped, 300000);
	rig_stop(&r);
}

/* What is in the way is neither followed nor written to. */
static void
expect_blocked(const char *name)
{
	rig_write(&r, "from/x", 100, 1);
	run("x", 0, 1);
	rig_stop(&r);
	cr_expect(rig_is(&r, "victim", 10, 7), "%s", name);
	cr_expect_eq(rig_count(&r, "to"), 1);
}

Test(transfer, links_are_not_followed)
{
	rig_write(&r, "victim", 10, 7);
	cr_assert_eq(symlink("../victim", rig_path(&r, "to/x")), 0);
	expect_blocked("final");
	cr_assert_eq(unlink(rig_path(&r, "to/x")), 0);
	cr_assert_eq(symlink("../victim",
	    rig_path(&r, "to/x.passcat-part")), 0);
	expect_blocked("unfinished");
}

Test(transfer, another_name_of_a_file_is_not_written_to)
{
	char	 victim[128];

	rig_write(&r, "victim", 10, 7);
	(void)strlcpy(victim, rig_path(&r, "victim"), sizeof(victim));
	cr_assert_eq(link(victim, rig_path(&r, "to/x.passcat-part")), 0);
	expect_blocked("hard link");
	cr_expect_eq(r.told[OWNER][TRANSFER_BLOCKED], 1);
}

Test(transfer, pipe_in_the_way)
{
	rig_write(&r, "victim", 10, 7);
	cr_assert_eq(mkfifo(rig_path(&r, "to/x.passcat-part"), 0600), 0);
	expect_blocked("pipe");
}

Test(transfer, directory_behind_a_link)
{
	rig_mkdir(&r, "from/d");
	rig_write(&r, "from/d/x", 10, 1);
	rig_mkdir(&r, "elsewhere");
	cr_assert_eq(symlink("../elsewhere",
	    rig_path(&r, "to/d.passcat-part")), 0);
	run("d", 0, 3);
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "elsewhere"), 0);
	cr_assert_eq(unlink(rig_path(&r, "to/d.passcat-part")), 0);
	rig_mkdir(&r, "to/d.passcat-part");
	cr_assert_eq(symlink("../../victim",
	    rig_path(&r, "to/d.passcat-part/x")), 0);
	run("d", 0, 2);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "victim"));
}

/* ---- interruptions ------------------------------------------------------*/

static ssize_t
cut_at(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	const uint64_t	*where = arg;

	(void)p;
	return (from == OWNER && at + len > *where ? -1 : (ssize_t)len);
}

static void
interrupt(const char *name, uint64_t where)
{
	r.link.tap = cut_at;
	r.link.arg = &where;
	rig_start(&r, &name, 1);
	rig_run(&r);
	cr_expect_eq(r.end[OWNER], TRANSFER_LOST);
	cr_expect_eq(r.end[CALLER], TRANSFER_LOST);
	cr_expect_eq(transfer_seal_why(r.t[CALLER]), SEAL_CUT);
	rig_stop(&r);
	r.link.tap = NULL;
}

Test(transfer, goes_on_after_a_cut)
{
	struct stat	 st;

	rig_write(&r, "from/x", 3 * MIB, 1);
	interrupt("x", 2 * MIB);
	cr_expect_not(rig_exists(&r, "to/x"));
	cr_assert_eq(stat(rig_path(&r, "to/x.passcat-part"), &st), 0);
	cr_expect_gt(st.st_size, MIB);
	run("x", 1, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->skipped,
	    (uint64_t)st.st_size);
	cr_expect_eq(transfer_progress(r.t[CALLER])->moved,
	    (uint64_t)(3 * MIB - st.st_size));
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 3 * MIB, 1));
	cr_expect_eq(rig_count(&r, "to"), 1);
}

Test(transfer, tree_goes_on_after_cuts)
{
	uint64_t	 moved = 0, total;
	int		 i;

	make_tree(400);
	for (i = 0; i < 5; i++)
		interrupt("tree", 60000 + (uint64_t)i * 10000);
	cr_expect_not(rig_exists(&r, "to/tree"));
	run("tree", 400, 0);
	moved = transfer_progress(r.t[OWNER])->moved;
	total = r.total.bytes;
	rig_stop(&r);
	cr_expect_lt(moved, total);
	expect_tree("to/tree", 400);
}

Test(transfer, wrong_beginning_is_not_kept)
{
	rig_write(&r, "from/x", MIB, 1);
	rig_write(&r, "to/x.passcat-part", MIB / 2, 2);
	run("x", 1, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, MIB);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", MIB, 1));
}

Test(transfer, unfinished_file_that_is_too_long)
{
	rig_write(&r, "from/x", 1000, 1);
	rig_write(&r, "to/x.passcat-part", 2000, 1);
	run("x", 1, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 1000, 1));
}

Test(transfer, unfinished_file_that_is_complete)
{
	rig_write(&r, "from/x", 1000, 1);
	rig_write(&r, "to/x.passcat-part", 1000, 1);
	run("x", 1, 0);
	cr_expect_eq(transfer_progress(r.t[OWNER])->moved, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 1000, 1));
}

/* ---- somebody in between ------------------------------------------------*/

static ssize_t
flip_at(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	const uint64_t	*where = arg;

	if (from == OWNER && *where >= at && *where < at + len)
		p[*where - at] ^= 1;
	return ((ssize_t)len);
}

Test(transfer, changed_bytes_never_get_a_name)
{
	uint64_t	 where;
	const char	*name = "x";

	rig_write(&r, "from/x", 200000, 1);
	r.link.tap = flip_at;
	r.link.arg = &where;
	/* The proof has 96 bytes; all behind it is frames. */
	for (where = 96; where < 200000; where += 1 + where / 7) {
		rig_start(&r, &name, 1);
		rig_run(&r);
		cr_expect_eq(r.end[CALLER], TRANSFER_LOST, "%d", (int)where);
		cr_expect(transfer_seal_why(r.t[CALLER]) == SEAL_CHANGED ||
		    transfer_seal_why(r.t[CALLER]) == SEAL_SILENT);
		cr_expect_neq(r.end[OWNER], TRANSFER_DONE);
		rig_stop(&r);
		cr_expect_not(rig_exists(&r, "to/x"));
		(void)unlink(rig_path(&r, "to/x.passcat-part"));
	}
}

Test(transfer, changed_bytes_do_no_harm_to_what_came)
{
	uint64_t	 where = 150000;
	const char	*name = "x";

	rig_write(&r, "from/x", 200000, 1);
	r.link.tap = flip_at;
	r.link.arg = &where;
	rig_start(&r, &name, 1);
	rig_run(&r);
	rig_stop(&r);
	r.link.tap = NULL;
	run("x", 1, 0);
	cr_expect_gt(transfer_progress(r.t[CALLER])->skipped, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 200000, 1));
}

/* ---- files that change --------------------------------------------------*/

Test(transfer, changed_since_the_offer)
{
	const char	*name = "x";

	rig_write(&r, "from/x", 1000, 1);
	rig_start(&r, &name, 1);
	rig_write(&r, "from/x", 2000, 1);
	rig_run(&r);
	expect_done(0, 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_CHANGED], 1);
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "to"), 0);
}

static ssize_t
append(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	FILE	*f;

	(void)p;
	(void)arg;
	if (from == OWNER && at > MIB) {
		f = fopen(rig_path(&r, "from/x"), "a");
		cr_assert_not_null(f);
		(void)putc('x', f);
		(void)fclose(f);
	}
	return ((ssize_t)len);
}

Test(transfer, changes_while_it_is_sent)
{
	rig_write(&r, "from/x", 3 * MIB, 1);
	r.link.tap = append;
	run("x", 0, 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_CHANGED], 1);
	cr_expect_eq(r.told[CALLER][TRANSFER_CHANGED], 1);
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/x"));
}

Test(transfer, gone_since_the_offer)
{
	const char	*name = "d";

	rig_mkdir(&r, "from/d");
	rig_write(&r, "from/d/a", 10, 1);
	rig_write(&r, "from/d/b", 10, 1);
	rig_start(&r, &name, 1);
	/* Named, but not asked for yet. */
	r.end[OWNER] = transfer_step(r.t[OWNER], r.link.now);
	cr_assert_eq(unlink(rig_path(&r, "from/d/b")), 0);
	rig_run(&r);
	cr_expect_eq(r.told[OWNER][TRANSFER_UNREADABLE], 1);
	cr_expect_eq(r.told[CALLER][TRANSFER_INCOMPLETE], 1);
	expect_done(1, 2);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/d.passcat-part/a", 10, 1));
}

/* ---- limits -------------------------------------------------------------*/

Test(transfer, more_than_agreed)
{
	struct transfer_total	 agreed = { 1, 0, 999 };
	const char		*name = "x";

	rig_write(&r, "from/x", 1000, 1);
	r.agreed = &agreed;
	rig_start(&r, &name, 1);
	rig_run(&r);
	cr_expect_eq(r.end[CALLER], TRANSFER_FAILED);
	cr_expect_eq(r.end[OWNER], TRANSFER_FAILED);
	cr_expect_str_eq(transfer_why(r.t[OWNER]),
	    transfer_code_text(TRANSFER_TOOMUCH));
	cr_expect(transfer_theirs(r.t[OWNER]));
	cr_expect_not(transfer_theirs(r.t[CALLER]));
	rig_stop(&r);
	cr_expect_eq(rig_count(&r, "to"), 0);
}

Test(transfer, full_disk)
{
	struct rlimit	 rl = { 100000, 100000 };
	const char	*name = "x";

	rig_write(&r, "from/x", 300000, 1);
	rig_start(&r, &name, 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &rl), 0);
	rig_run(&r);
	cr_expect_eq(r.end[CALLER], TRANSFER_FAILED);
	cr_expect_eq(r.end[OWNER], TRANSFER_FAILED);
	cr_expect_str_eq(transfer_why(r.t[OWNER]),
	    transfer_code_text(TRANSFER_NOSPACE));
	rig_stop(&r);
	cr_expect_not(rig_exists(&r, "to/x"));
}

Test(transfer, stopped_by_the_user)
{
	const char	*name = "x";

	rig_write(&r, "from/x", 1000, 1);
	rig_start(&r, &name, 1);
	transfer_stop(r.t[CALLER], TRANSFER_STOPPED, r.link.now);
	rig_run(&r);
	cr_expect_eq(r.end[OWNER], TRANSFER_FAILED);
	cr_expect_str_eq(transfer_why(r.t[OWNER]),
	    transfer_code_text(TRANSFER_STOPPED));
	rig_stop(&r);
}

Test(transfer, two_at_once)
{
	int	 fd;

	rig_write(&r, "from/x", 1000, 1);
	rig_write(&r, "to/x.passcat-part", 10, 1);
	fd = open(rig_path(&r, "to/x.passcat-part"), O_RDWR);
	cr_assert_neq(fd, -1);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	run("x", 0, 1);
	cr_expect_eq(r.told[OWNER][TRANSFER_BUSY], 1);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x.passcat-part", 10, 1));
	close(fd);
	run("x", 1, 0);
	rig_stop(&r);
	cr_expect(rig_is(&r, "to/x", 1000, 1));
}

/* ---- what is offered ----------------------------------------------------*/

static struct walk *
open_walk(const char *a, const char *b, char *why, size_t size)
{
	char	 one[256], two[256], *names[2] = { one, two };

	(void)strlcpy(one, rig_path(&r, a), sizeof(one));
	(void)strlcpy(two, rig_path(&r, b == NULL ? "" : b), sizeof(two));
	return (walk_open(names, b == NULL ? 1 : 2, why, size));
}

Test(transfer, walk_refuses)
{
	char	 why[256] = "";

	cr_expect_null(open_walk("from/nothing", NULL, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "No such file"), "%s", why);
	rig_mkdir(&r, "from/a");
	rig_mkdir(&r, "from/b");
	rig_write(&r, "from/a/x", 1, 1);
	rig_write(&r, "from/b/x", 1, 1);
	cr_expect_null(open_walk("from/a/x", "from/b/x", why, sizeof(why)));
	cr_expect_not_null(strstr(why, "another"), "%s", why);
	rig_write(&r, "from/y.passcat-part", 1, 1);
	cr_expect_null(open_walk("from/y.passcat-part", NULL, why,
	    sizeof(why)));
	rig_write(&r, "from/.profile", 1, 1);
	cr_expect_null(open_walk("from/.profile", NULL, why, sizeof(why)));
	cr_expect_not_null(strstr(why, "directory"), "%s", why);
}

Test(transfer, walk_knows_dots_and_slashes)
{
	struct transfer_total	 total;
	struct walk		*w;
	char			 why[256] = "";
	static const char	*const same[] = { "from/a", "from/a/",
				    "from/a///", "from/a/.", "from/a/b/.." };
	size_t			 i;

	rig_mkdir(&r, "from/a");
	rig_mkdir(&r, "from/a/b");
	rig_write(&r, "from/a/b/x", 17, 1);
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		w = open_walk(same[i], NULL, why, sizeof(why));
		cr_assert_not_null(w, "%s: %s", same[i], why);
		cr_expect_str_eq(walk_title(w), "a");
		cr_assert_eq(walk_total(w, &total), 0);
		cr_expect_eq(total.files, 1);
		cr_expect_eq(total.dirs, 2);
		cr_expect_eq(total.bytes, 17);
		walk_close(w);
	}
}
