/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "fname.h"
#include "transfer_side.h"

/*
 * Rounds of reading, working and writing in one step, and pieces of work in
 * a round, which a full buffer may end earlier: about 4 MiB are moved.
 */
#define ROUNDS		16
#define PIECES		64

/* Something is said at least this often, so that nobody thinks we left. */
#define TICK_MS		15000

/* Context of crypto_kdf for the keys of sums. */
#define CONTEXT		"filesums"

_Static_assert(WIRE_SUM_LEN == crypto_onetimeauth_BYTES, "length of a sum");
_Static_assert(PROOF_KEY_LEN == crypto_onetimeauth_KEYBYTES, "of its key");
_Static_assert(WIRE_HEAD_MAX + WIRE_PATH_MAX <= SEAL_DATA_MAX, "an entry");

struct transfer *
side_new(struct seal *seal, const struct side *side, void *data,
    const struct transfer_hooks *hooks, int64_t now)
{
	struct transfer	*t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return (NULL);
	t->seal = seal;
	t->side = side;
	t->data = data;
	t->hooks = *hooks;
	t->now = t->said = now;
	t->busy = 1;
	return (t);
}

void
transfer_free(struct transfer *t)
{
	if (t == NULL)
		return;
	t->side->done(t->data);
	seal_free(t->seal);
	free(t);
}

/* ---- for both sides -----------------------------------------------------*/

void
side_put(struct transfer *t, const struct wire *w, int last)
{
	uint8_t	 head[WIRE_HEAD_MAX], *buf = seal_data(t->seal);
	size_t	 n = wire_pack(w, head);

	if (w->data != buf) {
		memcpy(buf, head, n);
		if (w->len > 0)
			memcpy(buf + n, w->data, w->len);
	}
	/* Without room: the other side did not keep to the window. */
	if (seal_put(t->seal, (uint8_t)w->type, buf, n + w->len, last) == -1) {
		t->state = TRANSFER_FAILED;
		t->code = TRANSFER_PROTOCOL;
	}
	t->said = t->now;
}

void
side_put_id(struct transfer *t, enum wire_type type, uint64_t id,
    enum transfer_code code)
{
	struct wire	 w;

	memset(&w, 0, sizeof(w));
	w.type = type;
	w.id = id;
	w.code = (uint8_t)code;
	side_put(t, &w, 0);
}

void
side_fail(struct transfer *t, enum transfer_code code)
{
	struct wire	 w;

	if (t->state != TRANSFER_RUNNING)
		return;
	if (seal_room(t->seal)) {
		memset(&w, 0, sizeof(w));
		w.type = WIRE_FAIL;
		w.code = (uint8_t)code;
		side_put(t, &w, 1);
	}
	t->state = TRANSFER_FAILED;
	t->code = code;
}

void
side_note(struct transfer *t, enum transfer_code code, const char *path)
{
	if (t->hooks.item != NULL)
		t->hooks.item(t->hooks.arg, code, path);
}

/* A directory is told of when it is complete or when it cannot be. */
static int
worth_telling(enum wire_kind kind, enum transfer_code code)
{
	/* Its directory was told of. */
	if (code == TRANSFER_NODIR)
		return (0);
	return (kind != WIRE_DIR || !transfer_code_ok(code));
}

void
side_result(struct transfer *t, enum wire_kind kind, enum transfer_code code,
    const char *path, uint64_t size)
{
	struct transfer_progress	*p = &t->progress;

	if (!transfer_code_ok(code))
		p->failures++;
	else if (kind == WIRE_LEAVE)
		p->done.dirs++;
	else if (kind == WIRE_FILE) {
		p->done.files++;
		p->done.bytes += size;
		if (code == TRANSFER_ALREADY)
			p->skipped += size;
	}
	if (p->path == path)
		p->path = NULL;
	if (worth_telling(kind, code))
		side_note(t, code, path);
}

void
side_sum(const struct transfer *t, crypto_onetimeauth_state *state,
    uint64_t id, int prefix)
{
	uint8_t	 key[crypto_onetimeauth_KEYBYTES];

	(void)crypto_kdf_derive_from_key(key, sizeof(key),
	    2 * id + (prefix != 0), CONTEXT, seal_sums(t->seal));
	crypto_onetimeauth_init(state, key);
	sodium_memzero(key, sizeof(key));
}

/* ---- the loop -----------------------------------------------------------*/

static void
take(struct transfer *t, const struct seal_frame *f)
{
	struct wire	 w;

	if (wire_unpack(&w, f->type, f->data, f->len) == -1 ||
	    !t->side->from(w.type)) {
		side_fail(t, TRANSFER_PROTOCOL);
		return;
	}
	if (w.type == WIRE_FAIL) {
		t->state = TRANSFER_FAILED;
		t->theirs = 1;
		t->code = w.code < TRANSFER_CODES ? w.code : TRANSFER_PROTOCOL;
	} else if (w.type != WIRE_TICK)
		t->side->take(t, &w, f->last);
}

/* Take all frames that have come; return 1 if there was one. */
static int
take_all(struct transfer *t)
{
	struct seal_frame	 f;
	int			 got, any = 0;

	while (t->state == TRANSFER_RUNNING && !t->ending) {
		if (t->side->needs_room && !seal_room(t->seal))
			break;
		if ((got = seal_get(t->seal, &f)) == -1)
			t->state = TRANSFER_LOST;
		if (got != 1)
			break;
		any = 1;
		take(t, &f);
	}
	return (any);
}

static int
round_trip(struct transfer *t)
{
	int	 alive, any, i;

	alive = seal_turn(t->seal, t->now) == 0;
	any = take_all(t);
	if (t->state != TRANSFER_RUNNING)
		return (0);
	/* When all is known, it does not matter that the other side left. */
	if (t->ending) {
		if (!alive || seal_flushed(t->seal))
			t->state = TRANSFER_DONE;
		return (0);
	}
	if (!alive) {
		t->state = TRANSFER_LOST;
		return (0);
	}
	for (i = 0; i < PIECES && t->state == TRANSFER_RUNNING &&
	    t->side->work(t); i++)
		any = 1;
	return (any);
}

static void
tick(struct transfer *t)
{
	struct wire	 w;

	if (t->now - t->said < TICK_MS || t->ending || !seal_room(t->seal))
		return;
	memset(&w, 0, sizeof(w));
	w.type = WIRE_TICK;
	side_put(t, &w, 0);
}

enum transfer_state
transfer_step(struct transfer *t, int64_t now)
{
	int	 round;

	t->now = now;
	t->busy = t->state == TRANSFER_RUNNING;
	for (round = 0; round < ROUNDS && t->busy; round++)
		t->busy = round_trip(t);
	if (t->state == TRANSFER_RUNNING)
		tick(t);
	/* What the last round made ready, and a last word. */
	(void)seal_turn(t->seal, now);
	return (t->state);
}

void
transfer_stop(struct transfer *t, enum transfer_code code, int64_t now)
{
	t->now = now;
	side_fail(t, code);
	(void)seal_turn(t->seal, now);
}

int
transfer_fd(const struct transfer *t)
{
	return (seal_fd(t->seal));
}

short
transfer_events(const struct transfer *t)
{
	return (seal_events(t->seal));
}

int64_t
transfer_wake(const struct transfer *t)
{
	int64_t	 deadline = seal_deadline(t->seal);

	if (t->busy || seal_why(t->seal) != SEAL_FINE)
		return (t->now);
	return (deadline < t->said + TICK_MS ? deadline : t->said + TICK_MS);
}

const struct transfer_progress *
transfer_progress(const struct transfer *t)
{
	return (&t->progress);
}

/* ---- in words -----------------------------------------------------------*/

enum seal_why
transfer_seal_why(const struct transfer *t)
{
	return (seal_why(t->seal));
}

const char *
transfer_why(const struct transfer *t)
{
	if (t->state == TRANSFER_LOST)
		return (seal_why_text(seal_why(t->seal)));
	return (transfer_code_text(t->code));
}

int
transfer_theirs(const struct transfer *t)
{
	return (t->state == TRANSFER_LOST || t->theirs);
}

int
transfer_code_ok(enum transfer_code code)
{
	return (code == TRANSFER_STORED || code == TRANSFER_ALREADY);
}

const char *
transfer_code_text(enum transfer_code code)
{
	static const char *const	 texts[TRANSFER_CODES] = {
		[TRANSFER_STORED] = "stored and verified",
		[TRANSFER_ALREADY] = "was there already, and is the same",
		[TRANSFER_EXISTS] = "exists and is something else; nothing is "
		    "overwritten",
		[TRANSFER_BADNAME] = "cannot be a name there",
		[TRANSFER_BLOCKED] = "what is in its place is no file or "
		    "directory of the user",
		[TRANSFER_NODIR] = "its directory was refused",
		[TRANSFER_BUSY] = "is just being received by another passcat",
		[TRANSFER_DAMAGED] = "did not arrive as it was sent",
		[TRANSFER_INCOMPLETE] = "lacks something, or holds what was "
		    "not sent, so it keeps its name ending in " FNAME_PART,
		[TRANSFER_CHANGED] = "changed while it was sent",
		[TRANSFER_UNREADABLE] = "cannot be read",
		[TRANSFER_SYMLINK] = "is a symbolic link, which is not sent",
		[TRANSFER_SPECIAL] = "is a device, socket or pipe, which is "
		    "not sent",
		[TRANSFER_DENIED] = "permission denied",
		[TRANSFER_NOSPACE] = "no space left there",
		[TRANSFER_IO] = "reading or writing failed",
		[TRANSFER_TOOMUCH] = "more came than was offered",
		[TRANSFER_VERSION] = "speaks another version of this protocol",
		[TRANSFER_PROTOCOL] = "said something that makes no sense",
		[TRANSFER_STOPPED] = "stopped by its user",
	};

	if ((unsigned int)code >= TRANSFER_CODES)
		code = TRANSFER_PROTOCOL;
	return (texts[code]);
}
