/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters: token buckets that all workers share.
 *
 * What:    a bucket is one word, the time at which it will be full again (the generic cell rate algorithm,
 *          ITU-T I.371): a packet moves it on by what its length costs at the band's rate, if the
 *          bucket has that much. One compare-and-swap; no lock, nobody waits.
 * Time:    TSC cycles, in 1/METER_FRACTION, modulo 2^64. A time that is further ahead than a full debt
 *          can be lies in the past.
 * Why:     rte_meter keeps three words that one thread may write. A meter of it for each worker holds
 *          a share of the rate, which is wrong as soon as the traffic is not spread evenly; one
 *          for all needs a lock that every worker contends for. The tests hold this one against
 *          rte_meter.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/dp_protocol.h"

#define METER_FRACTION 256u

/* What the datapath chooses where no burst is given: what flows in so long, at least so much. */
#define METER_BURST_MS 100u
#define METER_MIN_BURST_PACKETS 32u
#define METER_MIN_BURST_BYTES (METER_MIN_BURST_PACKETS * 1500u)

struct meter_band {
	_Atomic uint64_t full_at; /* in TSC / METER_FRACTION; any worker */
	uint64_t cost;            /* of a packet, or of 2^16 bytes; 0: nothing conforms */
	uint64_t depth;           /* of the bucket */
	uint64_t furthest;        /* ahead of now that full_at can be */
	uint32_t rate;
	uint32_t kind; /* enum dp_band_kind */
	uint32_t prec_level;
	uint32_t index; /* as put; its part is one more */
	uint32_t id;
};

struct meter {
	uint32_t n_bands;
	bool by_packets;
	struct meter_band bands[]; /* highest rate first */
};

/* A meter whose buckets are full, but for those of bands that @was (or NULL) has by the same id.
 * @hz: of the TSC; @now: TSC. Freed by free(). */
struct meter *meter_create(const struct dp_meter *meter, const struct dp_meter_band *bands,
	uint32_t n_bands, uint64_t hz, uint64_t now, const struct meter *was);

/* Charges a packet of @len bytes. The band that acts on it, or NULL: it conforms to all. */
const struct meter_band *meter_charge(struct meter *m, uint32_t len, uint64_t now);

/* The DSCP of the drop precedence @by levels higher (RFC 2597 section 6); that of another class, or of
 * none, stays. */
uint8_t meter_raise_dscp(uint8_t dscp, uint32_t by);
