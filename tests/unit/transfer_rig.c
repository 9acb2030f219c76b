/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer_rig.h"

#define TURNS	2000000

const uint8_t	 rig_secret[PROOF_SECRET_LEN] = "32 bytes, and no more";

/* ---- the line -----------------------------------------------------------*/

static void
pair(int *end, int *tap)
{
	int	 sv[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, sv), 0);
	*end = sv[0];
	*tap = sv[1];
}

void
link_open(struct link *l, const uint8_t *other)
{
	int	 owner, caller;

	memset(l, 0, sizeof(*l));
	cr_assert_eq(seal_setup(), 0);
	pair(&owner, &l->fd[OWNER]);
	pair(&caller, &l->fd[CALLER]);
	l->now = 1000;
	l->seal[OWNER] = seal_new(owner, PROOF_OWNER, rig_secret, l->now);
	l->seal[CALLER] = seal_new(caller, PROOF_CALLER,
	    other == NULL ? rig_secret : other, l->now);
	cr_assert_not_null(l->seal[OWNER]);
	cr_assert_not_null(l->seal[CALLER]);
}

void
link_close(struct link *l)
{
	seal_free(l->seal[OWNER]);
	seal_free(l->seal[CALLER]);
	close(l->fd[OWNER]);
	close(l->fd[CALLER]);
}

static void
cut(struct link *l, int from)
{
	l->eof[from] = 1;
	(void)shutdown(l->fd[!from], SHUT_WR);
}

static int
refill(struct link *l, int from)
{
	ssize_t	 n;

	if (l->eof[from])
		return (0);
	n = recv(l->fd[from], l->pend[from], LINK_BUF, MSG_DONTWAIT);
	if (n == 0)
		cut(l, from);
	if (n <= 0)
		return (0);
	l->pend_at[from] = 0;
	l->pend_len[from] = (size_t)n;
	if (l->tap != NULL)
		n = l->tap(from, l->passed[from], l->pend[from], (size_t)n,
		    l->arg);
	l->passed[from] += l->pend_len[from];
	if (n == -1) {
		l->pend_len[from] = 0;
		cut(l, from);
		cut(l, !from);
		return (0);
	}
	l->pend_len[from] = (size_t)n;
	return (n > 0);
}

static int
pass(struct link *l, int from)
{
	ssize_t	 n;

	if (l->pend_at[from] == l->pend_len[from] && !refill(l, from))
		return (0);
	n = send(l->fd[!from], l->pend[from] + l->pend_at[from],
	    l->pend_len[from] - l->pend_at[from],
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return (0);
	/* Nobody is there any more. */
	l->pend_at[from] = n == -1 ? l->pend_len[from] :
	    l->pend_at[from] + (size_t)n;
	return (1);
}

int
link_pass(struct link *l)
{
	int	 a = pass(l, OWNER), b = pass(l, CALLER);

	return (a || b);
}

int
link_prove(struct link *l)
{
	int	 i, a = 0, b = 0;

	for (i = 0; i < 100; i++) {
		a = seal_turn(l->seal[OWNER], l->now);
		b = seal_turn(l->seal[CALLER], l->now);
		(void)link_pass(l);
	}
	return (a == 0 && b == 0 && seal_proven(l->seal[OWNER]) &&
	    seal_proven(l->seal[CALLER]));
}

/* ---- files --------------------------------------------------------------*/

const char *
rig_path(struct rig *r, const char *name)
{
	static char	 path[8192];
	int		 n;

	n = snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	cr_assert(n > 0 && (size_t)n < sizeof(path));
	return (path);
}

void
rig_mkdir(struct rig *r, const char *name)
{
	cr_assert_eq(mkdir(rig_path(r, name), 0755), 0, "%s: %s", name,
	    strerror(errno));
}

void
rig_begin(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	(void)strlcpy(r->dir, "/tmp/passcat-unit.XXXXXXXXXX", sizeof(r->dir));
	cr_assert_not_null(mkdtemp(r->dir));
	rig_mkdir(r, "from");
	rig_mkdir(r, "to");
	r->to = open(rig_path(r, "to"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_neq(r->to, -1);
}

void
rig_end(struct rig *r)
{
	char	*names[] = { r->dir, NULL };
	FTS	*fts = fts_open(names, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT	*e;

	close(r->to);
	while ((e = fts_read(fts)) != NULL) {
		if (e->fts_info == FTS_DP)
			(void)rmdir(e->fts_path);
		else if (e->fts_info != FTS_D)
			(void)unlink(e->fts_path);
	}
	fts_close(fts);
	cr_assert_eq(access(r->dir, F_OK), -1);
}

static uint8_t
byte_of(size_t at, uint32_t seed)
{
	uint32_t	 x = ((uint32_t)at + seed * 40503u) * 2654435761u;

	return ((uint8_t)(x >> 24));
}

void
rig_write(struct rig *r, const char *name, size_t size, uint32_t seed)
{
	FILE	*f = fopen(rig_path(r, name), "w");
	size_t	 i;

	cr_assert_not_null(f, "%s: %s", name, strerror(errno));
	for (i = 0; i < size; i++)
		(void)putc(byte_of(i, seed), f);
	cr_assert_eq(fclose(f), 0);
}

int
rig_is(struct rig *r, const char *name, size_t size, uint32_t seed)
{
	FILE	*f = fopen(rig_path(r, name), "r");
	size_t	 i;
	int	 c = EOF, same;

	if (f == NULL)
		return (0);
	for (i = 0; i < size && (c = getc(f)) == byte_of(i, seed); i++)
		;
	same = i == size && getc(f) == EOF;
	(void)fclose(f);
	return (same);
}

int
rig_exists(struct rig *r, const char *name)
{
	struct stat	 st;

	return (lstat(rig_path(r, name), &st) == 0);
}

int
rig_count(struct rig *r, const char *name)
{
	DIR		*d = opendir(rig_path(r, name));
	struct dirent	*e;
	int		 n = 0;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(d);
	return (n);
}

/* ---- transfers ----------------------------------------------------------*/

struct teller {
	struct rig	*r;
	int		 side;
};
static struct teller	 tellers[2];

static void
on_item(void *arg, enum transfer_code code, const char *path)
{
	struct teller	*who = arg;

	who->r->told[who->side][code]++;
	(void)strlcpy(who->r->last[who->side], path,
	    sizeof(who->r->last[who->side]));
}

static struct walk *
walk_of(struct rig *r, const char *const *names, size_t n)
{
	struct walk	*w;
	char		*paths[16], from[512], why[512] = "";
	size_t		 i;

	cr_assert_leq(n, 16);
	for (i = 0; i < n; i++) {
		(void)snprintf(from, sizeof(from), "from/%s", names[i]);
		paths[i] = strdup(rig_path(r, from));
	}
	w = walk_open(paths, n, why, sizeof(why));
	cr_assert_not_null(w, "%s", why);
	for (i = 0; i < n; i++)
		free(paths[i]);
	cr_assert_eq(walk_total(w, &r->total), 0);
	return (w);
}

void
rig_start(struct rig *r, const char *const *names, size_t n)
{
	struct transfer_hooks	 hooks;
	struct walk		*w = walk_of(r, names, n);
	tap_fn			 tap = r->link.tap;
	void			*arg = r->link.arg;
	int			 i;

	link_open(&r->link, NULL);
	cr_assert(link_prove(&r->link));
	r->link.tap = tap;
	r->link.arg = arg;
	memset(r->told, 0, sizeof(r->told));
	for (i = 0; i < 2; i++) {
		tellers[i].r = r;
		tellers[i].side = i;
		hooks.item = on_item;
		hooks.arg = &tellers[i];
		r->end[i] = TRANSFER_RUNNING;
		r->t[i] = i == OWNER ? transfer_send(r->link.seal[i], w,
		    &r->total, &hooks, r->link.now) :
		    transfer_receive(r->link.seal[i], r->to,
		    r->agreed == NULL ? &r->total : r->agreed, &hooks,
		    r->link.now);
		r->link.seal[i] = NULL;
		cr_assert_not_null(r->t[i]);
	}
}

static int
step(struct rig *r, int side)
{
	if (r->t[side] == NULL)
		return (0);
	if (r->end[side] == TRANSFER_RUNNING)
		r->end[side] = transfer_step(r->t[side], r->link.now);
	return (r->end[side] == TRANSFER_RUNNING &&
	    transfer_wake(r->t[side]) <= r->link.now);
}

void
rig_run(struct rig *r)
{
	long	 turn;
	int	 busy, quiet = 0;

	for (turn = 0; turn < TURNS && quiet < 3; turn++) {
		busy = step(r, OWNER);
		busy |= step(r, CALLER);
		busy |= link_pass(&r->link);
		quiet = busy ? 0 : quiet + 1;
	}
	cr_assert_lt(turn, TURNS);
	/* What is still waiting waits for ever: the line is dead. */
	r->link.now += 10 * SEAL_IDLE_MS;
	(void)step(r, OWNER);
	(void)step(r, CALLER);
}

void
rig_stop(struct rig *r)
{
	transfer_free(r->t[OWNER]);
	transfer_free(r->t[CALLER]);
	r->t[OWNER] = r->t[CALLER] = NULL;
	link_close(&r->link);
	r->link.seal[OWNER] = r->link.seal[CALLER] = NULL;
}

void
rig_send(struct rig *r, const char *name)
{
	rig_start(r, &name, 1);
	rig_run(r);
	rig_stop(r);
}
