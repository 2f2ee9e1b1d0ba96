/* SPDX-License-Identifier: Apache-2.0
 *
 * Bag of hashes: how often each was put in, and whether one is in, beside the writer.
 *
 * Threads:  has: any reader between grace_enter() and grace_leave(), without locks; what was in before it entered
 *           and stays is seen. Add and remove: the one writer.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ofproto/grace.h"

struct hash_bag_slots;

struct hash_bag {
	_Atomic(struct hash_bag_slots *) slots; /* NULL: empty */
	uint32_t n;                             /* the writer's: different hashes in it */
	uint32_t n_used;                        /* slots that are not as new */
};

/* Zeroes are an empty bag. */
void hash_bag_uninit(struct hash_bag *b);
void hash_bag_add(struct hash_bag *b, struct grace *grace, uint32_t hash);
/* It must be in. */
void hash_bag_remove(struct hash_bag *b, struct grace *grace, uint32_t hash);
bool hash_bag_has(const struct hash_bag *b, uint32_t hash);
