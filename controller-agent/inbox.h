/* SPDX-License-Identifier: Apache-2.0
 *
 * Inbox: messages to one thread from any other, without a lock.
 *
 * What:     the bridge between handlers and the loop, in both directions. Posting pushes onto a list
 *           by compare-and-swap; taking takes the whole list in one exchange and turns it round, so
 *           that messages of one poster come in the order in which they were posted.
 * Wake:     a poster that finds the list empty writes the owner's eventfd; the owner drains that
 *           before it takes. Later posters find a list that will be taken.
 * Memory:   messages are the poster's until posted, the owner's from then on. The inbox holds as many
 *           as are posted: whoever posts what a peer can provoke keeps a count of its own.
 * Why:      a ring of fixed size would have to drop credits or block a handler.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Stands in each message. */
struct inbox_item {
	struct inbox_item *next;
};

struct inbox {
	_Alignas(64) _Atomic(struct inbox_item *) newest; /* written by all */
	_Alignas(64) struct inbox_item *oldest; /* the owner's: taken, not yet handed out */
	int event_fd;                           /* not ours; -1: nobody sleeps */
};

void inbox_init(struct inbox *in, int event_fd);

/* Hands @item to the owner. Any thread; the owner too. */
void inbox_post(struct inbox *in, struct inbox_item *item);

/* Owner: as inbox_post(), but wakes nobody: it is about to look. */
void inbox_put(struct inbox *in, struct inbox_item *item);

/* Owner: the next message, oldest first, or NULL. */
struct inbox_item *inbox_take(struct inbox *in);

/* Owner: whether there is none (to look again between announcing sleep and sleeping). */
bool inbox_is_empty(struct inbox *in);

/* Any thread: whether something was posted that the owner has not begun to take. */
bool inbox_has_news(const struct inbox *in);
