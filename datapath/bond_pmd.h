/* SPDX-License-Identifier: Apache-2.0
 *
 * A device of DPDK's net_bonding: made without members, taken away without leaving anything running.
 *
 * Threads: ports thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct rte_mempool;
struct weft_error;

#define BOND_PMD_NAME_SIZE 32

struct bond_pmd {
	char name[BOND_PMD_NAME_SIZE]; /* empty: there is none */
	uint16_t id;
	bool is_started;
};

/* Makes and starts device @number in net_bonding's @mode, which has no members yet. */
bool bond_pmd_open(struct bond_pmd *b, unsigned number, uint8_t mode, const uint8_t mac[6],
	struct rte_mempool *pool, struct weft_error *err) WEFT_MUST_CHECK;
/* Waits until net_bonding has looked at its members' links: some 10 ms. */
void bond_pmd_wait_for_links(void);
/* Takes the members out, too. */
void bond_pmd_close(struct bond_pmd *b);
