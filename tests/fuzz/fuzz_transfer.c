/* SPDX-License-Identifier: ISC */
/*
 * The other side of a file transfer knows the secret and says anything.  A
 * receiver never writes outside its directory, to what was there, or under a
 * name that is not that of an unfinished file, since no sum is right; a
 * sender never ends well.  Names that are shown are harmless, messages that
 * are read are the same when they are packed again.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fname.h"
#include "fuzz.h"
#include "seal.h"
#include "transfer.h"
#include "walk.h"
#include "wire.h"

#define FRAMES	64
#define VICTIM	"not to be touched"

static char	 dir[64];
static const uint8_t	 secret[PROOF_SECRET_LEN] = "known to both";

/* ---- the directory ------------------------------------------------------*/

static void
put_file(const char *name, const char *text)
{
	FILE	*f = fopen(name, "w");

	FUZZ_CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "%s",
	    name);
}

static int
same_file(const char *name, const char *text)
{
	char	 buf[64] = "";
	FILE	*f = fopen(name, "r");
	size_t	 n;

	if (f == NULL)
		return (0);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	(void)fclose(f);
	return (n == strlen(text) && memcmp(buf, text, n) == 0);
}

/* Remove all below the current directory's ${name}; ${deep} bounds it. */
static void
wipe(const char *name, int deep)
{
	struct dirent	*e;
	DIR		*d = opendir(name);
	char		 path[8192];

	while (d != NULL && deep < 70 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", name,
		    e->d_name) >= sizeof(path))
			continue;
		if (unlink(path) == -1) {
			wipe(path, deep + 1);
			(void)rmdir(path);
		}
	}
	if (d != NULL)
		closedir(d);
}

static void
leave(void)
{
	if (chdir("/") == 0) {
		wipe(dir, 0);
		(void)rmdir(dir);
	}
}

static void
enter(void)
{
	const char	*base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" :
			    "/tmp";

	(void)snprintf(dir, sizeof(dir), "%s/passcat-fuzz.XXXXXX", base);
	FUZZ_CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0, "%s", dir);
	FUZZ_CHECK(seal_setup() == 0, "libsodium");
	(void)atexit(leave);
}

static void
prepare(void)
{
	wipe(".", 0);
	FUZZ_CHECK(mkdir("to", 0700) == 0 && mkdir("to/dir", 0700) == 0 &&
	    mkdir("to/d.passcat-part", 0700) == 0, "mkdir");
	put_file("victim", VICTIM);
	put_file("to/have", "12345");
	put_file("to/dir/have", "12345");
	put_file("to/x.passcat-part", "123");
	FUZZ_CHECK(symlink("../victim", "to/link") == 0 &&
	    symlink("../victim", "to/l.passcat-part") == 0 &&
	    symlink("../../victim", "to/d.passcat-part/x") == 0 &&
	    symlink("..", "to/up.passcat-part") == 0, "symlink");
}

static int
count(const char *name)
{
	DIR		*d = opendir(name);
	struct dirent	*e;
	int		 n = 0;

	FUZZ_CHECK(d != NULL, "%s", name);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(d);
	return (n);
}

/* No regular file below has a name of its own but those that were there. */
static void
check_names(const char *name, int deep)
{
	struct dirent	*e;
	struct stat	 st;
	DIR		*d = opendir(name);
	char		 path[8192];
	const char	*end;

	while (d != NULL && deep < 70 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", name,
		    e->d_name) >= sizeof(path) || lstat(path, &st) == -1)
			continue;
		end = strlen(e->d_name) < strlen(FNAME_PART) ? "" : e->d_name +
		    strlen(e->d_name) - strlen(FNAME_PART);
		FUZZ_CHECK(!S_ISREG(st.st_mode) || strcmp(end, FNAME_PART) == 0
		    || strcmp(path, "to/have") == 0 ||
		    strcmp(path, "to/dir/have") == 0, "%s", path);
		if (S_ISDIR(st.st_mode))
			check_names(path, deep + 1);
	}
	if (d != NULL)
		closedir(d);
}

static void
check_receiver(void)
{
	FUZZ_CHECK(count(".") == 2, "something is beside the directory");
	FUZZ_CHECK(same_file("victim", VICTIM), "victim");
	FUZZ_CHECK(same_file("to/have", "12345"), "have");
	FUZZ_CHECK(count("to/dir") == 1 && same_file("to/dir/have", "12345"),
	    "a finished directory");
	check_names("to", 0);
}

/* ---- a transfer ---------------------------------------------------------*/

struct talk {
	struct seal	*rude;		/* we speak for it */
	struct transfer	*t;
	int		 to;
	int64_t		 now;
};

/* A pair of seals that have proven. */
static void
connect_both(struct seal *s[2])
{
	int	 sv[2], i;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) ==
	    0, "socketpair");
	s[0] = seal_new(sv[0], PROOF_OWNER, secret, 1000);
	s[1] = seal_new(sv[1], PROOF_CALLER, secret, 1000);
	FUZZ_CHECK(s[0] != NULL && s[1] != NULL, "memory");
	for (i = 0; i < 4; i++) {
		(void)seal_turn(s[1], 1000);
		(void)seal_turn(s[0], 1000);
	}
	FUZZ_CHECK(seal_proven(s[0]) && seal_proven(s[1]), "proof");
}

static void
start(struct talk *talk, int receiver)
{
	static const struct transfer_hooks	 none = { NULL, NULL };
	struct transfer_total	 total = { 100, 100, 100000 };
	struct seal		*s[2];
	struct walk		*w;
	char			*name = strdup("to"), why[256];

	connect_both(s);
	talk->now = 1000;
	talk->to = open("to", O_RDONLY | O_DIRECTORY);
	talk->rude = s[receiver ? 0 : 1];
	if (receiver)
		talk->t = transfer_receive(s[1], talk->to, &total, &none, 1000);
	else {
		w = walk_open(&name, 1, why, sizeof(why));
		FUZZ_CHECK(w != NULL && walk_total(w, &total) == 0, "%s", why);
		talk->t = transfer_send(s[0], w, &total, &none, 1000);
	}
	free(name);
	FUZZ_CHECK(talk->t != NULL && talk->to != -1, "start");
}

/* Names that lead somewhere, to be combined by the fuzzer. */
static size_t
put_name(struct fuzz_in *in, uint8_t *buf, size_t size)
{
	static const char	*const parts[] = { "x", "d", "/", "link",
		"have", "dir", "l", "up", "victim", "..", ".", "to", "d/x",
		"dir/have", "dir/", FNAME_PART };
	size_t			 len = 0, n, i;
	uint8_t			 c;

	for (i = 0; i < 8 && (c = fuzz_u8(in)) != 0; i++) {
		if (c <= 16) {
			n = strlen(parts[c - 1]);
			if (len + n <= size) {
				memcpy(buf + len, parts[c - 1], n);
				len += n;
			}
		} else if (len < size)
			buf[len++] = c;
	}
	return (len);
}

/* One message, well-formed or not. */
static void
say(struct talk *talk, struct fuzz_in *in)
{
	uint8_t		 buf[WIRE_HEAD_MAX + 256];
	struct wire	 w;
	size_t		 n, len;
	uint8_t		 type = fuzz_u8(in);
	int		 raw = type & 0x40, last = (type & 0x80) != 0;

	memset(&w, 0, sizeof(w));
	w.type = type & 0x3f;
	if (raw || (!wire_from_sender(w.type) && !wire_from_receiver(w.type))) {
		for (n = 0; n < sizeof(buf) && in->left > 0 && n < 40; n++)
			buf[n] = fuzz_u8(in);
		(void)seal_put(talk->rude, type & 0x3f, buf, n, last);
		return;
	}
	w.code = fuzz_u8(in) & 31;
	w.id = fuzz_u8(in) & 63;
	w.size = fuzz_u16(in) & 0x3ff;
	w.dirs = w.id;
	if (w.type == WIRE_OFFER) {
		w.code = WIRE_VERSION;
		w.size = 100000;
	} else if (w.type == WIRE_ENTRY)
		w.code %= 3;
	n = wire_pack(&w, buf);
	len = w.type == WIRE_ENTRY || w.type == WIRE_DATA ?
	    put_name(in, buf + n, 200) : 0;
	(void)seal_put(talk->rude, (uint8_t)w.type, buf, n + len, last);
}

static void
turn(struct talk *talk)
{
	struct seal_frame	 f;
	int			 i;

	(void)seal_turn(talk->rude, talk->now);
	for (i = 0; i < 3; i++)
		(void)transfer_step(talk->t, talk->now);
	(void)seal_turn(talk->rude, talk->now);
	while (seal_get(talk->rude, &f) == 1)
		;
}

static void
run(struct fuzz_in *in, int receiver)
{
	struct talk	 talk;
	int		 i, fds = fuzz_fds();

	prepare();
	start(&talk, receiver);
	for (i = 0; i < FRAMES && in->left > 0; i++) {
		say(&talk, in);
		if (in->left == 0 || (fuzz_u8(in) & 1) != 0)
			turn(&talk);
	}
	turn(&talk);
	transfer_free(talk.t);
	seal_free(talk.rude);
	close(talk.to);
	FUZZ_CHECK(fuzz_fds() == fds, "%d were %d", fuzz_fds(), fds);
	check_receiver();
}

/* ---- names and messages -------------------------------------------------*/

static void
check_text(struct fuzz_in *in)
{
	char	 name[512], shown[64], part[FNAME_SIZE];
	size_t	 i, len = in->left < sizeof(name) ? in->left : sizeof(name) - 1;

	memcpy(name, in->p, len);
	name[len] = '\0';
	fname_show(name, shown, sizeof(shown));
	FUZZ_CHECK(strlen(shown) < sizeof(shown), "%s", shown);
	for (i = 0; shown[i] != '\0'; i++)
		FUZZ_CHECK((unsigned char)shown[i] >= ' ' && shown[i] != 0x7f,
		    "%zu", i);
	if (!fname_ok(name, len))
		return;
	FUZZ_CHECK(name[0] != '/' && name[0] != '.' &&
	    strstr(name, "//") == NULL &&
	    strncmp(name, "../", 3) != 0 && strstr(name, "/../") == NULL,
	    "%s", name);
	if (strchr(name, '/') == NULL)
		FUZZ_CHECK(!fname_ok(fname_part(name, part), strlen(part)),
		    "%s", part);
}

static void
check_wire(struct fuzz_in *in)
{
	uint8_t		 head[WIRE_HEAD_MAX], type = fuzz_u8(in);
	struct wire	 w;
	size_t		 n;

	if (wire_unpack(&w, type, in->p, in->left) == -1)
		return;
	n = wire_pack(&w, head);
	FUZZ_CHECK(n + w.len == in->left && memcmp(head, in->p, n) == 0,
	    "type %u", type);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };

	if (dir[0] == '\0')
		enter();
	fuzz_seed(len);
	switch (fuzz_u8(&in) & 3) {
	case 0:
		check_text(&in);
		break;
	case 1:
		check_wire(&in);
		break;
	case 2:
		run(&in, 0);
		break;
	default:
		run(&in, 1);
	}
	return (0);
}
