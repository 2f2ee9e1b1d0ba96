/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers for tests against a naive twin. The seed is printed; WEFT_SEED=N repeats a run.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Begins a run: seed of the environment, or a new one. */
void random_begin(const char *test);
uint64_t random_u64(void);
/* 0 .. n-1 */
uint32_t random_below(uint32_t n);
void random_bytes(void *data, size_t size);
