/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "transfer_rig.h"

static struct link	 l;

static void
put(int side, uint8_t type, const void *data, size_t len, int last)
{
	cr_assert_eq(seal_put(l.seal[side], type, data, len, last), 0);
}

/* Pass on what is under way; return what seal_get() says. */
static int
get(int side, struct seal_frame *f)
{
	int	 i, got = 0;

	for (i = 0; i < 200 && got == 0; i++) {
		(void)seal_turn(l.seal[!side], l.now);
		(void)link_pass(&l);
		(void)seal_turn(l.seal[side], l.now);
		got = seal_get(l.seal[side], f);
	}
	return (got);
}

/* ---- the proof ----------------------------------------------------------*/

Test(proof, both_get_the_same_keys)
{
	struct proof		 a, b;
	struct proof_keys	 ka, kb;

	cr_assert_eq(proof_setup(), 0);
	proof_begin(&a, PROOF_OWNER, rig_secret);
	proof_begin(&b, PROOF_CALLER, rig_secret);
	cr_assert_eq(proof_keys(&a, b.hello, &ka), 0);
	cr_assert_eq(proof_keys(&b, a.hello, &kb), 0);
	cr_expect_arr_eq(ka.out, kb.in, PROOF_KEY_LEN);
	cr_expect_arr_eq(ka.in, kb.out, PROOF_KEY_LEN);
	cr_expect_arr_eq(ka.sums, kb.sums, PROOF_KEY_LEN);
	cr_expect(proof_shown(&ka, kb.mine));
	cr_expect(proof_shown(&kb, ka.mine));
	/* Our own tag is not the other's, and no key is another one. */
	cr_expect_not(proof_shown(&ka, ka.mine));
	cr_expect_arr_neq(ka.in, ka.out, PROOF_KEY_LEN);
	cr_expect_arr_neq(ka.sums, ka.out, PROOF_KEY_LEN);
	proof_end(&a);
	cr_expect_arr_eq(a.secret, (uint8_t [PROOF_SECRET_LEN]){ 0 },
	    PROOF_SECRET_LEN);
}

Test(proof, keys_are_new_each_time)
{
	struct proof		 a, b, c;
	struct proof_keys	 first, second;

	cr_assert_eq(proof_setup(), 0);
	proof_begin(&a, PROOF_OWNER, rig_secret);
	proof_begin(&b, PROOF_CALLER, rig_secret);
	proof_begin(&c, PROOF_OWNER, rig_secret);
	cr_assert_eq(proof_keys(&a, b.hello, &first), 0);
	cr_assert_eq(proof_keys(&c, b.hello, &second), 0);
	cr_expect_not(proof_shown(&second, first.theirs));
	cr_expect_arr_neq(first.out, second.out, PROOF_KEY_LEN);
}

Test(proof, refuses_what_is_no_hello)
{
	struct proof		 a, b;
	struct proof_keys	 k;
	uint8_t			 zero[PROOF_KEY_LEN] = { 0 };

	cr_assert_eq(proof_setup(), 0);
	proof_begin(&a, PROOF_OWNER, rig_secret);
	proof_begin(&b, PROOF_CALLER, rig_secret);
	b.hello[0] ^= 1;
	cr_expect_eq(proof_keys(&a, b.hello, &k), -1);
	b.hello[0] ^= 1;
	/* A point of low order: the shared value would be known to all. */
	memset(b.hello + 8, 0, 32);
	cr_expect_eq(proof_keys(&a, b.hello, &k), -1);
	cr_expect_arr_eq(k.out, zero, sizeof(zero));
}

Test(seal, proves)
{
	link_open(&l, NULL);
	cr_expect_not(seal_room(l.seal[OWNER]));
	cr_expect_eq(seal_put(l.seal[OWNER], 1, "x", 1, 0), -1);
	cr_expect(link_prove(&l));
	/* Hello, tag and header each, and nothing else was said. */
	cr_expect_eq(l.passed[OWNER], 96);
	cr_expect_eq(l.passed[CALLER], 96);
	link_close(&l);
}

Test(seal, owner_is_silent_first)
{
	struct pollfd	 pfd;

	link_open(&l, NULL);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now), 0);
	pfd.fd = l.fd[OWNER];
	pfd.events = POLLIN;
	cr_expect_eq(poll(&pfd, 1, 0), 0);
	link_close(&l);
}

Test(seal, wrong_secret)
{
	uint8_t	 other[PROOF_SECRET_LEN];

	memcpy(other, rig_secret, sizeof(other));
	other[31] ^= 1;
	link_open(&l, other);
	cr_expect_not(link_prove(&l));
	cr_expect_not(seal_proven(l.seal[OWNER]));
	cr_expect_not(seal_proven(l.seal[CALLER]));
	/* The caller sees it first, and does not even show his own tag. */
	cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_IMPOSTOR);
	cr_expect_eq(seal_events(l.seal[CALLER]), 0);
	cr_expect_eq(l.passed[CALLER], 40);
	seal_free(l.seal[CALLER]);
	l.seal[CALLER] = NULL;
	(void)link_pass(&l);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_LEFT);
	link_close(&l);
}

struct flip {
	int		 from;
	uint64_t	 at;
};

static ssize_t
flip_one(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	const struct flip	*flip = arg;

	if (from == flip->from && flip->at >= at && flip->at < at + len)
		p[flip->at - at] ^= 0x10;
	return ((ssize_t)len);
}

/* A stream header that was changed shows at the first frame. */
static void
expect_nothing_arrives(int from)
{
	struct seal_frame	 f;

	if (!seal_proven(l.seal[from]) || !seal_proven(l.seal[!from]))
		return;
	put(from, 1, "data", 4, 0);
	cr_expect_eq(get(!from, &f), -1);
	cr_expect_eq(seal_why(l.seal[!from]), SEAL_CHANGED);
}

Test(seal, each_byte_of_the_proof_counts, .timeout = 60)
{
	struct flip	 flip;
	int		 proven;

	for (flip.from = 0; flip.from < 2; flip.from++)
		for (flip.at = 0; flip.at < 96; flip.at++) {
			link_open(&l, NULL);
			l.tap = flip_one;
			l.arg = &flip;
			proven = link_prove(&l);
			cr_expect_eq(proven, flip.at >= 72, "byte %d of %d",
			    (int)flip.at, flip.from);
			expect_nothing_arrives(flip.from);
			link_close(&l);
		}
}

static ssize_t
reflect(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	(void)at;
	(void)arg;
	/* Nothing of the owner goes on; he hears what he says himself. */
	if (from == OWNER)
		(void)send(l.fd[OWNER], p, len, MSG_NOSIGNAL);
	return (from == OWNER ? 0 : (ssize_t)len);
}

Test(seal, reflected)
{
	link_open(&l, NULL);
	l.tap = reflect;
	cr_expect_not(link_prove(&l));
	cr_expect_not(seal_proven(l.seal[OWNER]));
	link_close(&l);
}

Test(seal, replayed_proof)
{
	uint8_t	 said[96];
	int	 sv[2];

	/* What a caller said once is no proof to the owner the next time. */
	link_open(&l, NULL);
	(void)seal_turn(l.seal[CALLER], l.now);
	cr_assert_eq(recv(l.fd[CALLER], said, 40, 0), 40);
	cr_assert_eq(send(l.fd[OWNER], said, 40, 0), 40);
	(void)seal_turn(l.seal[OWNER], l.now);
	(void)link_pass(&l);
	(void)seal_turn(l.seal[CALLER], l.now);
	cr_assert_eq(recv(l.fd[CALLER], said + 40, 56, 0), 56);
	cr_assert_eq(send(l.fd[OWNER], said + 40, 56, 0), 56);
	cr_assert_eq(seal_turn(l.seal[OWNER], l.now), 0);
	cr_assert(seal_proven(l.seal[OWNER]));
	link_close(&l);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv),
	    0);
	l.seal[OWNER] = seal_new(sv[0], PROOF_OWNER, rig_secret, l.now);
	cr_assert_eq(send(sv[1], said, sizeof(said), 0), 96);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_IMPOSTOR);
	seal_free(l.seal[OWNER]);
	close(sv[1]);
}

Test(seal, reads_no_more_than_a_proof)
{
	static uint8_t	 junk[65536];
	uint8_t		 rest[65536];
	int		 sv[2];

	link_open(&l, NULL);
	link_close(&l);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv),
	    0);
	l.seal[OWNER] = seal_new(sv[0], PROOF_OWNER, rig_secret, l.now);
	memcpy(junk, "passcat1", 8);
	junk[8] = 9;
	cr_assert_eq(send(sv[1], junk, sizeof(junk), 0), sizeof(junk));
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_IMPOSTOR);
	cr_expect_eq(recv(sv[0], rest, sizeof(rest), 0), sizeof(junk) - 96);
	seal_free(l.seal[OWNER]);
	close(sv[1]);
}

Test(seal, stalls)
{
	link_open(&l, NULL);
	(void)seal_turn(l.seal[OWNER], l.now);
	cr_expect_eq(seal_deadline(l.seal[OWNER]), l.now + SEAL_PROOF_MS);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now + SEAL_PROOF_MS - 1), 0);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now + SEAL_PROOF_MS), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_STALLED);
	cr_expect_eq(seal_turn(l.seal[CALLER], l.now + SEAL_CALL_MS), -1);
	cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_STALLED);
	link_close(&l);
}

Test(seal, leaves)
{
	link_open(&l, NULL);
	close(l.fd[OWNER]);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_LEFT);
	l.fd[OWNER] = dup(l.fd[CALLER]);
	link_close(&l);
}

/* ---- frames -------------------------------------------------------------*/

Test(seal, frames_of_all_sizes)
{
	static uint8_t		 data[SEAL_DATA_MAX];
	static const size_t	 sizes[] = { 0, 1, 2, 15, 16, 17, 4096, 65535,
				    SEAL_DATA_MAX };
	struct seal_frame	 f;
	size_t			 i;
	int			 from;

	memset(data, 'x', sizeof(data));
	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	for (from = 0; from < 2; from++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			put(from, (uint8_t)i, data, sizes[i], 0);
			cr_assert_eq(get(!from, &f), 1);
			cr_expect_eq(f.type, i);
			cr_expect_eq(f.len, sizes[i]);
			cr_expect_eq(f.last, 0);
			cr_expect_arr_eq(f.data, data, f.len);
		}
	cr_expect_eq(seal_put(l.seal[OWNER], 1, data, SEAL_DATA_MAX + 1, 0),
	    -1);
	link_close(&l);
}

Test(seal, memory_is_bounded)
{
	static uint8_t	 data[SEAL_DATA_MAX];
	int		 i;

	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	for (i = 0; i < 1000 && seal_room(l.seal[OWNER]); i++)
		put(OWNER, 1, data, sizeof(data), 0);
	cr_expect_lt(i, 10);
	cr_expect_eq(seal_put(l.seal[OWNER], 1, "", 0, 0), -1);
	/* The reader who does not take frames stops reading. */
	for (i = 0; i < 1000; i++) {
		(void)seal_turn(l.seal[OWNER], l.now);
		if (seal_room(l.seal[OWNER]))
			put(OWNER, 1, data, sizeof(data), 0);
		(void)link_pass(&l);
		(void)seal_turn(l.seal[CALLER], l.now);
	}
	cr_expect_eq(seal_events(l.seal[CALLER]) & POLLIN, 0);
	cr_expect_eq(seal_events(l.seal[OWNER]) & POLLOUT, POLLOUT);
	link_close(&l);
}

Test(seal, last_frame)
{
	struct seal_frame	 f;

	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	put(OWNER, 7, "bye", 3, 1);
	cr_expect_eq(seal_put(l.seal[OWNER], 7, "x", 1, 0), -1);
	cr_assert_eq(get(CALLER, &f), 1);
	cr_expect_eq(f.last, 1);
	/* The owner may go now, and nobody calls that a loss. */
	seal_free(l.seal[OWNER]);
	l.seal[OWNER] = NULL;
	(void)link_pass(&l);
	cr_expect_eq(seal_turn(l.seal[CALLER], l.now), 0);
	link_close(&l);
}

Test(seal, cut_off)
{
	struct seal_frame	 f;

	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	put(OWNER, 7, "more to come", 12, 0);
	(void)seal_turn(l.seal[OWNER], l.now);
	seal_free(l.seal[OWNER]);
	l.seal[OWNER] = NULL;
	(void)link_pass(&l);
	(void)link_pass(&l);
	(void)seal_turn(l.seal[CALLER], l.now);
	cr_expect_eq(seal_turn(l.seal[CALLER], l.now), -1);
	cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_CUT);
	/* What came before is there. */
	cr_expect_eq(seal_get(l.seal[CALLER], &f), 1);
	cr_expect_eq(seal_get(l.seal[CALLER], &f), 0);
	link_close(&l);
}

Test(seal, silent)
{
	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now + SEAL_IDLE_MS - 1), 0);
	cr_expect_eq(seal_turn(l.seal[OWNER], l.now + SEAL_IDLE_MS), -1);
	cr_expect_eq(seal_why(l.seal[OWNER]), SEAL_SILENT);
	link_close(&l);
}

/* Three frames of 10 bytes: 32 bytes each on the line. */
#define FRAME	(4 + 1 + 10 + 17)

static void
three_frames(tap_fn tap, void *arg)
{
	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	l.tap = tap;
	l.arg = arg;
	l.passed[OWNER] = 0;
	put(OWNER, 1, "first one.", 10, 0);
	put(OWNER, 2, "second one", 10, 0);
	put(OWNER, 3, "third one.", 10, 1);
	(void)seal_turn(l.seal[OWNER], l.now);
}

/* The frames in front of the one that was changed arrive, no others. */
static void
expect_frames(int n, const char *what)
{
	struct seal_frame	 f;
	int			 i, got = 0;

	for (i = 1; i <= n; i++) {
		cr_assert_eq(get(CALLER, &f), 1, "%s: %d", what, i);
		cr_expect_eq(f.type, i);
	}
	got = get(CALLER, &f);
	if (got == 0) {
		/* A longer length: the rest of it never comes. */
		(void)seal_turn(l.seal[CALLER], l.now + SEAL_IDLE_MS);
		got = seal_get(l.seal[CALLER], &f);
		cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_SILENT, "%s",
		    what);
	} else
		cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_CHANGED, "%s",
		    what);
	cr_expect_neq(got, 1, "%s", what);
	link_close(&l);
}

Test(seal, each_bit_of_a_frame_counts, .timeout = 60)
{
	struct flip	 flip = { OWNER, 0 };

	for (flip.at = 0; flip.at < 2 * FRAME; flip.at++) {
		three_frames(flip_one, &flip);
		expect_frames((int)(flip.at / FRAME), "flip");
	}
}

static ssize_t
swap(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	uint8_t	 first[FRAME];

	(void)arg;
	if (from == OWNER && at == 0 && len >= 2 * FRAME) {
		memcpy(first, p, FRAME);
		memmove(p, p + FRAME, FRAME);
		memcpy(p + FRAME, first, FRAME);
	}
	return ((ssize_t)len);
}

static ssize_t
leave_out(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	(void)arg;
	if (from != OWNER || at != 0)
		return ((ssize_t)len);
	memmove(p, p + FRAME, len - FRAME);
	return ((ssize_t)(len - FRAME));
}

static ssize_t
repeat(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	(void)arg;
	if (from != OWNER || at != 0)
		return ((ssize_t)len);
	memmove(p + FRAME, p, len);
	return ((ssize_t)(len + FRAME));
}

Test(seal, order_counts)
{
	three_frames(swap, NULL);
	expect_frames(0, "swapped");
	three_frames(leave_out, NULL);
	expect_frames(0, "left out");
	three_frames(repeat, NULL);
	expect_frames(1, "repeated");
}

static ssize_t
back(int from, uint64_t at, uint8_t *p, size_t len, void *arg)
{
	(void)arg;
	(void)at;
	/* The caller's own frames come back to him. */
	if (from == CALLER)
		(void)send(l.fd[CALLER], p, len, MSG_NOSIGNAL);
	return (0);
}

Test(seal, own_frames_are_not_the_other_ones)
{
	struct seal_frame	 f;

	link_open(&l, NULL);
	cr_assert(link_prove(&l));
	l.tap = back;
	put(CALLER, 1, "mirror", 6, 0);
	(void)seal_turn(l.seal[CALLER], l.now);
	cr_expect_eq(get(CALLER, &f), -1);
	cr_expect_eq(seal_why(l.seal[CALLER]), SEAL_CHANGED);
	link_close(&l);
}
