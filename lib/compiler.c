/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread roles: names for the analysis, never read or written.
 */
#include "lib/compiler.h"

struct weft_role weft_worker;
struct weft_role weft_tables;
struct weft_role weft_ports;
struct weft_role weft_liveness;
struct weft_role weft_loop;
struct weft_role weft_handler;
