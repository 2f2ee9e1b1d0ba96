/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: names, for texts; and tun_metadata fields (oxm_tlv.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/field.h"
#include "ofproto/oxm.h"

struct strbuf;

/* The field of a name as NXM_OF_ETH_SRC or OXM_OF_METADATA, or FIELD_N. */
enum field_id oxm_by_name(const char *name, size_t len);
/* The name by which ovs-ofctl writes a field in move and load. */
void oxm_put_name(enum field_id field, struct strbuf *out);
/* The same in a form. */
enum field_id oxm_form_by_name(const char *name, size_t len, enum oxm_form *form);
void oxm_put_form_name(enum field_id field, enum oxm_form form, struct strbuf *out);

/* Whether a header is a tun_metadata field's. */
bool oxm_is_tlv(uint32_t header);
/* The rest of one whose header says that @payload bytes follow, which they do. */
bool oxm_pull_tlv(uint32_t header, const uint8_t *payload, const struct of_tlv_map *tlvs,
	struct oxm_entry *e, struct weft_error *err);
/* The tun_metadata fields of a match. */
void oxm_encode_tlvs(
	struct strbuf *out, const struct of_match *match, const struct of_tlv_map *tlvs);
