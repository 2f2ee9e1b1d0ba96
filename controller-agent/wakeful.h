/* SPDX-License-Identifier: Apache-2.0
 *
 * Wakeful: keeps the processors from sleeping while a client waits for one answer after the other.
 *
 * What:     counts answers. From 5000 a second on it holds the kernel's latency request at 0
 *           (/dev/cpu_dma_latency, PM QoS), by which idle processors poll; it lets go when answers
 *           become fewer, 20 to 40 ms later.
 * Why:      `ovs-ofctl add-flows` sends a flow, waits for its barrier, sends the next: two sleeping
 *           processors to wake for each. In a virtual machine a wake-up takes 30 us and more, the
 *           work itself 10: 100 000 flows take 8 s asleep and 1.7 s awake (2 vCPUs).
 * Without:  where the file is not there, or not ours to open, nothing is held and all else works.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>

struct timers;
struct wakeful;

#define WAKEFUL_WINDOW_MS 20u
#define WAKEFUL_ANSWERS 100u /* in a window: hold */

/* @path: the kernel's file; copied; NULL: never holds. @timers outlives it. */
struct wakeful *wakeful_create(struct timers *timers, const char *path);
/* Lets go. NULL: nothing. */
void wakeful_destroy(struct wakeful *w);
/* A client that waits has been given an answer. */
void wakeful_answered(struct wakeful *w);
bool wakeful_is_held(const struct wakeful *w);
