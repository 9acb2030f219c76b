/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <stdint.h>
#include <string.h>

#include "fname.h"
#include "wire.h"

static int
ok(const char *path)
{
	return (fname_ok(path, strlen(path)));
}

Test(fname, allowed)
{
	static const char	*const good[] = {
		"a", "a/b", "d/...", "d/.hidden", "-rf", "a b", "a\nb",
		"\x1b[2J", "d/..a", "a..", "\xff\xfe", "C:\\x", "~root",
		"$(x)", "*", "d/.passcat-par", "passcat-part",
	};
	size_t			 i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(ok(good[i]), "%s", good[i]);
}

Test(fname, refused)
{
	static const char	*const bad[] = {
		"", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../a",
		"a/..", "a/../b", "a/./b", "./a", "a/.",
		".bashrc", ".ssh/authorized_keys", "...",
		"x.passcat-part", "d.passcat-part/x", "a/x.passcat-part",
		".passcat-part",
	};
	char			 longer[300];
	size_t			 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(ok(bad[i]), "%s", bad[i]);
	cr_expect_not(fname_ok("a\0b", 3));
	cr_expect_not(fname_ok("a\0", 2));
	memset(longer, 'n', sizeof(longer));
	cr_expect(fname_ok(longer, 255));
	cr_expect_not(fname_ok(longer, 256));
	longer[255] = '/';
	cr_expect(fname_ok(longer, 257));
}

Test(fname, depth)
{
	char	 path[2 * FNAME_DEPTH_MAX + 2];
	size_t	 i;

	for (i = 0; i < sizeof(path); i++)
		path[i] = i % 2 == 0 ? 'd' : '/';
	cr_expect(fname_ok(path, 2 * FNAME_DEPTH_MAX - 1));
	cr_expect_not(fname_ok(path, 2 * FNAME_DEPTH_MAX + 1));
}

Test(fname, part)
{
	char	 name[FNAME_SIZE], other[FNAME_SIZE], a[FNAME_SIZE],
		    b[FNAME_SIZE];
	size_t	 len;

	cr_expect_str_eq(fname_part("x", a), "x.passcat-part");
	for (len = 1; len < FNAME_SIZE; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		memcpy(other, name, len + 1);
		other[len - 1] = 'o';
		cr_expect_lt(strlen(fname_part(name, a)), FNAME_SIZE);
		cr_expect_str_neq(a, fname_part(other, b));
		cr_expect_not(ok(a), "%s", a);
	}
}

Test(fname, part_does_not_cut_a_character)
{
	char	 name[FNAME_SIZE] = "", part[FNAME_SIZE];
	size_t	 i;

	for (i = 0; i < 85; i++)
		(void)strlcat(name, "\xe2\x82\xac", sizeof(name));
	fname_part(name, part);
	cr_expect_eq(strcspn(part, "~") % 3, 0);
}

static void
shows(const char *name, const char *expected)
{
	char	 buf[64];

	cr_expect_str_eq(fname_show(name, buf, sizeof(buf)), expected);
}

Test(fname, show)
{
	shows("plain name.txt", "plain name.txt");
	shows("", "");
	shows("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80",
	    "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80");
	shows("a\\b", "a\\\\b");
	shows("two\nlines\ttab", "two\\012lines\\011tab");
	shows("\x1b[31mred\x07", "\\033[31mred\\007");
	shows("del\x7f", "del\\177");
	/* C1 controls, as bytes and as characters. */
	shows("\x9b" "2J", "\\2332J");
	shows("\xc2\x9b" "2J", "\\302\\2332J");
	/* What turns the direction: exe.txt that is txt.exe. */
	shows("a\xe2\x80\xae" "txt.exe", "a\\342\\200\\256txt.exe");
	shows("a\xe2\x81\xa6" "b", "a\\342\\201\\246b");
	/* Too long, surrogate, beyond the end, cut. */
	shows("\xc0\xaf", "\\300\\257");
	shows("\xe0\x80\xaf", "\\340\\200\\257");
	shows("\xed\xa0\x80", "\\355\\240\\200");
	shows("\xf4\x90\x80\x80", "\\364\\220\\200\\200");
	shows("\xe2\x82", "\\342\\202");
	shows("\xc3" "a", "\\303a");
}

Test(fname, show_cuts)
{
	char	 buf[16];
	size_t	 size;

	cr_expect_str_eq(fname_show("1234567890", buf, 11), "1234567890");
	cr_expect_str_eq(fname_show("1234567890", buf, 10), "123456...");
	cr_expect_str_eq(fname_show("12345\n", buf, 8), "1234...");
	cr_expect_str_eq(fname_show("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
	    buf, 8), "\xe2\x82\xac...");
	for (size = 1; size < sizeof(buf); size++) {
		memset(buf, 'x', sizeof(buf));
		fname_show("a\n\n\n\n", buf, size);
		cr_expect_lt(strnlen(buf, sizeof(buf)), size);
		cr_expect_eq(buf[size], 'x');
	}
}

/* ---- wire ---------------------------------------------------------------*/

static struct wire
walk_there_and_back(const struct wire *w)
{
	uint8_t		 buf[WIRE_HEAD_MAX + 8];
	struct wire	 r;
	size_t		 n = wire_pack(w, buf);

	cr_assert_leq(n, WIRE_HEAD_MAX);
	if (w->len > 0)
		memcpy(buf + n, w->data, w->len);
	cr_assert_eq(wire_unpack(&r, (uint8_t)w->type, buf, n + w->len), 0,
	    "type %d", w->type);
	/* One byte less, and, unless data ends it, one more. */
	if (n + w->len > 0)
		cr_expect_eq(wire_unpack(&r, (uint8_t)w->type, buf,
		    n + (w->len > 0 ? 0 : (size_t)-1)), -1);
	if (w->len == 0)
		cr_expect_eq(wire_unpack(&r, (uint8_t)w->type, buf, n + 1),
		    -1);
	cr_assert_eq(wire_unpack(&r, (uint8_t)w->type, buf, n + w->len), 0);
	return (r);
}

Test(wire, each_message)
{
	static const enum wire_type	 types[] = {
		WIRE_TICK, WIRE_OFFER, WIRE_ENTRY, WIRE_SUMMED, WIRE_DATA,
		WIRE_END, WIRE_SKIP, WIRE_FINISH, WIRE_SUM, WIRE_GET,
		WIRE_RESULT, WIRE_DONE, WIRE_FAIL
	};
	struct wire			 w, r;
	size_t				 i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		memset(&w, 0, sizeof(w));
		w.type = types[i];
		w.code = 2;
		w.id = UINT64_C(0x0102030405060708);
		w.size = INT64_MAX;
		if (w.type == WIRE_ENTRY || w.type == WIRE_DATA) {
			w.data = (const uint8_t *)"name";
			w.len = 4;
		}
		r = walk_there_and_back(&w);
		cr_expect_eq(r.type, w.type);
		cr_expect_eq(r.len, w.len);
		cr_expect(wire_from_sender(w.type) ||
		    wire_from_receiver(w.type));
	}
}

Test(wire, fields)
{
	struct wire	 w, r;

	memset(&w, 0, sizeof(w));
	w.type = WIRE_ENTRY;
	w.code = WIRE_FILE;
	w.exec = 1;
	w.size = UINT64_C(1) << 40;
	w.sec = -5;
	w.nsec = 999999999;
	w.data = (const uint8_t *)"a/b";
	w.len = 3;
	r = walk_there_and_back(&w);
	cr_expect_eq(r.exec, 1);
	cr_expect_eq(r.size, w.size);
	cr_expect_eq(r.sec, -5);
	cr_expect_eq(r.nsec, 999999999);
	cr_expect_arr_eq(r.data, "a/b", 3);
}

Test(wire, refuses)
{
	uint8_t		 buf[WIRE_HEAD_MAX + WIRE_PATH_MAX + 1];
	struct wire	 w, r;
	size_t		 n;

	memset(&w, 0, sizeof(w));
	memset(buf, 'p', sizeof(buf));
	w.type = WIRE_ENTRY;
	n = wire_pack(&w, buf);
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n), -1, "no path");
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n + WIRE_PATH_MAX), 0);
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n + WIRE_PATH_MAX + 1),
	    -1, "path too long");
	w.nsec = 1000000000;
	(void)wire_pack(&w, buf);
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n + 1), -1, "nsec");
	w.nsec = 0;
	w.size = UINT64_C(1) << 63;
	(void)wire_pack(&w, buf);
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n + 1), -1, "size");
	w.size = 0;
	w.code = WIRE_LEAVE + 1;
	(void)wire_pack(&w, buf);
	cr_expect_eq(wire_unpack(&r, WIRE_ENTRY, buf, n + 1), -1, "kind");
	cr_expect_eq(wire_unpack(&r, WIRE_DATA, buf, 0), -1, "no data");
	cr_expect_eq(wire_unpack(&r, 99, buf, 0), -1, "type");
}
