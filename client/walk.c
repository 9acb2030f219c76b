/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fname.h"
#include "walk.h"
#include "wire.h"

struct walk {
	FTS		*fts;
	char		**names;	/* without slashes at the end */
	size_t		 n;
	size_t		 base;		/* where the path begins in fts_path */
};

static const char *
last_component(const char *name)
{
	const char	*slash = strrchr(name, '/');

	return (slash == NULL ? name : slash + 1);
}

/* A name whose last component can be the receiver's. */
static char *
normal(const char *name)
{
	const char	*last;
	char		*copy;
	size_t		 len = strlen(name);

	if ((copy = strdup(name)) == NULL)
		return (NULL);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	last = last_component(copy);
	if (strcmp(last, ".") != 0 && strcmp(last, "..") != 0 && *last != '\0')
		return (copy);
	free(copy);
	return (realpath(name, NULL));
}

static int
check(const struct walk *w, const char *given, char *why, size_t size)
{
	const char	*name = w->names[w->n - 1], *last;
	char		 shown[PATH_MAX];
	struct stat	 st;
	size_t		 i;

	fname_show(given, shown, sizeof(shown));
	if (name == NULL || stat(name, &st) == -1) {
		(void)snprintf(why, size, "%s: %s", shown, strerror(errno));
		return (-1);
	}
	last = last_component(name);
	if (!fname_ok(last, strlen(last))) {
		(void)snprintf(why, size, "%s: the receiver takes no file of "
		    "that name%s", shown, last[0] == '.' ? "; put it into a "
		    "directory" : "");
		return (-1);
	}
	for (i = 0; i < w->n - 1; i++)
		if (strcmp(last_component(w->names[i]), last) == 0) {
			(void)snprintf(why, size, "%s: another one of that "
			    "name is to be sent", shown);
			return (-1);
		}
	return (0);
}

struct walk *
walk_open(char *const *names, size_t n, char *why, size_t size)
{
	struct walk	*w;
	size_t		 i;

	w = calloc(1, sizeof(*w));
	if (w == NULL || (w->names = calloc(n + 1, sizeof(*w->names))) == NULL)
		goto memory;
	for (i = 0; i < n; i++) {
		w->names[w->n++] = normal(names[i]);
		if (check(w, names[i], why, size) == -1) {
			walk_close(w);
			return (NULL);
		}
	}
	if (walk_rewind(w) == 0)
		return (w);
memory:
	(void)snprintf(why, size, "%s", strerror(errno));
	walk_close(w);
	return (NULL);
}

/*
 * glibc's fts_close(3) forgets what was read of a directory that the walk has
 * not entered yet; going over it, without entering anything, frees it.
 */
static void
end_walk(struct walk *w)
{
	FTSENT	*e;

	if (w->fts == NULL)
		return;
	while ((e = fts_read(w->fts)) != NULL)
		(void)fts_set(w->fts, e, FTS_SKIP);
	fts_close(w->fts);
	w->fts = NULL;
}

void
walk_close(struct walk *w)
{
	size_t	 i;

	if (w == NULL)
		return;
	end_walk(w);
	for (i = 0; i < w->n; i++)
		free(w->names[i]);
	free(w->names);
	free(w);
}

int
walk_rewind(struct walk *w)
{
	end_walk(w);
	w->fts = fts_open(w->names, FTS_PHYSICAL | FTS_NOCHDIR |
	    FTS_COMFOLLOW, NULL);
	return (w->fts == NULL ? -1 : 0);
}

const char *
walk_title(const struct walk *w)
{
	return (last_component(w->names[0]));
}

static void
skip(struct walk_item *item, enum transfer_code code)
{
	item->kind = WALK_SKIP;
	item->code = code;
}

static void
classify(struct walk_item *item, const FTSENT *e)
{
	switch (e->fts_info) {
	case FTS_D:
		item->kind = WALK_DIR;
		break;
	case FTS_DP:
		item->kind = WALK_LEAVE;
		break;
	case FTS_F:
		item->kind = WALK_FILE;
		break;
	case FTS_SL:
	case FTS_SLNONE:
		skip(item, TRANSFER_SYMLINK);
		break;
	case FTS_DEFAULT:
		skip(item, TRANSFER_SPECIAL);
		break;
	default:
		skip(item, TRANSFER_UNREADABLE);
		break;
	}
}

/* What the receiver would refuse is not offered. */
static void
check_name(struct walk *w, struct walk_item *item, FTSENT *e)
{
	size_t	 len = strlen(item->path);

	if (item->kind == WALK_SKIP ||
	    (len <= WIRE_PATH_MAX && fname_ok(item->path, len)))
		return;
	if (item->kind == WALK_DIR)
		(void)fts_set(w->fts, e, FTS_SKIP);
	skip(item, TRANSFER_BADNAME);
}

int
walk_next(struct walk *w, struct walk_item *item)
{
	FTSENT	*e;

	errno = 0;
	if ((e = fts_read(w->fts)) == NULL)
		return (errno == 0 ? 0 : -1);
	if (e->fts_level == FTS_ROOTLEVEL)
		w->base = (size_t)(last_component(e->fts_path) - e->fts_path);
	memset(item, 0, sizeof(*item));
	item->local = e->fts_path;
	item->path = e->fts_path + w->base;
	classify(item, e);
	if (item->kind != WALK_SKIP)
		item->st = *e->fts_statp;
	check_name(w, item, e);
	return (1);
}

int
walk_total(struct walk *w, struct transfer_total *total)
{
	struct walk_item	 item;
	int			 more;

	memset(total, 0, sizeof(*total));
	while ((more = walk_next(w, &item)) == 1)
		if (item.kind == WALK_FILE) {
			total->files++;
			total->bytes += (uint64_t)item.st.st_size;
		} else if (item.kind == WALK_DIR)
			total->dirs++;
	return (more == 0 ? walk_rewind(w) : -1);
}
