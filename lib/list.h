/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubly linked list with its links inside the elements.
 *
 * The head is a struct list too. An element knows its list by its links alone: it can be removed
 * without naming the list. Not safe between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/compiler.h"

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

/* Puts @element before @before; before the head is the end of the list. */
static inline void
list_insert(struct list *before, struct list *element)
{
	element->prev = before->prev;
	element->next = before;
	before->prev->next = element;
	before->prev = element;
}

static inline void
list_push_back(struct list *l, struct list *element)
{
	list_insert(l, element);
}

static inline void
list_push_front(struct list *l, struct list *element)
{
	list_insert(l->next, element);
}

/* Takes @element out and leaves it a list of its own (removing again does nothing). */
static inline void
list_remove(struct list *element)
{
	element->prev->next = element->next;
	element->next->prev = element->prev;
	list_init(element);
}

/* The first element, taken out. The list must not be empty. */
static inline struct list *
list_pop_front(struct list *l)
{
	struct list *element = l->next;

	list_remove(element);
	return element;
}

static inline size_t
list_count(const struct list *l)
{
	size_t n = 0;

	for (const struct list *i = l->next; i != l; i = i->next) {
		n++;
	}
	return n;
}

/* sys/queue.h, which DPDK brings along, has macros of the same names; ours win. */
#undef LIST_ENTRY
#undef LIST_FOREACH
#undef LIST_FOREACH_SAFE

/* The element of @TYPE that holds the links @LINK in @MEMBER. */
#define LIST_ENTRY(LINK, TYPE, MEMBER) WEFT_CONTAINER_OF(LINK, TYPE, MEMBER)

#define LIST_FOREACH(VAR, MEMBER, LIST)                                                            \
	for (VAR = LIST_ENTRY((LIST)->next, __typeof__(*VAR), MEMBER); &VAR->MEMBER != (LIST);     \
		VAR = LIST_ENTRY(VAR->MEMBER.next, __typeof__(*VAR), MEMBER))

/* The body may remove @VAR. @NEXT: a second variable of the type. */
#define LIST_FOREACH_SAFE(VAR, NEXT, MEMBER, LIST)                                                 \
	for (VAR = LIST_ENTRY((LIST)->next, __typeof__(*VAR), MEMBER),                             \
	    NEXT = LIST_ENTRY(VAR->MEMBER.next, __typeof__(*VAR), MEMBER);                         \
		&VAR->MEMBER != (LIST);                                                            \
		VAR = NEXT, NEXT = LIST_ENTRY(VAR->MEMBER.next, __typeof__(*VAR), MEMBER))
