/* SPDX-License-Identifier: Apache-2.0
 *
 * Reflector: the generator's two ports back to back, for its own limit.
 *
 * What: a vhost-user server that moves descriptors from one port's transmit ring to the other's
 *       receive ring and touches no packet: lengths and the virtio-net header are written, data
 *       is not copied. No switch that copies can be faster; a figure near this one tells of the
 *       generator, not of the switch.
 */
#include "utilities/bench/bench.h"

#include <rte_pause.h>
#include <rte_vhost.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 128
#define PATIENCE 2000

#define NET_HEADER 12 /* struct virtio_net_hdr_v1 */

struct side {
	const char *path;
	_Atomic int vid;   /* of the attached guest, or -1; written by vhost callbacks */
	_Atomic bool busy; /* the loop is between look and leave */
	struct rte_vhost_vring tx, rx; /* the guest's view: tx is what it sends */
	struct rte_vhost_memory *memory;
	uint16_t tx_seen, rx_seen; /* avail indices taken */
	unsigned patience;         /* looks since frames were last taken */
};

static struct side sides[2] = {{.vid = -1}, {.vid = -1}};

static int device_new(int vid);
static void device_gone(int vid);
static unsigned move(struct side *from, struct side *to, unsigned frame_len);
static struct side *side_of(int vid);

int
bench_reflect(const struct bench_options *o)
{
	static const struct rte_vhost_device_ops ops = {
		.new_device = device_new,
		.destroy_device = device_gone,
	};

	bench_open_eal(o);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t features = 1ull << 32 | 1ull << 35; /* VERSION_1, IN_ORDER */

		sides[i].path = o->socket[i];
		unlink(o->socket[i]);
		if (rte_vhost_driver_register(o->socket[i], 0) ||
			rte_vhost_driver_set_features(o->socket[i], features) ||
			rte_vhost_driver_callback_register(o->socket[i], &ops) ||
			rte_vhost_driver_start(o->socket[i])) {
			fprintf(stderr, "weft-bench: cannot serve %s\n", o->socket[i]);
			return EXIT_FAILURE;
		}
	}
	puts("ready");
	fflush(stdout);
	while (!bench_stop) {
		bool both = true;
		unsigned n = 0;

		for (unsigned i = 0; i < 2; i++) {
			atomic_store(&sides[i].busy, true);
			both &= atomic_load(&sides[i].vid) >= 0;
		}
		if (both) {
			n = move(&sides[0], &sides[1], o->size - 4) +
			    move(&sides[1], &sides[0], o->size - 4);
		}
		for (unsigned i = 0; i < 2; i++) {
			atomic_store_explicit(&sides[i].busy, false, memory_order_release);
		}
		if (!n) {
			rte_pause();
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		rte_vhost_driver_unregister(o->socket[i]);
	}
	bench_close();
	return EXIT_SUCCESS;
}

/* Moves as many frames as @from has sent and @to has room for. */
static unsigned
move(struct side *from, struct side *to, unsigned frame_len)
{
	uint16_t sent = __atomic_load_n(&from->tx.avail->idx, __ATOMIC_ACQUIRE) - from->tx_seen;
	uint16_t room = __atomic_load_n(&to->rx.avail->idx, __ATOMIC_ACQUIRE) - to->rx_seen;
	uint16_t n = sent < room ? sent : room;

	/* Small batches pass the rings' cache lines back and forth and slow both sides down. */
	if (n < BATCH && from->patience++ < PATIENCE) {
		return 0;
	}
	from->patience = 0;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t src = from->tx_seen + i, dst = to->rx_seen + i;
		uint16_t src_id = from->tx.avail->ring[src & (from->tx.size - 1)];
		uint16_t dst_id = to->rx.avail->ring[dst & (to->rx.size - 1)];
		uint64_t len = NET_HEADER;
		uint8_t *header = (uint8_t *)(uintptr_t)rte_vhost_va_from_guest_pa(
			to->memory, to->rx.desc[dst_id & (to->rx.size - 1)].addr, &len);

		if (header && len == NET_HEADER) {
			memset(header, 0, NET_HEADER);
			header[10] = 1; /* num_buffers */
		}
		from->tx.used->ring[src & (from->tx.size - 1)] =
			(struct vring_used_elem){src_id, 0};
		to->rx.used->ring[dst & (to->rx.size - 1)] =
			(struct vring_used_elem){dst_id, NET_HEADER + frame_len};
	}
	if (n) {
		from->tx_seen += n;
		to->rx_seen += n;
		__atomic_store_n(&from->tx.used->idx, from->tx_seen, __ATOMIC_RELEASE);
		__atomic_store_n(&to->rx.used->idx, to->rx_seen, __ATOMIC_RELEASE);
	}
	return n;
}

static int
device_new(int vid)
{
	struct side *s = side_of(vid);

	if (!s || rte_vhost_get_mem_table(vid, &s->memory) ||
		rte_vhost_get_vhost_vring(vid, 0, &s->rx) ||
		rte_vhost_get_vhost_vring(vid, 1, &s->tx)) {
		return -1;
	}
	s->tx_seen = s->tx.used->idx;
	s->rx_seen = s->rx.used->idx;
	s->tx.used->flags = VRING_USED_F_NO_NOTIFY;
	s->rx.used->flags = VRING_USED_F_NO_NOTIFY;
	atomic_store(&s->vid, vid);
	return 0;
}

static void
device_gone(int vid)
{
	struct side *s = side_of(vid);

	if (!s) {
		return;
	}
	atomic_store(&s->vid, -1);
	while (atomic_load(&s->busy)) { /* the loop leaves within microseconds */
		rte_pause();
	}
	free(s->memory);
	s->memory = NULL;
}

static struct side *
side_of(int vid)
{
	char path[4096];

	if (rte_vhost_get_ifname(vid, path, sizeof path)) {
		return NULL;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (sides[i].path && !strcmp(path, sides[i].path)) {
			return &sides[i];
		}
	}
	return NULL;
}
