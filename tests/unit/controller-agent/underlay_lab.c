/* SPDX-License-Identifier: Apache-2.0
 *
 * An underlay in a namespace of the test's own.
 */
#include "tests/unit/controller-agent/underlay_lab.h"

#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>

#include "lib/alloc.h"
#include "lib/error.h"

static void
changed(void *user, const uint32_t *ids, size_t n)
{
	struct underlay_lab *f = user;

	for (size_t i = 0; i < n; i++) {
		f->named[f->n_named++ % WEFT_ARRAY_SIZE(f->named)] = ids[i];
	}
	of_model_underlay_changed(f->model, ids, n);
}

int
underlay_lab_begin(void **state)
{
	static const struct underlay_ops ops = {changed};
	struct weft_error err = WEFT_ERROR_INIT;
	struct underlay_lab *f = xcalloc(1, sizeof(*f));

	*state = f;
	for (unsigned i = 0; i < 2; i++) {
		netns_run("ip link add d%u address 02:00:00:00:0%u:01 type veth peer name p%u", i,
			i, i);
		/* No link-local addresses, whose coming a second later would be news. */
		netns_run("ip link set d%u addrgenmode none && ip link set p%u addrgenmode none", i,
			i);
		netns_run("ip link set d%u up && ip link set p%u up", i, i);
		netns_run("ip addr add 10.0.%u.1/24 dev d%u", i, i);
		netns_run("ip addr add fd0%u::1/64 dev d%u nodad", i, i);
	}
	f->base = event_base_new();
	f->model = of_model_create(&(struct of_model_events){0});
	f->reader = of_reader_create(f->model);
	f->u = underlay_create(f->base, of_model_grace(f->model), &ops, f, &err);
	assert_non_null(f->u);
	f->provider = underlay_provider(f->u);
	/* What news do not bring shall not come by itself. */
	f->u->sweep_ms = UINT64_MAX;
	return 0;
}

int
underlay_lab_end(void **state)
{
	struct underlay_lab *f = *state;

	underlay_destroy(f->u);
	of_reader_destroy(f->reader);
	of_model_destroy(f->model);
	event_base_free(f->base);
	free(f);
	netns_run("ip link del d0 2>/dev/null; ip link del d1 2>/dev/null; true");
	netns_run(
		"ip route flush table all proto boot; ip -6 route flush table all proto boot; true");
	return 0;
}

void
underlay_lab_turn(struct underlay_lab *f)
{
	struct timeval nap = {0, 2000};

	event_base_loopexit(f->base, &nap);
	event_base_loop(f->base, EVLOOP_ONCE);
	of_model_run(f->model, underlay_now_ms(), 1000);
}

void
underlay_lab_settle(struct underlay_lab *f)
{
	unsigned n_quiet = 0;

	while (n_quiet < 3) {
		uint64_t before = f->u->counters.n_news + f->u->nl.n_asked;

		underlay_lab_turn(f);
		if (before == f->u->counters.n_news + f->u->nl.n_asked &&
			list_is_empty(&f->u->builds) && list_is_empty(&f->u->asks) &&
			list_is_empty(&f->u->hop_asks)) {
			n_quiet++;
		} else {
			n_quiet = 0;
		}
	}
}

void
underlay_lab_set_ports(struct underlay_lab *f)
{
	underlay_device_set(f->u, "d0", LAB_SWITCH, OF_PORT(OFPP_LOCAL));
	underlay_device_set(f->u, "d1", LAB_SWITCH + 1, OF_PORT(3));
}

struct of_underlay_addr
underlay_lab_addr(const char *text)
{
	struct of_underlay_addr a;

	assert_true(underlay_addr_parse(text, &a));
	return a;
}

struct of_underlay_key
underlay_lab_key(const char *local, const char *remote)
{
	struct of_underlay_key key = {.remote = underlay_lab_addr(remote)};

	if (local) {
		key.local = underlay_lab_addr(local);
	}
	return key;
}

const struct of_underlay_route *
underlay_lab_look(struct underlay_lab *f, const char *local, const char *remote)
{
	struct of_underlay_key key = underlay_lab_key(local, remote);

	return f->provider.lookup(f->provider.user, &key);
}

enum of_underlay_state
underlay_lab_state(struct underlay_lab *f, const char *local, const char *remote)
{
	return underlay_lab_look(f, local, remote)->state;
}

bool
underlay_lab_was_named(const struct underlay_lab *f, const char *remote)
{
	static const struct of_underlay_route any = {.state = OF_UNDERLAY_READY};
	struct of_underlay_key key = underlay_lab_key(NULL, remote);
	uint32_t id = of_underlay_id(&key, &any);

	for (size_t i = 0; i < f->n_named; i++) {
		if (f->named[i] == id) {
			return true;
		}
	}
	return false;
}

void
underlay_lab_set_neighbour(const char *device, const char *address, const char *mac)
{
	netns_run("ip neigh replace %s dev %s lladdr %s nud permanent", address, device, mac);
}

void
underlay_lab_check_path(const struct of_underlay_path *p, const char *device, const char *next_hop,
	const char *source)
{
	struct of_underlay_addr hop = underlay_lab_addr(next_hop), src = underlay_lab_addr(source);
	char is_hop[UNDERLAY_ADDR_SIZE], is_src[UNDERLAY_ADDR_SIZE];

	if (strcmp(p->device, device) != 0 || p->ifindex != if_nametoindex(device) ||
		!underlay_addr_equal(&p->next_hop, &hop) ||
		!underlay_addr_equal(&p->source, &src)) {
		fail_msg("by %s to %s from %s, not by %s to %s from %s", p->device,
			underlay_addr_text(&p->next_hop, is_hop),
			underlay_addr_text(&p->source, is_src), device, next_hop, source);
	}
}
