/* SPDX-License-Identifier: ISC */
#ifndef COMMON_LAYERS_H
#define COMMON_LAYERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The layers of the cage, as bits: what holds a process, and what the
 * running kernel does not have.  The parent collects them and says at start
 * what every process is held by.
 */

#define LAYER_USER	0x0001	/* a user of its own, no other group */
#define LAYER_CHROOT	0x0002	/* an empty root directory */
#define LAYER_LIMITS	0x0004	/* resource limits */
#define LAYER_NO_PRIVS	0x0008	/* nothing gained by exec, not dumpable */
#define LAYER_NO_NET	0x0010	/* a network of its own, without a device */
#define LAYER_FILES	0x0020	/* Landlock: no file */
#define LAYER_READ	0x0040	/* Landlock: a few files, to be read */
#define LAYER_TCP	0x0080	/* Landlock: the TCP ports named, or none */
#define LAYER_SCOPE	0x0100	/* Landlock: no signal, no abstract socket */
#define LAYER_FILTER	0x0200	/* seccomp */
#define LAYER_UNVEIL	0x0400
#define LAYER_PLEDGE	0x0800
#define LAYER_ALL	0x0fff

struct layers {
	uint32_t	 held;		/* LAYER_* */
	uint32_t	 missing;	/* wanted, but not on this kernel */
};

/* layers_held(bits): remember that ${bits} hold for this process. */
void	layers_held(uint32_t);

/* layers_missing(bits): remember that the kernel cannot give ${bits}. */
void	layers_missing(uint32_t);

/* layers_own(): return what was remembered of this process. */
struct layers layers_own(void);

/*
 * layers_text(bits, buf, size):
 * Write the names of ${bits} into ${buf} of ${size} bytes, with commas
 * between them; "none" if there are none.  LAYERS_TEXT_MAX suffices for all.
 * Return ${buf}.
 */
#define LAYERS_TEXT_MAX	160
const char *layers_text(uint32_t, char *, size_t);

#endif
