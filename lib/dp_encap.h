/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared tunnel headers: their check.
 */
#pragma once

struct dp_encap;

/* What is wrong with an encapsulation, whose header is there in whole (@e->size bytes); NULL: nothing. */
const char *dp_encap_check(const struct dp_encap *e);
