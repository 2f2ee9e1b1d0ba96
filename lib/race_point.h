/* SPDX-License-Identifier: Apache-2.0
 *
 * Race points: places between two steps of lock-free code where another thread's steps matter most.
 *
 * What: nothing at all, but in a build with the thread sanitizer (WEFT_RACE_POINTS), where a test that
 *       defines race_point() is called there and may delay the thread, so that orders which are one in a
 *       million otherwise come about in each run.
 * Not:  between a store and the load that a fence separates from it: a delay there would do the
 *       fence's work and hide that it is missing.
 */
#pragma once

#ifdef WEFT_RACE_POINTS
void race_point(void) __attribute__((weak));

static inline void
race_point_reach(void)
{
	void (*point)(void) = race_point;

	if (point) {
		point();
	}
}
#define RACE_POINT() race_point_reach()
#else
#define RACE_POINT() ((void)0)
#endif
