/* SPDX-License-Identifier: Apache-2.0
 *
 * Inbox: push, take all, turn round.
 */
#include "controller-agent/inbox.h"

#include <stdint.h>
#include <unistd.h>

void
inbox_init(struct inbox *in, int event_fd)
{
	atomic_init(&in->newest, NULL);
	in->oldest = NULL;
	in->event_fd = event_fd;
}

/* Whether the list was empty. */
static bool
push(struct inbox *in, struct inbox_item *item)
{
	struct inbox_item *head = atomic_load_explicit(&in->newest, memory_order_relaxed);

	do {
		item->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&in->newest, &head, item, memory_order_release, memory_order_relaxed));
	return !head;
}

void
inbox_put(struct inbox *in, struct inbox_item *item)
{
	push(in, item);
}

void
inbox_post(struct inbox *in, struct inbox_item *item)
{
	uint64_t one = 1;

	if (push(in, item) && in->event_fd >= 0) {
		/* A full counter (EAGAIN) wakes as well. */
		(void)!write(in->event_fd, &one, sizeof(one));
	}
}

struct inbox_item *
inbox_take(struct inbox *in)
{
	struct inbox_item *item;

	if (!in->oldest) {
		item = atomic_exchange_explicit(&in->newest, NULL, memory_order_acquire);
		while (item) {
			struct inbox_item *next = item->next;

			item->next = in->oldest;
			in->oldest = item;
			item = next;
		}
	}
	item = in->oldest;
	if (item) {
		in->oldest = item->next;
	}
	return item;
}

bool
inbox_has_news(const struct inbox *in)
{
	return atomic_load_explicit(&in->newest, memory_order_relaxed) != NULL;
}

bool
inbox_is_empty(struct inbox *in)
{
	return !in->oldest && !atomic_load_explicit(&in->newest, memory_order_acquire);
}
