/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging: lines with time, level and module, to standard error or a file.
 *
 * Modules: each file that logs says WEFT_LOG_MODULE(name); once, after its includes. Levels are
 *          set per module at run time.
 * Levels:  ERR someone must act; WARN degraded, goes on; INFO a state changed; DBG the rest.
 * Limits:  what a peer can provoke is logged by the _RL macros: at most 10 lines, then one each
 *          6 s, for each place; how many were held back stands in the next line.
 * Threads: any thread but workers. A line is one write().
 * Form:    object, what failed, why; no full stop.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct weft_error;

enum log_level {
	LOG_LEVEL_OFF,
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DBG,
};

struct log_module {
	const char *name;
	_Atomic int level; /* enum log_level */
	struct log_module *next;
};

struct log_limit {
	_Atomic uint64_t
		tokens_at_ms; /* when the bucket was full last, shifted by what was taken */
	_Atomic uint32_t n_held;
};

/* Declares the file's module. Registered before main(). Two files may share a name. */
#define WEFT_LOG_MODULE(NAME)                                                                      \
	static struct log_module log_this_module = {#NAME, LOG_LEVEL_INFO, NULL};                  \
	static void __attribute__((constructor)) log_register_this_module(void)                    \
	{                                                                                          \
		log_register(&log_this_module);                                                    \
	}                                                                                          \
	struct log_module

void log_register(struct log_module *module);
void log_write(const struct log_module *module, enum log_level level, const char *format, ...)
	WEFT_PRINTF(3, 4);
/* Whether the limit lets one more line through; @held: how many it had held back before. */
bool log_limit_pass(struct log_limit *limit, uint32_t *held);

#define LOG_AT(LEVEL, ...)                                                                         \
	do {                                                                                       \
		if (atomic_load_explicit(&log_this_module.level, memory_order_relaxed) >=          \
			(int)(LEVEL)) {                                                            \
			log_write(&log_this_module, LEVEL, __VA_ARGS__);                           \
		}                                                                                  \
	} while (0)
#define LOG_AT_RL(LEVEL, ...)                                                                      \
	do {                                                                                       \
		static struct log_limit log_limit_here;                                            \
		uint32_t log_held;                                                                 \
		if (atomic_load_explicit(&log_this_module.level, memory_order_relaxed) >=          \
				(int)(LEVEL) &&                                                    \
			log_limit_pass(&log_limit_here, &log_held)) {                              \
			if (log_held) {                                                            \
				log_write(&log_this_module, LEVEL,                                 \
					"%u lines like the next were held back", log_held);        \
			}                                                                          \
			log_write(&log_this_module, LEVEL, __VA_ARGS__);                           \
		}                                                                                  \
	} while (0)

#define LOG_ERR(...) LOG_AT(LOG_LEVEL_ERR, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DBG(...) LOG_AT(LOG_LEVEL_DBG, __VA_ARGS__)
#define LOG_ERR_RL(...) LOG_AT_RL(LOG_LEVEL_ERR, __VA_ARGS__)
#define LOG_WARN_RL(...) LOG_AT_RL(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO_RL(...) LOG_AT_RL(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DBG_RL(...) LOG_AT_RL(LOG_LEVEL_DBG, __VA_ARGS__)

/* Sets levels from "LEVEL" (all modules) or "MODULE:LEVEL". Levels: off, err, warn, info, dbg. */
bool log_set_level(const char *text, struct weft_error *err) WEFT_MUST_CHECK;
/* Appends to a file from now on. @path NULL: standard error. Call again to reopen it. */
bool log_set_file(const char *path, struct weft_error *err) WEFT_MUST_CHECK;
