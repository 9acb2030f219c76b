/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_PROOF_H
#define CLIENT_PROOF_H

#include <stdint.h>

/*
 * How two ends that share a one-time secret show each other that they know
 * it, and what keys they then have.  No socket here, only the arithmetic.
 *
 * Each end makes a new Curve25519 key pair and sends its hello: eight bytes
 * of magic and the public key.  From the secret, both hellos and the
 * Diffie-Hellman value (keyed BLAKE2b, then crypto_kdf) come five keys: a
 * tag that the owner of the port shows, one that the caller shows, a key for
 * each direction, and one for sums of files.  Then each sends its tag.
 *
 * Nobody without the secret can make a tag, and none tells anything about
 * the secret, which has 256 random bits.  A tag that was heard before is
 * worth nothing, since the keys are new; nor is our own sent back to us,
 * since the two ends show different ones.  Whoever reads the secret later,
 * in a server's archive for instance, does not learn what was sent: for that
 * he would have to have sat in between at the time.
 */
#define PROOF_SECRET_LEN	32
#define PROOF_HELLO_LEN		40
#define PROOF_TAG_LEN		32
#define PROOF_KEY_LEN		32

enum proof_role {
	PROOF_OWNER,			/* of the port */
	PROOF_CALLER			/* who connected to it */
};

struct proof {
	enum proof_role	 role;
	uint8_t		 secret[PROOF_SECRET_LEN];
	uint8_t		 key[PROOF_KEY_LEN];	/* our half of the pair */
	uint8_t		 hello[PROOF_HELLO_LEN];
};

struct proof_keys {
	uint8_t		 mine[PROOF_TAG_LEN];	/* the tag that we show */
	uint8_t		 theirs[PROOF_TAG_LEN];	/* that the other must show */
	uint8_t		 out[PROOF_KEY_LEN];
	uint8_t		 in[PROOF_KEY_LEN];
	uint8_t		 sums[PROOF_KEY_LEN];
};

/*
 * proof_setup():
 * Prepare the library.  Call once, before the process locks itself in.
 * Return 0, or -1 if there is no source of randomness.
 */
int	proof_setup(void);

/*
 * proof_secret(secret):
 * Fill ${secret} with a new one-time secret.
 */
void	proof_secret(uint8_t [PROOF_SECRET_LEN]);

/*
 * proof_begin(p, role, secret):
 * Make a key pair; p->hello is then ready to be sent.  ${p} holds a copy of
 * ${secret} until proof_end().
 */
void	proof_begin(struct proof *, enum proof_role,
	    const uint8_t [PROOF_SECRET_LEN]);

/*
 * proof_keys(p, hello, keys):
 * Make ${keys} from the ${hello} of the other end.  Return 0, or -1 if that
 * is no hello, or one with a public key that would make the result known in
 * advance; ${keys} is then all zeroes.
 */
int	proof_keys(const struct proof *, const uint8_t [PROOF_HELLO_LEN],
	    struct proof_keys *);

/*
 * proof_shown(keys, tag):
 * Return 1 if ${tag} is the one that the other end had to show, else 0, in
 * constant time.
 */
int	proof_shown(const struct proof_keys *, const uint8_t [PROOF_TAG_LEN]);

/* proof_end(p): forget the secret and the key. */
void	proof_end(struct proof *);

#endif
