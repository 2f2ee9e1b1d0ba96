/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: what flows share by reference. Select and first-live choose a bucket of actions, meters limit, encap
 * holds the headers of a tunnel.
 *
 * What:     slots of fixed number and type; an object is {slot, generation}. Its body, with all that was
 *           computed from it, is replaced as a whole. Each part (bucket, meter, band) has a
 *           statistics slot of its own, behind those of the flows.
 * Threads:  workers find bodies without locks, online in RCU, and credit their parts. The tables thread is
 *           the only writer.
 * Lifetime: a body that was replaced waits a grace period (objects_run()); then it is freed, and the slots
 *           of parts that went with it are reused. Who may still hold it: a worker in the middle of
 *           a burst. A deleted object stays for a first grace period, so that packets whose flow
 *           has just stopped to refer to it are not lost; then its body is withdrawn, and after a
 *           second one it is freed and told of.
 * Holders:  programs of flows and bodies of other objects are counted, so that what is referred to
 *           cannot be deleted. Executes on their way are not: they may find it gone (object-gone).
 * Limits:   OBJECTS_MAX objects, OBJECT_PARTS_MAX parts. References never form a loop; how deep they go
 *           is bounded where they are followed.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/race_point.h"
#include "lib/stats_region.h"

#define OBJECTS_MAX 65536u
#define OBJECT_PARTS_MAX (1u << 18)
/* Objects and buckets that one packet may look at, all in all. */
#define OBJECT_MAX_LOOKS 4096u

struct meter;
struct tunnel_encap;
struct select_table;

struct object_body {
	uint32_t kind; /* enum dp_object_kind */
	uint32_t n_parts;
	uint32_t size;                    /* of raw */
	uint32_t seed;                    /* decides with a packet's hash */
	struct dp_handle *parts;          /* their statistics slots */
	const struct dp_bucket **buckets; /* into raw; select and first-live */
	struct select_table *table;       /* select, with some weight */
	struct meter *meter;
	struct tunnel_encap *encap;
	uint64_t raw[]; /* as it was put */
};

struct object {
	_Atomic(struct object_body *) body; /* NULL: there is none */
	_Atomic uint32_t gen;               /* of the last one that was here */
	_Atomic bool deleted;               /* workers may still use it */
	_Atomic uint64_t n_refs;            /* written by the tables thread */
	uint32_t free_next;
	uint32_t seen; /* by the search for loops */
};

/* All slots; NULL before objects_init(). */
extern struct object *object_slots;

/* @first_slot: of the parts in the statistics region, which has OBJECT_PARTS_MAX slots from there on. */
int objects_init(const struct stats_region *stats, uint32_t first_slot);
/* After all workers and the tables thread have stopped. */
void objects_uninit(void);

/* Worker (online), tables thread, or another reader that is online: the body of an object, borrowed until
 * quiescent; NULL: it is gone. */
static inline struct object_body *
object_find(struct dp_handle h)
{
	struct object_body *body;
	const struct object *o;

	if (WEFT_UNLIKELY(!object_slots || h.slot >= OBJECTS_MAX || dp_handle_is_none(h))) {
		return NULL;
	}
	o = &object_slots[h.slot];
	/* The body first: whoever has the body of a later object in the slot sees its generation too. The
	 * other way round, the slot could be given anew between the two. */
	body = atomic_load_explicit(&o->body, memory_order_acquire);
	RACE_POINT();
	return atomic_load_explicit(&o->gen, memory_order_relaxed) == h.gen ? body : NULL;
}

/* --- worker, online */

/* The bucket that a packet of that hash takes, or NULL: none is live. Each object and bucket that had to
 * be looked at takes one of @looks; without any left nothing is live. */
const struct dp_bucket *object_choose(
	const struct object_body *body, uint32_t hash, uint32_t *part, unsigned *looks);

/* Whether a bucket is live, now. */
bool object_bucket_is_live(const struct dp_bucket *bucket, unsigned *looks);

/* --- tables thread */

/* What a list needs of objects: 0; -ESTALE: one is gone; -EINVAL: one is of another kind than its action
 * asks for. */
int objects_check(const void *actions, size_t size) WEFT_REQUIRES(weft_tables);
/* Counts a list's references, that has been checked. */
void objects_ref(const void *actions, size_t size);
void objects_unref(const void *actions, size_t size);

/* Installs an object, @object none, or replaces the body of one. @m: a decoded DP_OBJECT_PUT, its actions
 * supported. The handle in @object; the parts, @m's number of them, in @parts, borrowed until the next
 * call. 0, or as dp_object_put_reply says. */
int objects_put(const struct dp_message *m, struct dp_handle *object,
	const struct dp_handle **parts) WEFT_REQUIRES(weft_tables);

/* Unlinks an object; @user comes back through the callback of objects_run(). -ESTALE, -EBUSY. */
int objects_del(struct dp_handle object, uint64_t user) WEFT_REQUIRES(weft_tables);

/* Takes the final sums of an object's parts. False: not now, ask again. */
typedef bool object_deleted_fn(struct dp_handle object, const struct flow_stats *finals,
	uint32_t n_parts, uint64_t user, void *arg);

/* Reuses what has passed its grace period. Returns whether something still waits. */
bool objects_run(object_deleted_fn *deleted, void *arg) WEFT_REQUIRES(weft_tables);

/* How many deletes have been taken, and how many of them told of, since objects_init(): in order. */
uint64_t objects_n_deleted(void) WEFT_REQUIRES(weft_tables);
uint64_t objects_n_told(void) WEFT_REQUIRES(weft_tables);

/* --- listing: tables thread, or a reader that is online */

struct object_info {
	struct dp_handle object;
	uint64_t n_refs;
	const struct object_body *body; /* borrowed until quiescent */
};

/* The first object at or behind @slot; false: none. @next: where to go on. */
bool objects_list(uint32_t slot, struct object_info *info, uint32_t *next);

uint32_t objects_count(void);
