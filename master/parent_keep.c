/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/tree.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"

/*
 * What the parent keeps for the next control: records, which are bytes to
 * it, and the other copies of control's channels to the workers.
 */
struct kept {
	RB_ENTRY(kept)	 entry;
	uint32_t	 id;
	int		 fd;		/* -1: none */
	size_t		 len;
	unsigned char	*record;
};

static int
compare(struct kept *a, struct kept *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

RB_HEAD(kept_tree, kept);
RB_PROTOTYPE(kept_tree, kept, entry, compare)
RB_GENERATE(kept_tree, kept, entry, compare)

static struct kept_tree	 all = RB_INITIALIZER(&all);
static uint32_t		 adopted;	/* the last one sent to control */

static struct kept *
find(uint32_t id)
{
	struct kept	 key;

	key.id = id;
	return (RB_FIND(kept_tree, &all, &key));
}

/* The first one after ${id}. */
static struct kept *
after(uint32_t id)
{
	struct kept	 key;

	if (id == UINT32_MAX)
		return (NULL);
	key.id = id + 1;
	return (RB_NFIND(kept_tree, &all, &key));
}

static void
drop(struct kept *k)
{
	RB_REMOVE(kept_tree, &all, k);
	if (k->fd != -1)
		(void)close(k->fd);
	free(k->record);
	free(k);
	parent.nkept--;
}

static struct kept *
add(uint32_t id)
{
	struct kept	*k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return (NULL);
	k->id = id;
	k->fd = -1;
	(void)RB_INSERT(kept_tree, &all, k);
	parent.nkept++;
	if (id > parent.last_id)
		parent.last_id = id;
	return (k);
}

int
keep_put(uint32_t id, const void *record, size_t len, int fd)
{
	struct kept	*k = find(id);
	unsigned char	*copy;

	if (id == 0 || (copy = malloc(len)) == NULL)
		return (-1);
	if (k == NULL && (parent.nkept >= KEEP_MAX ||
	    (k = add(id)) == NULL)) {
		free(copy);
		return (-1);
	}
	memcpy(copy, record, len);
	free(k->record);
	k->record = copy;
	k->len = len;
	if (fd == -1)
		return (0);
	if (k->fd != -1)
		(void)close(k->fd);
	k->fd = fd;
	return (0);
}

void
keep_release(uint32_t id)
{
	struct kept	*k = find(id);

	if (k != NULL)
		drop(k);
}

void
keep_release_all(void)
{
	struct kept	*k;

	while ((k = RB_MIN(kept_tree, &all)) != NULL)
		drop(k);
}

void
keep_adopt_start(void)
{
	struct msg_epoch	 m;

	adopted = 0;
	msg_init(&m, sizeof(m), MSG_EPOCH, 0);
	m.epoch = ++parent.epoch;
	m.last_id = parent.last_id;
	memcpy(m.key, parent.key, sizeof(m.key));
	(void)proc_send(PROC_CONTROL, &m, sizeof(m), -1);
	explicit_bzero(&m, sizeof(m));
}

int
keep_adopt(void)
{
	struct msg_record	 m;
	struct msg_hdr		 end;
	struct kept		*k;

	while ((k = after(adopted)) != NULL) {
		msg_init(&m, sizeof(m.hdr), MSG_ADOPT, k->id);
		memcpy(m.record, k->record, k->len);
		if (proc_send(PROC_CONTROL, &m,
		    offsetof(struct msg_record, record) + k->len,
		    k->fd) == -1)
			return (0);
		adopted = k->id;
	}
	msg_init(&end, sizeof(end), MSG_ADOPTED, 0);
	return (proc_send(PROC_CONTROL, &end, sizeof(end), -1) == 0);
}

/* ---- over an upgrade ----------------------------------------------------*/

struct saved {
	uint32_t	 id;
	int32_t		 fd;
	uint32_t	 len;
	uint32_t	 pad;
};

static int
write_all(int file, const void *buf, size_t len)
{
	ssize_t	 n = write(file, buf, len);

	return (n == -1 || (size_t)n != len ? -1 : 0);
}

int
keep_save(int file)
{
	struct kept	*k;
	struct saved	 s;

	RB_FOREACH(k, kept_tree, &all) {
		memset(&s, 0, sizeof(s));
		s.id = k->id;
		s.fd = k->fd;
		s.len = (uint32_t)k->len;
		if (write_all(file, &s, sizeof(s)) == -1 ||
		    write_all(file, k->record, k->len) == -1)
			return (-1);
	}
	return (0);
}

int
keep_load(int file, uint32_t n)
{
	static unsigned char	 record[MSG_RECORD_MAX];
	struct saved		 s;

	for (; n > 0; n--) {
		if (read(file, &s, sizeof(s)) != (ssize_t)sizeof(s) ||
		    s.len == 0 || s.len > sizeof(record) ||
		    read(file, record, s.len) != (ssize_t)s.len ||
		    keep_put(s.id, record, s.len, s.fd) == -1)
			return (-1);
	}
	return (0);
}

void
keep_each_fd(void (*fn)(int, int), int arg)
{
	struct kept	*k;

	RB_FOREACH(k, kept_tree, &all) {
		if (k->fd != -1)
			fn(k->fd, arg);
	}
}
