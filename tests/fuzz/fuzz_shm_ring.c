/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. A ring whose peer is hostile: the input is a list of steps, most of them of our two
 * sides, some of them writes into the shared memory.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm_ring.h"

#define SIZE SHM_RING_MIN_SIZE
#define BUF_SIZE 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct step {
	uint8_t what;
	uint8_t small;
	uint8_t at[2];
	uint8_t value[4];
};

static void
scribble(uint8_t *memory, const struct step *s)
{
	/* The words that matter are few: the header's, and record headers near the start. */
	static const uint16_t places[] = {
		64, 128, 132, SHM_RING_HEADER_SIZE, SHM_RING_HEADER_SIZE + 4};
	uint32_t at = s->small & 1 ? places[s->small / 2 % 5]
				   : SHM_RING_HEADER_SIZE +
					     (uint32_t)(s->at[0] | s->at[1] << 8) % (SIZE / 4) * 4;

	memcpy(memory + at, s->value, sizeof s->value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *memory = aligned_alloc(64, SHM_RING_HEADER_SIZE + SIZE);
	struct shm_ring in, out;
	uint8_t *buf = malloc(BUF_SIZE), *at;
	struct step s;

	memset(memory, 0, SHM_RING_HEADER_SIZE + SIZE);
	shm_ring_init_private(&in, memory, SIZE, -1);
	shm_ring_init_private(&out, memory, SIZE, -1);
	for (; len >= sizeof s; data += sizeof s, len -= sizeof s) {
		uint32_t size, kind;
		int n;

		memcpy(&s, data, sizeof s);
		size = (uint32_t)(s.at[0] | s.at[1] << 8) % SIZE;
		switch (s.what % 8) {
		case 0:
		case 1:
			at = shm_ring_reserve(&in, s.small, size);
			if (at) {
				memset(at, 0xaa, size);
			}
			break;
		case 2:
			shm_ring_trim(&in, size);
			break;
		case 3:
			shm_ring_publish(&in);
			break;
		case 4:
			n = shm_ring_read(&out, buf, BUF_SIZE, &kind);
			if (n > BUF_SIZE) {
				abort();
			}
			break;
		case 5:
			shm_ring_release(&out);
			break;
		case 6:
			if (shm_ring_sleep(&out)) {
				shm_ring_woken(&out);
			}
			if (shm_ring_used(&in) > SIZE) {
				abort();
			}
			break;
		default:
			scribble(memory, &s);
			break;
		}
	}
	free(buf);
	free(memory);
	return 0;
}
