/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "layers.h"

/* By bit. */
static const char *const	 names[] = {
	"user", "chroot", "rlimits", "no-new-privs", "empty-network",
	"landlock-files", "landlock-read", "landlock-tcp", "landlock-scope",
	"seccomp", "unveil", "pledge",
};
#define NAMES	(sizeof(names) / sizeof(names[0]))
_Static_assert(LAYER_ALL == (1u << NAMES) - 1, "a name for each layer");

static struct layers	 own;

void
layers_held(uint32_t bits)
{
	/* A worker holds what its spawner does: no page of its own for that. */
	if ((own.held & bits) != bits)
		own.held |= bits;
}

void
layers_missing(uint32_t bits)
{
	own.missing |= bits;
}

struct layers
layers_own(void)
{
	return (own);
}

const char *
layers_text(uint32_t bits, char *buf, size_t size)
{
	size_t	 i;

	buf[0] = '\0';
	for (i = 0; i < NAMES; i++) {
		if ((bits & (1u << i)) == 0)
			continue;
		if (buf[0] != '\0')
			(void)strlcat(buf, ",", size);
		(void)strlcat(buf, names[i], size);
	}
	if (buf[0] == '\0')
		(void)strlcpy(buf, "none", size);
	return (buf);
}
