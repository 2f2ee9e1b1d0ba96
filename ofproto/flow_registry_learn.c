/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: what packets teach, addresses of NORMAL and rules of learn actions. What is known is refreshed here, what
 * is not is the loop's to write.
 */
#include "ofproto/fdb.h"
#include "ofproto/flow_registry_internal.h"
#include "ofproto/of_learned.h"
#include "ofproto/ofproto_internal.h"

static void learn_addresses(
	struct flow_registry *r, const struct translate_learned *l, uint32_t n, uint64_t now_ms);
static void learn_rules(
	struct flow_registry *r, struct of_learned *const *l, uint32_t n, uint64_t now_ms);
static void limit_rules(
	struct flow_registry *r, const struct translate_fin *fins, uint32_t n, uint16_t tcp_flags);

void
flow_learn_translated(
	struct flow_registry *r, const struct translation *t, uint16_t tcp_flags, uint64_t now_ms)
{
	learn_addresses(r, t->learned, t->n_learned, now_ms);
	learn_rules(r, t->learns, t->n_learns, now_ms);
	limit_rules(r, t->fins, t->n_fins, tcp_flags);
}

void
flow_learn(struct flow_registry *r, const struct flow *f, uint16_t tcp_flags, uint64_t now_ms)
{
	learn_addresses(r, f->learned, f->n_learned, now_ms);
	learn_rules(r, f->learns, f->n_learns, now_ms);
	/* The flags are those of all packets of the flow; it is told once. */
	limit_rules(r, f->fins, f->n_fins, (uint16_t)(tcp_flags & ~f->credited.tcp_flags));
}

static void
learn_addresses(
	struct flow_registry *r, const struct translate_learned *l, uint32_t n, uint64_t now_ms)
{
	for (; n; n--, l++) {
		struct ofproto *p = ofproto_by_id(r->model, l->ofproto_id);

		if (p && !fdb_refresh(p->fdb, l->vlan, l->mac, &l->place, now_ms)) {
			r->ops.learned(r->ops.user, l);
		}
	}
}

static void
learn_rules(struct flow_registry *r, struct of_learned *const *l, uint32_t n, uint64_t now_ms)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!of_learned_stands(r->model, l[i], true, now_ms)) {
			r->ops.learn(r->ops.user, l[i]);
		}
	}
}

static void
limit_rules(
	struct flow_registry *r, const struct translate_fin *fins, uint32_t n, uint16_t tcp_flags)
{
	for (uint32_t i = 0; i < n && tcp_flags & TRANSLATE_TCP_ENDS; i++) {
		r->ops.limit(r->ops.user, fins[i].rule, fins[i].idle_timeout, fins[i].hard_timeout);
	}
}
