/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table: what its files share: flow_table.c has slots, puts, deletes and live masks, subtable.c the
 * masks and hash tables of an input port.
 */
#pragma once

#include "datapath/flow_table.h"

#define N_PORTS (DP_PORT_MADE + 1) /* what the switch made itself may recirculate */

/* A subtable's hash table: heads of chains, slot numbers. */
struct buckets {
	uint32_t mask;
	uint8_t link; /* which of a flow's two next links chains it here */
	_Atomic uint32_t heads[];
};

/* A hash table of flows of one input port. It hashes what all of its flows' masks have in common. */
struct subtable {
	_Atomic(struct buckets *) buckets;
	uint32_t n_flows;
	uint32_t n_grown;        /* buckets whose flows are also in growing */
	struct buckets *growing; /* the next buckets; no worker knows them. NULL: no growth */
	uint64_t grow_token;     /* of the last growth; 0: none to wait for */
	bool is_shared;          /* the one that is made coarser for masks that fit nowhere */
	struct table_mask by;    /* what is hashed; last: flexible */
};

/* A mask of an input port's flows. */
struct installed_mask {
	struct subtable *table; /* where its flows are */
	uint32_t n_flows;
	struct table_mask mask; /* flows point to it; last: flexible */
};

/* Published as a whole when masks come or go. */
struct subtable_list {
	uint32_t n;
	struct subtable *subtables[];
};

struct port_flows {
	_Atomic(struct subtable_list *) list;
	_Atomic(struct live_mask *) live;
	_Atomic(struct live_mask *) old;
	_Atomic uint64_t changed_ms;
	_Atomic uint32_t n_flows, n_masks;
	struct installed_mask **masks; /* the writer's */
	uint32_t max_masks;            /* room in masks */
	uint64_t shrink_ms;            /* when the live mask may shrink next */
	bool shrinkable;               /* masks have gone since */
	uint32_t live_version;
};

/* Memory or a slot that waits for its grace period; a FIFO. */
struct retired {
	struct retired *next;
	uint64_t token;
	void *memory;  /* to be freed, or NULL */
	uint32_t slot; /* to be reused, or FLOW_SLOT_NONE */
	bool told;
	uint64_t user;
};

/* What of a slot only the writer uses, but for the epoch, which listings read. */
struct flow_own {
	_Atomic uint64_t epoch; /* of the agent that put the flow last */
	uint32_t gen;           /* of the flow, or of the one before */
	uint32_t free_next;
};

struct flow_table {
	struct flow *flows;
	struct flow_own *own; /* of each slot */
	uint32_t max_flows;
	_Atomic uint32_t n_fresh; /* slots below have been used once; listings read it */
	uint32_t free_head;
	const struct stats_region *stats;
	_Atomic(struct port_flows *) ports[N_PORTS];
	struct retired *retired_head, **retired_tail;
	uint16_t *used_ports; /* ports with a classifier, for shrinking */
	uint32_t n_used_ports, max_used_ports, n_active_ports;
	_Atomic uint32_t n_flows, n_masks;
	_Atomic uint64_t puts, dels, narrowed, refused; /* relaxed: numbers that listings read */
};

/* Frees @memory and makes @slot (FLOW_SLOT_NONE: none) usable again when no worker can hold them any more. */
void flow_table_retire(struct flow_table *t, void *memory, uint32_t slot, bool told, uint64_t user);

void mask_unpack(const struct table_mask *m, struct flow_mask *mask);

/* --- subtable.c: tables thread, but for subtable_find() */

/* Any worker. */
struct flow *subtable_find(const struct flow_table *t, const struct subtable *s,
	const struct flow_key *key, uint8_t present);

/* The port's mask that is this one; NULL: it has none. */
struct installed_mask *mask_find(const struct port_flows *pf, const struct flow_mask *mask);

/* Makes a mask of the port's, and the hash table it needs. NULL: the port's or all ports' budget is used up.
 * @is_full: what is always granted: all that packets of a kind have. */
struct installed_mask *mask_add(
	struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask, bool is_full);

/* The flow with this mask and masked key, or NULL. */
struct flow *mask_find_flow(
	const struct flow_table *t, const struct installed_mask *m, const struct flow_key *masked);

/* Whether one more flow with this masked key would make a chain too long. */
bool mask_is_crowded(
	const struct flow_table *t, const struct installed_mask *m, const struct flow_key *masked);

/* Links a flow that is filled in, and unlinks it; a mask whose last flow goes, goes too. */
void mask_link(struct flow_table *t, struct installed_mask *m, struct flow *f,
	const struct flow_key *masked);
void mask_unlink(struct flow_table *t, struct port_flows *pf, struct flow *f);

/* A mask without flows goes. */
void mask_remove_if_empty(struct flow_table *t, struct port_flows *pf, struct installed_mask *m);

void port_flows_destroy(struct port_flows *pf);
