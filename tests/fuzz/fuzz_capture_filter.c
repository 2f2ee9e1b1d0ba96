/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: datapath. Capture filters: any program of a client is refused, or is run to its end without a look
 * beyond the packet. The input is eight bytes an instruction; a program sees a frame of the same bytes.
 * DPDK does not run here, so no program becomes machine code: libpcap's interpreter runs them.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/capture_filter.h"

#include "lib/compiler.h"
#include "lib/error.h"

#define MAX_INSNS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t n = (uint32_t)(len / sizeof(struct bpf_insn));
	struct bpf_insn insns[MAX_INSNS];
	struct weft_error err = {0};
	struct capture_filter *f;
	struct packet p;
	uint8_t *frame;

	if (n > MAX_INSNS) {
		return 0;
	}
	memcpy(insns, data, n * sizeof insns[0]);
	f = capture_filter_create(insns, n, &err);
	if ((f == NULL) != weft_error_is_set(&err)) {
		abort();
	}
	if (f) {
		/* Of exact size, so that the sanitizer sees a byte too many. */
		frame = malloc(len);
		memcpy(frame, data, len);
		p = (struct packet){.data = frame, .len = (uint32_t)len, .head_len = (uint32_t)len};
		(void)capture_filter_interpret(f, &p, NULL);
		free(frame);
		capture_filter_destroy(f);
	}
	return 0;
}
