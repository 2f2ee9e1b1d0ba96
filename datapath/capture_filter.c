/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture filters.
 */
/* rte_bpf_convert() is one of those in DPDK 22.11. */
#define ALLOW_EXPERIMENTAL_API

#include "datapath/capture_filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <rte_bpf.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(capture);

/* Whether libpcap's interpreter knows an instruction: it aborts at others, which bpf_validate() lets pass. */
static bool
is_known(uint16_t code)
{
	switch (code) {
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_MSH | BPF_B:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_JMP | BPF_JA:
	case BPF_ALU | BPF_NEG:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	default:
		break;
	}
	/* Operands K and X. */
	switch (code & ~BPF_X) {
	case BPF_JMP | BPF_JGT:
	case BPF_JMP | BPF_JGE:
	case BPF_JMP | BPF_JEQ:
	case BPF_JMP | BPF_JSET:
	case BPF_ALU | BPF_ADD:
	case BPF_ALU | BPF_SUB:
	case BPF_ALU | BPF_MUL:
	case BPF_ALU | BPF_DIV:
	case BPF_ALU | BPF_MOD:
	case BPF_ALU | BPF_AND:
	case BPF_ALU | BPF_OR:
	case BPF_ALU | BPF_XOR:
	case BPF_ALU | BPF_LSH:
	case BPF_ALU | BPF_RSH:
		return true;
	default:
		return false;
	}
}

static bool
is_sound(const struct bpf_insn *insns, uint32_t n)
{
	if (!n || n > CAPTURE_FILTER_MAX_INSNS || !bpf_validate(insns, (int)n)) {
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!is_known(insns[i].code)) {
			return false;
		}
	}
	return true;
}

/* libpcap lets programs jump back (protochain), which would hold a worker as long as a packet likes. */
static bool
goes_forward(const struct bpf_insn *insns, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (insns[i].code == (BPF_JMP | BPF_JA) && insns[i].k >= n - i - 1) {
			return false;
		}
	}
	return true;
}

/* Whether no more than CAPTURE_FILTER_MAX_PATHS ways lead through the program. Jumps go forward alone:
 * an instruction's number is the sum of those that may follow it. */
static bool
has_few_paths(const struct bpf_insn *insns, uint32_t n)
{
	uint32_t *paths = xcalloc(n, sizeof *paths);
	bool few;

	for (uint32_t i = n; i-- > 0;) {
		const struct bpf_insn *insn = &insns[i];

		if (BPF_CLASS(insn->code) == BPF_RET) {
			paths[i] = 1;
		} else if (BPF_CLASS(insn->code) != BPF_JMP) {
			paths[i] = paths[i + 1];
		} else if (BPF_OP(insn->code) == BPF_JA) {
			paths[i] = paths[i + 1 + insn->k];
		} else if (insn->jt == insn->jf) {
			paths[i] = paths[i + 1 + insn->jt];
		} else {
			paths[i] = paths[i + 1 + insn->jt] + paths[i + 1 + insn->jf];
		}
		paths[i] = WEFT_MIN(paths[i], CAPTURE_FILTER_MAX_PATHS + 1);
	}
	few = paths[0] <= CAPTURE_FILTER_MAX_PATHS;
	free(paths);
	return few;
}

/* Loads and compiles it; without success it is interpreted. */
static void
compile(struct capture_filter *f)
{
	struct bpf_program program = {.bf_len = f->n_insns, .bf_insns = f->insns};
	struct rte_bpf_prm *prm = rte_bpf_convert(&program);
	struct rte_bpf_jit jit = {0};

	if (!prm) {
		return;
	}
	prm->prog_arg = (struct rte_bpf_arg){
		.type = RTE_BPF_ARG_PTR_MBUF,
		.size = sizeof(struct rte_mbuf),
		.buf_size = RTE_MBUF_DEFAULT_BUF_SIZE,
	};
	f->bpf = rte_bpf_load(prm);
	rte_free(prm);
	if (f->bpf && !rte_bpf_get_jit(f->bpf, &jit)) {
		f->run = jit.func;
	}
	if (!f->run) {
		LOG_INFO_RL("a filter of %u instructions is interpreted", f->n_insns);
	}
}

struct capture_filter *
capture_filter_create(const struct bpf_insn *insns, uint32_t n, struct weft_error *err)
{
	struct capture_filter *f;

	if (!is_sound(insns, n)) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"the filter is no sound BPF program of 1 to %u instructions",
			CAPTURE_FILTER_MAX_INSNS);
		return NULL;
	}
	if (!goes_forward(insns, n)) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"the filter has a loop (protochain), which a capture does not run");
		return NULL;
	}
	f = xcalloc(1, sizeof *f);
	f->n_insns = n;
	f->insns = xmemdup(insns, n * sizeof insns[0]);
	if (has_few_paths(insns, n)) {
		compile(f);
	}
	return f;
}

void
capture_filter_destroy(struct capture_filter *f)
{
	if (f) {
		rte_bpf_destroy(f->bpf);
		free(f->insns);
		free(f);
	}
}

bool
capture_filter_interpret(const struct capture_filter *f, const struct packet *p, uint8_t *scratch)
{
	const uint8_t *data = p->data;
	uint32_t len = p->head_len;

	if (len < p->len) {
		len = WEFT_MIN(p->len, (uint32_t)PACKET_MAX_LEN);
		data = rte_pktmbuf_read(packet_mbuf(p), 0, len, scratch);
	}
	return data && bpf_filter(f->insns, data, p->len, len) != 0;
}
