/* SPDX-License-Identifier: Apache-2.0
 *
 * Learned rules: what transactions tell, for those that go with who learned them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct of_model;
struct rule;

/* What a rule learns with delete_learned, by its newest actions; nothing any more if it has gone. */
void rule_note_learns(struct rule *r, bool is_there);
/* Deletes what nobody learns any more. Nothing while a transaction is open. */
void model_unlearn(struct of_model *m, uint64_t now_ms);
/* Learns what waited for a transaction's end; whether there is more to do at once. */
bool model_run_learned(struct of_model *m, uint64_t now_ms, unsigned budget);
/* At the model's end. */
void model_forget_learned(struct of_model *m);
