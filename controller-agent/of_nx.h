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
struct of_action_set_field;
struct of_actions;
struct of_tlv_map;
struct oxm_entry;
struct strbuf;
struct weft_error;

/* Reads one experimenter action of @len bytes, a multiple of 8 and at least 8. */
bool of_nx_get_action(const uint8_t *a, size_t len, struct of_actions *actions,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Writes an action that OpenFlow @version has no form of its own for. @put_actions: for a nested list.
 * One that cannot be written is left out. */
void of_nx_put_action(struct strbuf *out, uint8_t version, const struct of_tlv_map *tlvs,
	const struct of_action_hdr *a,
	void (*put_actions)(struct strbuf *out, const struct of_tlv_map *tlvs, const void *actions,
		size_t size));
/* Appends the set-field of a field that was read (its list's map says which options there are). */
void of_nx_put_entry(struct of_actions *actions, const struct oxm_entry *entry);
/* Writes a set-field of options of Geneve: as the version's own if it sets all of one, else as a load, or as what
 * takes it away. False: it is of another field. */
bool of_nx_put_option(struct strbuf *out, const struct of_tlv_map *tlvs,
	const struct of_action_set_field *a, const union field_value *value,
	const union field_value *mask);

/* Writes a set-field, whole or masked, as register load. */
void of_nx_put_load(struct strbuf *out, uint8_t version, enum field_id field,
	const union field_value *value, const union field_value *mask);
