/* SPDX-License-Identifier: Apache-2.0
 *
 * An underlay in a namespace of the test's own:
 *
 *     namespace of the test
 *       d0 10.0.0.1/24 fd00::1/64 ---- p0
 *       d1 10.0.1.1/24 fd01::1/64 ---- p1      p0 may move into a namespace of its own
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller-agent/underlay_internal.h"
#include "ofproto/ofproto.h"
#include "tests/unit/controller-agent/netns_lab.h"

#define LAB_DEADLINE_MS 60000u
#define LAB_SWITCH 7u

struct underlay_lab {
	struct event_base *base;
	struct of_model *model;
	struct of_reader *reader;
	struct underlay *u;
	struct of_underlay_provider provider;
	size_t n_named;
	uint32_t named[65536];
};

/* Setup and teardown of a test; in a namespace of main()'s. */
int underlay_lab_begin(void **state);
int underlay_lab_end(void **state);

/* Turns of the loop until it holds. */
#define UNTIL(F, CONDITION)                                                                        \
	do {                                                                                       \
		uint64_t until_limit = underlay_now_ms() + LAB_DEADLINE_MS;                        \
                                                                                                   \
		while (!(CONDITION)) {                                                             \
			if (underlay_now_ms() > until_limit) {                                     \
				fail_msg("%s never holds", #CONDITION);                            \
			}                                                                          \
			underlay_lab_turn(F);                                                      \
		}                                                                                  \
	} while (0)

void underlay_lab_turn(struct underlay_lab *f);
/* Until the kernel has nothing to tell and nothing is queued. */
void underlay_lab_settle(struct underlay_lab *f);
/* d0 is LOCAL of LAB_SWITCH, d1 port 3 of the next one. */
void underlay_lab_set_ports(struct underlay_lab *f);

struct of_underlay_addr underlay_lab_addr(const char *text);
struct of_underlay_key underlay_lab_key(const char *local, const char *remote);
/* Valid until the next turn. */
const struct of_underlay_route *underlay_lab_look(
	struct underlay_lab *f, const char *local, const char *remote);
enum of_underlay_state underlay_lab_state(
	struct underlay_lab *f, const char *local, const char *remote);
/* Whether the remote has been named as changed. */
bool underlay_lab_was_named(const struct underlay_lab *f, const char *remote);
/* A neighbour that needs no resolving. */
void underlay_lab_set_neighbour(const char *device, const char *address, const char *mac);
void underlay_lab_check_path(const struct of_underlay_path *p, const char *device,
	const char *next_hop, const char *source);
