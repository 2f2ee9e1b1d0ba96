/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers for tests (splitmix64).
 */
#include "tests/unit/lib/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

void
random_begin(const char *test)
{
	const char *seed = getenv("WEFT_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state = seed ? strtoull(seed, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30;
	printf("%s: WEFT_SEED=%" PRIu64 "\n", test, state);
}

uint64_t
random_u64(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t
random_below(uint32_t n)
{
	return (uint32_t)(random_u64() % n);
}

void
random_bytes(void *data, size_t size)
{
	uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		p[i] = (uint8_t)random_u64();
	}
}
