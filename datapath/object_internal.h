/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects, inside: what object.c (the table) has of object_refs.c (who refers to whom).
 *
 * Threads: the tables thread's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/object.h"

/* For commands: as object_find(), but a deleted object is gone at once. */
struct object_body *object_find_kept(struct dp_handle h);

bool object_has_buckets(uint32_t kind);
/* The bucket behind @b of a valid body, or the first (@b NULL); NULL: that was all. */
const struct dp_bucket *object_next_bucket(const void *raw, size_t size, const struct dp_bucket *b);

/* Visits each object that a valid body refers to, until @visit says other than 0. @kind: what the reference
 * asks for; 0: any that has buckets. */
typedef int object_visit_fn(struct dp_handle h, uint32_t kind, void *arg);
int object_each_ref(uint32_t kind, const void *raw, size_t size, object_visit_fn *visit, void *arg);

/* Visitors. 0; -ESTALE; -EINVAL. */
int object_check_ref(struct dp_handle h, uint32_t kind, void *unused);
/* @n: uint64_t, how many more references there are. */
int object_count_ref(struct dp_handle h, uint32_t kind, void *n);

/* -ELOOP: the object in @slot can be reached from a body. */
int object_search_loop(uint32_t kind, const void *raw, size_t size, uint32_t slot);
