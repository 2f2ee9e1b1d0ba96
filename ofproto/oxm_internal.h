/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: names, for texts.
 */
#pragma once

#include <stddef.h>

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
