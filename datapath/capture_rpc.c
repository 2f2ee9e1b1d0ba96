/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture: the method that starts one.
 *
 * Why: the client sends its filter compiled. libpcap looks up names while it compiles and may take its
 *      time with a clever filter: that is the client's time, not the ports thread's.
 */
#include "datapath/capture_rpc.h"

#include <errno.h>
#include <pcap/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/capture.h"
#include "datapath/capture_filter.h"
#include "datapath/listing.h"
#include "datapath/port.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"

#define MAX_TEXT 4096u

/* An integer member from @min to @max; @value stays what it is when there is none. */
static bool
take_number(const json_t *params, const char *key, uint64_t min, uint64_t max, uint64_t *value,
	struct weft_error *err)
{
	const json_t *member = json_object_get(params, key);
	json_int_t n = json_integer_value(member);

	if (!member) {
		return true;
	}
	if (!json_is_integer(member) || n < 0 || (uint64_t)n < min || (uint64_t)n > max) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			"%s is a number from %llu to %llu", key, (unsigned long long)min,
			(unsigned long long)max);
	}
	*value = (uint64_t)n;
	return true;
}

static bool
take_direction(const json_t *params, struct capture_options *o, struct weft_error *err)
{
	const json_t *member = json_object_get(params, "direction");
	const char *text = member ? json_string_value(member) : "inout";

	o->in = text && (!strcmp(text, "in") || !strcmp(text, "inout"));
	o->out = text && (!strcmp(text, "out") || !strcmp(text, "inout"));
	if (!o->in && !o->out) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, EINVAL, "direction is in, out or inout");
	}
	return true;
}

/* One instruction: [code, jt, jf, k]. */
static bool
take_insn(const json_t *row, struct bpf_insn *insn)
{
	static const uint32_t max[4] = {UINT16_MAX, UINT8_MAX, UINT8_MAX, UINT32_MAX};
	json_int_t n[4];

	if (json_array_size(row) != 4) {
		return false;
	}
	for (unsigned i = 0; i < 4; i++) {
		const json_t *item = json_array_get(row, i);

		n[i] = json_integer_value(item);
		if (!json_is_integer(item) || n[i] < 0 || n[i] > max[i]) {
			return false;
		}
	}
	*insn = (struct bpf_insn){(u_short)n[0], (u_char)n[1], (u_char)n[2], (bpf_u_int32)n[3]};
	return true;
}

/* The filter's program, to be freed; NULL without @err set: there is none. */
static struct bpf_insn *
take_program(const json_t *params, uint32_t *n, struct weft_error *err)
{
	const json_t *program = json_object_get(params, "program");
	struct bpf_insn *insns;

	if (!program) {
		return NULL;
	}
	*n = (uint32_t)WEFT_MIN(json_array_size(program), (size_t)UINT32_MAX);
	if (!*n || *n > CAPTURE_FILTER_MAX_INSNS) {
		weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			"program is an array of 1 to %u instructions", CAPTURE_FILTER_MAX_INSNS);
		return NULL;
	}
	insns = xcalloc(*n, sizeof *insns);
	for (uint32_t i = 0; i < *n; i++) {
		if (!take_insn(json_array_get(program, i), &insns[i])) {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"instruction %u of the program is no [code, jt, jf, k]", i);
			free(insns);
			return NULL;
		}
	}
	return insns;
}

static int
start(struct rpc_call *call, const json_t *params, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct rpc_peer *peer = rpc_call_peer(call);
	struct capture_options o = {
		.text = json_string_value(json_object_get(params, "filter")),
		.pid = peer ? rpc_peer_pid(peer) : 0,
	};
	const char *name = json_string_value(json_object_get(params, "port"));
	struct port *port = listing_find_port(name ? name : "", err);
	uint64_t snaplen = PACKET_MAX_LEN;
	struct bpf_insn *insns;
	int fd;

	if (!port || !take_direction(params, &o, err) ||
		!take_number(
			params, "snaplen", CAPTURE_MIN_SNAPLEN, PACKET_MAX_LEN, &snaplen, err) ||
		!take_number(params, "count", 0, INT64_MAX, &o.count, err)) {
		return -1;
	}
	if (o.text && strlen(o.text) > MAX_TEXT) {
		weft_error_set(err, WEFT_ERR_INVALID, E2BIG,
			"the filter's text has more than %u bytes", MAX_TEXT);
		return -1;
	}
	insns = take_program(params, &o.n_insns, err);
	if (weft_error_is_set(err)) {
		return -1;
	}
	o.insns = insns;
	o.snaplen = (uint32_t)snaplen;
	fd = capture_start(port, &o, err);
	free(insns);
	return fd;
}

void
capture_rpc_start(struct rpc_call *call, json_t *params, void *user)
{
	struct weft_error err = WEFT_ERROR_INIT;
	int fd;

	(void)user;
	if (!call) {
		return;
	}
	fd = start(call, params, &err);
	if (fd < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_reply_fds(call, json_object(), &fd, 1);
	close(fd);
}
