/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer_side.h"
#include "walk.h"

/* An entry that was named and has no result yet. */
struct slot {
	char		*local;		/* NULL: not in use */
	const char	*path;		/* in local */
	enum wire_kind	 kind;
	uint64_t	 size;
	dev_t		 dev;
	ino_t		 ino;
	struct timespec	 mtim;
	int		 summed, got;	/* was asked for, each once */
};

struct request {
	enum wire_type	 type;		/* WIRE_SUM or WIRE_GET */
	uint64_t	 id;
	uint64_t	 size;		/* how much, or from where */
};

/* A slot has at most one request of each kind. */
#define REQUESTS	(2 * WIRE_WINDOW)

struct sender {
	struct walk	*walk;
	struct transfer_total left;	/* of what was offered */
	int		 offered, walked, finished;
	int		 waiting;	/* until all has its result */
	uint64_t	 named, oldest;	/* numbers of entries */
	struct slot	 slots[WIRE_WINDOW];
	struct request	 requests[REQUESTS];
	uint64_t	 asked, begun;
	int		 fd;		/* of the request begun; -1: none */
	struct request	 job;
	uint64_t	 todo;		/* bytes */
	crypto_onetimeauth_state sum;
};

static struct slot *
slot_of(struct sender *s, uint64_t id)
{
	struct slot	*slot = &s->slots[id % WIRE_WINDOW];

	if (id < s->oldest || id >= s->named || slot->local == NULL)
		return (NULL);
	return (slot);
}

/* ---- what is there ------------------------------------------------------*/

static void
put_entry(struct transfer *t, enum wire_kind kind, const struct walk_item *item)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_ENTRY;
	w.code = (uint8_t)kind;
	w.exec = kind == WIRE_FILE && (item->st.st_mode & S_IXUSR) != 0;
	w.size = kind == WIRE_FILE ? (uint64_t)item->st.st_size : 0;
	w.sec = item->st.st_mtim.tv_sec;
	w.nsec = (uint32_t)item->st.st_mtim.tv_nsec;
	w.data = (const uint8_t *)item->path;
	w.len = strlen(item->path);
	side_put(t, &w, 0);
}

/* What came since the offer is not part of it. */
static int
within_offer(struct sender *s, const struct walk_item *item)
{
	if (item->kind == WALK_DIR) {
		if (s->left.dirs == 0)
			return (0);
		s->left.dirs--;
	} else if (item->kind == WALK_FILE) {
		if (s->left.files == 0 ||
		    s->left.bytes < (uint64_t)item->st.st_size)
			return (0);
		s->left.files--;
		s->left.bytes -= (uint64_t)item->st.st_size;
	}
	return (1);
}

static void
name_entry(struct transfer *t, struct sender *s, const struct walk_item *item)
{
	static const enum wire_kind	 kinds[] = {
		[WALK_FILE] = WIRE_FILE,
		[WALK_DIR] = WIRE_DIR,
		[WALK_LEAVE] = WIRE_LEAVE
	};
	struct slot	*slot = &s->slots[s->named % WIRE_WINDOW];

	memset(slot, 0, sizeof(*slot));
	if ((slot->local = strdup(item->local)) == NULL) {
		side_fail(t, TRANSFER_IO);
		return;
	}
	slot->path = slot->local + (item->path - item->local);
	slot->kind = kinds[item->kind];
	slot->size = slot->kind == WIRE_FILE ? (uint64_t)item->st.st_size : 0;
	slot->dev = item->st.st_dev;
	slot->ino = item->st.st_ino;
	slot->mtim = item->st.st_mtim;
	s->named++;
	/* The receiver gives a directory its name: see how that ends. */
	s->waiting = slot->kind == WIRE_LEAVE &&
	    strchr(slot->path, '/') == NULL;
	put_entry(t, slot->kind, item);
}

static void
name_next(struct transfer *t, struct sender *s)
{
	struct walk_item	 item;

	switch (walk_next(s->walk, &item)) {
	case 1:
		if (item.kind != WALK_SKIP && !within_offer(s, &item)) {
			item.kind = WALK_SKIP;
			item.code = TRANSFER_CHANGED;
		}
		if (item.kind != WALK_SKIP)
			name_entry(t, s, &item);
		else if (item.code == TRANSFER_SYMLINK ||
		    item.code == TRANSFER_SPECIAL)
			side_note(t, item.code, item.path);
		else
			side_result(t, WIRE_FILE, item.code, item.path, 0);
		break;
	case 0:
		s->walked = 1;
		break;
	default:
		side_fail(t, TRANSFER_IO);
	}
}

static int
can_name(const struct sender *s)
{
	return (!s->walked && s->named - s->oldest < WIRE_WINDOW &&
	    (!s->waiting || s->named == s->oldest));
}

/* ---- what is asked for --------------------------------------------------*/

static void
skip(struct transfer *t, struct sender *s, enum transfer_code code)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	side_put_id(t, WIRE_SKIP, s->job.id, code);
}

/* Is it still the file that was named? */
static int
unchanged(const struct slot *slot, int fd)
{
	struct stat	 st;

	return (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_dev == slot->dev && st.st_ino == slot->ino &&
	    (uint64_t)st.st_size == slot->size &&
	    st.st_mtim.tv_sec == slot->mtim.tv_sec &&
	    st.st_mtim.tv_nsec == slot->mtim.tv_nsec);
}

static void
begin(struct transfer *t, struct sender *s)
{
	struct slot	*slot;
	off_t		 from;
	int		 sum;

	s->job = s->requests[s->begun++ % REQUESTS];
	sum = s->job.type == WIRE_SUM;
	/* A request is taken for a slot only, and no result came since. */
	if ((slot = slot_of(s, s->job.id)) == NULL)
		return;
	s->fd = open(slot->local, O_RDONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	if (s->fd == -1) {
		skip(t, s, TRANSFER_UNREADABLE);
		return;
	}
	from = sum ? 0 : (off_t)s->job.size;
	if (!unchanged(slot, s->fd) || lseek(s->fd, from, SEEK_SET) != from) {
		skip(t, s, TRANSFER_CHANGED);
		return;
	}
	s->todo = sum ? s->job.size : slot->size - s->job.size;
	side_sum(t, &s->sum, s->job.id, sum);
	t->progress.path = slot->path;
	if (!sum)
		t->progress.skipped += s->job.size;
}

static void
finish_job(struct transfer *t, struct sender *s)
{
	struct slot	*slot = slot_of(s, s->job.id);
	struct wire	 w;

	if (slot == NULL || !unchanged(slot, s->fd)) {
		skip(t, s, TRANSFER_CHANGED);
		return;
	}
	memset(&w, 0, sizeof(w));
	w.type = s->job.type == WIRE_SUM ? WIRE_SUMMED : WIRE_END;
	w.id = s->job.id;
	crypto_onetimeauth_final(&s->sum, w.sum);
	side_put(t, &w, 0);
	close(s->fd);
	s->fd = -1;
}

/* Read the next piece into seal_data(); return its length, 0 if it failed. */
static size_t
read_piece(struct transfer *t, struct sender *s)
{
	size_t	 want = SEAL_DATA_MAX;
	ssize_t	 n;

	if (s->todo < want)
		want = (size_t)s->todo;
	do
		n = read(s->fd, seal_data(t->seal), want);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		skip(t, s, n == 0 ? TRANSFER_CHANGED : TRANSFER_UNREADABLE);
		return (0);
	}
	crypto_onetimeauth_update(&s->sum, seal_data(t->seal),
	    (unsigned long long)n);
	s->todo -= (uint64_t)n;
	return ((size_t)n);
}

static void
send_piece(struct transfer *t, struct sender *s)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_DATA;
	if ((w.len = read_piece(t, s)) == 0)
		return;
	w.data = seal_data(t->seal);
	side_put(t, &w, 0);
	t->progress.moved += w.len;
}

static void
work_on_job(struct transfer *t, struct sender *s)
{
	if (s->todo == 0)
		finish_job(t, s);
	else if (s->job.type == WIRE_GET)
		send_piece(t, s);
	else
		(void)read_piece(t, s);
}

static void
put_offer(struct transfer *t, struct sender *s)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_OFFER;
	w.code = WIRE_VERSION;
	w.id = t->progress.total.files;
	w.dirs = t->progress.total.dirs;
	w.size = t->progress.total.bytes;
	side_put(t, &w, 0);
	s->offered = 1;
}

static void
put_finish(struct transfer *t, struct sender *s)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_FINISH;
	side_put(t, &w, 1);
	s->finished = 1;
}

static int
send_work(struct transfer *t)
{
	struct sender	*s = t->data;

	if (s->finished || !seal_room(t->seal))
		return (0);
	if (!s->offered)
		put_offer(t, s);
	/* To be asked in time, name first. */
	else if (can_name(s))
		name_next(t, s);
	else if (s->fd != -1)
		work_on_job(t, s);
	else if (s->begun < s->asked)
		begin(t, s);
	else if (s->walked && s->named == s->oldest)
		put_finish(t, s);
	else
		return (0);
	return (1);
}

/* ---- what the receiver says ---------------------------------------------*/

static void
on_request(struct transfer *t, struct sender *s, const struct wire *w)
{
	struct slot	*slot = slot_of(s, w->id);
	struct request	*r;
	int		*once;

	if (slot == NULL || slot->kind != WIRE_FILE || w->size > slot->size) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	once = w->type == WIRE_SUM ? &slot->summed : &slot->got;
	if (*once || slot->got) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	*once = 1;
	r = &s->requests[s->asked++ % REQUESTS];
	r->type = w->type;
	r->id = w->id;
	r->size = w->size;
}

static void
on_result(struct transfer *t, struct sender *s, const struct wire *w)
{
	struct slot	*slot = slot_of(s, w->id);

	if (slot == NULL || w->code >= TRANSFER_CODES) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	side_result(t, slot->kind, w->code, slot->path, slot->size);
	if (t->progress.path == slot->path)
		t->progress.path = NULL;
	free(slot->local);
	slot->local = NULL;
	while (s->oldest < s->named &&
	    s->slots[s->oldest % WIRE_WINDOW].local == NULL)
		s->oldest++;
}

static void
send_take(struct transfer *t, const struct wire *w, int last)
{
	struct sender	*s = t->data;

	if (last != (w->type == WIRE_DONE) ||
	    (w->type == WIRE_DONE && !s->finished)) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	switch (w->type) {
	case WIRE_SUM:
	case WIRE_GET:
		on_request(t, s, w);
		break;
	case WIRE_RESULT:
		on_result(t, s, w);
		break;
	default:			/* WIRE_DONE: nothing else may come */
		t->ending = 1;
	}
}

static void
send_done(void *data)
{
	struct sender	*s = data;
	size_t		 i;

	if (s->fd != -1)
		close(s->fd);
	for (i = 0; i < WIRE_WINDOW; i++)
		free(s->slots[i].local);
	walk_close(s->walk);
	free(s);
}

static const struct side	 sender_side = {
	wire_from_receiver, 0, send_take, send_work, send_done
};

struct transfer *
transfer_send(struct seal *seal, struct walk *walk,
    const struct transfer_total *total, const struct transfer_hooks *hooks,
    int64_t now)
{
	struct sender	*s;
	struct transfer	*t;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		walk_close(walk);
		seal_free(seal);
		return (NULL);
	}
	s->walk = walk;
	s->left = *total;
	s->fd = -1;
	if ((t = side_new(seal, &sender_side, s, hooks, now)) == NULL) {
		send_done(s);
		seal_free(seal);
		return (NULL);
	}
	t->progress.total = *total;
	return (t);
}
