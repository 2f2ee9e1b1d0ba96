/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath protocol: taking messages apart and writing them.
 *
 * How: a cursor walks a private copy of the record; each part is taken at a multiple of 8 and must
 *      be there in whole; in the end nothing may be left.
 */
#include "lib/dp_protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/dp_encap.h"
#include "lib/error.h"
#include "lib/packet.h"
#include "lib/shm_ring.h"

/* The largest messages about an object: an item of a list, the reply to a delete. */
#define MAX_PARTS (DP_OBJECT_MAX_BODY / sizeof(struct dp_meter_band))
_Static_assert(
	sizeof(struct dp_object_item) + MAX_PARTS * sizeof(struct dp_handle) + DP_OBJECT_MAX_BODY <=
			DP_MAX_MESSAGE &&
		sizeof(struct dp_object_del_reply) + MAX_PARTS * sizeof(struct flow_stats) <=
			DP_MAX_MESSAGE,
	"what was taken can be told");

/* Both ends are built from these structs; parts behind them begin at multiples of 8. */
_Static_assert(sizeof(struct dp_flow_put) == 16, "DP_FLOW_PUT");
_Static_assert(sizeof(struct dp_flow_put_reply) == 32, "its reply");
_Static_assert(sizeof(struct dp_flow_del) == 16, "DP_FLOW_DEL");
_Static_assert(sizeof(struct dp_flow_del_reply) == 56, "its reply");
_Static_assert(sizeof(struct dp_list) == 16, "DP_*_LIST");
_Static_assert(sizeof(struct dp_list_reply) == 24, "its reply");
_Static_assert(sizeof(struct dp_flow_item) == 72, "DP_FLOW_ITEM");
_Static_assert(sizeof(struct dp_object_put) == 32, "DP_OBJECT_PUT");
_Static_assert(sizeof(struct dp_object_put_reply) == 32, "its reply");
_Static_assert(sizeof(struct dp_object_del) == 16, "DP_OBJECT_DEL");
_Static_assert(sizeof(struct dp_object_item) == 32, "DP_OBJECT_ITEM");
_Static_assert(sizeof(struct dp_bucket) == 24, "bucket");
_Static_assert(sizeof(struct dp_meter) == 8 && sizeof(struct dp_meter_band) == 24, "meter");
_Static_assert(sizeof(struct dp_encap) == 32, "encapsulation");
_Static_assert(sizeof(struct dp_context_put) == 16, "DP_CONTEXT_PUT");
_Static_assert(sizeof(struct dp_context_del) == 16, "DP_CONTEXT_DEL");
_Static_assert(sizeof(struct dp_context_item) == 16, "DP_CONTEXT_ITEM");
_Static_assert(sizeof(struct dp_execute) == 40, "DP_EXECUTE");
_Static_assert(sizeof(struct dp_upcall) == 40, "DP_UPCALL_*");
_Static_assert(sizeof(struct dp_tun_opts) == 16 && sizeof(struct dp_tun_opts_reply) == 24 &&
		       sizeof(struct dp_tun_opt) == 8,
	"DP_TUN_OPTS");

struct cursor {
	const uint8_t *start;
	size_t len, at;
	struct weft_error *err;
};

static bool
refuse(struct cursor *c, const char *why)
{
	return weft_error_set_at(
		c->err, WEFT_ERR_INVALID, EINVAL, 0, c->at, "datapath protocol: %s", why);
}

/* The next @size bytes, or NULL; their padding must be there, and zero. */
static const void *
take(struct cursor *c, size_t size)
{
	const uint8_t *part = c->start + c->at;
	size_t left = c->len - c->at;

	if (size > left || WEFT_ROUND_UP(size, 8) > left) {
		refuse(c, "message is too short");
		return NULL;
	}
	for (size_t i = size; i < WEFT_ROUND_UP(size, 8); i++) {
		if (part[i]) {
			refuse(c, "padding is not zero");
			return NULL;
		}
	}
	c->at += WEFT_ROUND_UP(size, 8);
	return part;
}

static bool
is_reserved_zero(struct cursor *c, uint64_t reserved)
{
	return !reserved || refuse(c, "reserved bytes are not zero");
}

static uint32_t
bits24(const uint8_t reserved[3])
{
	return reserved[0] | (uint32_t)reserved[1] << 8 | (uint32_t)reserved[2] << 16;
}

static bool
finish(struct cursor *c)
{
	return c->at == c->len || refuse(c, "bytes behind the end of the message");
}

static bool
take_key(struct cursor *c, uint8_t blocks, struct flow_key *key)
{
	const uint8_t *packed;

	if (blocks & ~FLOW_BLOCKS_DATAPATH) {
		return refuse(c, "key blocks that the datapath does not handle");
	}
	packed = take(c, flow_blocks_size(blocks));
	if (!packed) {
		return false;
	}
	flow_key_unpack(key, packed, blocks);
	return true;
}

static bool
take_actions(struct cursor *c, uint32_t size, struct dp_message *msg)
{
	msg->actions = take(c, size);
	msg->actions_size = size;
	return msg->actions && dp_actions_validate(msg->actions, size, c->err);
}

static bool
take_data(struct cursor *c, size_t size, struct dp_message *msg)
{
	msg->data = take(c, size);
	msg->data_len = size;
	return msg->data;
}

static bool
begin(struct cursor *c, uint32_t kind, const void *buf, size_t len, struct dp_message *msg,
	struct weft_error *err)
{
	assert((uintptr_t)buf % 8 == 0);
	*c = (struct cursor){.start = buf, .len = len, .err = err};
	memset(msg, 0, sizeof *msg);
	msg->type = kind;
	return true;
}

static bool
decode_flow_put(struct cursor *c, struct dp_message *msg)
{
	const struct dp_flow_put *put = take(c, sizeof *put);
	const struct flow_key *bits = &msg->mask.bits;

	msg->body = put;
	if (!put) {
		return false;
	}
	if (put->flags & ~(DP_PUT_EXCLUSIVE | DP_PUT_MODIFY | DP_PUT_NARROW)) {
		return refuse(c, "unknown flags");
	}
	msg->key_blocks = put->key_blocks;
	msg->mask_blocks = put->mask_blocks;
	if (!take_key(c, put->key_blocks, &msg->key) ||
		!take_key(c, put->mask_blocks, &msg->mask.bits) ||
		!take_actions(c, put->actions_size, msg)) {
		return false;
	}
	if (bits->in_port != UINT32_MAX || bits->recirc_id != UINT32_MAX) {
		return refuse(c, "mask without input port or recirculation id");
	}
	/* Of what the switch made itself, only what comes around again is asked for. */
	if (be32_to(msg->key.in_port) > (msg->key.recirc_id ? DP_PORT_MADE : DP_PORT_MAX)) {
		return refuse(c, "input port out of range");
	}
	return true;
}

static bool
decode_object_put(struct cursor *c, struct dp_message *msg)
{
	const struct dp_object_put *put = take(c, sizeof *put);

	msg->body = put;
	if (!put || !is_reserved_zero(c, put->kind == DP_OBJECT_SELECT ? 0 : put->seed) ||
		!take_data(c, put->body_size, msg)) {
		return false;
	}
	msg->n_parts = put->n_parts;
	return dp_object_validate(put->kind, msg->data, msg->data_len, put->n_parts, c->err);
}

static bool
decode_context_put(struct cursor *c, struct dp_message *msg)
{
	const struct dp_context_put *put = take(c, sizeof *put);

	msg->body = put;
	if (!put) {
		return false;
	}
	if (!put->id || put->size > DP_CONTEXT_MAX_SIZE) {
		return refuse(c, "context without id, or too large");
	}
	return take_data(c, put->size, msg);
}

static bool
decode_context_del(struct cursor *c, struct dp_message *msg)
{
	const struct dp_context_del *del = take(c, sizeof *del);

	msg->body = del;
	return del && is_reserved_zero(c, del->zero);
}

static bool
decode_execute(struct cursor *c, struct dp_message *msg)
{
	const struct dp_execute *x = take(c, sizeof *x);

	msg->body = x;
	if (!x || !is_reserved_zero(c, bits24(x->zero1) | x->zero2)) {
		return false;
	}
	if (x->flags & ~(DP_EXECUTE_REPLY | DP_EXECUTE_KEEP) || x->data_len > PACKET_MAX_LEN) {
		return refuse(c, "unknown flags, or packet too long");
	}
	if (x->parked.v ? x->data_len || x->key_blocks
			: x->in_port != UINT32_MAX && x->in_port > DP_PORT_MAX) {
		return refuse(c, "bytes for a parked packet, or input port out of range");
	}
	msg->key_blocks = x->key_blocks;
	return take_key(c, x->key_blocks, &msg->key) && take_actions(c, x->actions_size, msg) &&
	       take_data(c, x->data_len, msg);
}

/* @n options, none known twice and none's data in another's place. */
static bool
take_tun_opts(struct cursor *c, uint32_t n, struct dp_message *msg)
{
	const struct dp_tun_opt *opts;
	uint64_t slots = 0, bytes = 0;

	if (n > DP_TUN_OPTS_MAX) {
		return refuse(c, "too many tunnel options");
	}
	if (!take_data(c, n * sizeof *opts, msg)) {
		return false;
	}
	opts = (const void *)msg->data;
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_tun_opt *o = &opts[i];
		uint64_t mine = o->len < 64 ? (UINT64_C(1) << o->len) - 1 : UINT64_MAX;

		if (!is_reserved_zero(c, o->zero[0] | o->zero[1])) {
			return false;
		}
		if (o->len % 4 || o->slot >= DP_TUN_OPTS_MAX || slots >> o->slot & 1 ||
			o->offset + o->len > (int)sizeof(((struct flow_key *)0)->tun_opts) ||
			bytes & mine << o->offset) {
			return refuse(c, "bad tunnel option");
		}
		for (uint32_t j = 0; j < i; j++) {
			if (opts[j].opt_class == o->opt_class && opts[j].type == o->type) {
				return refuse(c, "two tunnel options of one class and type");
			}
		}
		slots |= UINT64_C(1) << o->slot;
		bytes |= mine << o->offset;
	}
	return true;
}

static bool
decode_tun_opts(struct cursor *c, struct dp_message *msg)
{
	const struct dp_tun_opts *opts = take(c, sizeof *opts);

	msg->body = opts;
	if (!opts) {
		return false;
	}
	if (opts->flags & ~DP_TUN_OPTS_SET || (opts->n && !opts->flags)) {
		return refuse(c, "unknown flags, or tunnel options in a question");
	}
	return take_tun_opts(c, opts->n, msg);
}

bool
dp_command_decode(
	uint32_t kind, const void *buf, size_t len, struct dp_message *msg, struct weft_error *err)
{
	struct cursor c;
	bool ok = begin(&c, kind, buf, len, msg, err);

	switch ((enum dp_command_type)kind) {
	case DP_FLOW_PUT:
		ok = decode_flow_put(&c, msg);
		break;
	case DP_FLOW_DEL:
		ok = (msg->body = take(&c, sizeof(struct dp_flow_del)));
		break;
	case DP_FLOW_LIST:
	case DP_OBJECT_LIST:
	case DP_CONTEXT_LIST:
		ok = (msg->body = take(&c, sizeof(struct dp_list)));
		break;
	case DP_OBJECT_PUT:
		ok = decode_object_put(&c, msg);
		break;
	case DP_OBJECT_DEL:
		ok = (msg->body = take(&c, sizeof(struct dp_object_del)));
		break;
	case DP_CONTEXT_PUT:
		ok = decode_context_put(&c, msg);
		break;
	case DP_CONTEXT_DEL:
		ok = decode_context_del(&c, msg);
		break;
	case DP_EXECUTE:
		ok = decode_execute(&c, msg);
		break;
	case DP_BARRIER:
		ok = (msg->body = take(&c, sizeof(struct dp_barrier)));
		break;
	case DP_TUN_OPTS:
		ok = decode_tun_opts(&c, msg);
		break;
	default:
		ok = refuse(&c, "unknown command");
		break;
	}
	return ok && finish(&c);
}

/* The struct that begins with struct dp_reply. */
static const void *
take_reply(struct cursor *c, size_t size, struct dp_message *msg)
{
	const struct dp_reply *reply = take(c, size);

	msg->body = reply;
	if (!reply || !is_reserved_zero(c, reply->zero)) {
		return NULL;
	}
	if (reply->status > 0) {
		refuse(c, "status is neither 0 nor a negative errno");
		return NULL;
	}
	return reply;
}

static bool
decode_flow_put_reply(struct cursor *c, struct dp_message *msg)
{
	const struct dp_flow_put_reply *reply = take_reply(c, sizeof *reply, msg);

	if (!reply || !is_reserved_zero(c, bits24(reply->zero1) | reply->zero2)) {
		return false;
	}
	msg->mask_blocks = reply->mask_blocks;
	return take_key(c, reply->mask_blocks, &msg->mask.bits);
}

static bool
decode_flow_del_reply(struct cursor *c, struct dp_message *msg)
{
	const struct dp_flow_del_reply *reply = take_reply(c, sizeof *reply, msg);

	return reply && is_reserved_zero(c, reply->final.zero);
}

static bool
decode_list_reply(struct cursor *c, struct dp_message *msg)
{
	const struct dp_list_reply *reply = take_reply(c, sizeof *reply, msg);

	return reply && is_reserved_zero(c, reply->zero);
}

static bool
decode_tun_opts_reply(struct cursor *c, struct dp_message *msg)
{
	const struct dp_tun_opts_reply *reply = take_reply(c, sizeof *reply, msg);

	return reply && is_reserved_zero(c, reply->zero) && take_tun_opts(c, reply->n, msg);
}

static bool
decode_flow_item(struct cursor *c, struct dp_message *msg)
{
	const struct dp_flow_item *item = take(c, sizeof *item);

	msg->body = item;
	if (!item || !is_reserved_zero(c, bits24(item->zero1) | item->stats.zero)) {
		return false;
	}
	msg->key_blocks = msg->mask_blocks = item->blocks;
	return take_key(c, item->blocks, &msg->key) && take_key(c, item->blocks, &msg->mask.bits) &&
	       take_actions(c, item->actions_size, msg);
}

static bool
decode_object_item(struct cursor *c, struct dp_message *msg)
{
	const struct dp_object_item *item = take(c, sizeof *item);

	msg->body = item;
	if (!item || !is_reserved_zero(c, item->zero)) {
		return false;
	}
	if (item->n_parts > c->len / sizeof(struct dp_handle)) {
		return refuse(c, "too many parts");
	}
	msg->n_parts = item->n_parts;
	msg->parts = take(c, item->n_parts * sizeof(struct dp_handle));
	return msg->parts && take_data(c, item->body_size, msg) &&
	       dp_object_validate(item->kind, msg->data, msg->data_len, item->n_parts, c->err);
}

static bool
decode_object_reply(struct cursor *c, struct dp_message *msg, bool with_stats)
{
	/* Both replies begin alike. */
	const struct dp_object_put_reply *reply = take_reply(c, sizeof *reply, msg);
	size_t each = with_stats ? sizeof(struct flow_stats) : sizeof(struct dp_handle);

	_Static_assert(
		sizeof(struct dp_object_put_reply) == sizeof(struct dp_object_del_reply), "alike");
	if (!reply || !is_reserved_zero(c, reply->zero)) {
		return false;
	}
	if (reply->n_parts > c->len / each) {
		return refuse(c, "too many parts");
	}
	msg->n_parts = reply->n_parts;
	if (with_stats) {
		return (msg->part_stats = take(c, reply->n_parts * each));
	}
	return (msg->parts = take(c, reply->n_parts * each));
}

static bool
decode_context_item(struct cursor *c, struct dp_message *msg)
{
	const struct dp_context_item *item = take(c, sizeof *item);

	msg->body = item;
	return item && take_data(c, item->size, msg);
}

bool
dp_reply_decode(
	uint32_t kind, const void *buf, size_t len, struct dp_message *msg, struct weft_error *err)
{
	struct cursor c;
	bool ok = begin(&c, kind, buf, len, msg, err);

	switch (kind) {
	case DP_REPLY + DP_FLOW_PUT:
		ok = decode_flow_put_reply(&c, msg);
		break;
	case DP_REPLY + DP_FLOW_DEL:
		ok = decode_flow_del_reply(&c, msg);
		break;
	case DP_REPLY + DP_FLOW_LIST:
	case DP_REPLY + DP_OBJECT_LIST:
	case DP_REPLY + DP_CONTEXT_LIST:
		ok = decode_list_reply(&c, msg);
		break;
	case DP_REPLY + DP_TUN_OPTS:
		ok = decode_tun_opts_reply(&c, msg);
		break;
	case DP_REPLY + DP_OBJECT_PUT:
		ok = decode_object_reply(&c, msg, false);
		break;
	case DP_REPLY + DP_OBJECT_DEL:
		ok = decode_object_reply(&c, msg, true);
		break;
	case DP_REPLY + DP_CONTEXT_PUT:
	case DP_REPLY + DP_CONTEXT_DEL:
	case DP_REPLY + DP_EXECUTE:
	case DP_REPLY + DP_BARRIER:
		ok = take_reply(&c, sizeof(struct dp_reply), msg);
		break;
	case DP_FLOW_ITEM:
		ok = decode_flow_item(&c, msg);
		break;
	case DP_OBJECT_ITEM:
		ok = decode_object_item(&c, msg);
		break;
	case DP_CONTEXT_ITEM:
		ok = decode_context_item(&c, msg);
		break;
	default:
		/* A command that could not even be told apart is answered by a bare reply. */
		if (kind > DP_REPLY && kind < DP_FLOW_ITEM) {
			ok = take_reply(&c, sizeof(struct dp_reply), msg);
		} else {
			ok = refuse(&c, "unknown reply");
		}
		break;
	}
	return ok && finish(&c);
}

bool
dp_upcall_decode(
	uint32_t kind, const void *buf, size_t len, struct dp_message *msg, struct weft_error *err)
{
	const struct dp_upcall *up;
	struct cursor c;

	if (!begin(&c, kind, buf, len, msg, err) || !kind || kind >= DP_UPCALL_N) {
		return refuse(&c, "unknown upcall");
	}
	up = take(&c, sizeof *up);
	msg->body = up;
	if (!up) {
		return false;
	}
	if (!is_reserved_zero(&c, up->zero)) {
		return false;
	}
	if (up->flags & ~(DP_UPCALL_CSUM_COMPLETED | DP_UPCALL_GSO | DP_UPCALL_MORE)) {
		return refuse(&c, "unknown flags");
	}
	if (up->data_len > DP_UPCALL_DATA_MAX || up->packet_len > PACKET_MAX_LEN ||
		up->data_off + (uint32_t)up->data_len > up->packet_len ||
		up->data_off > up->packet_len) {
		return refuse(&c, "packet bytes out of range");
	}
	msg->key_blocks = up->key_blocks;
	return take_key(&c, up->key_blocks, &msg->key) && take_data(&c, up->data_len, msg) &&
	       finish(&c);
}

/* --- object bodies ------------------------------------------------------------------------------------ */

static int
compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts @ids. */
static bool
are_unique(uint32_t *ids, uint32_t n)
{
	qsort(ids, n, sizeof ids[0], compare_ids);
	for (uint32_t i = 1; i < n; i++) {
		if (ids[i] == ids[i - 1]) {
			return false;
		}
	}
	return true;
}

/* One bucket; NULL: wrong. */
static const struct dp_bucket *
take_bucket(struct cursor *c)
{
	const struct dp_bucket *bucket = (const void *)(c->start + c->at);

	if (c->len - c->at < sizeof *bucket || bucket->size < sizeof *bucket || bucket->size % 8) {
		refuse(c, "wrong size of a bucket");
		return NULL;
	}
	if (bucket->watch_port > DP_PORT_MAX && bucket->watch_port != UINT32_MAX) {
		refuse(c, "watch port of a bucket out of range");
		return NULL;
	}
	if (!take(c, bucket->size) ||
		!dp_actions_validate(bucket->actions, bucket->size - sizeof *bucket, c->err)) {
		return NULL;
	}
	return bucket;
}

static bool
validate_buckets(struct cursor *c, uint32_t n_parts)
{
	uint32_t *ids;
	bool ok = true;

	if (n_parts > c->len / sizeof(struct dp_bucket)) {
		return refuse(c, "fewer buckets than parts");
	}
	ids = xcalloc(n_parts + 1, sizeof ids[0]);
	for (uint32_t i = 0; ok && i < n_parts; i++) {
		const struct dp_bucket *bucket = take_bucket(c);

		ok = bucket;
		ids[i] = bucket ? bucket->id : 0;
	}
	ok = ok && (are_unique(ids, n_parts) || refuse(c, "two buckets with one id"));
	free(ids);
	return ok;
}

static bool
validate_band(struct cursor *c, uint32_t *id)
{
	const struct dp_meter_band *band = take(c, sizeof *band);

	if (!band || !is_reserved_zero(c, band->zero)) {
		return false;
	}
	*id = band->id;
	return (band->kind >= DP_BAND_DROP && band->kind <= DP_BAND_DSCP_REMARK) ||
	       refuse(c, "unknown kind of meter band");
}

static bool
validate_meter(struct cursor *c, uint32_t n_parts)
{
	const struct dp_meter *meter = take(c, sizeof *meter);
	uint32_t *ids;
	bool ok = true;

	if (!meter) {
		return false;
	}
	if (meter->flags & ~(DP_METER_PKTPS | DP_METER_BURST | DP_METER_STATS)) {
		return refuse(c, "meter with unknown flags");
	}
	if (!n_parts || n_parts - 1 > c->len / sizeof(struct dp_meter_band)) {
		return refuse(c, "the parts are the meter and its bands");
	}
	ids = xcalloc(n_parts, sizeof ids[0]);
	ids[0] = meter->id;
	for (uint32_t i = 1; ok && i < n_parts; i++) {
		ok = validate_band(c, &ids[i]);
	}
	ok = ok && (are_unique(ids, n_parts) || refuse(c, "two parts with one id"));
	free(ids);
	return ok;
}

static bool
validate_encap(struct cursor *c, uint32_t n_parts)
{
	const struct dp_encap *encap = take(c, sizeof *encap);
	const char *why;

	if (!encap) {
		return false;
	}
	if (n_parts) {
		return refuse(c, "encapsulation with parts");
	}
	if (!is_reserved_zero(c, encap->zero) || !take(c, encap->size)) {
		return false;
	}
	why = dp_encap_check(encap);
	return !why || refuse(c, why);
}

bool
dp_object_validate(
	uint32_t kind, const void *body, size_t size, uint32_t n_parts, struct weft_error *err)
{
	struct cursor c = {.start = body, .len = size, .err = err};
	bool ok;

	if (size > DP_OBJECT_MAX_BODY) {
		return refuse(&c, "object is too large");
	}
	switch ((enum dp_object_kind)kind) {
	case DP_OBJECT_SELECT:
	case DP_OBJECT_FIRST_LIVE:
		ok = validate_buckets(&c, n_parts);
		break;
	case DP_OBJECT_METER:
		ok = validate_meter(&c, n_parts);
		break;
	case DP_OBJECT_ENCAP:
		ok = validate_encap(&c, n_parts);
		break;
	default:
		ok = refuse(&c, "unknown kind of object");
		break;
	}
	return ok && finish(&c);
}

/* --- writing ---------------------------------------------------------------------------------------- */

/* Copies a part and zeroes its padding. */
static uint8_t *
append(uint8_t *at, const void *data, size_t size)
{
	size_t padded = WEFT_ROUND_UP(size, 8);

	if (size) {
		memcpy(at, data, size);
	}
	memset(at + size, 0, padded - size);
	return at + padded;
}

bool
dp_send(struct shm_ring *r, uint32_t kind, const void *head, size_t head_size,
	const struct dp_part *parts, unsigned n_parts)
{
	size_t size = WEFT_ROUND_UP(head_size, 8);
	uint8_t *at;

	for (unsigned i = 0; i < n_parts; i++) {
		size += WEFT_ROUND_UP(parts[i].size, 8);
	}
	at = size <= DP_MAX_MESSAGE ? shm_ring_reserve(r, kind, (uint32_t)size) : NULL;
	if (!at) {
		return false;
	}
	at = append(at, head, head_size);
	for (unsigned i = 0; i < n_parts; i++) {
		at = append(at, parts[i].data, parts[i].size);
	}
	return true;
}

bool
dp_send_flow_put(struct shm_ring *r, uint64_t request, const struct flow_key *key,
	uint8_t key_blocks, const struct flow_mask *mask, uint16_t flags, const void *actions,
	size_t actions_size)
{
	uint8_t packed_key[FLOW_KEY_SIZE], packed_mask[FLOW_KEY_SIZE];
	struct dp_flow_put put = {
		.cmd.request = request,
		.key_blocks = key_blocks & FLOW_BLOCKS_DATAPATH,
		.mask_blocks = flow_mask_blocks(mask) & FLOW_BLOCKS_DATAPATH,
		.flags = flags,
		.actions_size = (uint32_t)actions_size,
	};
	struct dp_part parts[] = {
		{packed_key, flow_blocks_size(put.key_blocks)},
		{packed_mask, flow_blocks_size(put.mask_blocks)},
		{actions, actions_size},
	};

	flow_key_pack(packed_key, key, put.key_blocks);
	flow_key_pack(packed_mask, &mask->bits, put.mask_blocks);
	return dp_send(r, DP_FLOW_PUT, &put, sizeof put, parts, 3);
}

bool
dp_send_execute(struct shm_ring *r, const struct dp_execute *head, const struct flow_key *key,
	const void *actions, const void *data)
{
	uint8_t packed_key[FLOW_KEY_SIZE];
	struct dp_part parts[] = {
		{packed_key, flow_blocks_size(head->key_blocks)},
		{actions, head->actions_size},
		{data, head->data_len},
	};

	if (head->key_blocks) {
		flow_key_pack(packed_key, key, head->key_blocks);
	}
	return dp_send(r, DP_EXECUTE, head, sizeof *head, parts, 3);
}
