/* SPDX-License-Identifier: ISC */
#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fname.h"
#include "store.h"
#include "transfer_side.h"

#define PIECE		65536

enum state {
	FREE,
	SUMMING,		/* is what we have the same? */
	GETTING,		/* asked for */
	LEAVING			/* waits until all before it is done */
};

/* An entry that was named and has no result yet. */
struct slot {
	enum state	 state;
	char		*path;
	uint64_t	 size;
	int64_t		 sec;
	uint32_t	 nsec;
	int		 exec;
	struct store_found found;
	int		 have_theirs, have_ours;
	uint8_t		 theirs[WIRE_SUM_LEN], ours[WIRE_SUM_LEN];
};

struct receiver {
	struct store	*store;
	struct transfer_total agreed;
	int		 offered;
	uint64_t	 named, oldest;		/* numbers of entries */
	struct slot	 slots[WIRE_WINDOW];
	int		 top_failed;	/* something of the top directory */
	uint64_t	 top_entries;	/* what is below it and there */
	char		*refused;	/* directory: nothing of it is taken */
	/* The files asked for, in the order in which they will come. */
	uint64_t	 asked[WIRE_WINDOW];
	uint64_t	 asks, came;
	/* The file that is coming, asked[came]. */
	int		 begun;
	int		 fd;			/* -1: cannot be written */
	enum transfer_code code;		/* and why */
	uint64_t	 offset;
	crypto_onetimeauth_state sum;
	/* The file here that is being summed. */
	int		 own_fd;		/* -1: none */
	uint64_t	 own_id, own_left;
	crypto_onetimeauth_state own_sum;
	uint8_t		 piece[PIECE];
};

static struct slot *
slot_of(struct receiver *r, uint64_t id)
{
	return (id < r->oldest || id >= r->named ? NULL :
	    &r->slots[id % WIRE_WINDOW]);
}

/* ---- results ------------------------------------------------------------*/

static void
free_slot(struct receiver *r, struct slot *slot)
{
	free(slot->path);
	memset(slot, 0, sizeof(*slot));
	while (r->oldest < r->named &&
	    r->slots[r->oldest % WIRE_WINDOW].state == FREE)
		r->oldest++;
}

/* An entry that needs no slot, or no longer. */
static void
result(struct transfer *t, uint64_t id, enum wire_kind kind,
    enum transfer_code code, const char *path, uint64_t size)
{
	struct receiver	*r = t->data;

	if (!transfer_code_ok(code))
		r->top_failed = 1;
	else if (kind != WIRE_LEAVE && strchr(path, '/') != NULL)
		r->top_entries++;
	side_put_id(t, WIRE_RESULT, id, code);
	side_result(t, kind, code, path, size);
}

static void
slot_result(struct transfer *t, uint64_t id, enum transfer_code code)
{
	struct receiver	*r = t->data;
	struct slot	*slot = &r->slots[id % WIRE_WINDOW];

	if (r->own_fd != -1 && r->own_id == id) {
		close(r->own_fd);
		r->own_fd = -1;
	}
	result(t, id, slot->state == LEAVING ? WIRE_LEAVE : WIRE_FILE, code,
	    slot->path, slot->size);
	free_slot(r, slot);
}

/* ---- requests -----------------------------------------------------------*/

static void
ask(struct transfer *t, enum wire_type type, uint64_t id, uint64_t size)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = type;
	w.id = id;
	w.size = size;
	side_put(t, &w, 0);
}

static void
ask_for(struct transfer *t, uint64_t id, uint64_t offset)
{
	struct receiver	*r = t->data;
	struct slot	*slot = &r->slots[id % WIRE_WINDOW];

	slot->state = GETTING;
	slot->found.have = offset;
	r->asked[r->asks++ % WIRE_WINDOW] = id;
	ask(t, WIRE_GET, id, offset);
}

/* Both sums are known, or ours cannot be. */
static void
compare(struct transfer *t, uint64_t id)
{
	struct receiver	*r = t->data;
	struct slot	*slot = &r->slots[id % WIRE_WINDOW];
	int		 same;

	if (!slot->have_theirs || !slot->have_ours)
		return;
	same = slot->have_ours == 1 &&
	    memcmp(slot->ours, slot->theirs, WIRE_SUM_LEN) == 0;
	if (slot->found.whole)
		slot_result(t, id, same ? TRANSFER_ALREADY : TRANSFER_EXISTS);
	else
		ask_for(t, id, same ? slot->found.have : 0);
}

static void
on_summed(struct transfer *t, struct receiver *r, const struct wire *w)
{
	struct slot	*slot = slot_of(r, w->id);

	if (slot == NULL || slot->state != SUMMING || slot->have_theirs) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	memcpy(slot->theirs, w->sum, sizeof(slot->theirs));
	slot->have_theirs = 1;
	compare(t, w->id);
}

/* ---- what we have already -----------------------------------------------*/

/* A file that cannot be read is not the same as theirs. */
static void
own_done(struct transfer *t, struct receiver *r, int known)
{
	struct slot	*slot = &r->slots[r->own_id % WIRE_WINDOW];

	if (r->own_fd != -1)
		close(r->own_fd);
	r->own_fd = -1;
	if (known)
		crypto_onetimeauth_final(&r->own_sum, slot->ours);
	slot->have_ours = known ? 1 : -1;
	compare(t, r->own_id);
}

/* The first entry that waits for our sum, or NULL. */
static struct slot *
own_next(struct receiver *r, uint64_t *id)
{
	struct slot	*slot;

	for (*id = r->oldest; *id < r->named; (*id)++) {
		slot = &r->slots[*id % WIRE_WINDOW];
		if (slot->state == SUMMING && !slot->have_ours)
			return (slot);
	}
	return (NULL);
}

static int
own_begin(struct transfer *t, struct receiver *r)
{
	struct slot	*slot;
	uint64_t	 id;

	if ((slot = own_next(r, &id)) == NULL)
		return (0);
	r->own_id = id;
	r->own_left = slot->found.have;
	side_sum(t, &r->own_sum, id, 1);
	if (store_open(r->store, slot->path, slot->found.whole,
	    &r->own_fd) != TRANSFER_STORED)
		own_done(t, r, 0);
	return (1);
}

static void
own_piece(struct transfer *t, struct receiver *r)
{
	size_t	 want = sizeof(r->piece);
	ssize_t	 n;

	if (r->own_left < want)
		want = (size_t)r->own_left;
	if (want == 0) {
		own_done(t, r, 1);
		return;
	}
	do
		n = read(r->own_fd, r->piece, want);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		own_done(t, r, 0);
		return;
	}
	crypto_onetimeauth_update(&r->own_sum, r->piece,
	    (unsigned long long)n);
	r->own_left -= (uint64_t)n;
}

/* ---- entries ------------------------------------------------------------*/

static void
on_offer(struct transfer *t, struct receiver *r, const struct wire *w)
{
	struct transfer_total	*total = &t->progress.total;

	if (r->offered || w->code != WIRE_VERSION) {
		side_fail(t, r->offered ? TRANSFER_PROTOCOL :
		    TRANSFER_VERSION);
		return;
	}
	total->files = w->id;
	total->dirs = w->dirs;
	total->bytes = w->size;
	if (total->files > r->agreed.files || total->dirs > r->agreed.dirs ||
	    total->bytes > r->agreed.bytes)
		side_fail(t, TRANSFER_TOOMUCH);
	r->agreed = *total;
	r->offered = 1;
}

/* Count it against what was offered; return 0 if that is used up. */
static int
agreed(struct receiver *r, const struct wire *w)
{
	if (w->code == WIRE_DIR) {
		if (r->agreed.dirs == 0)
			return (0);
		r->agreed.dirs--;
	} else if (w->code == WIRE_FILE) {
		if (r->agreed.files == 0 || r->agreed.bytes < w->size)
			return (0);
		r->agreed.files--;
		r->agreed.bytes -= w->size;
	}
	return (1);
}

/* Is it, or is it in, a directory that was refused? */
static int
is_refused(const struct receiver *r, const char *path)
{
	size_t	 len;

	if (r->refused == NULL)
		return (0);
	len = strlen(r->refused);
	return (strncmp(r->refused, path, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0'));
}

static void
on_dir(struct transfer *t, struct receiver *r, uint64_t id, const char *path)
{
	enum transfer_code	 code;

	code = store_mkdir(r->store, path);
	if (!transfer_code_ok(code)) {
		free(r->refused);
		if ((r->refused = strdup(path)) == NULL) {
			side_fail(t, TRANSFER_IO);
			return;
		}
	}
	result(t, id, WIRE_DIR, code, path, 0);
}

static void
on_file(struct transfer *t, struct receiver *r, uint64_t id,
    struct slot *slot)
{
	enum transfer_code	 code;

	slot->state = SUMMING;
	code = store_look(r->store, slot->path, slot->size, &slot->found);
	if (code != TRANSFER_STORED)
		slot_result(t, id, code);
	else if (slot->found.whole || slot->found.have > 0)
		ask(t, WIRE_SUM, id, slot->found.have);
	else
		ask_for(t, id, 0);
}

static void
place_entry(struct transfer *t, struct receiver *r, const struct wire *w,
    char *path)
{
	uint64_t	 id = r->named - 1;
	struct slot	*slot = &r->slots[id % WIRE_WINDOW];

	if (is_refused(r, path)) {
		result(t, id, w->code, TRANSFER_NODIR, path, 0);
		free(path);
		free_slot(r, slot);
		return;
	}
	if (strchr(path, '/') == NULL && w->code != WIRE_LEAVE) {
		r->top_failed = 0;
		r->top_entries = 0;
	}
	slot->path = path;
	slot->size = w->size;
	slot->exec = w->exec;
	slot->sec = w->sec;
	slot->nsec = w->nsec;
	slot->state = LEAVING;
	if (w->code == WIRE_FILE)
		on_file(t, r, id, slot);
	else if (w->code == WIRE_DIR) {
		on_dir(t, r, id, path);
		free_slot(r, slot);
	}
}

static void
on_entry(struct transfer *t, struct receiver *r, const struct wire *w)
{
	const char	*name = (const char *)w->data;
	char		*path;

	if (!r->offered || r->named - r->oldest == WIRE_WINDOW) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	if (!agreed(r, w)) {
		side_fail(t, TRANSFER_TOOMUCH);
		return;
	}
	if ((path = strndup(name, w->len)) == NULL) {
		side_fail(t, TRANSFER_IO);
		return;
	}
	r->named++;
	if (fname_ok(name, w->len)) {
		place_entry(t, r, w, path);
		return;
	}
	result(t, r->named - 1, w->code, TRANSFER_BADNAME, path, 0);
	free(path);
	free_slot(r, &r->slots[(r->named - 1) % WIRE_WINDOW]);
}

/* ---- files --------------------------------------------------------------*/

/* The entry whose bytes are coming now, or NULL. */
static struct slot *
coming(struct receiver *r, uint64_t *id)
{
	if (r->came == r->asks)
		return (NULL);
	*id = r->asked[r->came % WIRE_WINDOW];
	return (&r->slots[*id % WIRE_WINDOW]);
}

static void
begin(struct transfer *t, struct receiver *r, uint64_t id, struct slot *slot)
{
	if (r->begun)
		return;
	r->begun = 1;
	r->offset = slot->found.have;
	side_sum(t, &r->sum, id, 0);
	t->progress.path = slot->path;
	t->progress.skipped += r->offset;
	r->code = store_begin(r->store, slot->path, r->offset, &r->fd);
}

static void
end(struct transfer *t, struct receiver *r, enum transfer_code code)
{
	uint64_t	 id = r->asked[r->came++ % WIRE_WINDOW];

	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	r->begun = 0;
	slot_result(t, id, code);
}

static int
write_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (-1);
		data += n;
		len -= (size_t)n;
	}
	return (0);
}

static void
on_data(struct transfer *t, struct receiver *r, const struct wire *w)
{
	struct slot	*slot;
	uint64_t	 id;

	if ((slot = coming(r, &id)) == NULL) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	begin(t, r, id, slot);
	if (w->len > slot->size - r->offset) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	r->offset += w->len;
	t->progress.moved += w->len;
	if (r->code != TRANSFER_STORED)
		return;
	crypto_onetimeauth_update(&r->sum, w->data, w->len);
	/* A full disk is full for the next file, too. */
	if (write_all(r->fd, w->data, w->len) == -1)
		side_fail(t, store_code(errno));
}

/* All of it came: is it right? Then it gets its name. */
static enum transfer_code
verified(struct receiver *r, const struct slot *slot, const uint8_t *theirs)
{
	uint8_t	 ours[WIRE_SUM_LEN];

	if (r->code != TRANSFER_STORED)
		return (r->code);
	crypto_onetimeauth_final(&r->sum, ours);
	if (r->offset != slot->size ||
	    sodium_memcmp(ours, theirs, sizeof(ours)) != 0) {
		if (ftruncate(r->fd, 0) == -1) {
			/* The next run finds out that it is not the same. */
		}
		return (TRANSFER_DAMAGED);
	}
	return (store_commit(r->store, slot->path, r->fd, slot->exec,
	    slot->sec, slot->nsec));
}

static void
on_end(struct transfer *t, struct receiver *r, const struct wire *w)
{
	struct slot	*slot;
	uint64_t	 id;

	if ((slot = coming(r, &id)) == NULL || id != w->id) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	begin(t, r, id, slot);
	end(t, r, verified(r, slot, w->sum));
}

static void
on_skip(struct transfer *t, struct receiver *r, const struct wire *w)
{
	struct slot	*slot = slot_of(r, w->id);
	uint64_t	 id;

	if (slot == NULL || (w->code != TRANSFER_CHANGED &&
	    w->code != TRANSFER_UNREADABLE))
		side_fail(t, TRANSFER_PROTOCOL);
	else if (slot->state == SUMMING && !slot->have_theirs)
		slot_result(t, w->id, w->code);
	else if (coming(r, &id) != NULL && id == w->id)
		end(t, r, w->code);
	else
		side_fail(t, TRANSFER_PROTOCOL);
}

/* ---- the end ------------------------------------------------------------*/

static void
on_finish(struct transfer *t, struct receiver *r)
{
	struct wire	 w;

	if (!r->offered || r->named != r->oldest) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	memset(&w, 0, sizeof(w));
	w.type = WIRE_DONE;
	side_put(t, &w, 1);
	t->ending = 1;
}

static void
recv_take(struct transfer *t, const struct wire *w, int last)
{
	struct receiver	*r = t->data;

	if (last != (w->type == WIRE_FINISH)) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	switch (w->type) {
	case WIRE_OFFER:
		on_offer(t, r, w);
		break;
	case WIRE_ENTRY:
		on_entry(t, r, w);
		break;
	case WIRE_SUMMED:
		on_summed(t, r, w);
		break;
	case WIRE_DATA:
		on_data(t, r, w);
		break;
	case WIRE_END:
		on_end(t, r, w);
		break;
	case WIRE_SKIP:
		on_skip(t, r, w);
		break;
	default:			/* WIRE_FINISH: nothing else may come */
		on_finish(t, r);
	}
}

/* The oldest entry is the end of a directory: all of it has its result. */
static int
leave(struct transfer *t, struct receiver *r)
{
	struct slot		*slot = &r->slots[r->oldest % WIRE_WINDOW];
	enum transfer_code	 code;

	if (r->oldest == r->named || slot->state != LEAVING)
		return (0);
	code = store_leave(r->store, slot->path, slot->sec, slot->nsec,
	    r->top_failed ? STORE_LACKS : r->top_entries);
	slot_result(t, r->oldest, code);
	return (1);
}

static int
recv_work(struct transfer *t)
{
	struct receiver	*r = t->data;

	if (!seal_room(t->seal))
		return (0);
	if (leave(t, r))
		return (1);
	if (r->own_fd == -1)
		return (own_begin(t, r));
	own_piece(t, r);
	return (1);
}

static void
recv_done(void *data)
{
	struct receiver	*r = data;
	size_t		 i;

	if (r->fd != -1)
		close(r->fd);
	if (r->own_fd != -1)
		close(r->own_fd);
	for (i = 0; i < WIRE_WINDOW; i++)
		free(r->slots[i].path);
	free(r->refused);
	store_free(r->store);
	free(r);
}

static const struct side	 receiver_side = {
	wire_from_sender, 1, recv_take, recv_work, recv_done
};

struct transfer *
transfer_receive(struct seal *seal, int dir,
    const struct transfer_total *total, const struct transfer_hooks *hooks,
    int64_t now)
{
	struct receiver	*r;
	struct transfer	*t;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		seal_free(seal);
		return (NULL);
	}
	r->fd = r->own_fd = -1;
	r->agreed = *total;
	if ((r->store = store_new(dir)) == NULL ||
	    (t = side_new(seal, &receiver_side, r, hooks, now)) == NULL) {
		recv_done(r);
		seal_free(seal);
		return (NULL);
	}
	return (t);
}
