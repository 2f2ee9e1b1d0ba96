/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's actions (experimenter 0x2320) on the wire; they are the same under every version.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/field.h"

struct of_action_hdr;
struct of_actions;
struct strbuf;
struct weft_error;

/* Reads one experimenter action of @len bytes, a multiple of 8 and at least 8. */
bool of_nx_get_action(const uint8_t *a, size_t len, struct of_actions *actions,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Writes an action that OpenFlow @version has no form of its own for. @put_actions: for a nested list.
 * One that cannot be written is left out. */
void of_nx_put_action(struct strbuf *out, uint8_t version, const struct of_action_hdr *a,
	void (*put_actions)(struct strbuf *out, const void *actions, size_t size));

/* Writes a set-field, whole or masked, as register load. */
void of_nx_put_load(struct strbuf *out, uint8_t version, enum field_id field,
	const union field_value *value, const union field_value *mask);
