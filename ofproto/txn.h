/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions: the steps of flow-, group- and meter-mods, and what becomes of them.
 *
 * Threads: the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ofproto/ofproto_internal.h"

enum op_kind {
	OP_ADD,
	OP_REMOVE,
	OP_REPLACE, /* an add took its place */
	OP_ACTIONS,
	OP_ITEM_ADD, /* a group or meter */
	OP_ITEM_REMOVE,
};

struct op {
	struct rule *rule;
	struct rule *heir; /* REPLACE */
	enum op_kind kind;
	bool reset_counts; /* REPLACE, ACTIONS */
	/* ITEM_*. */
	enum of_item_kind item_kind;
	struct ofproto *ofproto;
	struct versioned *item;
};

/* What a published transaction still has to do, one after the other for all steps. */
enum txn_pass {
	TXN_SETTLE,  /* counters, timeouts, what nobody can see any more */
	TXN_JOURNAL, /* telling what the settled state is */
	TXN_DONE,
};

struct of_txn {
	struct of_model *model;
	uint64_t version;
	struct op *ops;
	size_t n;
	size_t capacity;
	struct change_batch *noted; /* what the steps change */
	bool has_items;             /* steps with groups or meters */
	bool is_published;
	enum txn_pass pass;
	size_t at; /* the pass's next step */
	void (*lost)(void *user);
	void *user;
};

/* Appends a step; the caller has done what it is about. */
struct op *txn_note(struct of_txn *t, enum op_kind kind, struct rule *r);
/* Whether what a step retired may still be looked at: nothing may be freed. */
bool txn_holds_memory(const struct of_model *m);
