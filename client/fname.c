/* SPDX-License-Identifier: ISC */
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fname.h"

#define PART_LEN	(sizeof(FNAME_PART) - 1)
#define HASH_LEN	crypto_generichash_BYTES_MIN	/* 16 */
/* What is left of a long name in front of "~", hash and ending. */
#define KEPT_LEN	(FNAME_SIZE - 1 - PART_LEN - 2 * HASH_LEN - 1)

static int
component_ok(const char *name, size_t len)
{
	if (len == 0 || len >= FNAME_SIZE)
		return (0);
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return (0);
	return (len < PART_LEN ||
	    memcmp(name + len - PART_LEN, FNAME_PART, PART_LEN) != 0);
}

int
fname_ok(const char *path, size_t len)
{
	const char	*slash, *end = path + len;
	int		 depth;

	if (memchr(path, '\0', len) != NULL || (len > 0 && path[0] == '.'))
		return (0);
	for (depth = 1; depth <= FNAME_DEPTH_MAX; depth++) {
		slash = memchr(path, '/', (size_t)(end - path));
		if (slash == NULL)
			return (component_ok(path, (size_t)(end - path)));
		if (!component_ok(path, (size_t)(slash - path)))
			return (0);
		path = slash + 1;
	}
	return (0);
}

const char *
fname_part(const char *name, char buf[FNAME_SIZE])
{
	uint8_t	 hash[HASH_LEN];
	char	 hex[2 * HASH_LEN + 1];
	size_t	 len = strlen(name), kept = KEPT_LEN;

	if (len + PART_LEN < FNAME_SIZE) {
		(void)snprintf(buf, FNAME_SIZE, "%s%s", name, FNAME_PART);
		return (buf);
	}
	/* Not in the middle of a character. */
	while (kept > 0 && ((unsigned char)name[kept] & 0xc0) == 0x80)
		kept--;
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)name, len,
	    NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	(void)snprintf(buf, FNAME_SIZE, "%.*s~%s%s", (int)kept, name, hex,
	    FNAME_PART);
	return (buf);
}

/* ---- showing ------------------------------------------------------------*/

/* A character that is not what it seems, or changes how others look. */
static int
deceptive(uint32_t c)
{
	return (c < 0xa0 || c == 0xad || c == 0x61c || c == 0x180e ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || (c >= 0xd800 && c <= 0xf8ff) ||
	    c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
	    (c & 0xfffe) == 0xfffe || c >= 0xe0000);
}

/*
 * Return the length of the well-formed and harmless character of more than
 * one byte at ${p}, or 0.  A string's NUL ends it like any other byte that
 * does not continue it.
 */
static size_t
harmless(const unsigned char *p)
{
	static const uint32_t	 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t		 c;
	size_t			 len, i;

	if (*p >= 0xc2 && *p <= 0xdf)
		len = 2;
	else if (*p >= 0xe0 && *p <= 0xef)
		len = 3;
	else if (*p >= 0xf0 && *p <= 0xf4)
		len = 4;
	else
		return (0);
	c = *p & (0xffu >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0);
		c = c << 6 | (p[i] & 0x3fu);
	}
	return (c < least[len] || deceptive(c) ? 0 : len);
}

/* Write one character as it is shown; return how many bytes it takes. */
static size_t
show_one(const unsigned char *p, char out[5], size_t *used)
{
	size_t	 len = harmless(p);

	*used = len == 0 ? 1 : len;
	if (len > 0) {
		memcpy(out, p, len);
		return (len);
	}
	if (*p == '\\') {
		memcpy(out, "\\\\", 2);
		return (2);
	}
	if (*p >= ' ' && *p <= '~') {
		out[0] = (char)*p;
		return (1);
	}
	(void)snprintf(out, 5, "\\%03o", *p);
	return (4);
}

const char *
fname_show(const char *name, char *buf, size_t size)
{
	const unsigned char	*p = (const unsigned char *)name;
	char			 out[5];
	size_t			 at = 0, cut = 0, len, used;

	for (; *p != '\0'; p += used) {
		len = show_one(p, out, &used);
		if (at + len >= size) {
			(void)snprintf(buf + cut, size - cut, "...");
			return (buf);
		}
		memcpy(buf + at, out, len);
		at += len;
		/* The last place where "..." still fits. */
		if (at + 4 <= size)
			cut = at;
	}
	buf[at] = '\0';
	return (buf);
}
