/* SPDX-License-Identifier: Apache-2.0
 *
 * Drop reasons: why a packet was lost. One list; its names are those that `weft drops` prints.
 *
 * Each loss is counted once, on the port named in the remark of its row: most on the port that the
 * packet entered by, tx losses on the port it should have left by. Per port and worker:
 * received + made + copied = sent + dropped.
 * To add one: a row in drop_reason_list.h, a test that provokes it, a line in docs/guide.md.
 */
#pragma once

#include <stddef.h>

enum drop_reason {
#define DROP(ID, ...) DROP_##ID,
#include "lib/drop_reason_list.h"
#undef DROP
	DROP_N,
};

/* "upcall-timeout" and a sentence; "unknown" beyond the list. */
const char *drop_reason_name(enum drop_reason reason);
const char *drop_reason_text(enum drop_reason reason);

/* The reason of that name, or DROP_N. */
enum drop_reason drop_reason_by_name(const char *name, size_t len);
