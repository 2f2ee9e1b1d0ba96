/* SPDX-License-Identifier: Apache-2.0
 *
 * Liveness: a thread that sees links change and tells whoever watches them.
 *
 * Threads:  watches are made and ended by the ports thread; their functions run in the liveness thread,
 *           and must not block. After liveness_unwatch() returns none runs any more.
 * Lifetime: the thread exists while there is a watch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct liveness_watch; /* opaque */
struct weft_error;

enum liveness_news {
	LIVENESS_DOWN, /* no carrier, or taken down */
	LIVENESS_UP,
	LIVENESS_GONE, /* the interface was deleted */
};

typedef void liveness_fn(enum liveness_news news, void *user);

/* Watches a kernel interface of the own namespace. @fn is told the present state at once, from the
 * liveness thread, and then each change of link, MTU or address. */
struct liveness_watch *liveness_watch_link(uint32_t ifindex, liveness_fn *fn, void *user,
	struct weft_error *err) WEFT_REQUIRES(weft_ports) WEFT_MUST_CHECK;

/* Watches something that does not tell by itself: @is_up is asked twice a second, in the liveness
 * thread; @fn is told the first answer and changes. */
struct liveness_watch *liveness_watch_poll(bool (*is_up)(void *user), liveness_fn *fn, void *user,
	struct weft_error *err) WEFT_REQUIRES(weft_ports) WEFT_MUST_CHECK;

/* NULL is fine. Waits until a function of the watch that is running has returned. */
void liveness_unwatch(struct liveness_watch *watch) WEFT_REQUIRES(weft_ports);
