/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters.
 */
#include "datapath/meter.h"

#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/packet.h"

#define MAX_DEPTH (UINT64_C(1) << 61)
/* Bytes of a kilobit: 1000 bits, as rates of links are told. */
#define KILOBIT 125u

static uint64_t
clamp(unsigned __int128 v)
{
	return v > MAX_DEPTH ? MAX_DEPTH : (uint64_t)v;
}

/* @n: bytes or packets. */
static uint64_t
cost_of(const struct meter_band *b, bool by_packets, uint64_t n)
{
	unsigned __int128 cost = (unsigned __int128)b->cost * n;

	return clamp(by_packets ? cost : cost >> 16);
}

/* What the bucket holds, in bytes or packets. */
static uint64_t
burst_of(const struct dp_meter *meter, const struct dp_meter_band *band)
{
	bool by_packets = meter->flags & DP_METER_PKTPS;
	uint64_t unit = by_packets ? 1 : KILOBIT, chosen;

	if (meter->flags & DP_METER_BURST && band->burst) {
		return band->burst * unit;
	}
	chosen = band->rate * unit * METER_BURST_MS / 1000;
	return WEFT_MAX(
		chosen, (uint64_t)(by_packets ? METER_MIN_BURST_PACKETS : METER_MIN_BURST_BYTES));
}

static void
band_init(struct meter_band *b, const struct dp_meter *meter, const struct dp_meter_band *band,
	uint64_t hz)
{
	bool by_packets = meter->flags & DP_METER_PKTPS;
	uint64_t longest;

	b->rate = band->rate;
	b->kind = band->kind;
	b->prec_level = band->prec_level;
	b->id = band->id;
	if (!band->rate) {
		return;
	}
	if (by_packets) {
		b->cost = hz * METER_FRACTION / band->rate;
	} else {
		b->cost = (uint64_t)(((unsigned __int128)hz * METER_FRACTION << 16) /
				     ((uint64_t)band->rate * KILOBIT));
	}
	b->cost = WEFT_MAX(b->cost, UINT64_C(1));
	b->depth = cost_of(b, by_packets, burst_of(meter, band));
	longest = cost_of(b, by_packets, by_packets ? 1 : PACKET_MAX_LEN);
	/* A second more: workers read their clocks one after the other. */
	b->furthest = WEFT_MAX(b->depth, longest) + hz * METER_FRACTION;
}

static int
compare_rates(const void *a, const void *b)
{
	const struct meter_band *x = a, *y = b;

	return x->rate != y->rate ? (x->rate < y->rate) - (x->rate > y->rate)
				  : (x->index > y->index) - (x->index < y->index);
}

/* How far a full_at lies ahead; 0: in the past, the bucket has been full since then. */
static uint64_t
ahead_of(const struct meter_band *b, uint64_t full_at, uint64_t now)
{
	uint64_t ahead = full_at - now;

	return ahead > b->furthest ? 0 : ahead;
}

/* What a band with that id lacked before; no more than an empty bucket does. */
static uint64_t
lacks(const struct meter_band *b, const struct meter *was, uint64_t now)
{
	for (uint32_t i = 0; was && i < was->n_bands; i++) {
		const struct meter_band *old = &was->bands[i];

		if (old->id == b->id) {
			uint64_t full_at =
				atomic_load_explicit(&old->full_at, memory_order_relaxed);

			return WEFT_MIN(ahead_of(old, full_at, now), b->depth);
		}
	}
	return 0;
}

struct meter *
meter_create(const struct dp_meter *meter, const struct dp_meter_band *bands, uint32_t n_bands,
	uint64_t hz, uint64_t now, const struct meter *was)
{
	struct meter *m = xcalloc(1, sizeof *m + n_bands * sizeof m->bands[0]);

	now *= METER_FRACTION;
	m->n_bands = n_bands;
	m->by_packets = meter->flags & DP_METER_PKTPS;
	for (uint32_t i = 0; i < n_bands; i++) {
		struct meter_band *b = &m->bands[i];

		b->index = i;
		band_init(b, meter, &bands[i], hz);
		atomic_init(&b->full_at, now + lacks(b, was, now));
	}
	qsort(m->bands, n_bands, sizeof m->bands[0], compare_rates);
	return m;
}

/* Whether the packet exceeds the band; if not, its tokens are taken. */
static bool
exceeds(struct meter_band *b, uint64_t cost, uint64_t now)
{
	uint64_t full_at = atomic_load_explicit(&b->full_at, memory_order_relaxed), ahead;

	if (!b->cost) {
		return true;
	}
	do {
		ahead = ahead_of(b, full_at, now);
		if (ahead && ahead + cost > b->depth) {
			return true;
		}
	} while (!atomic_compare_exchange_weak_explicit(&b->full_at, &full_at, now + ahead + cost,
		memory_order_relaxed, memory_order_relaxed));
	return false;
}

const struct meter_band *
meter_charge(struct meter *m, uint32_t len, uint64_t now)
{
	const struct meter_band *acts = NULL;

	now *= METER_FRACTION;
	for (uint32_t i = 0; i < m->n_bands; i++) {
		struct meter_band *b = &m->bands[i];

		if (exceeds(b, cost_of(b, m->by_packets, m->by_packets ? 1 : len), now) && !acts) {
			acts = b;
		}
	}
	return acts;
}

uint8_t
meter_raise_dscp(uint8_t dscp, uint32_t by)
{
	uint8_t class = dscp >> 3, level = dscp >> 1 & 3;

	if (class < 1 || class > 4 || !level || dscp & 1) {
		return dscp;
	}
	return (uint8_t)(class << 3 | WEFT_MIN(level + (uint64_t)by, UINT64_C(3)) << 1);
}
