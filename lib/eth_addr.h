/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet addresses as text, like 02:00:00:00:00:01.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

#define ETH_ADDR_TEXT_SIZE 18u /* with the final zero */

/* Writes @addr into @text, and returns @text. */
const char *eth_addr_text(const uint8_t addr[6], char text[ETH_ADDR_TEXT_SIZE]);
/* Six pairs of hexadecimal digits with colons between, and nothing else. False: it is not; @addr is undefined. */
bool eth_addr_parse(const char *text, uint8_t addr[6]) WEFT_MUST_CHECK;
