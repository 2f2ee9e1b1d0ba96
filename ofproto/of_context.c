/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts: their bytes, and the table of those in use.
 *
 * Table: two sets of hash chains, by bytes and by id. Any thread pushes at the head of a chain by
 *        compare-and-swap; the loop alone unlinks, after it has made the reference count DEAD, which
 *        only succeeds from 0, so that nobody takes a new reference. Two threads that intern the same
 *        bytes at once may make two contexts of them: that costs an id, no more.
 * Bytes: a fixed head in host order (contexts are read back by the same machine, perhaps by a later
 *        version of us: hence the version), then userdata, action set, actions and stack, each padded
 *        to 8.
 */
#include "ofproto/of_context.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/ofproto_internal.h"

#define CONTEXT_VERSION 1u
#define N_CHAINS 4096u
#define DEAD UINT32_MAX
/* How long a context that no flow refers to is kept: packets that carry its id may be under way. */
#define LINGER_MS 10000

struct head {
	uint8_t version;
	uint8_t kind;
	uint8_t table;
	uint8_t reason;
	uint8_t pause;
	uint8_t zero[3];
	uint32_t ofproto_id;
	uint32_t in_port;
	uint16_t max_len;
	uint16_t controller_id;
	uint32_t depth;
	uint64_t cookie;
	be64_t metadata;
	be32_t tun_id_hi;
	be32_t pkt_mark;
	be32_t regs[FLOW_N_REGS];
	uint16_t userdata_len;
	uint16_t action_set_len;
	uint16_t actions_len;
	uint16_t stack_len;
	uint32_t mirrored;
	uint16_t vlan;
	uint16_t zero2;
};
_Static_assert(sizeof(struct head) % 8 == 0, "what follows is aligned");

struct context {
	struct grace_item retired;
	_Atomic(struct context *) next[2]; /* by bytes, by id */
	_Atomic uint32_t refs;
	_Atomic bool was_used; /* since the loop looked last */
	uint32_t id;
	uint32_t hash;
	uint32_t size;
	uint64_t idle_since_ms; /* the loop's */
	uint8_t bytes[] __attribute__((aligned(8)));
};

enum chain_kind {
	BY_BYTES,
	BY_ID,
};

struct context_table {
	_Atomic(struct context *) chains[2][N_CHAINS];
	_Atomic uint32_t next_id;
	_Atomic uint32_t n;
	uint32_t swept; /* the loop's: the next chain to look at */
};

static size_t padded(size_t size);
static void put_part(uint8_t **at, const void *data, size_t size);
static const void *take_part(const uint8_t **at, size_t *left, size_t size);
static struct context *find_bytes(
	const struct context_table *t, const void *bytes, size_t size, uint32_t hash);
static struct context *find_id(const struct context_table *t, uint32_t id);
static bool try_ref(struct context *c);
static struct context *insert(struct context_table *t, uint32_t id, const void *bytes, size_t size,
	uint32_t hash, uint32_t refs);
static void push(_Atomic(struct context *) *head, struct context *c, enum chain_kind kind);
static void unlink_from(_Atomic(struct context *) *link, struct context *c, enum chain_kind kind);
static void sweep(struct of_model *m, struct context *c, uint64_t now_ms);
static void free_context(struct grace_item *item);

/* --- bytes --------------------------------------------------------------------------------------- */

size_t
of_context_encode(const struct of_context *c, void *buf)
{
	struct head h = {
		.version = CONTEXT_VERSION,
		.kind = c->kind,
		.table = c->table,
		.reason = c->reason,
		.pause = c->pause,
		.ofproto_id = c->ofproto_id,
		.in_port = c->in_port,
		.max_len = c->max_len,
		.controller_id = c->controller_id,
		.depth = c->depth,
		.cookie = c->cookie,
		.metadata = c->metadata,
		.tun_id_hi = c->tun_id_hi,
		.pkt_mark = c->pkt_mark,
		.userdata_len = c->userdata_len,
		.action_set_len = c->action_set_len,
		.actions_len = c->actions_len,
		.stack_len = c->stack_len,
		.mirrored = c->mirrored,
		.vlan = c->vlan,
	};
	uint8_t *at = buf;
	size_t size = sizeof(h) + padded(c->userdata_len) + padded(c->action_set_len) +
		      padded(c->actions_len) + padded(c->stack_len);

	if (size > DP_CONTEXT_MAX_SIZE) {
		return 0;
	}
	memcpy(h.regs, c->regs, sizeof(h.regs));
	put_part(&at, &h, sizeof(h));
	put_part(&at, c->userdata, c->userdata_len);
	put_part(&at, c->action_set, c->action_set_len);
	put_part(&at, c->actions, c->actions_len);
	put_part(&at, c->stack, c->stack_len);
	return size;
}

bool
of_context_decode(const void *bytes, size_t size, struct of_context *c, struct weft_error *err)
{
	const uint8_t *at = bytes;
	struct head h;

	if (size < sizeof(h) || size > DP_CONTEXT_MAX_SIZE) {
		return weft_error_set(err, WEFT_ERR_INVALID, 0, "context of %zu bytes", size);
	}
	memcpy(&h, at, sizeof(h));
	at += sizeof(h);
	size -= sizeof(h);
	*c = (struct of_context){
		.kind = h.kind,
		.table = h.table,
		.reason = h.reason,
		.pause = h.pause,
		.ofproto_id = h.ofproto_id,
		.in_port = h.in_port,
		.max_len = h.max_len,
		.controller_id = h.controller_id,
		.cookie = h.cookie,
		.depth = h.depth,
		.metadata = h.metadata,
		.tun_id_hi = h.tun_id_hi,
		.pkt_mark = h.pkt_mark,
		.userdata_len = h.userdata_len,
		.action_set_len = h.action_set_len,
		.actions_len = h.actions_len,
		.stack_len = h.stack_len,
		.mirrored = h.mirrored,
		.vlan = h.vlan,
	};
	memcpy(c->regs, h.regs, sizeof(c->regs));
	c->userdata = take_part(&at, &size, h.userdata_len);
	c->action_set = take_part(&at, &size, h.action_set_len);
	c->actions = take_part(&at, &size, h.actions_len);
	c->stack = take_part(&at, &size, h.stack_len);
	if (h.version != CONTEXT_VERSION || h.kind < OF_CONTEXT_PACKET_IN ||
		h.kind > OF_CONTEXT_SNOOP ||
		(h.table >= OF_N_TABLES && h.kind == OF_CONTEXT_FROZEN) || size || !c->userdata ||
		!c->action_set || !c->actions || !c->stack || h.stack_len % 8 ||
		!of_actions_is_list(c->action_set, c->action_set_len, 0) ||
		!of_actions_is_list(c->actions, c->actions_len, 0)) {
		return weft_error_set(err, WEFT_ERR_INVALID, 0, "context is malformed");
	}
	return true;
}

static size_t
padded(size_t size)
{
	return WEFT_ROUND_UP(size, (size_t)8);
}

static void
put_part(uint8_t **at, const void *data, size_t size)
{
	if (size) {
		memset(*at + padded(size) - 8, 0, 8);
		memcpy(*at, data, size);
		*at += padded(size);
	}
}

/* NULL: it is not there whole. */
static const void *
take_part(const uint8_t **at, size_t *left, size_t size)
{
	const uint8_t *part = *at;

	if (padded(size) > *left) {
		return NULL;
	}
	*at += padded(size);
	*left -= padded(size);
	return part;
}

/* --- the table ----------------------------------------------------------------------------------- */

struct context_table *
context_table_create(void)
{
	struct context_table *t = xcalloc(1, sizeof(*t));

	atomic_init(&t->next_id, 1);
	return t;
}

void
context_table_destroy(struct context_table *t)
{
	for (unsigned i = 0; i < N_CHAINS; i++) {
		struct context *c =
			atomic_load_explicit(&t->chains[BY_ID][i], memory_order_relaxed);

		while (c) {
			struct context *next =
				atomic_load_explicit(&c->next[BY_ID], memory_order_relaxed);

			free(c);
			c = next;
		}
	}
	free(t);
}

void
of_model_set_next_context(struct of_model *m, uint32_t id)
{
	atomic_store_explicit(&m->contexts->next_id, WEFT_MAX(id, 1u), memory_order_relaxed);
}

uint32_t
of_context_intern(struct of_model *m, const void *bytes, size_t size)
{
	struct context_table *t = m->contexts;
	uint32_t hash = hash_bytes(bytes, size, 0), id;
	struct context *c = find_bytes(t, bytes, size, hash);

	if (c && try_ref(c)) {
		return c->id;
	}
	if (atomic_load_explicit(&t->n, memory_order_relaxed) >= OF_CONTEXTS_MAX) {
		return OF_CONTEXT_NONE;
	}
	do {
		id = atomic_fetch_add_explicit(&t->next_id, 1, memory_order_relaxed);
	} while (id == DP_RECIRC_OWN);
	insert(t, id, bytes, size, hash, 1);
	return id;
}

uint32_t
of_context_lookup(const struct of_model *m, const void *bytes, size_t size)
{
	const struct context *c = find_bytes(m->contexts, bytes, size, hash_bytes(bytes, size, 0));

	return c ? c->id : OF_CONTEXT_NONE;
}

void
of_context_unref(struct of_model *m, uint32_t id)
{
	struct context *c = find_id(m->contexts, id);

	/* A reference keeps it in the table. */
	if (c) {
		atomic_store_explicit(&c->was_used, true, memory_order_relaxed);
		atomic_fetch_sub_explicit(&c->refs, 1, memory_order_release);
	}
}

const void *
of_context_find(const struct of_model *m, uint32_t id, size_t *size)
{
	const struct context *c = find_id(m->contexts, id);

	*size = c ? c->size : 0;
	return c ? c->bytes : NULL;
}

bool
of_context_adopt(struct of_model *m, uint32_t id, const void *bytes, size_t size)
{
	struct context_table *t = m->contexts;
	uint32_t hash = hash_bytes(bytes, size, 0);

	if (!id || size > DP_CONTEXT_MAX_SIZE || find_id(t, id) ||
		find_bytes(t, bytes, size, hash) ||
		atomic_load_explicit(&t->n, memory_order_relaxed) >= OF_CONTEXTS_MAX) {
		return false;
	}
	insert(t, id, bytes, size, hash, 0);
	return true;
}

size_t
of_context_count(const struct of_model *m)
{
	return atomic_load_explicit(&m->contexts->n, memory_order_relaxed);
}

bool
context_table_run(struct of_model *m, uint64_t now_ms, unsigned budget)
{
	struct context_table *t = m->contexts;

	if (!atomic_load_explicit(&t->n, memory_order_relaxed)) {
		return false;
	}
	for (budget = WEFT_MIN(budget, N_CHAINS); budget; budget--) {
		struct context *c =
			atomic_load_explicit(&t->chains[BY_ID][t->swept], memory_order_acquire);

		while (c) {
			struct context *next =
				atomic_load_explicit(&c->next[BY_ID], memory_order_relaxed);

			sweep(m, c, now_ms);
			c = next;
		}
		t->swept = (t->swept + 1) % N_CHAINS;
	}
	return true;
}

static void
sweep(struct of_model *m, struct context *c, uint64_t now_ms)
{
	struct context_table *t = m->contexts;
	uint32_t none = 0;

	if (atomic_exchange_explicit(&c->was_used, false, memory_order_relaxed) ||
		atomic_load_explicit(&c->refs, memory_order_relaxed)) {
		c->idle_since_ms = now_ms;
		return;
	}
	if (c->idle_since_ms + LINGER_MS > now_ms ||
		!atomic_compare_exchange_strong_explicit(
			&c->refs, &none, DEAD, memory_order_acq_rel, memory_order_relaxed)) {
		return;
	}
	unlink_from(&t->chains[BY_BYTES][c->hash % N_CHAINS], c, BY_BYTES);
	unlink_from(&t->chains[BY_ID][c->id % N_CHAINS], c, BY_ID);
	atomic_fetch_sub_explicit(&t->n, 1, memory_order_relaxed);
	m->events.context_gone(m->events.user, c->id);
	grace_retire(&m->grace, &c->retired, free_context);
}

static struct context *
find_bytes(const struct context_table *t, const void *bytes, size_t size, uint32_t hash)
{
	struct context *c =
		atomic_load_explicit(&t->chains[BY_BYTES][hash % N_CHAINS], memory_order_acquire);

	while (c && (c->hash != hash || c->size != size || memcmp(c->bytes, bytes, size) ||
			    atomic_load_explicit(&c->refs, memory_order_relaxed) == DEAD)) {
		c = atomic_load_explicit(&c->next[BY_BYTES], memory_order_acquire);
	}
	return c;
}

static struct context *
find_id(const struct context_table *t, uint32_t id)
{
	struct context *c =
		atomic_load_explicit(&t->chains[BY_ID][id % N_CHAINS], memory_order_acquire);

	while (c && c->id != id) {
		c = atomic_load_explicit(&c->next[BY_ID], memory_order_acquire);
	}
	return c;
}

static bool
try_ref(struct context *c)
{
	uint32_t refs = atomic_load_explicit(&c->refs, memory_order_relaxed);

	while (refs != DEAD) {
		if (atomic_compare_exchange_weak_explicit(&c->refs, &refs, refs + 1,
			    memory_order_acquire, memory_order_relaxed)) {
			atomic_store_explicit(&c->was_used, true, memory_order_relaxed);
			return true;
		}
	}
	return false;
}

static struct context *
insert(struct context_table *t, uint32_t id, const void *bytes, size_t size, uint32_t hash,
	uint32_t refs)
{
	struct context *c = xcalloc(1, sizeof(*c) + size);

	c->id = id;
	c->hash = hash;
	c->size = (uint32_t)size;
	memcpy(c->bytes, bytes, size);
	atomic_init(&c->refs, refs);
	atomic_init(&c->was_used, true);
	atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed);
	/* Whoever finds it by its bytes must find it by its id. */
	push(&t->chains[BY_ID][id % N_CHAINS], c, BY_ID);
	push(&t->chains[BY_BYTES][hash % N_CHAINS], c, BY_BYTES);
	return c;
}

static void
push(_Atomic(struct context *) *head, struct context *c, enum chain_kind kind)
{
	struct context *first = atomic_load_explicit(head, memory_order_relaxed);

	do {
		atomic_store_explicit(&c->next[kind], first, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		head, &first, c, memory_order_release, memory_order_relaxed));
}

/* The head may grow meanwhile; behind it nobody but us writes. */
static void
unlink_from(_Atomic(struct context *) *link, struct context *c, enum chain_kind kind)
{
	struct context *next = atomic_load_explicit(&c->next[kind], memory_order_relaxed), *at = c;

	if (atomic_compare_exchange_strong_explicit(
		    link, &at, next, memory_order_acq_rel, memory_order_acquire)) {
		return;
	}
	while (at != c) {
		link = &at->next[kind];
		at = atomic_load_explicit(link, memory_order_acquire);
	}
	atomic_store_explicit(link, next, memory_order_release);
}

static void
free_context(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct context, retired));
}
