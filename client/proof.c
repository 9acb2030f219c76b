/* SPDX-License-Identifier: ISC */
#include <sodium.h>
#include <string.h>

#include "proof.h"

#define MAGIC		"passcat1"
#define MAGIC_LEN	(sizeof(MAGIC) - 1)
/* Context of crypto_kdf: its eight bytes are ours alone. */
#define CONTEXT		"passkeys"

_Static_assert(PROOF_HELLO_LEN == MAGIC_LEN + crypto_scalarmult_BYTES,
    "a hello is magic and public key");
_Static_assert(PROOF_KEY_LEN == crypto_kdf_KEYBYTES &&
    PROOF_KEY_LEN == crypto_scalarmult_SCALARBYTES &&
    PROOF_KEY_LEN == crypto_secretstream_xchacha20poly1305_KEYBYTES,
    "all keys have one length");
_Static_assert(sizeof(CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES,
    "length of the context");

/* Numbers of the keys that are derived. */
enum {
	KEY_OWNER_TAG = 1,
	KEY_CALLER_TAG,
	KEY_FROM_OWNER,
	KEY_FROM_CALLER,
	KEY_SUMS
};

int
proof_setup(void)
{
	return (sodium_init() == -1 ? -1 : 0);
}

void
proof_secret(uint8_t secret[PROOF_SECRET_LEN])
{
	randombytes_buf(secret, PROOF_SECRET_LEN);
}

void
proof_begin(struct proof *p, enum proof_role role,
    const uint8_t secret[PROOF_SECRET_LEN])
{
	p->role = role;
	memcpy(p->secret, secret, sizeof(p->secret));
	randombytes_buf(p->key, sizeof(p->key));
	memcpy(p->hello, MAGIC, MAGIC_LEN);
	crypto_scalarmult_base(p->hello + MAGIC_LEN, p->key);
}

/* One key from which all others come: it depends on all that was said. */
static int
master_key(const struct proof *p, const uint8_t *hello,
    uint8_t master[crypto_kdf_KEYBYTES])
{
	crypto_generichash_state	 hash;
	uint8_t		 shared[crypto_scalarmult_BYTES];
	const uint8_t	*owner, *caller;

	if (memcmp(hello, MAGIC, MAGIC_LEN) != 0 ||
	    crypto_scalarmult(shared, p->key, hello + MAGIC_LEN) != 0)
		return (-1);
	owner = p->role == PROOF_OWNER ? p->hello : hello;
	caller = p->role == PROOF_OWNER ? hello : p->hello;
	crypto_generichash_init(&hash, p->secret, sizeof(p->secret),
	    crypto_kdf_KEYBYTES);
	crypto_generichash_update(&hash, owner, PROOF_HELLO_LEN);
	crypto_generichash_update(&hash, caller, PROOF_HELLO_LEN);
	crypto_generichash_update(&hash, shared, sizeof(shared));
	crypto_generichash_final(&hash, master, crypto_kdf_KEYBYTES);
	sodium_memzero(&hash, sizeof(hash));
	sodium_memzero(shared, sizeof(shared));
	return (0);
}

static void
derive(uint8_t key[PROOF_KEY_LEN], uint64_t number, const uint8_t *master)
{
	(void)crypto_kdf_derive_from_key(key, PROOF_KEY_LEN, number, CONTEXT,
	    master);
}

int
proof_keys(const struct proof *p, const uint8_t hello[PROOF_HELLO_LEN],
    struct proof_keys *k)
{
	uint8_t	 master[crypto_kdf_KEYBYTES];
	int	 owner = p->role == PROOF_OWNER;

	memset(k, 0, sizeof(*k));
	if (master_key(p, hello, master) == -1)
		return (-1);
	derive(owner ? k->mine : k->theirs, KEY_OWNER_TAG, master);
	derive(owner ? k->theirs : k->mine, KEY_CALLER_TAG, master);
	derive(owner ? k->out : k->in, KEY_FROM_OWNER, master);
	derive(owner ? k->in : k->out, KEY_FROM_CALLER, master);
	derive(k->sums, KEY_SUMS, master);
	sodium_memzero(master, sizeof(master));
	return (0);
}

int
proof_shown(const struct proof_keys *k, const uint8_t tag[PROOF_TAG_LEN])
{
	return (sodium_memcmp(k->theirs, tag, PROOF_TAG_LEN) == 0);
}

void
proof_end(struct proof *p)
{
	sodium_memzero(p, sizeof(*p));
}
