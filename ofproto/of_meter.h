/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters: what a rule's packets may take, and what happens to those beyond.
 *
 * What:     a meter is found by its number, in the version that is in force (ofproto.h). The measuring
 *           is the datapath's: somebody outside puts each meter there as an object when
 *           of_model_events says that it has changed, and tells here by which handle actions name it.
 *           Until then rules that use it are translated as if it let everything pass.
 * Deletion: takes the rules that use the meter with it.
 * Limits:   OF_MAX_METERS a switch, OF_MAX_BANDS a meter.
 * Threads:  the loop, but for lookups (meter.h).
 * Spec:     OpenFlow 1.3.5 s.5.7, s.A.3.4.4, errors s.A.4.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "ofproto/of_group.h"

#define OF_MAX_METERS 65536u
#define OF_MAX_BANDS 16u

#define OFPM_MAX 0xffff0000u
#define OFPM_ALL 0xffffffffu

enum of_meter_flags { /* OFPMF_* */
	OF_METER_KBPS = 1 << 0,
	OF_METER_PKTPS = 1 << 1,
	OF_METER_BURST = 1 << 2,
	OF_METER_STATS = 1 << 3,
	OF_METER_FLAGS_ALL = 0xf,
};

enum of_band_type { /* OFPMBT_* */
	OF_BAND_DROP = 1,
	OF_BAND_DSCP_REMARK = 2,
};

#define OF_MAX_PREC_LEVEL 3u /* a DSCP has four drop precedences */

struct of_meter_band {
	uint16_t type; /* enum of_band_type; what came may be another number */
	uint32_t rate; /* kilobits or packets a second */
	uint32_t burst;
	uint8_t prec_level; /* DSCP_REMARK */
};

struct of_meter_mod {
	enum of_mod_command command;
	uint16_t flags; /* enum of_meter_flags */
	uint32_t meter; /* OFPM_ALL: deletes all */
	uint32_t n_bands;
	struct of_meter_band bands[OF_MAX_BANDS];
};

/* Executes one meter-mod whole or not at all, and publishes it. No transaction may be open. */
bool ofproto_meter_mod(struct ofproto *p, const struct of_meter_mod *mm, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;
/* The same as a step of a transaction. */
bool of_txn_meter_mod(struct of_txn *t, struct ofproto *p, const struct of_meter_mod *mm,
	uint64_t now_ms, struct weft_error *err) WEFT_MUST_CHECK;

/* A meter as it is listed and persisted. Borrowed until the visitor returns. */
struct of_meter_view {
	uint32_t id;
	uint16_t flags;
	uint32_t n_flows; /* rules that use it */
	uint64_t created_ms;
	uint64_t now_ms;
	struct dp_handle handle; /* none: the datapath does not have it (yet) */
	uint32_t n_bands;
	const struct of_meter_band *bands;
};

/* Visits the meter, or with OFPM_ALL all in the order of their numbers; whether there was any.
 * @with_refs: counts the rules, which takes a walk over all that use meters or groups. */
bool ofproto_meter_visit(struct ofproto *p, uint32_t meter, bool with_refs, uint64_t now_ms,
	void (*visit)(const struct of_meter_view *view, void *user), void *user);
size_t ofproto_n_meters(const struct ofproto *p);

/* The handle by which the datapath knows the meter from now on (none: not any more). Moves the
 * version if that is news. */
void ofproto_meter_set_handle(struct ofproto *p, uint32_t meter, struct dp_handle handle);

/* Persistence: adds a meter with the creation time of @view. */
bool ofproto_import_meter(struct ofproto *p, const struct of_meter_view *view, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;
