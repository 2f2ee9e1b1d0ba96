/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user devices.
 */
#include "vhost/vhost_user.h"

#include <errno.h>
#include <libgen.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/unix_socket.h"
#include "vhost/packet_mbuf.h"

WEFT_LOG_MODULE(vhost);

/* Virtqueue numbers of pair Q, named from the guest's side (VIRTIO 1.1 s.5.1.2). */
#define GUEST_RX(Q) ((uint16_t)(2 * (Q)))
#define GUEST_TX(Q) ((uint16_t)(2 * (Q) + 1))
#define MAX_BURST 64u
#define NO_DEVICE (-1)

static const uint64_t refused_features =
	1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GSO |
	1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
	1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << VIRTIO_NET_F_GUEST_UFO |
	1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
	1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO;

struct vhost_user {
	struct list link; /* in the devices; under devices_lock */
	struct vhost_user_config config;
	char *path;
	_Atomic int vid; /* of the guest that is there; written by callbacks */
	_Atomic bool queue_on[2 * VHOST_MAX_PAIRS]; /* virtqueues; written by callbacks */
	bool is_packed;                             /* its rings; written before vid is published */
	/* Of the queue's worker. */
	int kick_fds[VHOST_MAX_PAIRS];             /* while armed: what rx_sleep() gave */
	struct rte_mbuf *pending[VHOST_MAX_PAIRS]; /* taken by rx_sleep(), given by the next rx() */
};

static struct list devices = {&devices, &devices};
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER; /* never held around rte_vhost */

static int new_device(int vid);
static void destroy_device(int vid);
static int vring_state_changed(int vid, uint16_t queue, int enable);
static int new_connection(int vid);
static void destroy_connection(int vid);

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/* --- open, close -------------------------------------------------------------------------------------------- */

static bool
check_directory(const char *path, struct weft_error *err)
{
	struct stat st;
	int rc = stat(path, &st) ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

	return !rc ||
	       weft_error_set(err, WEFT_ERR_INVALID, rc,
		       "no directory %s for the socket: %s; make it first, or choose another path",
		       path, strerror(rc));
}

static bool
prepare_path(const struct vhost_user_config *c, struct weft_error *err)
{
	const char *path = c->path, *directory;
	char *copy = xstrdup(path);
	bool ok;

	directory = dirname(copy);

	/* rte_vhost would cut it off. */
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		ok = weft_error_set(err, WEFT_ERR_INVALID, ENAMETOOLONG,
			"socket path %s is longer than %zu characters; choose a shorter one", path,
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	} else {
		ok = c->client || ((c->make_directory ? make_directories(directory, err)
						      : check_directory(directory, err)) &&
					  unix_take_over(path, err));
	}
	free(copy);
	return ok;
}

/* Without multi-queue a guest of one pair cannot be given more, of which nobody would poll the second;
 * for several pairs rte_vhost has no limit of ours. */
static int
limit_pairs(const struct vhost_user *v)
{
	uint64_t features;

	if (v->config.n_pairs > 1) {
		return 0;
	}
	if (rte_vhost_driver_get_protocol_features(v->path, &features) ||
		rte_vhost_driver_set_protocol_features(
			v->path, features & ~(1ull << VHOST_USER_PROTOCOL_F_MQ))) {
		return -EINVAL;
	}
	return rte_vhost_driver_disable_features(v->path, 1ull << VIRTIO_NET_F_MQ) ? -EINVAL : 0;
}

static bool
start_driver(struct vhost_user *v, struct weft_error *err)
{
	const struct vhost_user_config *c = &v->config;
	uint64_t flags =
		RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS | (c->client ? RTE_VHOST_USER_CLIENT : 0);

	if (rte_vhost_driver_register(v->path, flags)) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, EINVAL,
			"cannot register vhost-user socket %s; is the path used by another port?",
			v->path);
	}
	if (rte_vhost_driver_disable_features(v->path, refused_features) || limit_pairs(v) ||
		rte_vhost_driver_callback_register(v->path, &device_ops) ||
		rte_vhost_driver_start(v->path)) {
		rte_vhost_driver_unregister(v->path);
		return weft_error_set(err, WEFT_ERR_SYSTEM, EINVAL,
			"cannot listen on vhost-user socket %s; see the log", v->path);
	}
	if (!c->client &&
		!unix_set_access(v->path, c->owner, c->group, c->mode >= 0 ? c->mode : 0660, err)) {
		rte_vhost_driver_unregister(v->path);
		return false;
	}
	return true;
}

struct vhost_user *
vhost_user_open(const struct vhost_user_config *config, struct weft_error *err)
{
	struct vhost_user *v;

	if (!prepare_path(config, err)) {
		return NULL;
	}
	v = xcalloc(1, sizeof *v);
	v->config = *config;
	v->path = xstrdup(config->path);
	v->config.path = v->path;
	v->vid = NO_DEVICE;
	/* In the list before callbacks may look for it. */
	pthread_mutex_lock(&devices_lock);
	list_push_back(&devices, &v->link);
	pthread_mutex_unlock(&devices_lock);
	if (start_driver(v, err)) {
		return v;
	}
	pthread_mutex_lock(&devices_lock);
	list_remove(&v->link);
	pthread_mutex_unlock(&devices_lock);
	free(v->path);
	free(v);
	return NULL;
}

void
vhost_user_close(struct vhost_user *v)
{
	/* Runs destroy_device() in this thread if a guest is there, which finds v in the list. */
	rte_vhost_driver_unregister(v->path);
	pthread_mutex_lock(&devices_lock);
	list_remove(&v->link);
	pthread_mutex_unlock(&devices_lock);
	/* A callback may have found v just before; it is over when rte_vhost has unregistered. */
	for (unsigned q = 0; q < VHOST_MAX_PAIRS; q++) {
		rte_pktmbuf_free(v->pending[q]);
	}
	free(v->path);
	free(v);
}

void
vhost_user_status(const struct vhost_user *v, struct vhost_user_status *status)
{
	int vid = atomic_load(&v->vid);

	*status = (struct vhost_user_status){.connected = vid >= 0};
	for (unsigned q = 0; vid >= 0 && q < v->config.n_pairs; q++) {
		if (v->queue_on[GUEST_TX(q)] || v->queue_on[GUEST_RX(q)]) {
			status->n_pairs = q + 1;
		}
	}
	if (vid >= 0) {
		rte_vhost_get_negotiated_features(vid, &status->features);
		if (rte_vhost_get_mtu(vid, &status->mtu)) {
			status->mtu = 0;
		}
	}
}

/* --- callbacks ------------------------------------------------------------------------------------------------ */

static struct vhost_user *
device_of(int vid)
{
	struct vhost_user *v, *found = NULL;
	char path[4096];

	if (rte_vhost_get_ifname(vid, path, sizeof path)) {
		return NULL;
	}
	pthread_mutex_lock(&devices_lock);
	LIST_FOREACH (v, link, &devices) {
		if (!strcmp(v->path, path)) {
			found = v;
			break;
		}
	}
	pthread_mutex_unlock(&devices_lock);
	return found;
}

/* What queues the guest before had enabled is over. */
static void
forget_queues(struct vhost_user *v)
{
	for (unsigned q = 0; q < 2 * VHOST_MAX_PAIRS; q++) {
		atomic_store(&v->queue_on[q], false);
	}
}

static int
new_connection(int vid)
{
	struct vhost_user *v = device_of(vid);

	if (v && atomic_load(&v->vid) < 0) {
		forget_queues(v);
	}
	return 0;
}

/* The next guest may have connected before this one was seen to be gone. */
static void
destroy_connection(int vid)
{
	struct vhost_user *v = device_of(vid);

	if (v && atomic_load(&v->vid) < 0) {
		forget_queues(v);
	}
}

static int
new_device(int vid)
{
	struct vhost_user *v = device_of(vid);
	uint64_t features = 0;

	if (!v) {
		return -1;
	}
	if (atomic_load(&v->vid) >= 0) {
		LOG_WARN_RL("%s: a second guest is refused while the first is there", v->path);
		return -1;
	}
	for (unsigned q = 0; q < v->config.n_pairs; q++) {
		rte_vhost_enable_guest_notification(vid, GUEST_TX(q), 0);
		rte_vhost_enable_guest_notification(vid, GUEST_RX(q), 0);
	}
	rte_vhost_get_negotiated_features(vid, &features);
	v->is_packed = features >> VIRTIO_F_RING_PACKED & 1;
	atomic_store_explicit(&v->vid, vid, memory_order_release);
	LOG_INFO("%s: guest has come", v->path);
	v->config.changed(v->config.user);
	return 0;
}

static void
destroy_device(int vid)
{
	struct vhost_user *v = device_of(vid);

	if (!v || atomic_load(&v->vid) != vid) {
		return;
	}
	atomic_store(&v->vid, NO_DEVICE);
	/* Who may still use the guest's memory: workers in the middle of a burst. */
	v->config.synchronize();
	LOG_INFO("%s: guest has gone", v->path);
	v->config.changed(v->config.user);
}

static int
vring_state_changed(int vid, uint16_t queue, int enable)
{
	struct vhost_user *v = device_of(vid);

	if (!v || queue >= 2 * VHOST_MAX_PAIRS ||
		(atomic_load(&v->vid) >= 0 && atomic_load(&v->vid) != vid)) {
		return 0;
	}
	/* No waiting for workers here: rte_vhost holds the access locks of all queues of the device
	 * around this call, and a worker in enqueue spins for one. It is these locks that protect the
	 * queue: rte_vhost looks under them whether it is enabled. */
	atomic_store(&v->queue_on[queue], enable);
	v->config.changed(v->config.user);
	return 0;
}

/* --- packets ---------------------------------------------------------------------------------------------------- */

/* The guest's device if virtqueue @queue may be used now, or NO_DEVICE. */
static inline int
usable(const struct vhost_user *v, uint16_t queue)
{
	return atomic_load_explicit(&v->queue_on[queue], memory_order_relaxed)
		       ? atomic_load_explicit(&v->vid, memory_order_acquire)
		       : NO_DEVICE;
}

uint16_t
vhost_user_rx(struct vhost_user *v, uint16_t q, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	int vid = usable(v, GUEST_TX(q));
	uint16_t got, kept = 0;

	if (WEFT_UNLIKELY(v->pending[q])) {
		mbufs[0] = v->pending[q];
		v->pending[q] = NULL;
		got = 1;
	} else if (vid < 0) {
		return 0;
	} else {
		got = rte_vhost_dequeue_burst(
			vid, GUEST_TX(q), v->config.pool, mbufs, WEFT_MIN(n, (uint16_t)MAX_BURST));
	}
	for (uint16_t i = 0; i < got; i++) {
		struct packet *p = packet_of_mbuf(mbufs[i]);

		if (i + 1 < got) {
			rte_prefetch0(packet_of_mbuf(mbufs[i + 1]));
		}
		if (WEFT_UNLIKELY(rte_pktmbuf_pkt_len(mbufs[i]) > PACKET_MAX_LEN)) {
			rte_pktmbuf_free(mbufs[i]);
			v->config.rx_dropped(v->config.user, DROP_RX_TOO_LONG, 1);
			continue;
		}
		mbufs[i]->ol_flags = 0;
		packet_init_from_mbuf(p, mbufs[i], v->config.in_port, (uint8_t)q);
		pkts[kept++] = p;
	}
	return kept;
}

uint16_t
vhost_user_tx(struct vhost_user *v, uint16_t q, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	int vid = usable(v, GUEST_RX(q));
	uint16_t sent;

	if (vid < 0) {
		return 0;
	}
	n = WEFT_MIN(n, (uint16_t)MAX_BURST);
	for (uint16_t i = 0; i < n; i++) {
		mbufs[i] = packet_mbuf(pkts[i]);
	}
	/* Copies, and notifies the guest once if it wants that. */
	sent = rte_vhost_enqueue_burst(vid, GUEST_RX(q), mbufs, n);
	rte_pktmbuf_free_bulk(mbufs, sent);
	return sent;
}

/* --- sleep -------------------------------------------------------------------------------------------------------- */

/* Whether the guest has packets for us. rte_vhost counts in split rings only; in a packed one the way
 * to see a packet is to take it (the guest's memory may go while we look by ourselves). */
static bool
is_waiting(struct vhost_user *v, int vid, uint16_t q)
{
	struct rte_mbuf *taken; /* written also when nothing comes */

	if (!v->is_packed) {
		return rte_vhost_rx_queue_count(vid, GUEST_TX(q));
	}
	if (rte_vhost_dequeue_burst(vid, GUEST_TX(q), v->config.pool, &taken, 1)) {
		v->pending[q] = taken;
	}
	return v->pending[q];
}

int
vhost_user_rx_sleep(struct vhost_user *v, uint16_t q)
{
	int vid = usable(v, GUEST_TX(q));
	struct rte_vhost_vring vring;

	v->kick_fds[q] = -1;
	if (v->pending[q]) {
		return -EAGAIN;
	}
	if (vid < 0) {
		return -ENODEV;
	}
	if (rte_vhost_get_vhost_vring(vid, GUEST_TX(q), &vring) || vring.kickfd < 0) {
		return -ENOTSUP;
	}
	rte_vhost_enable_guest_notification(vid, GUEST_TX(q), 1);
	/* The guest writes its index, fences, then looks whether we want a kick. */
	atomic_thread_fence(memory_order_seq_cst);
	v->kick_fds[q] = vring.kickfd;
	if (is_waiting(v, vid, q)) {
		vhost_user_rx_woken(v, q);
		return -EAGAIN;
	}
	return vring.kickfd;
}

void
vhost_user_rx_woken(struct vhost_user *v, uint16_t q)
{
	int vid = usable(v, GUEST_TX(q)), fd = v->kick_fds[q];
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct rte_vhost_vring vring;
	uint64_t kicks;

	v->kick_fds[q] = -1;
	if (vid < 0 || fd < 0) {
		return;
	}
	rte_vhost_enable_guest_notification(vid, GUEST_TX(q), 0);
	/* The descriptor may have been replaced while we slept, and may block: the guest made it. */
	if (!rte_vhost_get_vhost_vring(vid, GUEST_TX(q), &vring) && vring.kickfd == fd &&
		poll(&readable, 1, 0) == 1 && readable.revents & POLLIN &&
		read(fd, &kicks, sizeof kicks) < 0) {
		LOG_DBG("%s: cannot drain the kick of queue %u: %s", v->path, q, strerror(errno));
	}
}
