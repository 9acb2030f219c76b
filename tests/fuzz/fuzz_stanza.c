/* SPDX-License-Identifier: ISC */
/*
 * The stanza feeder: a stream gives the same events however it is cut into
 * pieces, memory is bounded, and what was read can be written and read again.
 *
 * An input is two bytes for the ways of cutting, then the stream, in which
 * 0xff (never part of UTF-8) and two bytes n and k mean: the last n bytes
 * again, k times k times.  So small inputs reach large limits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "stanza.h"

#define STREAM_MAX	(STANZA_BYTES_MAX + 8 * 1024)
#define STREAM_LONG	(320 * 1024)	/* the feeder swaps its parser */
#define STREAM_HUGE	(STANZA_TOKEN_MAX + 128 * 1024)
#define COPY_MAX	8192	/* stanzas up to this are written again */

/* Bits of the first byte. */
#define OWN_HEADER	0x01	/* the stream brings its own header */
#define LONG		0x40	/* may grow to STREAM_LONG */
#define HUGE		0x80	/* may grow beyond STANZA_TOKEN_MAX */

#define HEAD	"<stream:stream xmlns:stream='" NS_STREAMS "' xmlns='" \
		NS_COMPONENT "' id='1' from='pass.example.org'>"

/* What the feeder has said, as a number; printed if two differ. */
struct record {
	uint64_t	 hash;
	size_t		 events;
	uint64_t	 before;	/* hash before the last event... */
	int		 skipped;	/* ...which was a skipped stanza */
	int		 print;
	int		 copies;	/* look at the writer, too */
};

struct stream {
	char		*bytes;
	size_t		 len;
	size_t		 size;
};

/* ---- the record ---------------------------------------------------------*/

static void
put(struct record *r, const char *text)
{
	const unsigned char	*s = (const unsigned char *)text;

	/* FNV-1a; the NUL counts, so that "a" "b" is not "ab". */
	do {
		r->hash = (r->hash ^ *s) * UINT64_C(0x100000001b3);
	} while (*s++ != '\0');
	if (r->print)
		fprintf(stderr, " %.200s", text);
}

static void
put_tree(struct record *r, const struct stanza *s)
{
	const struct stanza_attr	*a;
	const struct stanza		*c;

	put(r, s->ns);
	put(r, s->name);
	for (a = s->attr; a != NULL; a = a->next) {
		put(r, a->ns);
		put(r, a->name);
		put(r, a->value);
	}
	put(r, ">");
	put(r, s->text);
	for (c = s->child; c != NULL; c = c->next)
		put_tree(r, c);
	put(r, "/");
}

static void
begin(struct record *r, const char *what)
{
	r->events++;
	r->before = r->hash;
	r->skipped = 0;
	if (r->print)
		fprintf(stderr, "\n%zu:", r->events);
	put(r, what);
}

/*
 * The stream is no XML.  Text that ends in an error may be all of it in one
 * piece, or the beginning of it in a piece before, already over a limit:
 * whether the stanza is given up on first is not the same for all ways of
 * cutting.
 */
static void
begin_bad(struct record *r)
{
	if (r->skipped) {
		r->hash = r->before;
		r->events--;
	}
	begin(r, "bad");
}

/* ---- reading what was written -------------------------------------------*/

struct reading {
	struct record	 r;
	int		 stanzas;
	int		 skipped;
};

static void
no_header(const char *id, void *arg)
{
	(void)id;
	(void)arg;
}

static void
reading_stanza(struct stanza *s, void *arg)
{
	struct reading	*g = arg;

	g->stanzas++;
	put_tree(&g->r, s);
	stanza_free(s);
}

static void
reading_skipped(struct stanza *s, enum stanza_bad why, void *arg)
{
	struct reading	*g = arg;

	/* Declarations and escapes may make it larger than it was. */
	FUZZ_CHECK(why != STANZA_BAD_NAME && why != STANZA_TOO_DEEP, "%d",
	    (int)why);
	g->skipped++;
	stanza_free(s);
}

static void
no_end(void *arg)
{
	(void)arg;
}

static void
check_copy(const struct stanza *s)
{
	static const struct stanza_handler	 h = {
		no_header, reading_stanza, reading_skipped, no_end
	};
	struct reading		 want, got;
	struct stanza_feeder	*f;
	struct xml_out		 x;
	enum stream_bad		 why;

	xml_init(&x);
	xml_copy(&x, s);
	if (xml_done(&x) == -1 || x.len > COPY_MAX) {
		xml_free(&x);
		return;
	}
	memset(&want, 0, sizeof(want));
	memset(&got, 0, sizeof(got));
	put_tree(&want.r, s);
	FUZZ_CHECK((f = feeder_new(&h, &got)) != NULL, "memory");
	FUZZ_CHECK(feeder_feed(f, HEAD, sizeof(HEAD) - 1, &why) == 0, "head");
	FUZZ_CHECK(feeder_feed(f, x.buf, x.len, &why) == 0, "%s: %.*s",
	    stream_error_name(why), (int)x.len, x.buf);
	FUZZ_CHECK(got.stanzas + got.skipped == 1, "%.*s", (int)x.len, x.buf);
	FUZZ_CHECK(got.skipped || got.r.hash == want.r.hash, "%.*s",
	    (int)x.len, x.buf);
	feeder_free(f);
	xml_free(&x);
}

/* ---- events -------------------------------------------------------------*/

static void
on_header(const char *id, void *arg)
{
	begin(arg, "header");
	put(arg, id == NULL ? "NULL" : id);
}

static void
on_stanza(struct stanza *s, void *arg)
{
	struct record	*r = arg;

	begin(r, "stanza");
	put_tree(r, s);
	FUZZ_CHECK(s->next == NULL, "a stanza has no sibling");
	if (r->copies)
		check_copy(s);
	stanza_free(s);
}

static void
on_skipped(struct stanza *s, enum stanza_bad why, void *arg)
{
	char	 text[32];

	(void)snprintf(text, sizeof(text), "skipped %d", (int)why);
	begin(arg, text);
	FUZZ_CHECK(s->child == NULL && s->next == NULL, "top element only");
	put_tree(arg, s);
	((struct record *)arg)->skipped = 1;
	stanza_free(s);
}

static void
on_end(void *arg)
{
	begin(arg, "end");
}

static const struct stanza_handler	 handler = {
	on_header, on_stanza, on_skipped, on_end
};

/* ---- the stream ---------------------------------------------------------*/

static void
append(struct stream *s, const char *bytes, size_t len)
{
	if (len > s->size - s->len)
		len = s->size - s->len;
	memmove(s->bytes + s->len, bytes, len);
	s->len += len;
}

static void
expand(struct stream *s, struct fuzz_in *in, int flags)
{
	size_t	 n, k;
	char	 c;

	s->size = flags & HUGE ? STREAM_HUGE : flags & LONG ? STREAM_LONG :
	    STREAM_MAX;
	s->len = 0;
	FUZZ_CHECK((s->bytes = malloc(s->size)) != NULL, "memory");
	if (!(flags & OWN_HEADER))
		append(s, HEAD, sizeof(HEAD) - 1);
	while (in->left > 0 && s->len < s->size) {
		c = (char)fuzz_u8(in);
		if (c != '\xff') {
			append(s, &c, 1);
			continue;
		}
		n = fuzz_u8(in);
		k = fuzz_u8(in);
		if (n > s->len)
			n = s->len;
		for (k *= k; k > 0 && n > 0 && s->len < s->size; k--)
			append(s, s->bytes + s->len - n, n);
	}
}

/* The next piece: mostly of a few bytes, at times a large one. */
static size_t
piece(uint32_t *state, size_t left, size_t whole)
{
	size_t	 n;

	*state = *state * 1664525 + 1013904223;
	n = *state >> 24;
	/* So that large streams do not take for ever. */
	n = n < 128 ? n % 16 + 1 + whole / 1024 : n < 224 ? n * 16 : n * 512;
	return (n < left ? n : left);
}

/*
 * A tag that is not complete is held up to STANZA_TOKEN_MAX by expat, in a
 * buffer that may be twice as large and is copied to one twice larger; the
 * tree is small beside that.
 */
static void
check_heap(size_t before, size_t fed)
{
	size_t	 now = fuzz_heap(), tokens = fed;

	if (tokens > STANZA_TOKEN_MAX + 65536)
		tokens = STANZA_TOKEN_MAX + 65536;
	FUZZ_CHECK(now <= before + 6 * tokens + 1024 * 1024,
	    "%zu bytes of heap after %zu", now - before, fed);
}

/*
 * Feed ${s}, whole if ${cuts} is 0, byte by byte if 1, else cut at random.
 */
static void
feed(const struct stream *s, uint32_t cuts, struct record *r)
{
	struct stanza_feeder	*f;
	enum stream_bad		 why;
	size_t			 before = fuzz_heap(), at, n;
	char			*part;
	int			 bad = 0;

	fuzz_seed(1);
	FUZZ_CHECK((f = feeder_new(&handler, r)) != NULL, "memory");
	for (at = 0; at < s->len && !bad; at += n) {
		n = cuts == 0 ? s->len : cuts == 1 ? 1 :
		    piece(&cuts, s->len - at, s->len);
		/* A piece of its own: nothing may be kept of it. */
		FUZZ_CHECK((part = malloc(n)) != NULL, "memory");
		memcpy(part, s->bytes + at, n);
		bad = feeder_feed(f, part, n, &why) == -1;
		free(part);
		check_heap(before, at + n);
	}
	if (bad) {
		begin_bad(r);
		put(r, stream_error_name(why));
		/* It takes no more, and says the same again. */
		FUZZ_CHECK(feeder_feed(f, "<a/>", 4, &why) == -1, "alive");
		put(r, stream_error_name(why));
	}
	feeder_free(f);
}

static void
compare(const struct stream *s, uint32_t cuts, const struct record *whole)
{
	struct record	 r;

	memset(&r, 0, sizeof(r));
	feed(s, cuts, &r);
	if (r.hash == whole->hash && r.events == whole->events)
		return;
	fprintf(stderr, "---- whole, %zu bytes:", s->len);
	memset(&r, 0, sizeof(r));
	r.print = 1;
	feed(s, 0, &r);
	fprintf(stderr, "\n---- cut, seed %u:", cuts);
	memset(&r, 0, sizeof(r));
	r.print = 1;
	feed(s, cuts, &r);
	fprintf(stderr, "\n");
	FUZZ_CHECK(0, "cut otherwise, read otherwise");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };
	struct stream	 s;
	struct record	 whole;
	int		 flags = fuzz_u8(&in);
	uint32_t	 cuts = fuzz_u8(&in);

	expand(&s, &in, flags);
	memset(&whole, 0, sizeof(whole));
	whole.copies = 1;
	feed(&s, 0, &whole);
	compare(&s, cuts + 2, &whole);
	compare(&s, cuts * 65537 + 300, &whole);
	if (s.len <= 2048)
		compare(&s, 1, &whole);
	free(s.bytes);
	return (0);
}
