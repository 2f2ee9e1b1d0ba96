/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture filters: programs of libpcap's language, run on packets.
 *
 * What:    a classic BPF program, as pcap_compile() makes it for Ethernet, checked, converted to eBPF
 *          and compiled to machine code (rte_bpf).
 * Limits:  rte_bpf_load() follows the paths through a program, and a program may have more than anyone
 *          can walk. One with many, and what has no machine code, is run by libpcap's
 *          interpreter: slower, the same verdicts, and loaded at once.
 * Threads: made and freed by the ports thread; run by workers, each with its own scratch.
 */
#pragma once

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/packet.h"
#include "vhost/packet_mbuf.h"

struct bpf_insn;
struct rte_bpf;
struct weft_error;

#define CAPTURE_FILTER_MAX_INSNS 4096u
#define CAPTURE_FILTER_MAX_PATHS (1u << 14)

struct capture_filter {
	uint64_t (*run)(void *mbuf); /* machine code; NULL: interpret */
	struct rte_bpf *bpf;
	struct bpf_insn *insns;
	uint32_t n_insns;
};

/* Makes a filter of @n instructions, from whom it may. NULL and @err: it is not sound. */
struct capture_filter *capture_filter_create(
	const struct bpf_insn *insns, uint32_t n, struct weft_error *err) WEFT_MUST_CHECK;
void capture_filter_destroy(struct capture_filter *f);

/* capture_filter_match() without machine code. */
bool capture_filter_interpret(
	const struct capture_filter *f, const struct packet *p, uint8_t *scratch);

/* Whether @f (NULL: every packet) accepts a packet. @scratch: PACKET_MAX_LEN bytes, for packets in several
 * pieces. */
static inline bool
capture_filter_match(const struct capture_filter *f, const struct packet *p, uint8_t *scratch)
{
	if (!f) {
		return true;
	}
	if (WEFT_LIKELY(f->run)) {
		return f->run(packet_mbuf(p)) != 0;
	}
	return capture_filter_interpret(f, p, scratch);
}
