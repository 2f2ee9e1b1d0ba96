/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts: opaque bytes of the agent's, kept under its ids so that they outlive it.
 *
 * Threads: the tables thread's alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/hmap.h"

struct context {
	struct hmap_node node;
	uint32_t id;
	uint32_t size;
	uint8_t data[];
};

struct contexts {
	struct hmap map;
	uint32_t next; /* above all ids that were ever used */
};

void contexts_init(struct contexts *c);
void contexts_uninit(struct contexts *c);
/* 0 or -EEXIST. */
int contexts_put(struct contexts *c, uint32_t id, const void *data, uint32_t size);
int contexts_del(struct contexts *c, uint32_t id);
/* The context with the least id at or above @from, or NULL. */
const struct context *contexts_next(const struct contexts *c, uint32_t from);
