/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller-agent/handler_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/error.h"
#include "ofproto/of_match.h"
#include "ofproto/translate.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

static char rundir[64], path[96];
struct handler_lab lab;

static void
on_packet_in(void *user, const struct handler_packet_in *p)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)user;
	lab.seen.n_packet_in++;
	assert_non_null(p->context);
	assert_true(of_context_decode(p->context, p->context_size, &lab.seen.context, &err));
	lab.seen.packet_len = p->packet_len;
	lab.seen.data_len = p->data_len;
	memcpy(lab.seen.data, p->data, p->data_len);
	lab.seen.in_port = be32_to(p->key.in_port);
	lab.seen.n_packet_in_of[lab.seen.in_port % 16]++;
}

static void
on_learned(void *user, const struct translate_learned *l)
{
	(void)user;
	assert_ptr_equal(ofproto_by_id(lab.model, l->ofproto_id), lab.sw);
	lab.seen.n_learned++;
	ofproto_fdb_learn_at(lab.sw, l->vlan, l->mac, &l->place, fake_now_ms());
	handlers_kick(lab.handlers);
}

static void
on_context(void *user, uint32_t id, const void *bytes, size_t size)
{
	(void)user;
	lab.seen.n_contexts++;
	of_context_adopt(lab.model, id, bytes, size);
}

static void
on_adopted(void *user, size_t n_flows)
{
	(void)user;
	lab.seen.n_adopted++;
	lab.seen.n_adopted_flows = (unsigned)n_flows;
}

static void
on_detached(void *user)
{
	(void)user;
	lab.seen.n_detached++;
	dp_client_released(lab.client);
}

static bool
on_credited(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	(void)user;
	(void)flow;
	memset(sum, 0, sizeof(*sum));
	return true;
}

static void
on_object_replied(void *user, uint64_t token, const struct handler_object_reply *reply)
{
	(void)user;
	(void)token;
	(void)reply;
}

static void
on_meter_listed(void *user, struct dp_handle object)
{
	(void)user;
	(void)object;
}

static void
on_broken(void *user, const char *why)
{
	(void)user;
	print_message("broken: %s\n", why);
	lab.seen.n_broken++;
}

static const struct handlers_ops handlers_ops = {
	.packet_in = on_packet_in,
	.learned = on_learned,
	.context = on_context,
	.adopted = on_adopted,
	.detached = on_detached,
	.credited = on_credited,
	.object_replied = on_object_replied,
	.meter_listed = on_meter_listed,
	.broken = on_broken,
};

static void
on_up(void *user, const struct dp_session *session)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)user;
	assert_true(handlers_attach(lab.handlers, session, lab.adopt, &err));
	lab.seen.n_up++;
}

static void
on_down(void *user)
{
	(void)user;
	handlers_detach(lab.handlers);
}

static void
on_changed(void *user, const struct dp_port_info *info)
{
	(void)user;
	(void)info;
}

static const struct dp_client_ops client_ops = {on_up, on_down, on_changed};

static void
on_flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	(void)user;
	(void)p;
	(void)flow;
	(void)reason;
}

static void
on_context_gone(void *user, uint32_t id)
{
	(void)user;
	(void)id;
}

void
handler_lab_on_barrier(void *user)
{
	(void)user;
	lab.seen.n_barriers++;
}

void
handler_lab_turn(unsigned ms)
{
	struct timeval t = {0, (suseconds_t)ms * 1000};

	event_base_loopexit(lab.base, &t);
	event_base_dispatch(lab.base);
	of_model_run(lab.model, fake_now_ms(), 100);
	handlers_kick(lab.handlers);
}

bool
handler_lab_wait(const unsigned *counter, unsigned n)
{
	uint64_t until = fake_now_ms() + HANDLER_LAB_WAIT_MS;

	while (*counter < n && fake_now_ms() < until) {
		handler_lab_turn(2);
	}
	return *counter >= n;
}

bool
handler_lab_wait_dp(bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n)
{
	uint64_t until = fake_now_ms() + HANDLER_LAB_WAIT_MS;

	while (!fake_datapath_wait(lab.dp, condition, n, 2)) {
		if (fake_now_ms() > until) {
			return false;
		}
		handler_lab_turn(2);
	}
	return true;
}

static void
add_port(unsigned number, unsigned dp_port)
{
	struct of_port_info info = {
		.number = OF_PORT(number), .dp_port = {dp_port}, .state = OF_PORT_LIVE};
	struct weft_error err = WEFT_ERROR_INIT;

	snprintf(info.name, sizeof(info.name), "p%u", number);
	assert_true(ofproto_port_set(lab.sw, &info, &err));
}

void
handler_lab_rule(uint16_t priority, unsigned in_port, uint32_t out, uint16_t max_len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_mod fm;

	of_flow_mod_init(&fm);
	fm.command = OF_FLOW_ADD;
	fm.priority = priority;
	fm.cookie = 0x77;
	if (in_port) {
		of_match_set_u64(&fm.match, FIELD_IN_PORT, in_port);
	}
	if (out) {
		of_actions_put_output(&fm.actions, OF_PORT(out), max_len);
	}
	assert_true(ofproto_flow_mod(lab.sw, &fm, fake_now_ms(), &err));
	of_flow_mod_uninit(&fm);
	if (lab.kick) {
		handlers_kick(lab.handlers);
	}
}

void
handler_lab_start(void)
{
	struct of_model_events events = {
		.flow_removed = on_flow_removed,
		.context_gone = on_context_gone,
	};
	struct weft_error err = WEFT_ERROR_INIT;

	memset(&lab.seen, 0, sizeof(lab.seen));
	lab.base = event_base_new();
	lab.model = of_model_create(&events);
	lab.sw = ofproto_create(lab.model, "s", 1, &err);
	assert_non_null(lab.sw);
	for (unsigned i = 1; i <= 4; i++) {
		add_port(i, 10 + i);
	}
	lab.handlers =
		handlers_create(lab.base, lab.model, lab.n_handlers, &handlers_ops, NULL, &err);
	assert_non_null(lab.handlers);
	lab.client = dp_client_create(
		lab.base, path, 5 + fake_now_ms(), lab.n_handlers, &client_ops, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_up, 1));
}

void
handler_lab_stop(void)
{
	dp_client_destroy(lab.client);
	lab.client = NULL;
	handlers_destroy(lab.handlers);
	ofproto_destroy(lab.sw);
	of_model_destroy(lab.model);
	event_base_free(lab.base);
}

int
handler_lab_setup(void **state)
{
	(void)state;
	snprintf(rundir, sizeof(rundir), "/tmp/weft-handler-XXXXXX");
	if (!mkdtemp(rundir)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/datapath.sock", rundir);
	lab.adopt = false;
	lab.kick = true;
	lab.n_handlers = 1;
	lab.dp = fake_datapath_start(rundir, 2, 9);
	return 0;
}

int
handler_lab_teardown(void **state)
{
	struct fake_counts c;

	(void)state;
	fake_datapath_counts(lab.dp, &c);
	assert_int_equal(c.n_bad, 0);
	fake_datapath_stop(lab.dp);
	unlink(path);
	return rmdir(rundir);
}

void
handler_lab_receive(unsigned worker, unsigned port, unsigned flow)
{
	uint8_t frame[128];
	size_t len = fake_udp_frame(frame, 0x020000000000u + flow, 0x020000010000u + port, 0,
		0x0a000001 + flow, 0x0a000002, 1, 2);

	fake_datapath_receive(lab.dp, worker, port, frame, len);
}

bool
handler_lab_has_flow(const char *words)
{
	bool found = false;
	char *text;

	for (unsigned i = 0; !found && (text = fake_datapath_flow_text(lab.dp, i)) != NULL; i++) {
		found = strstr(text, words) != NULL;
		free(text);
	}
	return found;
}

bool
handler_lab_wait_flow(const char *words)
{
	uint64_t until = fake_now_ms() + HANDLER_LAB_WAIT_MS;

	while (!handler_lab_has_flow(words) && fake_now_ms() < until) {
		handler_lab_turn(2);
	}
	return handler_lab_has_flow(words);
}
