/* SPDX-License-Identifier: Apache-2.0
 *
 * A model with one switch, for tests: rules and packets in text, a virtual clock, expectations as
 * text. Ports 1..8 are datapath ports 11..18.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

#define WORLD_N_PORTS 8

struct world {
	struct of_model *model;
	struct of_reader *reader;
	struct ofproto *p;
	uint64_t now_ms;
	struct translation t;
	char text[16384]; /* of the last translation: actions, "; ", mask */
	/* What came out. */
	char removed[4096]; /* a line for each flow-removed: "reason flow" */
	unsigned n_removed;
	unsigned n_contexts_gone;
};

void world_init(struct world *w);
void world_uninit(struct world *w);

/* Port @number as an access port, trunk..; @trunks: VLANs ended by -1, or NULL. */
void world_port(
	struct world *w, unsigned number, enum of_vlan_mode mode, uint16_t tag, const int *trunks);

/* Executes "add ...", "modify ...", "delete ...", .. (of_text.h); fails the test if it is refused. */
void world_flow(struct world *w, const char *text);
/* The same, and it must be refused by that OpenFlow error. */
void world_refuse(struct world *w, const char *text, unsigned type, unsigned code);
/* Adds a group; fails the test if it is refused. */
void world_group(struct world *w, const char *text);
/* All rules, a line each, without durations and counters. */
const char *world_dump(struct world *w);

/* The key of a match text with in_port=N of OpenFlow, as the datapath would give it. */
void world_key(const char *text, struct flow_key *key);
/* Translates it; the actions as text. Drops: "drop(reason)" or "" */
const char *world_translate(struct world *w, const char *packet);
const char *world_translate_key(struct world *w, const struct flow_key *key);
/* The mask of the last translation: names of the fields that it looked at, in_port and recirc_id left
 * out, "name" or "name/mask". */
const char *world_mask(struct world *w);
/* Traces a key whose in_port is OpenFlow's; @packet: its bytes, or NULL. */
struct of_trace *world_trace(
	struct world *w, const struct flow_key *key, const uint8_t *packet, size_t len);
/* A frame from 00:00:00:00:00:01 to :02 with labels 7 and 8 (TTLs 64, 63) over IPv4, 10.0.0.1 to 10.0.0.2, TTL 9,
 * UDP from 1 to 2. */
#define WORLD_LABELLED_LEN 50
extern const uint8_t world_labelled[WORLD_LABELLED_LEN];
/* Model time. */
void world_run(struct world *w, uint64_t ms);

/* For random tests: a seed from WEFT_TEST_SEED or the time, printed. */
uint64_t world_seed(void);
uint64_t world_random(uint64_t *state);
