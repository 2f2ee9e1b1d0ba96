/* SPDX-License-Identifier: Apache-2.0
 *
 * Handler: what goes out, commands to the datapath and news to the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller-agent/handler_internal.h"
#include "lib/alloc.h"
#include "ofproto/of_learned.h"
#include "ofproto/translate.h"

uint64_t
handler_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
handler_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

/* --- news --------------------------------------------------------------------------------------- */

struct news *
handler_news(struct handler *h, enum news_kind kind, size_t n_bytes)
{
	struct news *news = xcalloc(1, sizeof(*news) + n_bytes);

	news->kind = kind;
	news->from = h;
	return news;
}

void
handler_post(struct handler *h, struct news *news)
{
	inbox_post(&h->pool->inbox, &news->item);
}

void
handler_report_broken(struct handler *h, const char *why)
{
	struct news *news;

	if (h->reported_broken) {
		return;
	}
	h->reported_broken = true;
	news = handler_news(h, NEWS_BROKEN, strlen(why) + 1);
	memcpy(news->bytes, why, strlen(why) + 1);
	handler_post(h, news);
}

/* --- sending ------------------------------------------------------------------------------------ */

/* What an op returns when there is nobody to send to: the registry must not wait for an answer. */
int
handler_sent(struct handler *h, bool ok)
{
	if (ok) {
		h->sent = true;
		h->n_sent++;
		h->is_confirmed = false;
		return 0;
	}
	if (h->rings->command.broken) {
		handler_report_broken(h, "the command ring is broken");
		return -EPIPE;
	}
	return -EAGAIN;
}

static int
op_put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size)
{
	struct handler *h = user;

	return h->rings ? handler_sent(h, dp_send_flow_put(&h->rings->command, request, key,
						  key_blocks, mask, flags, actions, actions_size))
			: -EPIPE;
}

static int
op_del(void *user, uint64_t request, struct dp_handle flow)
{
	struct dp_flow_del del = {.cmd.request = request, .flow = flow};
	struct handler *h = user;

	return h->rings ? handler_sent(h, dp_send(&h->rings->command, DP_FLOW_DEL, &del,
						  sizeof(del), NULL, 0))
			: -EPIPE;
}

int
handler_send_context(void *user, uint64_t request, uint32_t id, const void *bytes, size_t size)
{
	struct dp_context_put put = {.cmd.request = request, .id = id, .size = (uint32_t)size};
	struct dp_part part = {bytes, size};
	struct handler *h = user;

	return h->rings ? handler_sent(h, dp_send(&h->rings->command, DP_CONTEXT_PUT, &put,
						  sizeof(put), &part, 1))
			: -EPIPE;
}

int
handler_send_object(struct handler *h, uint64_t request, struct dp_handle object, uint32_t kind,
	uint32_t seed, uint32_t n_parts, const void *body, size_t size)
{
	struct dp_object_put put = {
		.cmd.request = request,
		.object = object,
		.kind = kind,
		.seed = seed,
		.n_parts = n_parts,
		.body_size = (uint32_t)size,
	};
	struct dp_part part = {body, size};

	return h->rings ? handler_sent(h, dp_send(&h->rings->command, DP_OBJECT_PUT, &put,
						  sizeof(put), &part, 1))
			: -EPIPE;
}

static int
op_object_put(void *user, uint64_t request, uint32_t kind, uint32_t seed, uint32_t n_parts,
	const void *body, size_t size)
{
	return handler_send_object(
		user, request, (struct dp_handle){0, 0}, kind, seed, n_parts, body, size);
}

int
handler_send_object_del(void *user, uint64_t request, struct dp_handle object)
{
	struct dp_object_del del = {.cmd.request = request, .object = object};
	struct handler *h = user;

	return h->rings ? handler_sent(h, dp_send(&h->rings->command, DP_OBJECT_DEL, &del,
						  sizeof(del), NULL, 0))
			: -EPIPE;
}

static int
op_execute(void *user, uint64_t request, struct dp_parked parked, const void *actions,
	size_t actions_size)
{
	struct dp_execute x = {.cmd.request = request,
		.parked = parked,
		.in_port = UINT32_MAX,
		.actions_size = (uint32_t)actions_size};
	struct handler *h = user;

	return h->rings ? handler_sent(
				  h, dp_send_execute(&h->rings->command, &x, NULL, actions, NULL))
			: -EPIPE;
}

int
handler_send_packet_out(void *user, uint64_t request, struct dp_port in_port, const void *actions,
	size_t actions_size, const void *data, size_t len)
{
	struct dp_execute x = {.cmd.request = request,
		.in_port = in_port.v,
		.actions_size = (uint32_t)actions_size,
		.data_len = (uint32_t)len};
	struct handler *h = user;
	int error = -EPIPE;

	if (h->rings) {
		error = handler_sent(
			h, dp_send_execute(&h->rings->command, &x, NULL, actions, data));
	}
	if (error != -EAGAIN) {
		handler_count(&h->n_packet_outs);
	}
	return error;
}

void
handler_store_credit(struct flow_credit *credit, uint32_t gen, const struct flow_stats *sum)
{
	atomic_store_explicit(&credit->is_adopted, false, memory_order_relaxed);
	atomic_store_explicit(&credit->packets, sum->packets, memory_order_relaxed);
	atomic_store_explicit(&credit->bytes, sum->bytes, memory_order_relaxed);
	atomic_store_explicit(&credit->gen, gen, memory_order_relaxed);
}

static void
op_stats(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	struct handler *h = user;
	struct flow_credit *credit;

	memset(sum, 0, sizeof(*sum));
	if (!h->rings) {
		return;
	}
	stats_region_read(h->rings->stats, flow.slot, flow.gen, sum);
	if (flow.slot < h->pool->n_slots) { /* the registry credits what it is told */
		credit = &h->pool->credits[flow.slot];
		if (h->is_released ||
			!atomic_load_explicit(&credit->is_adopted, memory_order_relaxed)) {
			handler_store_credit(credit, flow.gen, sum);
		}
	}
}

static void
op_learned(void *user, const struct translate_learned *l)
{
	struct handler *h = user;
	struct news *news = handler_news(h, NEWS_LEARNED, 0);

	news->address = *l;
	handler_post(h, news);
}

static bool
is_full_of_learns(struct handler *h)
{
	if (atomic_load_explicit(&h->n_waiting_learns, memory_order_relaxed) >=
		HANDLER_MAX_LEARNS) {
		handler_count(&h->n_learns_dropped);
		return true;
	}
	atomic_fetch_add_explicit(&h->n_waiting_learns, 1, memory_order_relaxed);
	return false;
}

static void
op_learn(void *user, struct of_learned *l)
{
	struct handler *h = user;
	struct news *news;

	if (is_full_of_learns(h)) {
		return;
	}
	news = handler_news(h, NEWS_LEARN, 0);
	news->learned = of_learned_ref(l);
	handler_post(h, news);
}

static void
op_limit(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout)
{
	struct handler *h = user;
	struct news *news;

	if (is_full_of_learns(h)) {
		return;
	}
	news = handler_news(h, NEWS_LIMIT, 0);
	of_rule_ref(r);
	news->rule = r;
	news->idle_timeout = idle_timeout;
	news->hard_timeout = hard_timeout;
	handler_post(h, news);
}

void
handler_publish(struct handler *h)
{
	if (h->rings && h->sent) {
		shm_ring_publish(&h->rings->command);
	}
	h->sent = false;
}

void
handler_answer_object(struct handler *h, uint64_t token, bool is_del, int status,
	struct dp_handle object, const struct dp_handle *parts, uint32_t n_parts)
{
	size_t size = n_parts * sizeof(struct dp_handle);
	struct news *news = handler_news(h, NEWS_OBJECT, size);

	news->token = token;
	news->is_del = is_del;
	news->status = status;
	news->object = object;
	news->data_len = (uint32_t)size;
	if (size) {
		memcpy(news->bytes, parts, size);
	}
	handler_post(h, news);
}

void
handler_run_options(struct handler *h)
{
	struct dp_tun_opts cmd = {
		.cmd.request = h->next_request, .n = h->n_options, .flags = DP_TUN_OPTS_SET};
	struct dp_part part = {h->options, h->n_options * sizeof(h->options[0])};

	if (!h->has_options) {
		return;
	}
	h->has_options = h->rings && handler_sent(h, dp_send(&h->rings->command, DP_TUN_OPTS, &cmd,
							     sizeof(cmd), &part, 1)) == -EAGAIN;
	h->next_request++;
}

bool
handler_send_list(struct handler *h, uint32_t kind, uint32_t from)
{
	struct dp_list list = {.cmd.request = h->next_request++, .from_slot = from};

	return handler_sent(h, dp_send(&h->rings->command, kind, &list, sizeof(list), NULL, 0)) !=
	       -EAGAIN;
}

void
handler_registry_ops(struct handler *h, struct flow_registry_ops *ops)
{
	*ops = (struct flow_registry_ops){
		.put = op_put,
		.del = op_del,
		.context_put = handler_send_context,
		.object_put = op_object_put,
		.object_del = handler_send_object_del,
		.execute = op_execute,
		.packet_out = handler_send_packet_out,
		.stats = op_stats,
		.learned = op_learned,
		.learn = op_learn,
		.limit = op_limit,
		.user = h,
	};
}
