/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix trie: which prefixes of a field there are, and how much of a value must be looked at to know which
 * of them it begins with.
 *
 * What:     a binary trie with compressed paths. Prefixes are counted: each insert is undone by one remove.
 * Threads:  find: any reader between grace_enter() and grace_leave(), without locks. A reader beside the writer
 *           may see a prefix or not; one that was there before it entered and stays is seen. Insert and
 *           remove: the one writer.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ofproto/grace.h"

#define PREFIX_MAX_BITS 128u

struct prefix_node;

struct prefix_trie {
	struct grace *grace;
	_Atomic(struct prefix_node *) root;
};

struct prefix_found {
	uint64_t lengths[PREFIX_MAX_BITS /
			 64]; /* bit N - 1: a prefix of N bits that the value begins with */
	unsigned n_bits;      /* every value with the same first bits finds the same */
};

void prefix_trie_init(struct prefix_trie *t, struct grace *grace);
/* No prefix and no reader may be left. */
void prefix_trie_uninit(struct prefix_trie *t);

/* The first @n_bits (1..128) of @value, most significant bit first. */
void prefix_trie_insert(struct prefix_trie *t, const uint8_t *value, unsigned n_bits);
/* It must have been inserted. */
void prefix_trie_remove(struct prefix_trie *t, const uint8_t *value, unsigned n_bits);

/* @width: bits of @value. */
void prefix_trie_find(const struct prefix_trie *t, const uint8_t *value, unsigned width,
	struct prefix_found *found);

static inline bool
prefix_found_has(const struct prefix_found *f, unsigned n_bits)
{
	return f->lengths[(n_bits - 1) / 64] >> (n_bits - 1) % 64 & 1;
}
