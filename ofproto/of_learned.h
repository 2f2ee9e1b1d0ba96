/* SPDX-License-Identifier: Apache-2.0
 *
 * What Nicira's learn action makes of a packet: a rule to be added to a table, changed or renewed.
 *
 * Way:     translation collects such rules and does nothing else, so that a trace or a revalidation learns
 *          nothing. When a packet is seen, by a miss or in the counters of its flow, the flow registry renews
 *          the rule if it stands there just so, and else posts it to the loop, which adds or changes it.
 *          The packet does not wait for that.
 * Renewed: a learned rule's hard timeout begins anew; the idle timeout is the rule's own packets' business.
 * Life:    immutable and counted; any thread may give back a reference.
 * Limits:  of the action (its limit: rules of the same cookie), OF_LEARN_MAX_RULES of a table, and
 *          TRANSLATE_MAX_LEARNS of a packet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct of_flow_mod;
struct of_learned;
struct of_model;

/* A table that has so many rules learns no more. */
#define OF_LEARN_MAX_RULES 131072u
/* So many wait while a transaction is open; the packets after tell of the others again. */
#define OF_LEARN_MAX_WAITING 4096u

/* @fm: MODIFY_STRICT that adds, without nested actions. */
struct of_learned *of_learned_create(
	uint32_t ofproto_id, const struct of_flow_mod *fm, uint32_t limit);
struct of_learned *of_learned_ref(struct of_learned *l);
void of_learned_unref(struct of_learned *l);
/* What it was made from. Free with of_flow_mod_uninit(). */
void of_learned_get(const struct of_learned *l, struct of_flow_mod *fm);
uint32_t of_learned_ofproto_id(const struct of_learned *l);

/* Handler or loop, between enter and leave: whether the rule stands there just so. @renew: its hard timeout
 * begins at @now_ms then. */
bool of_learned_stands(struct of_model *m, const struct of_learned *l, bool renew, uint64_t now_ms);

/* Loop: adds, changes or renews the rule; while a transaction is open, once it is over (of_model_run()). Nothing
 * happens if a limit is reached, or if the rule would not be taken from a controller either. */
void of_model_learn(struct of_model *m, struct of_learned *l, uint64_t now_ms);
