/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies: which flows have to be translated again when something changes.
 *
 * What:     for each flow, the things that its translation depended on, and its lookups in tables. From a
 *           change to the flows that hang on it costs no more with many flows than with few, beyond the
 *           work for those that are found.
 * Things:   lists of flows by of_dep().
 * Lookups:  a new rule concerns a flow if the rule can match a packet of the flow at the time of the
 *           lookup and does not stand below the rule that was found. What all packets of a flow have in
 *           common there is a mask and a value. Lookups with the same mask form a group. Where the rule's
 *           mask and the group's overlap both values must agree, so that lookups are found by a hash
 *           of those bits: an index for each such overlap, made when it is asked for the first time.
 * Limits:   groups of a table: DEPS_MAX_GROUPS; a lookup beyond goes into one whose mask its own contains, of
 *           which there always is one (bits left out find more flows, never fewer). Indexes of a
 *           group: DEPS_MAX_INDEXES, the least used gives way.
 * Threads:  the owner's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/change_log.h"
#include "ofproto/translate.h"

#define DEPS_MAX_GROUPS 64u
#define DEPS_MAX_INDEXES 4u

struct flow_deps {
	struct hmap things;
	struct hmap tables;
	uint64_t clock; /* of the use of indexes */
};

struct dep_use;
struct dep_ref;

/* What a flow holds; zeroes: nothing. */
struct flow_dep_set {
	struct dep_use *uses;
	struct dep_ref *lookups;
	uint32_t n_uses;
	uint32_t n_lookups;
};

void flow_deps_init(struct flow_deps *d);
/* All sets must be empty. */
void flow_deps_uninit(struct flow_deps *d);

/* Makes @set that of the translation, for @flow (opaque here). It had none, or another. */
void flow_deps_set(
	struct flow_deps *d, struct flow_dep_set *set, void *flow, const struct translation *t);
void flow_deps_clear(struct flow_deps *d, struct flow_dep_set *set);

/* Calls @hit for each flow that one of the batch's changes concerns, several times perhaps. @hit must not change
 * dependencies. */
void flow_deps_find(struct flow_deps *d, const struct change_batch *b,
	void (*hit)(void *user, void *flow), void *user);
