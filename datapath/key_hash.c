/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash of masked keys: its secret.
 */
#include "datapath/key_hash.h"

#include <stdlib.h>
#include <sys/random.h>

#include "lib/log.h"

WEFT_LOG_MODULE(key_hash);

uint64_t key_hash_secret[FLOW_BLOCK_WORDS] WEFT_CACHE_ALIGNED;

void
key_hash_init(void)
{
	if (key_hash_secret[0]) {
		return;
	}
	/* Up to 256 bytes come whole, once the kernel has any randomness at all (getrandom(2)). */
	if (getrandom(key_hash_secret, sizeof key_hash_secret, 0) !=
		(ssize_t)sizeof key_hash_secret) {
		LOG_ERR("no random numbers from the kernel: flow tables would be open to attack");
		abort();
	}
	for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
		key_hash_secret[i] |= 1; /* never zero, and odd */
	}
}
