/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups: buckets of actions, and which of them a packet runs.
 *
 * What:     a group is found by its number, in the version that is in force (ofproto.h). A packet's
 *           copy runs all buckets, the only one, one chosen by weight and hash, or the first that is
 *           live. Buckets may lead to other groups, never in a circle.
 * Counters: packets and bytes of a group go on when it is modified, those of its buckets begin anew
 *           (OpenFlow 1.3.5 s.6.5).
 * Deletion: takes the rules that use the group with it; a group that another one uses stays.
 * Limits:   OF_MAX_GROUPS a switch, OF_MAX_BUCKETS a group, OF_MAX_GROUP_DEPTH groups one in the other.
 * Threads:  the loop, but for lookups (group.h).
 * Spec:     OpenFlow 1.3.5 s.5.6, s.6.5, errors s.A.4.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_action.h"
#include "ofproto/of_port.h"

struct of_tlv_map;
struct of_txn;
struct ofproto;
struct weft_error;

#define OF_MAX_GROUPS 65536u
#define OF_MAX_BUCKETS 1024u
#define OF_MAX_GROUP_DEPTH 16u

enum of_mod_command { /* OFPGC_*, OFPMC_* */
	OF_MOD_ADD,
	OF_MOD_MODIFY,
	OF_MOD_DELETE,
	OF_MOD_N, /* anything else */
};

enum of_group_type { /* OFPGT_* */
	OF_GROUP_ALL,
	OF_GROUP_SELECT,
	OF_GROUP_INDIRECT,
	OF_GROUP_FAST_FAILOVER,
	OF_GROUP_TYPE_N,
};

/* "all", "select", "indirect", "fast_failover"; NULL for other numbers. */
const char *of_group_type_name(unsigned type);

struct of_bucket {
	uint16_t weight;           /* SELECT; else 0 */
	struct of_port watch_port; /* OFPP_ANY: none */
	uint32_t watch_group;      /* OFPG_ANY: none */
	struct of_actions actions;
};

struct of_group_mod {
	enum of_mod_command command;
	uint8_t type;   /* enum of_group_type; what came may be another number */
	uint32_t group; /* OFPG_ALL: deletes all */
	struct of_bucket *buckets;
	uint32_t n_buckets;
};

void of_group_mod_init(struct of_group_mod *gm);
void of_group_mod_uninit(struct of_group_mod *gm);
/* Appends an empty bucket without watches, weight 0; until the next one is added. */
struct of_bucket *of_group_mod_add_bucket(struct of_group_mod *gm);

/* Executes one group-mod whole or not at all, and publishes it. No transaction may be open. */
bool ofproto_group_mod(struct ofproto *p, const struct of_group_mod *gm, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;
/* The same as a step of a transaction. */
bool of_txn_group_mod(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	uint64_t now_ms, struct weft_error *err) WEFT_MUST_CHECK;

struct of_bucket_view {
	uint16_t weight;
	struct of_port watch_port;
	uint32_t watch_group;
	const void *actions;
	size_t actions_size;
	uint64_t packets;
	uint64_t bytes;
};

/* A group as it is listed and persisted. Borrowed until the visitor returns. */
struct of_group_view {
	uint32_t id;
	uint8_t type;    /* enum of_group_type */
	uint32_t n_refs; /* rules and groups that lead to it directly */
	uint64_t created_ms;
	uint64_t now_ms;
	uint64_t packets;
	uint64_t bytes;
	uint32_t n_buckets;
	const struct of_bucket_view *buckets;
	const struct of_tlv_map *tlvs; /* by which options of Geneve in it are fields */
};

/* Visits the group, or with OFPG_ALL all in the order of their numbers; whether there was any.
 * @with_refs: counts references, which takes a walk over all rules that lead to groups. */
bool ofproto_group_visit(struct ofproto *p, uint32_t group, bool with_refs, uint64_t now_ms,
	void (*visit)(const struct of_group_view *view, void *user), void *user);
size_t ofproto_n_groups(const struct ofproto *p);

/* Persistence: adds a group with counters and creation time of @view. */
bool ofproto_import_group(struct ofproto *p, const struct of_group_view *view, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;
