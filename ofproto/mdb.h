/* SPDX-License-Identifier: Apache-2.0
 *
 * Multicast table of one switch: which ports want which groups, and where routers are, by VLAN.
 *
 * Threads:  handlers look up between enter and leave, without locks; the loop alone changes it. What readers hold
 *           is immutable: a group is replaced when its ports change. Times are the loop's.
 * Limits:   MDB_MAX_GROUPS; MDB_MAX_OF_PORT memberships of a port, so that one guest cannot fill the table. What
 *           does not fit is not taken: nobody loses what is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/list.h"
#include "ofproto/grace.h"
#include "ofproto/of_port.h"

#define MDB_MAX_GROUPS 2048u
#define MDB_MAX_OF_PORT 256u
#define MDB_MAX_ROUTERS 256u

struct mdb_member {
	struct of_port port;
	uint16_t vlan;       /* of a router; of a group's members the group's */
	uint64_t expires_ms; /* the loop's */
};

struct mdb_group {
	struct grace_item retired;
	_Atomic(struct mdb_group *) next;
	struct list link; /* the loop's */
	uint16_t vlan;
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t n;
	struct mdb_member members[];
};

struct mdb_routers {
	struct grace_item retired;
	uint32_t n;
	struct mdb_member members[];
};

struct mdb;

/* @changed: the group of that mdb_dep(), or the routers of a VLAN, are others now. */
struct mdb *mdb_create(struct grace *grace, void (*changed)(void *user, uint64_t dep), void *user);
void mdb_destroy(struct mdb *m);
size_t mdb_count(const struct mdb *m);

/* What a lookup hangs on: of a group, of a VLAN's routers. */
uint64_t mdb_dep(uint16_t vlan, const uint8_t addr[16]);
uint64_t mdb_dep_routers(uint16_t vlan);

/* Handler or loop. NULL: nobody has asked for it. */
const struct mdb_group *mdb_find(const struct mdb *m, uint16_t vlan, const uint8_t addr[16]);
bool mdb_has_router(const struct mdb *m, uint16_t vlan, struct of_port port);

/* Loop. Each returns whether a lookup can see the difference. */
bool mdb_join(struct mdb *m, uint16_t vlan, const uint8_t addr[16], struct of_port port,
	uint64_t expires_ms);
bool mdb_leave(struct mdb *m, uint16_t vlan, const uint8_t addr[16], struct of_port port);
bool mdb_add_router(struct mdb *m, uint16_t vlan, struct of_port port, uint64_t expires_ms);
bool mdb_has_routers(const struct mdb *m, uint16_t vlan);
/* The group's members go at @until_ms if they do not ask again. */
void mdb_hurry(struct mdb *m, uint16_t vlan, const uint8_t addr[16], uint64_t until_ms);
bool mdb_flush(struct mdb *m);
bool mdb_flush_port(struct mdb *m, struct of_port port);
bool mdb_expire(struct mdb *m, uint64_t now_ms);
/* No member is due before; UINT64_MAX: there is none. */
uint64_t mdb_next_ms(const struct mdb *m);
/* @addr NULL: a router. */
void mdb_visit(const struct mdb *m,
	void (*visit)(const uint8_t *addr, const struct mdb_member *member, void *user),
	void *user);
