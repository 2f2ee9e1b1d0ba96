/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: what multicast listeners and routers send. The first byte: 0: the rest is a frame; 1, 2: it is a message of
 * IGMP, MLD, which gets headers and its right checksum. Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/byteorder.h"
#include "ofproto/mdb.h"
#include "ofproto/of_multicast.h"
#include "ofproto/ofproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_MESSAGE 2000u

static struct ofproto *
make_switch(void)
{
	static const struct of_model_events none;
	struct of_port_info info = {.number = OF_PORT(1), .name = "p", .dp_port = {1}};
	struct of_settings s;
	struct ofproto *p = ofproto_create(of_model_create(&none), "s", 1, NULL);

	if (!p || !ofproto_port_set(p, &info, NULL)) {
		abort();
	}
	ofproto_get_settings(p, &s);
	s.multicast_snooping = true;
	ofproto_set_settings(p, &s);
	return p;
}

static void
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void
put_checksum(uint8_t *message, size_t len, uint32_t sum)
{
	put16(message + 2, 0);
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? message[i] : (uint32_t)message[i] << 8;
	}
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	put16(message + 2, ~sum & 0xffff);
}

/* Of the same size as what it holds, so that nothing beyond it is read unseen. */
static uint8_t *
make_frame(bool is_mld, const uint8_t *message, size_t len, size_t *frame_len)
{
	static const uint8_t v4[34] = {[12] = 0x08, 0, 0x45, [23] = 2, [26] = 10},
			     v6[54] = {[12] = 0x86, 0xdd, 0x60, [20] = 58, 1, 0xfe, 0x80};
	size_t head = is_mld ? sizeof(v6) : sizeof(v4);
	uint8_t *frame = malloc(head + len);

	if (!frame) {
		abort();
	}
	memcpy(frame, is_mld ? v6 : v4, head);
	memcpy(frame + head, message, len);
	put16(frame + (is_mld ? 18 : 16), (uint32_t)(is_mld ? len : len + 20));
	if (len >= 4) {
		put_checksum(frame + head, len, is_mld ? 0xfe80 + 58 + (uint32_t)len : 0);
	}
	*frame_len = head + len;
	return frame;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ofproto *p;
	static uint64_t now_ms = 1;
	uint8_t *frame;
	size_t len;

	if (!p) {
		p = make_switch();
	}
	if (!size || size > MAX_MESSAGE) {
		return 0;
	}
	if (data[0]) {
		frame = make_frame(data[0] == 2, data + 1, size - 1, &len);
		ofproto_multicast_packet(p, 0, OF_PORT(1), frame, len, now_ms);
		free(frame);
	} else {
		ofproto_multicast_packet(p, 0, OF_PORT(1), data + 1, size - 1, now_ms);
	}
	now_ms += 60000;
	of_model_run(ofproto_model(p), now_ms, 1000);
	if (mdb_count(ofproto_mdb(p)) > MDB_MAX_OF_PORT) {
		abort();
	}
	return 0;
}
