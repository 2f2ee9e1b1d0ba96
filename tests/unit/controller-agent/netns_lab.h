/* SPDX-License-Identifier: Apache-2.0
 *
 * A network namespace of the test's own, for tests of what the kernel does.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/compiler.h"

/* Moves the process into an empty namespace with lo up. Without privilege a user namespace helps; false: the
 * kernel allows neither. Once, before there are threads. */
bool netns_enter(void);
/* Runs a shell command; the test fails if that does. */
void netns_run(const char *format, ...) WEFT_PRINTF(1, 2);
/* A process in another empty namespace with lo up, for `ip link set DEV netns PID`. */
pid_t netns_peer(void);
/* Runs a shell command there. */
void netns_run_in(pid_t peer, const char *format, ...) WEFT_PRINTF(2, 3);
void netns_peer_end(pid_t peer);
