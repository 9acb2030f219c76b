/* SPDX-License-Identifier: ISC */
/*
 * The escape test: what a taken worker and a taken control can do, tried
 * (DESIGN.md section 1).  Each attempt is made without a cage, where it has
 * to have its way, or it would show nothing; in single layers of the cage;
 * and in the whole cage, where it has to fail or to cost the process its
 * life.
 */
#include <sys/types.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "rig.h"

TestSuite(escape, .timeout = 240);

#define COLUMNS_MAX	5
#define ATTEMPTS_MAX	256
/*
 * A control has a filter of its own, unlike the workers of one spawner: a few
 * dozen, one after the other (DESIGN.md section 9).
 */
#define CONTROLS_MAX	40

struct column {
	const char	*title;
	unsigned int	 layers;
};

static const struct column	 worker_columns[] = {
	{ "free", 0 }, { "user", ESCAPE_LIMITS },
	{ "landlock", ESCAPE_LANDLOCK }, { "filter", ESCAPE_FILTER },
	{ "caged", ESCAPE_ALL },
};

static const struct column	 control_columns[] = {
	{ "free", 0 }, { "caged", ESCAPE_ALL },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static int			 table[ATTEMPTS_MAX][COLUMNS_MAX];

static const char *
error_name(int error, char *buf, size_t size)
{
	static const struct {
		int		 error;
		const char	*name;
	}			 names[] = {
		{ EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { ESRCH, "ESRCH" },
		{ EAGAIN, "EAGAIN" }, { EACCES, "EACCES" },
		{ EINVAL, "EINVAL" }, { ENOSYS, "ENOSYS" },
		{ EBADF, "EBADF" }, { ENOSPC, "ENOSPC" },
		{ EFAULT, "EFAULT" }, { ESPIPE, "ESPIPE" },
		{ EADDRNOTAVAIL, "EADDRNOTAVAIL" },
		{ ENOMEM, "ENOMEM" }, { ENOTSUP, "ENOTSUP" },
		{ ENETUNREACH, "ENETUNREACH" }, { ENODEV, "ENODEV" },
		{ ECONNREFUSED, "ECONNREFUSED" }, { ENOTDIR, "ENOTDIR" },
		{ EPROTONOSUPPORT, "EPROTONOSUP" },
		{ ESOCKTNOSUPPORT, "ESOCKTNOSUP" },
		{ EAFNOSUPPORT, "EAFNOSUPPORT" }, { ENODATA, "ENODATA" },
		{ ENOPROTOOPT, "ENOPROTOOPT" }, { EUSERS, "EUSERS" },
		{ ENOTCONN, "ENOTCONN" }, { EPIPE, "EPIPE" },
		{ EISCONN, "EISCONN" }, { ENOTTY, "ENOTTY" },
		{ EOVERFLOW, "EOVERFLOW" }, { EMFILE, "EMFILE" },
		{ ENOKEY, "ENOKEY" }, { EDOM, "EDOM" }, { EBUSY, "EBUSY" },
	};
	size_t			 i;

	for (i = 0; i < N(names); i++) {
		if (names[i].error == error)
			return (names[i].name);
	}
	(void)snprintf(buf, size, "errno %d", error);
	return (buf);
}

static const char *
outcome_name(int out, char *buf, size_t size)
{
	switch (out) {
	case 0:
		return ("ok");
	case -SIGSYS:
		return ("SIGSYS");
	case -SIGSEGV:
		return ("SIGSEGV");
	case OUT_REFUSED:
		return ("refused");
	case OUT_EXIT:
		return ("exited");
	case OUT_HANG:
		return ("hangs");
	case OUT_NONE:
		return ("-");
	default:
		break;
	}
	if (out > 0)
		return (error_name(out, buf, size));
	(void)snprintf(buf, size, "signal %d", -out);
	return (buf);
}

/* Did it get through? */
static int
is_open(const struct attempt *a, int out)
{
	return (out == 0 || (a->reached != 0 && out == a->reached));
}

static void
print_row(FILE *f, const struct attempt *a, const int *row, size_t ncols)
{
	char	 buf[32];
	size_t	 c;

	fprintf(f, "%-30s", a->name);
	for (c = 0; c < ncols; c++)
		fprintf(f, " %-*s", c + 1 == ncols ? 0 :
		    12, outcome_name(row[c], buf,
		    sizeof(buf)));
	if (is_open(a, row[ncols - 1]))
		fprintf(f, " (%s)", a->why != NULL ? a->why : "OPEN");
	fprintf(f, "\n");
}

/* Without a cage it has to have its way, or it shows nothing. */
static int
shows_something(const struct attempt *a, int without)
{
	if (is_open(a, without) || (a->flags & A_KERNEL))
		return (1);
	return ((a->flags & A_ROOT) && geteuid() != 0);
}

/* Since Linux 6.7: before, control can connect where it likes. */
static int
landlock_tcp(void)
{
	return (landlock_abi() >= 4);
}

static void
judge(const struct attempt *a, const int *row, size_t ncols, int who)
{
	int	 caged = row[ncols - 1];

	cr_expect(shows_something(a, row[0]), "\"%s\" fails without a cage, "
	    "too: %d", a->name, row[0]);
	if (a->flags & (who == A_CONTROL ? A_OPEN_CONTROL : A_OPEN_WORKER))
		return;
	if (who == A_CONTROL && (a->flags & A_LANDLOCK) && !landlock_tcp())
		return;
	if (is_open(a, caged)) {
		cr_expect_fail("\"%s\" has its way in the cage", a->name);
		return;
	}
	cr_expect(caged < OUT_EXIT, "\"%s\" ends oddly: %d", a->name, caged);
	cr_expect(caged > 0 || caged == -SIGSYS, "\"%s\": killed by signal "
	    "%d", a->name, -caged);
}

/* The table goes out in one piece: other tests print, too. */
static void
report(const char *who, int kind, const struct column *cols, size_t ncols)
{
	const struct attempt	*a;
	size_t			 i, c, n = 0, killed = 0, open = 0, size;
	char			*text;
	FILE			*f;

	cr_assert_not_null(f = open_memstream(&text, &size));
	fprintf(f, "\nA taken %s, started as %s:\n%-30s", who,
	    geteuid() == 0 ? "root" : "an ordinary user", "attempt");
	for (c = 0; c < ncols; c++)
		fprintf(f, " %-*s", c + 1 == ncols ? 0 :
		    12, cols[c].title);
	fprintf(f, "\n");
	for (i = 0; (a = attempt(i)) != NULL; i++) {
		if (!(a->flags & (unsigned int)kind))
			continue;
		print_row(f, a, table[i], ncols);
		n++;
		killed += table[i][ncols - 1] == -SIGSYS;
		open += (size_t)is_open(a, table[i][ncols - 1]);
	}
	fprintf(f, "%zu attempts: %zu killed, %zu refused, %zu open\n\n", n,
	    killed, n - killed - open, open);
	cr_assert_eq(fclose(f), 0);
	(void)fwrite(text, 1, size, stdout);
	(void)fflush(stdout);
	free(text);
	for (i = 0; (a = attempt(i)) != NULL; i++) {
		if (a->flags & (unsigned int)kind)
			judge(a, table[i], ncols, kind);
	}
}

static int
skipped(int user)
{
#ifdef WITH_SANITIZERS
	(void)user;
	(void)printf("escape: skipped, the filters of a build with sanitizers "
	    "let more through\n");
	(void)fflush(stdout);
	cr_skip_test("sanitizers");
#endif
	if (!user && geteuid() != 0)
		cr_skip_test("not root");
	return (0);
}

static void
try_all(int kind, size_t c, int (*try)(const struct attempt *))
{
	const struct attempt	*a;
	size_t			 i;

	for (i = 0; (a = attempt(i)) != NULL; i++) {
		cr_assert_lt(i, ATTEMPTS_MAX);
		table[i][c] = OUT_NONE;
		if (a->flags & (unsigned int)kind)
			table[i][c] = try(a);
	}
}

static void
worker(int user)
{
	size_t		 c;
	unsigned int	 reached;

	if (skipped(user))
		return;
	rig_open(user);
	for (c = 0; c < N(worker_columns); c++) {
		rig_spawner(worker_columns[c].layers);
		try_all(A_WORKER, c, rig_worker);
		reached = rig_reached();
		if (c == 0)
			cr_expect_gt(reached, 0);
		if (worker_columns[c].layers == ESCAPE_ALL)
			cr_expect_eq(reached, 0, "somebody was reached");
		rig_spawner_stop();
	}
	report("worker", A_WORKER, worker_columns, N(worker_columns));
}

static void
control(int user)
{
	size_t		 c;
	unsigned int	 reached;

	if (skipped(user))
		return;
	rig_open(user);
	for (c = 0; c < N(control_columns); c++) {
		rig_control(control_columns[c].layers);
		try_all(A_CONTROL, c, rig_control_try);
		rig_control_stop();
		reached = rig_reached();
		if (c == 0)
			cr_expect_gt(reached, 0);
		else if (landlock_tcp())
			cr_expect_eq(reached, 0, "somebody was reached");
	}
	report("control", A_CONTROL, control_columns, N(control_columns));
	cr_expect_leq(rig_started(), CONTROLS_MAX, "too many filters");
}

Test(escape, worker_as_root, .fini = rig_close)
{
	worker(0);
}

Test(escape, worker_as_user, .fini = rig_close)
{
	worker(1);
}

Test(escape, control_as_root, .fini = rig_close)
{
	control(0);
}

Test(escape, control_as_user, .fini = rig_close)
{
	control(1);
}

/*
 * abort(3) and the stack protector find their way to signal themselves
 * closed: that is a crash, and not to be taken for a call of the worker's.
 */
static const struct attempt *
find(const char *name)
{
	const struct attempt	*a;
	size_t			 i;

	for (i = 0; (a = attempt(i)) != NULL; i++) {
		if (strcmp(a->name, name) == 0)
			break;
	}
	cr_assert_not_null(a);
	return (a);
}

Test(escape, abort_is_no_call_that_is_forbidden, .fini = rig_close)
{
	int	 r;

	if (skipped(1))
		return;
	rig_open(0);
	rig_spawner(ESCAPE_ALL);
	r = rig_worker(find(ABORT));
	cr_expect(r < 0 && r != -SIGSYS, "worker: %d", r);
	rig_spawner_stop();
	rig_control(ESCAPE_ALL);
	r = rig_control_try(find(ABORT));
	cr_expect(r < 0 && r != -SIGSYS, "control: %d", r);
}
