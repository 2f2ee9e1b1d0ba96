/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix trie.
 *
 * A node holds the bits of its edge, the one that leads to it included, up to 32: a longer edge is a chain of
 * nodes. Nodes are small, there may be two for each prefix. Edges never change in place: a node that is
 * split, or joined with its only child, is replaced by copies, which readers meet by one store; the old
 * ones still lead to the children and are freed after a grace period.
 */
#include "ofproto/prefix_trie.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"

#define EDGE_MAX 32u
#define N_BITS_WIDTH 6
#define MAX_DEPTH (PREFIX_MAX_BITS + 1)

struct prefix_node {
	_Atomic(struct prefix_node *) child[2];
	uint32_t edge; /* from the most significant bit on, the rest zero */
	/* The count of prefixes that end here, above the number of bits of the edge. */
	_Atomic uint32_t n_and_bits;
};

/* Nodes that wait for their grace period stand in one of these. */
struct retired {
	struct grace_item item;
	struct prefix_node *node;
};

static struct prefix_node *make_node(uint32_t edge, unsigned n_bits, uint32_t n);
static struct prefix_node *make_path(const uint8_t *value, unsigned from, unsigned to);
static void join(struct prefix_trie *t, _Atomic(struct prefix_node *) *link);
static void retire(struct prefix_trie *t, struct prefix_node *node);
static void free_retired(struct grace_item *item);

static unsigned
bits_of(const struct prefix_node *node)
{
	return atomic_load_explicit(&node->n_and_bits, memory_order_relaxed) &
	       ((1u << N_BITS_WIDTH) - 1);
}

static uint32_t
count_of(const struct prefix_node *node)
{
	return atomic_load_explicit(&node->n_and_bits, memory_order_relaxed) >> N_BITS_WIDTH;
}

static void
add_count(struct prefix_node *node, int32_t change)
{
	atomic_store_explicit(&node->n_and_bits,
		atomic_load_explicit(&node->n_and_bits, memory_order_relaxed) +
			((uint32_t)change << N_BITS_WIDTH),
		memory_order_relaxed);
}

static struct prefix_node *
child_of(const struct prefix_node *node, unsigned side)
{
	return atomic_load_explicit(&node->child[side], memory_order_acquire);
}

/* Up to 32 bits of @value from bit @from on, left in the word; not beyond bit @to. */
static uint32_t
bits_at(const uint8_t *value, unsigned from, unsigned to)
{
	uint64_t v = 0;
	unsigned n = to - from < EDGE_MAX ? to - from : EDGE_MAX, last = (from + n + 7) / 8;
	unsigned i = from / 8;

	if (!n) {
		return 0; /* of a root that forks at once */
	}
	do {
		v = v << 8 | value[i];
	} while (++i < last);
	v <<= 64 - 8 * (last - from / 8);
	v <<= from % 8;
	return (uint32_t)(v >> 32) & (uint32_t)(UINT64_C(0xffffffff) << (EDGE_MAX - n));
}

/* How many of their first bits are the same. */
static unsigned
common(uint32_t a, uint32_t b)
{
	return a == b ? EDGE_MAX : (unsigned)__builtin_clz(a ^ b);
}

void
prefix_trie_init(struct prefix_trie *t, struct grace *grace)
{
	t->grace = grace;
	atomic_init(&t->root, NULL);
}

void
prefix_trie_uninit(struct prefix_trie *t)
{
	assert(!atomic_load_explicit(&t->root, memory_order_relaxed));
}

void
prefix_trie_insert(struct prefix_trie *t, const uint8_t *value, unsigned n_bits)
{
	_Atomic(struct prefix_node *) *link = &t->root;
	unsigned at = 0;

	for (;;) {
		struct prefix_node *node = atomic_load_explicit(link, memory_order_relaxed), *top,
				   *rest;
		uint32_t bits = bits_at(value, at, n_bits);
		unsigned n, same;

		if (!node) {
			atomic_store_explicit(
				link, make_path(value, at, n_bits), memory_order_release);
			return;
		}
		n = bits_of(node);
		same = common(node->edge, bits);
		same = WEFT_MIN(same, n);
		same = WEFT_MIN(same, n_bits - at);
		if (same == n) {
			at += n;
			if (at == n_bits) {
				add_count(node, 1);
				return;
			}
			link = &node->child[value[at / 8] >> (7 - at % 8) & 1];
			continue;
		}
		/* The edge forks, or the prefix ends on it. */
		top = make_node(bits_at(value, at, at + same), same, at + same == n_bits);
		rest = make_node(node->edge << same, n - same, count_of(node));
		for (unsigned i = 0; i < 2; i++) {
			atomic_init(&rest->child[i], child_of(node, i));
		}
		atomic_init(&top->child[rest->edge >> 31], rest);
		if (at + same < n_bits) {
			atomic_init(&top->child[!(rest->edge >> 31)],
				make_path(value, at + same, n_bits));
		}
		atomic_store_explicit(link, top, memory_order_release);
		retire(t, node);
		return;
	}
}

void
prefix_trie_remove(struct prefix_trie *t, const uint8_t *value, unsigned n_bits)
{
	_Atomic(struct prefix_node *) *links[MAX_DEPTH], **link = links;
	struct prefix_node *node;
	unsigned at = 0;

	*link = &t->root;
	for (;;) {
		node = atomic_load_explicit(*link, memory_order_relaxed);
		at += bits_of(node);
		if (at == n_bits) {
			break;
		}
		link[1] = &node->child[value[at / 8] >> (7 - at % 8) & 1];
		link++;
	}
	add_count(node, -1);
	/* Nodes that are no longer needed, from the end to the root. */
	for (;; link--) {
		node = atomic_load_explicit(*link, memory_order_relaxed);
		if (count_of(node)) {
			return;
		}
		if (child_of(node, 0) || child_of(node, 1)) {
			join(t, *link);
			return;
		}
		atomic_store_explicit(*link, NULL, memory_order_release);
		retire(t, node);
		if (link == links) {
			return;
		}
	}
}

void
prefix_trie_find(const struct prefix_trie *t, const uint8_t *value, unsigned width,
	struct prefix_found *found)
{
	const struct prefix_node *node = atomic_load_explicit(&t->root, memory_order_acquire);
	unsigned at = 0;

	*found = (struct prefix_found){0};
	while (node) {
		unsigned n = bits_of(node), same = common(node->edge, bits_at(value, at, width));
		bool is_leaf;

		if (same < n) {
			found->n_bits = at + same + 1;
			return;
		}
		at += n;
		if (count_of(node)) {
			found->lengths[(at - 1) / 64] |= UINT64_C(1) << (at - 1) % 64;
		}
		is_leaf = !child_of(node, 0) && !child_of(node, 1);
		if (is_leaf || at == width) {
			break;
		}
		node = child_of(node, value[at / 8] >> (7 - at % 8) & 1);
		if (!node) {
			at++; /* this bit says that it goes no further */
		}
	}
	found->n_bits = at;
}

/* --- nodes --------------------------------------------------------------------------------------- */

static struct prefix_node *
make_node(uint32_t edge, unsigned n_bits, uint32_t n)
{
	struct prefix_node *node = xmalloc(sizeof(*node));

	atomic_init(&node->child[0], NULL);
	atomic_init(&node->child[1], NULL);
	node->edge = edge;
	atomic_init(&node->n_and_bits, n << N_BITS_WIDTH | n_bits);
	return node;
}

/* The end of a prefix, that from bit @from on. */
static struct prefix_node *
make_path(const uint8_t *value, unsigned from, unsigned to)
{
	unsigned n = WEFT_MIN(to - from, EDGE_MAX), at = from + n;
	struct prefix_node *node = make_node(bits_at(value, from, at), n, at == to);

	if (at < to) {
		atomic_init(
			&node->child[value[at / 8] >> (7 - at % 8) & 1], make_path(value, at, to));
	}
	return node;
}

/* Makes one of a node where no prefix ends and its only child, if it has but one and there is room. */
static void
join(struct prefix_trie *t, _Atomic(struct prefix_node *) *link)
{
	struct prefix_node *node = atomic_load_explicit(link, memory_order_relaxed), *child, *both;
	unsigned n = bits_of(node);

	child = child_of(node, 0) ? child_of(node, 0) : child_of(node, 1);
	if ((child_of(node, 0) && child_of(node, 1)) || n + bits_of(child) > EDGE_MAX) {
		return;
	}
	both = make_node(node->edge | child->edge >> n, n + bits_of(child), count_of(child));
	for (unsigned i = 0; i < 2; i++) {
		atomic_init(&both->child[i], child_of(child, i));
	}
	atomic_store_explicit(link, both, memory_order_release);
	retire(t, node);
	retire(t, child);
}

static void
retire(struct prefix_trie *t, struct prefix_node *node)
{
	struct retired *r = xmalloc(sizeof(*r));

	r->node = node;
	grace_retire(t->grace, &r->item, free_retired);
}

static void
free_retired(struct grace_item *item)
{
	struct retired *r = WEFT_CONTAINER_OF(item, struct retired, item);

	free(r->node);
	free(r);
}
