/* SPDX-License-Identifier: Apache-2.0
 *
 * MAC learning table of one switch: (VLAN, address) -> port; behind a tunnel port of many remotes, also which one.
 *
 * Threads:  handlers look up and refresh between enter and leave, without locks; the loop is the only
 *           one that adds, moves and removes. Handlers post what they learned as events, the loop
 *           writes it by ofproto_fdb_learn().
 * Limits:   @max entries; the oldest learned entry makes room. An entry that was not refreshed for
 *           the ageing time goes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_port.h"
#include "ofproto/underlay_provider.h"

struct fdb;
struct grace;

/* Where an address is. */
struct fdb_place {
	struct of_port port;            /* OF_PORT_NONE: not known */
	struct of_underlay_addr remote; /* all zero: the port tells enough */
};

struct fdb_entry_view {
	uint8_t mac[6];
	uint16_t vlan;
	struct fdb_place place;
	bool is_static;
	uint64_t used_ms;
};

/* An entry's VLAN and address. */
uint64_t fdb_key(uint16_t vlan, const uint8_t mac[6]);

/* @changed is told the key of each entry that comes, goes or moves, once it has. */
struct fdb *fdb_create(
	struct grace *grace, size_t max, void (*changed)(void *user, uint64_t key), void *user);
void fdb_destroy(struct fdb *f);
void fdb_set_max(struct fdb *f, size_t max);
size_t fdb_count(const struct fdb *f);

/* Handler or loop: the port, or OF_PORT_NONE. */
struct of_port fdb_lookup(const struct fdb *f, uint16_t vlan, const uint8_t mac[6]);
/* The same, with the remote. */
struct fdb_place fdb_find(const struct fdb *f, uint16_t vlan, const uint8_t mac[6]);
/* Handler or loop: notes a use at @now_ms if the entry says @place. False: there is something to
 * learn. (A static entry is never learned over.) */
bool fdb_refresh(const struct fdb *f, uint16_t vlan, const uint8_t mac[6],
	const struct fdb_place *place, uint64_t now_ms);

/* Loop. Whether anything changed that a lookup can see. */
bool fdb_learn(struct fdb *f, uint16_t vlan, const uint8_t mac[6], const struct fdb_place *place,
	uint64_t now_ms);
bool fdb_add_static(struct fdb *f, uint16_t vlan, const uint8_t mac[6], struct of_port port);
bool fdb_del(struct fdb *f, uint16_t vlan, const uint8_t mac[6]);
bool fdb_flush(struct fdb *f);
bool fdb_flush_port(struct fdb *f, struct of_port port);
/* Removes up to @budget entries that are older than @ageing_ms. */
bool fdb_expire(struct fdb *f, uint64_t now_ms, uint64_t ageing_ms, unsigned budget);
/* When the oldest is due; UINT64_MAX: never. */
uint64_t fdb_next_ms(const struct fdb *f, uint64_t ageing_ms);
/* Oldest first, static ones at the end; also for persistence. Entries come back by fdb_learn() in that
 * order. */
void fdb_visit(
	const struct fdb *f, void (*visit)(const struct fdb_entry_view *e, void *user), void *user);
