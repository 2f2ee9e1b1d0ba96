/* SPDX-License-Identifier: Apache-2.0
 *
 * Change log: what each version changed, for those who keep results of translations.
 *
 * What:     a translation depends on things (enum of_dep_kind) and on lookups in tables. The loop notes
 *           what it changes and then moves the version; whoever keeps results reads the notes of every
 *           version and does the work again whose results hang on something noted (flow_deps.h).
 * Batch:    the changes of one version. One that nothing was noted for, or too much, says that
 *           everything may have changed.
 * Limits:   batches go when all have read them. Beyond CHANGE_LOG_MAX_BATCHES of them, or about
 *           CHANGE_LOG_MAX_CHANGES changes, the oldest go all the same: a reader that comes later has lost some and
 *           must take everything for changed. The loop waits for nobody.
 * Threads:  writer: the loop. Readers: any, between of_reader_enter() and of_reader_leave(), each with a
 *           position of its own.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hash.h"
#include "ofproto/grace.h"
#include "ofproto/of_match.h"

#define CHANGE_LOG_MAX_BATCHES 32768u /* a power of two */
#define CHANGE_LOG_MAX_CHANGES 131072u
#define CHANGE_BATCH_MAX 8192u /* more: everything */

struct cls_rule;

/* What a translation can depend on, beside lookups. */
enum of_dep_kind {
	OF_DEP_RULE,  /* id: the rule's address; its actions, or that it is there */
	OF_DEP_GROUP, /* its number */
	OF_DEP_METER,
	OF_DEP_PORT,     /* its number; that it is there or not, all of it but its link */
	OF_DEP_LINK,     /* its number; its link's state */
	OF_DEP_PORTS,    /* 0: any port of the switch */
	OF_DEP_ADDRESS,  /* VLAN << 48 | address: where NORMAL sends it */
	OF_DEP_UNDERLAY, /* of_underlay_id(), of_underlay_own_id(); of no switch: 0 */
	OF_DEP_TABLE,    /* the table's number: in struct change and lookups alone */
	OF_DEP_OTHER,    /* whatever the id means to those who note and read it */
};

/* A dependency as a number. Two may share one: then work is done in vain, but never left undone. */
static inline uint64_t
of_dep(enum of_dep_kind kind, uint32_t ofproto_id, uint64_t id)
{
	return hash_mix(hash_mix((uint64_t)kind + 1, ofproto_id), id);
}

enum change_kind {
	CHANGE_DEP,      /* what @dep names is not as it was */
	CHANGE_RULE_NEW, /* a rule was added to the table that @dep names */
};

struct change {
	uint64_t dep;
	/* RULE_NEW. */
	uint64_t map;   /* words of the match */
	uint32_t words; /* where in the batch's words: those of the mask, then those of the value */
	uint16_t priority;
	uint8_t kind; /* enum change_kind */
};

struct change_batch {
	struct grace_item retired;
	uint64_t seq;
	uint64_t version;
	bool is_all; /* everything may have changed; there are no single changes */
	uint32_t n;
	uint32_t capacity;
	size_t n_words;
	size_t words_capacity;
	struct change *changes;
	uint64_t *words;
};

struct change_log {
	struct grace *grace;
	_Atomic uint64_t first; /* the oldest batch that is kept */
	_Atomic uint64_t end;   /* the next one's number */
	size_t n_changes;       /* the writer's: in all batches */
	_Atomic(struct change_batch *) ring[CHANGE_LOG_MAX_BATCHES];
};

void change_log_init(struct change_log *log, struct grace *grace);
/* No reader may be left. */
void change_log_uninit(struct change_log *log);

/* Writer: notes for a batch in the making, *@b; NULL: made with the first. */
void change_note(struct change_batch **b, uint64_t dep);
void change_note_rule(struct change_batch **b, uint64_t table_dep, const struct cls_rule *rule);
void change_note_all(struct change_batch **b);
void change_batch_destroy(struct change_batch *b);
/* Writer: the batch of @version, which is published next; consumed. NULL: everything may have changed. */
void change_log_append(struct change_log *log, struct change_batch *b, uint64_t version);
/* Writer: nobody needs the batches before @seq. */
void change_log_trim(struct change_log *log, uint64_t seq);

/* Reader: the batch of that number, from change_log_first() on; NULL: it is not kept any more, or there is none yet
 * (change_log_end()). */
const struct change_batch *change_log_get(const struct change_log *log, uint64_t seq);

static inline uint64_t
change_log_first(const struct change_log *log)
{
	return atomic_load_explicit(&log->first, memory_order_acquire);
}

static inline uint64_t
change_log_end(const struct change_log *log)
{
	return atomic_load_explicit(&log->end, memory_order_acquire);
}
