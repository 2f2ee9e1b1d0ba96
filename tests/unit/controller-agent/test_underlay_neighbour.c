/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: next hops are resolved by the kernel, on our asking; news that get lost; limits; the host's own
 * addresses. Handlers look up while the loop publishes: run under the thread sanitizer too.
 */
#include "tests/unit/controller-agent/underlay_lab.h"

#include <linux/neighbour.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/alloc.h"

#define STATE(REMOTE) underlay_lab_state(f, NULL, REMOTE)
#define LOOK(REMOTE) underlay_lab_look(f, NULL, REMOTE)

/* --- resolving -------------------------------------------------------------------------------------- */

/* p0 with two addresses in a namespace of its own, and a kernel that gives up soon. */
static pid_t
begin_peer(const char *first, const char *second)
{
	pid_t peer = netns_peer();

	netns_run("ip link set p0 netns %d", (int)peer);
	netns_run_in(peer, "ip link set p0 address 02:00:00:00:09:01 up");
	netns_run_in(peer, "ip addr add %s dev p0", first);
	netns_run_in(peer, "ip addr add %s dev p0", second);
	netns_run("sysctl -qw net.ipv4.neigh.d0.retrans_time_ms=100 "
		  "net.ipv4.neigh.d0.mcast_solicit=1 net.ipv4.neigh.d0.ucast_solicit=1 "
		  "net.ipv4.neigh.d0.delay_first_probe_time=1");
	return peer;
}

static void
check_mac(struct underlay_lab *f, const char *remote, uint8_t last)
{
	const uint8_t mac[] = {2, 0, 0, 0, 9, last};

	assert_memory_equal(LOOK(remote)->paths[0].next_hop_mac, mac, 6);
}

static void
test_underlay_makes_the_kernel_resolve(void **state)
{
	struct underlay_lab *f = *state;
	pid_t peer = begin_peer("10.0.0.2/24", "fd00::2/64 nodad");

	underlay_lab_set_ports(f);
	netns_run("ip route add 10.9.0.0/16 via 10.0.0.2");
	LOOK("10.9.0.1");
	LOOK("fd00::2");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY && STATE("fd00::2") == OF_UNDERLAY_READY);
	check_mac(f, "10.9.0.1", 1);
	check_mac(f, "fd00::2", 1);
	/* The kernel forgets it. */
	netns_run("ip neigh del 10.0.0.2 dev d0");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	/* Another machine takes the address over, and says nothing of it: only a stale entry's being asked
	 * for finds out. */
	netns_run_in(peer, "ip link set p0 arp off address 02:00:00:00:09:02 && "
			   "ip link set p0 arp on");
	netns_run("ip neigh replace 10.0.0.2 dev d0 lladdr 02:00:00:00:09:01 nud stale");
	UNTIL(f, LOOK("10.9.0.1")->paths[0].next_hop_mac[5] == 2);
	netns_peer_end(peer);
}

static void
test_underlay_recovers_when_a_next_hop_answers_again(void **state)
{
	struct underlay_lab *f = *state;
	pid_t peer = begin_peer("10.0.0.3/24", "10.0.0.4/24");
	struct underlay_view view;
	struct of_underlay_key key = underlay_lab_key(NULL, "10.0.0.2");

	underlay_lab_set_ports(f);
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_NEIGHBOUR);
	UNTIL(f, strcmp(LOOK("10.0.0.2")->text, "next hop 10.0.0.2 on d0 does not answer") == 0);
	netns_run_in(peer, "ip addr add 10.0.0.2/24 dev p0");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
	check_mac(f, "10.0.0.2", 1);
	assert_true(underlay_find(f->u, &key, &view));
	assert_string_equal(view.last_error, "next hop 10.0.0.2 on d0 does not answer");
	assert_string_equal(view.route->text, "");
	assert_true(view.has_prefix);
	assert_int_equal(view.prefix_len, 24);
	assert_int_equal(view.prefix.v[14], 0);
	assert_int_equal(view.table, 254);
	netns_peer_end(peer);
}

/* The kernel itself finds out nothing in the time of a test. */
static void
hush_kernel(void)
{
	netns_run("sysctl -qw net.ipv4.neigh.d0.retrans_time_ms=100000000");
}

/* What the test says is the kernel's word. */
static void
tell(struct underlay_lab *f, const char *address, uint16_t nud, bool is_gone, uint8_t last)
{
	struct underlay_hop *hop;
	struct of_underlay_addr a = underlay_lab_addr(address);

	HMAP_FOREACH (hop, by_key, &f->u->hops) {
		struct underlay_neighbour n = {.ifindex = hop->ifindex,
			.address = a,
			.state = nud,
			.has_mac = nud != NUD_FAILED && nud != NUD_INCOMPLETE,
			.mac = {2, 0, 0, 0, 9, last}};

		underlay_neighbour_news(f->u, &n, is_gone);
	}
}

/* Of a next hop: when it is sent a datagram. */
static struct underlay_hop *
only_hop(struct underlay_lab *f)
{
	assert_int_equal(hmap_count(&f->u->hops), 1);
	return WEFT_CONTAINER_OF(hmap_first(&f->u->hops), struct underlay_hop, by_key);
}

static void
test_underlay_waits_longer_each_time(void **state)
{
	static const unsigned waits[] = {1, 2, 4, 8, 16, 16};
	struct underlay_lab *f = *state;
	struct underlay_hop *hop;
	uint64_t now = 0;

	hush_kernel();
	underlay_lab_set_ports(f);
	LOOK("10.0.0.2");
	UNTIL(f, f->u->counters.n_probes == 1);
	hop = only_hop(f);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(waits); i++) {
		assert_true(i == 0 || hop->due_ms == now + waits[i] * 1000);
		assert_int_equal(underlay_probe_next_ms(f->u), hop->due_ms);
		assert_int_equal(f->u->counters.n_probes, i + 1);
		/* Not a moment sooner. */
		underlay_probe(f->u, hop->due_ms - 1);
		assert_int_equal(f->u->counters.n_probes, i + 1);
		now = hop->due_ms;
		underlay_probe(f->u, now);
	}
	/* A stale address is asked for at once, a fresh one not at all. */
	tell(f, "10.0.0.2", NUD_REACHABLE, false, 1);
	assert_int_equal(underlay_probe_next_ms(f->u), UINT64_MAX);
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
	tell(f, "10.0.0.2", NUD_STALE, false, 1);
	assert_true(underlay_probe_next_ms(f->u) <= underlay_now_ms());
	tell(f, "10.0.0.2", NUD_DELAY, false, 1);
	tell(f, "10.0.0.2", NUD_PROBE, false, 1);
	assert_int_equal(underlay_probe_next_ms(f->u), UINT64_MAX);
	tell(f, "10.0.0.2", NUD_PERMANENT, false, 1);
	assert_int_equal(underlay_probe_next_ms(f->u), UINT64_MAX);
}

static void
test_underlay_uses_a_discarded_address_until_it_proves_wrong(void **state)
{
	struct underlay_lab *f = *state;
	size_t n_named;

	hush_kernel();
	underlay_lab_set_ports(f);
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_NEIGHBOUR);
	tell(f, "10.0.0.2", NUD_REACHABLE, false, 1);
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
	n_named = f->n_named;
	tell(f, "10.0.0.2", NUD_STALE, true, 1);
	assert_true(only_hop(f)->is_valid);
	assert_true(underlay_probe_next_ms(f->u) <= underlay_now_ms());
	check_mac(f, "10.0.0.2", 1);
	/* Nobody is there, as the kernel finds. */
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_NEIGHBOUR);
	assert_int_equal(f->n_named, n_named + 1);
	/* What is said of it then changes the words, but nothing that anybody depends on. */
	n_named = f->n_named;
	tell(f, "10.0.0.2", NUD_FAILED, false, 1);
	UNTIL(f, strcmp(LOOK("10.0.0.2")->text, "next hop 10.0.0.2 on d0 does not answer") == 0);
	assert_int_equal(f->n_named, n_named);
}

static void
test_underlay_names_only_who_leads_over_a_changed_neighbour(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	netns_run("ip route add 10.9.0.0/16 via 10.0.0.2");
	underlay_lab_set_neighbour("d0", "10.0.0.2", "02:00:00:00:09:01");
	underlay_lab_set_neighbour("d0", "10.0.0.3", "02:00:00:00:09:03");
	LOOK("10.9.0.1");
	LOOK("10.9.0.2");
	LOOK("10.0.0.3");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY && STATE("10.0.0.3") == OF_UNDERLAY_READY);
	underlay_lab_settle(f);
	f->n_named = 0;
	netns_run("ip neigh replace 10.0.0.2 dev d0 lladdr 02:00:00:00:09:02 nud permanent");
	UNTIL(f, f->n_named == 2);
	assert_true(underlay_lab_was_named(f, "10.9.0.1"));
	assert_true(underlay_lab_was_named(f, "10.9.0.2"));
	check_mac(f, "10.9.0.1", 2);
	check_mac(f, "10.9.0.2", 2);
	underlay_lab_settle(f);
	assert_int_equal(f->n_named, 2);
	/* It is confirmed: nothing is new. */
	tell(f, "10.0.0.2", NUD_REACHABLE, false, 2);
	tell(f, "10.0.0.2", NUD_STALE, false, 2);
	underlay_lab_settle(f);
	assert_int_equal(f->n_named, 2);
}

/* --- lost news -------------------------------------------------------------------------------------- */

static void
test_underlay_asks_for_all_when_news_were_lost(void **state)
{
	struct of_underlay_addr mine = underlay_lab_addr("10.0.0.77"),
				gone = underlay_lab_addr("10.0.1.1");
	struct underlay_lab *f = *state;
	int tiny = 1;

	underlay_lab_set_ports(f);
	netns_run("ip route add 10.9.0.0/16 via 10.0.1.2");
	underlay_lab_set_neighbour("d0", "10.0.0.2", "02:00:00:00:09:01");
	underlay_lab_set_neighbour("d1", "10.0.1.2", "02:00:00:00:09:05");
	LOOK("10.0.0.2");
	LOOK("10.9.0.1");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY && STATE("10.9.0.1") == OF_UNDERLAY_READY);
	underlay_lab_settle(f);
	assert_int_equal(
		setsockopt(f->u->nl.news_fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), 0);
	netns_run(
		"for i in $(seq 20 80); do "
		"echo neigh replace 10.0.0.$i dev d0 lladdr 02:00:00:00:08:01; done | ip -batch -");
	netns_run("ip neigh replace 10.0.0.2 dev d0 lladdr 02:00:00:00:09:02 nud permanent");
	netns_run("ip addr add 10.0.0.77/24 dev d0; ip addr del 10.0.1.1/24 dev d1");
	netns_run("ip link set d0 mtu 1234");
	assert_int_equal(f->u->counters.n_lost, 0);
	UNTIL(f, f->u->counters.n_lost > 0);
	UNTIL(f, LOOK("10.0.0.2")->paths[0].next_hop_mac[5] == 2 &&
			 LOOK("10.0.0.2")->paths[0].mtu == 1234);
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_NO_ROUTE);
	UNTIL(f, underlay_owns(f->u, &mine) && !underlay_owns(f->u, &gone));
}

/* --- own addresses ---------------------------------------------------------------------------------- */

static bool
own_was_named(const struct underlay_lab *f, const struct of_underlay_addr *a)
{
	for (size_t i = 0; i < f->n_named; i++) {
		if (f->named[i] == of_underlay_own_id(a)) {
			return true;
		}
	}
	return false;
}

static void
test_underlay_knows_the_hosts_addresses(void **state)
{
	struct of_underlay_addr v4 = underlay_lab_addr("10.0.0.1"),
				v6 = underlay_lab_addr("fd01::1"),
				other = underlay_lab_addr("10.0.0.9");
	struct underlay_lab *f = *state;

	UNTIL(f, underlay_owns(f->u, &v4));
	assert_true(underlay_owns(f->u, &v6));
	assert_true(own_was_named(f, &v4));
	assert_false(underlay_owns(f->u, &other));
	assert_false(own_was_named(f, &other));
	/* On two devices: one is enough. */
	netns_run("ip addr add 10.0.0.9/32 dev d0; ip addr add 10.0.0.9/32 dev d1");
	UNTIL(f, underlay_owns(f->u, &other));
	assert_true(own_was_named(f, &other));
	underlay_lab_settle(f);
	f->n_named = 0;
	netns_run("ip addr del 10.0.0.9/32 dev d0");
	underlay_lab_settle(f);
	assert_true(underlay_owns(f->u, &other));
	assert_false(own_was_named(f, &other));
	netns_run("ip addr del 10.0.0.9/32 dev d1");
	UNTIL(f, !underlay_owns(f->u, &other));
	assert_true(own_was_named(f, &other));
	assert_false(own_was_named(f, &v4));
}

static void
test_underlay_lists_addresses_until_it_succeeds(void **state)
{
	struct of_underlay_addr mine = underlay_lab_addr("10.0.0.1"),
				gone = underlay_lab_addr("10.0.1.1");
	struct underlay_lab *f = *state;
	int fd = f->u->nl.dump_fd;

	UNTIL(f, underlay_owns(f->u, &mine) && underlay_owns(f->u, &gone));
	underlay_lab_settle(f);
	/* News that never arrived, and a listing that cannot be asked for. */
	netns_run("ip addr del 10.0.1.1/24 dev d1");
	while (recv(f->u->nl.news_fd, f->u->nl.news, 4096, MSG_DONTWAIT) > 0) {
	}
	f->u->nl.dump_fd = -1;
	underlay_own_list(f->u);
	assert_false(f->u->is_listing);
	underlay_wake(f->u);
	underlay_lab_turn(f);
	underlay_lab_turn(f);
	assert_true(underlay_owns(f->u, &gone));
	f->u->nl.dump_fd = fd;
	UNTIL(f, !underlay_owns(f->u, &gone));
	assert_true(underlay_owns(f->u, &mine));
}

/* --- the table -------------------------------------------------------------------------------------- */

static bool
is_within(const struct of_underlay_addr *a, const struct of_underlay_addr *prefix, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++) {
		if ((a->v[i / 8] ^ prefix->v[i / 8]) & 0x80 >> i % 8) {
			return false;
		}
	}
	return true;
}

/* Prefixes find just those that they contain: against looking at each. */
static void
test_underlay_finds_the_remotes_of_a_prefix(void **state)
{
	const char *seed_text = getenv("WEFT_SEED");
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : 17;
	struct underlay_lab *f = *state;

	print_message("WEFT_SEED=%u\n", seed);
	srandom(seed);
	for (unsigned i = 0; i < 500; i++) {
		struct of_underlay_key key = underlay_lab_key(NULL, i % 3 ? "10.0.0.0" : "fd00::");

		key.remote.v[12 + random() % 4] ^= (uint8_t)(random() % 4);
		key.remote.v[15] = (uint8_t)random();
		if (i % 5 == 0) {
			key.local = underlay_lab_addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
		}
		if (!underlay_remote_find(f->u, &key)) {
			assert_non_null(underlay_remote_add(f->u, &key));
		}
		assert_memory_equal(&underlay_remote_find(f->u, &key)->key, &key, sizeof(key));
	}
	for (unsigned i = 0; i < 3000; i++) {
		bool v4 = random() % 2;
		struct of_underlay_addr prefix =
			f->u->sorted[random() % f->u->n_sorted]->key.remote;
		unsigned bits = (unsigned)random() % (v4 ? 33 : 129), all;
		size_t first, n;

		v4 = underlay_addr_is_v4(&prefix);
		bits = v4 && bits > 32 ? 32 : bits;
		all = bits + (v4 ? 96 : 0);
		prefix.v[15] ^= (uint8_t)(random() % 3);
		n = underlay_remote_range(f->u, &prefix, bits, &first);
		for (size_t k = 0; k < f->u->n_sorted; k++) {
			assert_int_equal(is_within(&f->u->sorted[k]->key.remote, &prefix, all),
				k >= first && k < first + n);
		}
	}
}

static struct of_underlay_key
nth(unsigned i)
{
	struct of_underlay_key key = underlay_lab_key(NULL, "10.128.0.0");

	key.remote.v[14] = (uint8_t)(i >> 8);
	key.remote.v[15] = (uint8_t)i;
	return key;
}

static void
test_underlay_has_room_for_so_many(void **state)
{
	struct underlay_lab *f = *state;
	struct of_underlay_key key;

	for (unsigned i = 0; i < UNDERLAY_MAX_REMOTES; i++) {
		key = nth(i);
		if (i % 2) {
			assert_true(underlay_pin(f->u, &key));
			continue;
		}
		/* No more at a time than the loop can take. */
		assert_int_equal(
			f->provider.lookup(f->provider.user, &key)->state, OF_UNDERLAY_PENDING);
		if (i % 1024 == 0) {
			UNTIL(f, f->u->n_requests == 0);
		}
	}
	UNTIL(f, f->u->n_requests == 0 && list_is_empty(&f->u->asks));
	assert_int_equal(f->u->n_sorted, UNDERLAY_MAX_REMOTES);
	assert_int_equal(STATE("10.0.0.2"), OF_UNDERLAY_FULL);
	key = nth(UNDERLAY_MAX_REMOTES);
	assert_false(underlay_pin(f->u, &key));
	f->n_named = 0;
	underlay_lab_settle(f);
	assert_int_equal(f->n_named, 0);
	/* Room again: who was refused hears so, under number 0. */
	key = nth(1);
	underlay_unpin(f->u, &key);
	UNTIL(f, f->n_named == 2);
	assert_true(f->named[0] == 0 || f->named[1] == 0);
	assert_int_equal(STATE("10.0.0.2"), OF_UNDERLAY_PENDING);
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_DEVICE);
}

static void
test_underlay_forgets_whom_nobody_asks_for(void **state)
{
	struct underlay_lab *f = *state;
	struct of_underlay_key pinned = underlay_lab_key(NULL, "10.0.0.3");
	struct underlay_view view;

	assert_true(underlay_pin(f->u, &pinned));
	LOOK("10.0.0.2");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_DEVICE);
	underlay_lab_settle(f);
	f->n_named = 0;
	/* Each sweep looks at one of the two and one more. */
	for (unsigned i = 0; f->n_named == 0; i++) {
		assert_true(i < 100);
		f->u->sweep_ms = 0;
		underlay_wake(f->u);
		underlay_lab_turn(f);
		underlay_lab_settle(f);
	}
	assert_true(underlay_lab_was_named(f, "10.0.0.2"));
	/* Whoever depends on it asks, and it stays. */
	LOOK("10.0.0.2");
	for (unsigned i = 0; i < 4; i++) {
		f->u->sweep_ms = 0;
		underlay_wake(f->u);
		underlay_lab_turn(f);
		underlay_lab_settle(f);
	}
	assert_int_equal(f->u->n_sorted, 2);
	for (unsigned i = 0; f->u->n_sorted == 2; i++) {
		assert_true(i < 100);
		f->u->sweep_ms = 0;
		underlay_wake(f->u);
		underlay_lab_turn(f);
		underlay_lab_settle(f);
	}
	assert_true(underlay_find(f->u, &pinned, &view));
	assert_int_equal(view.n_pins, 1);
	underlay_unpin(f->u, &pinned);
	assert_false(underlay_find(f->u, &pinned, &view));
}

/* --- handlers --------------------------------------------------------------------------------------- */

struct handler {
	pthread_t thread;
	struct underlay_lab *f;
	struct of_reader *reader;
	_Atomic bool stop;
	unsigned long n_torn;
	unsigned long n_ready;
};

/* A snapshot is whole: both ends of the MAC were written together. */
static void *
look_up(void *arg)
{
	struct handler *h = arg;
	struct underlay_lab *f = h->f;

	for (unsigned i = 0; !atomic_load(&h->stop); i++) {
		struct of_underlay_key key = underlay_lab_key(NULL, "10.0.0.2");
		const struct of_underlay_route *r;

		key.remote.v[15] = (uint8_t)(2 + i % 8);
		of_reader_enter(h->reader);
		r = f->provider.lookup(f->provider.user, &key);
		if (r->state == OF_UNDERLAY_READY) {
			const uint8_t *mac = r->paths[0].next_hop_mac;

			h->n_ready++;
			h->n_torn +=
				mac[4] != mac[5] || r->paths[0].next_hop.v[15] != key.remote.v[15];
		}
		f->provider.owns(f->provider.user, &key.remote);
		of_reader_leave(h->reader);
	}
	return NULL;
}

static void
test_underlay_handlers_see_whole_snapshots(void **state)
{
	struct underlay_lab *f = *state;
	struct handler handlers[2] = {0};

	underlay_lab_set_ports(f);
	for (unsigned i = 2; i < 10; i++) {
		char address[16];

		snprintf(address, sizeof(address), "10.0.0.%u", i);
		underlay_lab_set_neighbour("d0", address, "02:00:00:00:07:07");
	}
	for (unsigned i = 0; i < 2; i++) {
		handlers[i].f = f;
		handlers[i].reader = of_reader_create(f->model);
		pthread_create(&handlers[i].thread, NULL, look_up, &handlers[i]);
	}
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY && STATE("10.0.0.9") == OF_UNDERLAY_READY);
	for (unsigned i = 0; i < 300; i++) {
		struct of_underlay_key key = underlay_lab_key(NULL, "10.0.0.2");

		key.remote.v[15] = (uint8_t)(2 + i % 8);
		if (i % 16 == 15) { /* forgotten, and asked for again */
			if (underlay_pin(f->u, &key)) {
				underlay_unpin(f->u, &key);
			}
		} else {
			struct underlay_hop *hop;

			HMAP_FOREACH (hop, by_key, &f->u->hops) {
				struct underlay_neighbour n = {.ifindex = hop->ifindex,
					.address = key.remote,
					.state = NUD_PERMANENT,
					.has_mac = true,
					.mac = {2, 0, 0, 0, (uint8_t)i, (uint8_t)i}};

				underlay_neighbour_news(f->u, &n, false);
			}
		}
		if (i % 32 == 0) {
			netns_run("ip addr replace 10.0.0.%u/32 dev lo", 100 + i % 7);
		}
		underlay_lab_turn(f);
	}
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&handlers[i].stop, true);
		pthread_join(handlers[i].thread, NULL);
		of_reader_destroy(handlers[i].reader);
		assert_int_equal(handlers[i].n_torn, 0);
	}
	assert_true(handlers[0].n_ready + handlers[1].n_ready > 0);
	netns_run("ip addr flush dev lo");
}

#define LAB_TEST(F) cmocka_unit_test_setup_teardown(F, underlay_lab_begin, underlay_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_underlay_makes_the_kernel_resolve),
		LAB_TEST(test_underlay_recovers_when_a_next_hop_answers_again),
		LAB_TEST(test_underlay_waits_longer_each_time),
		LAB_TEST(test_underlay_uses_a_discarded_address_until_it_proves_wrong),
		LAB_TEST(test_underlay_names_only_who_leads_over_a_changed_neighbour),
		LAB_TEST(test_underlay_asks_for_all_when_news_were_lost),
		LAB_TEST(test_underlay_knows_the_hosts_addresses),
		LAB_TEST(test_underlay_lists_addresses_until_it_succeeds),
		LAB_TEST(test_underlay_finds_the_remotes_of_a_prefix),
		LAB_TEST(test_underlay_has_room_for_so_many),
		LAB_TEST(test_underlay_forgets_whom_nobody_asks_for),
		LAB_TEST(test_underlay_handlers_see_whole_snapshots),
	};

	if (!netns_enter()) {
		puts("1..0 # SKIP no network namespace can be made here");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
