/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's actions on the wire: what of_nx.c and of_nx_learn.c share.
 */
#pragma once

#include "controller-agent/of_nx.h"
#include "controller-agent/of_wire.h"

struct of_action_fin_timeout;
struct of_action_learn;

enum nx_subtype {
	NXAST_RESUBMIT = 1,
	NXAST_REG_MOVE = 6,
	NXAST_REG_LOAD = 7,
	NXAST_RESUBMIT_TABLE = 14,
	NXAST_LEARN = 16,
	NXAST_FIN_TIMEOUT = 19,
	NXAST_CONTROLLER = 20,
	NXAST_REG_LOAD2 = 33,
	NXAST_CLONE = 42,
	NXAST_LEARN2 = 45,
	NXAST_DELETE_FIELD = 50,
};

/* Type, length and experimenter; the length is of_nx_end()'s to fill, with zeroes up to a multiple of 8. */
size_t of_nx_begin(struct strbuf *out, enum nx_subtype subtype);
void of_nx_end(struct strbuf *out, size_t start);
bool of_nx_bad_length(struct weft_error *err);

/* of_nx_learn.c; @len at least 16. */
bool of_nx_get_learn(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
bool of_nx_get_fin_timeout(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
void of_nx_put_learn(struct strbuf *out, const struct of_action_learn *learn);
void of_nx_put_fin_timeout(struct strbuf *out, const struct of_action_fin_timeout *a);
