/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture: the method that starts one, as docs/rpc.md has it.
 */
#pragma once

#include <jansson.h>

#include "lib/compiler.h"

struct rpc_call;

/* "capture.start". Ports thread. */
void capture_rpc_start(struct rpc_call *call, json_t *params, void *user) WEFT_REQUIRES(weft_ports);
