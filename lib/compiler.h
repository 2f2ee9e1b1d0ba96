/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiler attributes: what prototypes promise and compilers check.
 *
 * Roles:  a thread role (worker, tables, ports, liveness, loop, handler) is an empty capability. A
 *         function bound to a role says WEFT_REQUIRES(role); the role's thread function takes it
 *         with weft_role_enter(role). clang's -Wthread-safety then refuses a worker that calls
 *         a control function. Under gcc all of this vanishes.
 * Locks:  struct weft_mutex and the macros below say which functions need, take or release one.
 */
#pragma once

#define WEFT_MUST_CHECK __attribute__((warn_unused_result))
#define WEFT_PRINTF(FORMAT, ARGS) __attribute__((format(printf, FORMAT, ARGS)))
#define WEFT_NORETURN __attribute__((noreturn))
#define WEFT_UNUSED __attribute__((unused))
#define WEFT_ALWAYS_INLINE inline __attribute__((always_inline))
#define WEFT_NOINLINE __attribute__((noinline))
#define WEFT_PACKED __attribute__((packed))
#define WEFT_CACHE_ALIGNED __attribute__((aligned(64)))

#define WEFT_LIKELY(X) __builtin_expect(!!(X), 1)
#define WEFT_UNLIKELY(X) __builtin_expect(!!(X), 0)

#define WEFT_ARRAY_SIZE(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))
#define WEFT_CONTAINER_OF(POINTER, TYPE, MEMBER)                                                   \
	((TYPE *)(void *)((char *)(POINTER) - __builtin_offsetof(TYPE, MEMBER)))
#define WEFT_ROUND_UP(X, TO) (((X) + (TO)-1) / (TO) * (TO))
#define WEFT_MIN(A, B)                                                                             \
	({                                                                                         \
		__typeof__(A) weft_min_a = (A);                                                    \
		__typeof__(B) weft_min_b = (B);                                                    \
		weft_min_a < weft_min_b ? weft_min_a : weft_min_b;                                 \
	})
#define WEFT_MAX(A, B)                                                                             \
	({                                                                                         \
		__typeof__(A) weft_max_a = (A);                                                    \
		__typeof__(B) weft_max_b = (B);                                                    \
		weft_max_a > weft_max_b ? weft_max_a : weft_max_b;                                 \
	})

#if defined(__clang__)
#define WEFT_TSA(ATTRIBUTE) __attribute__((ATTRIBUTE))
#else
#define WEFT_TSA(ATTRIBUTE)
#endif

#define WEFT_CAPABILITY(NAME) WEFT_TSA(capability(NAME))
#define WEFT_REQUIRES(...) WEFT_TSA(requires_capability(__VA_ARGS__))
#define WEFT_EXCLUDES(...) WEFT_TSA(locks_excluded(__VA_ARGS__))
#define WEFT_ACQUIRES(...) WEFT_TSA(acquire_capability(__VA_ARGS__))
#define WEFT_RELEASES(...) WEFT_TSA(release_capability(__VA_ARGS__))
#define WEFT_TRY_ACQUIRES(...) WEFT_TSA(try_acquire_capability(__VA_ARGS__))
#define WEFT_GUARDED_BY(LOCK) WEFT_TSA(guarded_by(LOCK))
#define WEFT_GUARDED WEFT_TSA(guarded_var)
/* With a reason beside it. */
#define WEFT_NO_ANALYSIS WEFT_TSA(no_thread_safety_analysis)

/* A role: declared in a header with WEFT_ROLE, defined nowhere, only ever named in attributes. */
struct WEFT_CAPABILITY("role") weft_role {
	char nothing;
};
#define WEFT_ROLE(NAME) extern struct weft_role NAME

WEFT_ROLE(weft_worker);
WEFT_ROLE(weft_tables);
WEFT_ROLE(weft_ports);
WEFT_ROLE(weft_liveness);
WEFT_ROLE(weft_loop);
WEFT_ROLE(weft_handler);

/* Told to the analysis alone: the calling thread has (had) the role. */
#define weft_role_enter(ROLE) weft_role_enter_(&(ROLE))
#define weft_role_leave(ROLE) weft_role_leave_(&(ROLE))

static inline void
weft_role_enter_(struct weft_role *role) WEFT_ACQUIRES(*role) WEFT_NO_ANALYSIS
{
	(void)role;
}

static inline void
weft_role_leave_(struct weft_role *role) WEFT_RELEASES(*role) WEFT_NO_ANALYSIS
{
	(void)role;
}
