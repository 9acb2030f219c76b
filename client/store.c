/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fname.h"
#include "store.h"
#include "wire.h"

#define OPEN_DIR	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* O_NONBLOCK: a pipe that has the name must not hold us up. */
#define OPEN_FILE	(O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Under which name the first component of a path is to be found. */
enum tree {
	FINISHED,
	UNFINISHED
};

struct store {
	int		 root;
	/* The directory that was used last, since many files share one. */
	int		 dir;			/* -1: none */
	enum tree	 dir_tree;
	char		 dir_path[WIRE_PATH_MAX + 1];
};

enum transfer_code
store_code(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return (TRANSFER_NOSPACE);
	case EACCES:
	case EPERM:
	case EROFS:
		return (TRANSFER_DENIED);
	case ELOOP:
	case EMLINK:			/* O_NOFOLLOW on some systems */
	case ENOTDIR:
	case EISDIR:
	case ENXIO:
		return (TRANSFER_BLOCKED);
	case ENOENT:
		return (TRANSFER_NODIR);
	case ENAMETOOLONG:
	case EILSEQ:
	case EINVAL:
		return (TRANSFER_BADNAME);
	case EEXIST:
	case ENOTEMPTY:
		return (TRANSFER_EXISTS);
	default:
		return (TRANSFER_IO);
	}
}

struct store *
store_new(int dir)
{
	struct store	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return (NULL);
	s->root = dir;
	s->dir = -1;
	return (s);
}

static void
forget_dir(struct store *s)
{
	if (s->dir != -1)
		close(s->dir);
	s->dir = -1;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	forget_dir(s);
	free(s);
}

/* ---- directories --------------------------------------------------------*/

/* Copy the component at ${path} into ${name}; return what follows it. */
static const char *
component(const char *path, char name[FNAME_SIZE])
{
	size_t	 len = strcspn(path, "/");

	memcpy(name, path, len);
	name[len] = '\0';
	return (path[len] == '/' ? path + len + 1 : path + len);
}

static int
is_top(const char *path)
{
	return (strchr(path, '/') == NULL);
}

/*
 * Is there anything under the final name of the first component?  Then that
 * is what the path is about, and nothing may be written.
 */
static enum tree
tree_of(struct store *s, const char *path)
{
	char		 top[FNAME_SIZE];
	struct stat	 st;

	component(path, top);
	return (fstatat(s->root, top, &st, AT_SYMLINK_NOFOLLOW) == 0 ?
	    FINISHED : UNFINISHED);
}

/* Open the ${len} bytes at ${path} as directories, one below the other. */
static int
open_way(struct store *s, enum tree tree, const char *path, size_t len)
{
	const char	*end = path + len;
	char		 name[FNAME_SIZE], part[FNAME_SIZE];
	int		 fd, next;

	path = component(path, name);
	fd = openat(s->root, tree == FINISHED ? name : fname_part(name, part),
	    OPEN_DIR);
	while (fd != -1 && path < end) {
		path = component(path, name);
		next = openat(fd, name, OPEN_DIR);
		close(fd);
		fd = next;
	}
	return (fd);
}

/*
 * Return the directory that ${path} is in, which stays ours, and its last
 * component in ${leaf}; or -1 and errno.
 */
static int
parent(struct store *s, enum tree tree, const char *path, const char **leaf)
{
	const char	*slash = strrchr(path, '/');
	size_t		 len;

	*leaf = slash == NULL ? path : slash + 1;
	if (slash == NULL)
		return (s->root);
	len = (size_t)(slash - path);
	if (s->dir != -1 && s->dir_tree == tree &&
	    strncmp(s->dir_path, path, len) == 0 && s->dir_path[len] == '\0')
		return (s->dir);
	forget_dir(s);
	s->dir = open_way(s, tree, path, len);
	s->dir_tree = tree;
	memcpy(s->dir_path, path, len);
	s->dir_path[len] = '\0';
	return (s->dir);
}

/* Is there a directory of that name that belongs to us? */
static enum transfer_code
check_dir(int dir, const char *name)
{
	struct stat	 st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return (store_code(errno));
	return (S_ISDIR(st.st_mode) && st.st_uid == geteuid() ?
	    TRANSFER_STORED : TRANSFER_BLOCKED);
}

static enum transfer_code
compare_dir(struct store *s, const char *path)
{
	const char	*leaf;
	struct stat	 st;
	int		 dir;

	if ((dir = parent(s, FINISHED, path, &leaf)) == -1 ||
	    fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISDIR(st.st_mode))
		return (TRANSFER_EXISTS);
	return (TRANSFER_ALREADY);
}

enum transfer_code
store_mkdir(struct store *s, const char *path)
{
	const char	*leaf;
	char		 part[FNAME_SIZE];
	int		 dir;

	if (tree_of(s, path) == FINISHED)
		return (compare_dir(s, path));
	if ((dir = parent(s, UNFINISHED, path, &leaf)) == -1)
		return (store_code(errno));
	if (is_top(path))
		leaf = fname_part(leaf, part);
	if (mkdirat(dir, leaf, 0700) == 0)
		return (TRANSFER_STORED);
	return (errno == EEXIST ? check_dir(dir, leaf) : store_code(errno));
}

static void
times(struct timespec ts[2], int64_t sec, uint32_t nsec)
{
	memset(ts, 0, 2 * sizeof(*ts));
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = (time_t)sec;
	ts[1].tv_nsec = (long)nsec;
}

/*
 * The name was there when we came, and all below it is the same; or it came
 * since, and then what we have cannot get it.
 */
static enum transfer_code
leave_finished(struct store *s, const char *path, uint64_t entries)
{
	char		 part[FNAME_SIZE];
	struct stat	 st;

	if (entries == STORE_LACKS || (is_top(path) && fstatat(s->root,
	    fname_part(path, part), &st, AT_SYMLINK_NOFOLLOW) == 0))
		return (TRANSFER_EXISTS);
	return (compare_dir(s, path));
}

static int	 count_below(int, const char *, int, uint64_t *);

/* Count one entry, and what is below it; ".": nothing. */
static int
count_entry(int dir, const char *name, int depth, uint64_t *n)
{
	struct stat	 st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return (0);
	(*n)++;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return (-1);
	return (S_ISDIR(st.st_mode) ? count_below(dir, name, depth + 1, n) :
	    0);
}

/* Add to ${n} how many entries there are below the directory ${name}. */
static int
count_below(int dir, const char *name, int depth, uint64_t *n)
{
	struct dirent	*e;
	DIR		*d;
	int		 fd, r = 0;

	if (depth > FNAME_DEPTH_MAX ||
	    (fd = openat(dir, name, OPEN_DIR)) == -1)
		return (-1);
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return (-1);
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		r = count_entry(fd, e->d_name, depth, n);
	closedir(d);
	return (r);
}

static enum transfer_code
name_dir(int dir, const char *part, const char *leaf, uint64_t entries)
{
	uint64_t	 n = 0;

	if (entries == STORE_LACKS || count_below(dir, part, 0, &n) == -1 ||
	    n != entries)
		return (TRANSFER_INCOMPLETE);
	/* At worst this replaces an empty directory. */
	if (renameat(dir, part, dir, leaf) == -1)
		return (errno == ENOTDIR ? TRANSFER_EXISTS :
		    store_code(errno));
	return (TRANSFER_STORED);
}

enum transfer_code
store_leave(struct store *s, const char *path, int64_t sec, uint32_t nsec,
    uint64_t entries)
{
	enum transfer_code	 code;
	struct timespec		 ts[2];
	const char		*leaf, *name;
	char			 part[FNAME_SIZE];
	int			 dir;

	if (tree_of(s, path) == FINISHED)
		return (leave_finished(s, path, entries));
	if ((dir = parent(s, UNFINISHED, path, &leaf)) == -1)
		return (store_code(errno));
	name = is_top(path) ? fname_part(leaf, part) : leaf;
	/* An unfinished file is not to get its name like this. */
	if ((code = check_dir(dir, name)) != TRANSFER_STORED)
		return (code);
	/* A file system may not know such a time: that is no failure. */
	times(ts, sec, nsec);
	(void)utimensat(dir, name, ts, AT_SYMLINK_NOFOLLOW);
	if (!is_top(path))
		return (TRANSFER_STORED);
	forget_dir(s);
	return (name_dir(dir, name, leaf, entries));
}

/* ---- files --------------------------------------------------------------*/

/* A file that we may write to: nobody else's, and under no other name. */
static int
is_ours(const struct stat *st)
{
	return (S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	    st->st_uid == geteuid());
}

static enum transfer_code
look_whole(const struct stat *st, uint64_t size, struct store_found *found)
{
	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != size)
		return (TRANSFER_EXISTS);
	found->whole = 1;
	found->have = size;
	return (TRANSFER_STORED);
}

static enum transfer_code
look_part(int dir, const char *leaf, uint64_t size, struct store_found *found)
{
	char		 part[FNAME_SIZE];
	struct stat	 st;

	if (fstatat(dir, fname_part(leaf, part), &st,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return (errno == ENOENT ? TRANSFER_STORED : store_code(errno));
	if (!is_ours(&st))
		return (TRANSFER_BLOCKED);
	if ((uint64_t)st.st_size <= size)
		found->have = (uint64_t)st.st_size;
	return (TRANSFER_STORED);
}

enum transfer_code
store_look(struct store *s, const char *path, uint64_t size,
    struct store_found *found)
{
	enum tree	 tree = tree_of(s, path);
	const char	*leaf;
	struct stat	 st;
	int		 dir;

	memset(found, 0, sizeof(*found));
	if ((dir = parent(s, tree, path, &leaf)) == -1)
		return (tree == FINISHED ? TRANSFER_EXISTS :
		    store_code(errno));
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return (look_whole(&st, size, found));
	if (errno != ENOENT)
		return (store_code(errno));
	/* A finished directory that lacks this file is somebody else's. */
	if (tree == FINISHED)
		return (TRANSFER_EXISTS);
	return (look_part(dir, leaf, size, found));
}

enum transfer_code
store_open(struct store *s, const char *path, int whole, int *fd)
{
	char		 part[FNAME_SIZE];
	const char	*leaf;
	struct stat	 st;
	int		 dir;

	if ((dir = parent(s, tree_of(s, path), path, &leaf)) == -1)
		return (store_code(errno));
	*fd = openat(dir, whole ? leaf : fname_part(leaf, part),
	    O_RDONLY | OPEN_FILE);
	if (*fd == -1)
		return (store_code(errno));
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return (TRANSFER_STORED);
	close(*fd);
	*fd = -1;
	return (TRANSFER_BLOCKED);
}

static enum transfer_code
prepare(int fd, uint64_t offset)
{
	struct stat	 st;

	if (fstat(fd, &st) == -1)
		return (store_code(errno));
	if (!is_ours(&st))
		return (TRANSFER_BLOCKED);
	/* Whoever has the lock is another passcat, and may have written. */
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return (errno == EWOULDBLOCK ? TRANSFER_BUSY :
		    store_code(errno));
	if (fstat(fd, &st) == -1 || (uint64_t)st.st_size < offset)
		return (TRANSFER_BUSY);
	if (ftruncate(fd, (off_t)offset) == -1 ||
	    lseek(fd, (off_t)offset, SEEK_SET) == -1)
		return (store_code(errno));
	return (TRANSFER_STORED);
}

enum transfer_code
store_begin(struct store *s, const char *path, uint64_t offset, int *fd)
{
	enum transfer_code	 code;
	char			 part[FNAME_SIZE];
	const char		*leaf;
	int			 dir;

	if (tree_of(s, path) == FINISHED && !is_top(path))
		return (TRANSFER_EXISTS);
	if ((dir = parent(s, UNFINISHED, path, &leaf)) == -1)
		return (store_code(errno));
	*fd = openat(dir, fname_part(leaf, part), O_RDWR | O_CREAT | OPEN_FILE,
	    0600);
	if (*fd == -1)
		return (store_code(errno));
	if ((code = prepare(*fd, offset)) == TRANSFER_STORED)
		return (code);
	close(*fd);
	*fd = -1;
	return (code);
}

/*
 * Where there are no hard links: make the name, which fails if it exists,
 * then put the file in its place.
 */
static enum transfer_code
name_by_place(int dir, const char *part, const char *leaf)
{
	int	 fd, error;

	fd = openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | OPEN_FILE, 0600);
	if (fd == -1)
		return (store_code(errno));
	close(fd);
	if (renameat(dir, part, dir, leaf) == 0)
		return (TRANSFER_STORED);
	error = errno;
	(void)unlinkat(dir, leaf, 0);
	return (store_code(error));
}

/* rename(2) would replace what has the name; a link does not. */
static enum transfer_code
name_file(int dir, const char *part, const char *leaf)
{
	if (linkat(dir, part, dir, leaf, 0) == 0) {
		(void)unlinkat(dir, part, 0);
		return (TRANSFER_STORED);
	}
	if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		return (name_by_place(dir, part, leaf));
	return (store_code(errno));
}

enum transfer_code
store_commit(struct store *s, const char *path, int fd, int exec, int64_t sec,
    uint32_t nsec)
{
	struct timespec	 ts[2];
	char		 part[FNAME_SIZE];
	const char	*leaf;
	int		 dir;

	if ((dir = parent(s, UNFINISHED, path, &leaf)) == -1)
		return (store_code(errno));
	if (fchmod(fd, exec ? 0700 : 0600) == -1)
		return (store_code(errno));
	times(ts, sec, nsec);
	(void)futimens(fd, ts);
	return (name_file(dir, fname_part(leaf, part), leaf));
}
