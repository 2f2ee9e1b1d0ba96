/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet socket.
 *
 * Why: each receive slot holds one buffer and, behind it, room of its own for the rest of a 64 KiB frame:
 *      buffers posted for the longest frame would be 32 a slot, 500 a port, of a pool that all
 *      ports share. The rest is copied into buffers when there is one.
 */
#include "datapath/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "datapath/port_provider.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "vhost/packet_mbuf.h"

#define RX_SLOTS 32u
#define TX_SLOTS 32u
#define TX_IOVECS 512u
#define SOCKET_BUFFER (4 * 1024 * 1024)
#define REST_SIZE 65536u
#define VLAN_TAG_LEN 4u

/* Values of older kernel headers than the running kernel. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct slot {
	struct rte_mbuf *mbuf; /* NULL: none was to be had */
	struct virtio_net_hdr header;
	struct iovec iov[3]; /* header, buffer, rest */
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))] __attribute__((aligned(8)));
};

struct packet_socket {
	int fd;
	bool is_tap; /* a frame a call */
	uint16_t in_port;
	struct port *port;
	struct rte_mempool *pool;
	uint64_t missed; /* ports thread's */
	/* rx; its worker's. */
	struct slot slots[RX_SLOTS];
	struct mmsghdr rx[RX_SLOTS];
	uint8_t *rest; /* REST_SIZE for each slot */
	/* tx; under the core's lock. */
	struct mmsghdr tx[TX_SLOTS];
	struct virtio_net_hdr tx_headers[TX_SLOTS];
	struct iovec tx_iov[TX_IOVECS];
};

/* --- open and close ------------------------------------------------------------------------------------- */

static int
configure(int fd, uint32_t ifindex)
{
	struct packet_mreq promiscuous = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex};
	int one = 1, size = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) ||
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) ||
		setsockopt(
			fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous)) {
		return -errno;
	}
	/* Without the privilege for more, as much as is allowed. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) {
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	}
	return bind(fd, (struct sockaddr *)&address, sizeof address) ? -errno : 0;
}

static void
prepare_slots(struct packet_socket *s)
{
	for (unsigned i = 0; i < RX_SLOTS; i++) {
		struct slot *slot = &s->slots[i];

		slot->iov[0] = (struct iovec){&slot->header, sizeof slot->header};
		slot->iov[2] = (struct iovec){s->rest + (size_t)i * REST_SIZE, REST_SIZE};
		s->rx[i].msg_hdr = (struct msghdr){
			.msg_iov = slot->iov, .msg_iovlen = 3, .msg_control = slot->control};
	}
}

static struct packet_socket *
create(uint16_t in_port, struct port *port, struct rte_mempool *pool)
{
	struct packet_socket *s = xcalloc(1, sizeof *s);

	s->fd = -1;
	s->in_port = in_port;
	s->port = port;
	s->pool = pool;
	/* Pages come when a long frame first needs them. */
	s->rest = mmap(NULL, (size_t)RX_SLOTS * REST_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->rest != MAP_FAILED) {
		prepare_slots(s);
	}
	return s;
}

struct packet_socket *
packet_socket_open_tap(int fd, uint16_t in_port, struct port *port, struct rte_mempool *pool,
	struct weft_error *err)
{
	struct packet_socket *s = create(in_port, port, pool);

	s->fd = fd;
	s->is_tap = true;
	if (s->rest != MAP_FAILED) {
		return s;
	}
	weft_error_set(
		err, WEFT_ERR_SYSTEM, errno, "cannot get memory for a tap: %s", strerror(errno));
	packet_socket_close(s);
	return NULL;
}

struct packet_socket *
packet_socket_open(uint32_t ifindex, uint16_t in_port, struct port *port, struct rte_mempool *pool,
	struct weft_error *err)
{
	struct packet_socket *s = create(in_port, port, pool);
	int rc;

	/* Protocol 0: nothing comes in before it is bound. */
	s->fd = s->rest == MAP_FAILED
			? -1
			: socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = s->fd < 0 ? -errno : configure(s->fd, ifindex);
	if (rc) {
		weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "cannot open a packet socket: %s%s",
			strerror(-rc),
			rc == -EPERM ? "; run weft-datapath as root or give it CAP_NET_RAW" : "");
		packet_socket_close(s);
		return NULL;
	}
	return s;
}

void
packet_socket_close(struct packet_socket *s)
{
	if (!s) {
		return;
	}
	for (unsigned i = 0; i < RX_SLOTS; i++) {
		rte_pktmbuf_free(s->slots[i].mbuf);
	}
	if (s->rest != MAP_FAILED) {
		munmap(s->rest, (size_t)RX_SLOTS * REST_SIZE);
	}
	if (s->fd >= 0) {
		close(s->fd);
	}
	free(s);
}

int
packet_socket_fd(const struct packet_socket *s)
{
	return s->fd;
}

uint64_t
packet_socket_missed(struct packet_socket *s)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof stats;

	/* The kernel starts anew with each reading. A tap's are its transmit drops, as netdev_find() tells. */
	if (!s->is_tap && !getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len)) {
		s->missed += stats.tp_drops;
	}
	return s->missed;
}

/* --- rx --------------------------------------------------------------------------------------------------- */

/* Gives buffers to the first @n slots; returns how many of them have one. */
static unsigned
fill_slots(struct packet_socket *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct slot *slot = &s->slots[i];

		if (!slot->mbuf) {
			slot->mbuf = rte_pktmbuf_alloc(s->pool);
			if (!slot->mbuf) {
				return i;
			}
			slot->iov[1] = (struct iovec){rte_pktmbuf_mtod(slot->mbuf, void *),
				rte_pktmbuf_tailroom(slot->mbuf)};
		}
		s->rx[i].msg_hdr.msg_controllen = sizeof slot->control;
	}
	return n;
}

/* Copies @n bytes of a long frame behind the buffer that holds its beginning. */
static bool
append_rest(struct packet_socket *s, struct rte_mbuf *m, const uint8_t *data, uint32_t n)
{
	struct rte_mbuf *last = m;

	while (n) {
		struct rte_mbuf *more = rte_pktmbuf_alloc(s->pool);
		uint32_t part;

		if (!more) {
			return false;
		}
		more->data_off = 0;
		part = WEFT_MIN(n, (uint32_t)more->buf_len);
		memcpy(rte_pktmbuf_mtod(more, void *), data, part);
		more->data_len = (uint16_t)part;
		last->next = more;
		last = more;
		m->nb_segs++;
		m->pkt_len += part;
		data += part;
		n -= part;
	}
	return true;
}

static const struct tpacket_auxdata *
find_auxdata(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
		}
	}
	return NULL;
}

/* Puts back the tag that the kernel keeps beside the frame. Returns the bytes added. */
static uint16_t
restore_tag(struct rte_mbuf *m, struct msghdr *msg)
{
	const struct tpacket_auxdata *aux = find_auxdata(msg);
	uint8_t *data;

	if (!aux || !(aux->tp_status & TP_STATUS_VLAN_VALID) || m->data_len < 2 * ETH_ALEN) {
		return 0;
	}
	data = (uint8_t *)rte_pktmbuf_prepend(m, VLAN_TAG_LEN);
	if (!data) {
		return 0; /* never: a new buffer has headroom */
	}
	memmove(data, data + VLAN_TAG_LEN, (size_t)2 * ETH_ALEN);
	put_be16(data + 12,
		aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q);
	put_be16(data + 14, aux->tp_vlan_tci);
	return VLAN_TAG_LEN;
}

/* What the kernel says about checksum and segmentation. */
static void
take_offloads(struct packet *p, const struct virtio_net_hdr *header, uint16_t moved)
{
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		p->flags |= PACKET_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(header->csum_start + moved);
		p->csum_offset = header->csum_offset;
	} else if (header->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		p->flags |= PACKET_CSUM_VALID;
	}
	switch (header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		p->flags |= PACKET_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		p->flags |= PACKET_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		p->flags |= PACKET_GSO_UDP;
		break;
	default:
		return;
	}
	p->flags |= header->gso_type & VIRTIO_NET_HDR_GSO_ECN ? PACKET_GSO_ECN : 0;
	p->gso_size = header->gso_size;
}

/* Makes the packet of what slot @i received; NULL: lost and counted. */
static struct packet *
take_slot(struct packet_socket *s, unsigned i)
{
	struct slot *slot = &s->slots[i];
	struct msghdr *msg = &s->rx[i].msg_hdr;
	uint32_t len = s->rx[i].msg_len, room = (uint32_t)slot->iov[1].iov_len;
	struct rte_mbuf *m = slot->mbuf;
	struct packet *p;
	uint16_t moved;

	len = len > sizeof slot->header ? len - (uint32_t)sizeof slot->header : 0;
	if (msg->msg_flags & MSG_TRUNC || len > PACKET_MAX_LEN - VLAN_TAG_LEN) {
		port_core_rx_drop(s->port, DROP_RX_TOO_LONG, 1);
		return NULL;
	}
	slot->mbuf = NULL;
	m->data_len = (uint16_t)WEFT_MIN(len, room);
	m->pkt_len = m->data_len;
	if (len > room && !append_rest(s, m, slot->iov[2].iov_base, len - room)) {
		rte_pktmbuf_free(m);
		port_core_rx_drop(s->port, DROP_RX_NO_BUFFER, 1);
		return NULL;
	}
	moved = restore_tag(m, msg);
	p = packet_of_mbuf(m);
	packet_init_from_mbuf(p, m, s->in_port, 0);
	take_offloads(p, &slot->header, moved);
	return p;
}

/* As recvmmsg() of so many messages. */
static int
read_tap(struct packet_socket *s, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		ssize_t len = readv(s->fd, s->slots[i].iov, WEFT_ARRAY_SIZE(s->slots[i].iov));

		if (len <= 0) {
			break;
		}
		s->rx[i].msg_len = (unsigned)len;
		s->rx[i].msg_hdr.msg_controllen = 0; /* tags stand in the frames */
	}
	return (int)i;
}

uint16_t
packet_socket_rx(struct packet_socket *s, struct packet **pkts, uint16_t n)
{
	unsigned ready = fill_slots(s, WEFT_MIN(n, RX_SLOTS));
	int got = !ready      ? 0
		  : s->is_tap ? read_tap(s, ready)
			      : recvmmsg(s->fd, s->rx, ready, MSG_DONTWAIT, NULL);
	uint16_t kept = 0;

	for (int i = 0; i < got; i++) {
		struct packet *p = take_slot(s, (unsigned)i);

		if (p) {
			pkts[kept++] = p;
		}
	}
	return kept;
}

/* --- tx --------------------------------------------------------------------------------------------------- */

static void
tell_offloads(const struct packet *p, struct virtio_net_hdr *header)
{
	uint32_t l4_len = 8;

	*header = (struct virtio_net_hdr){0};
	if (p->flags & PACKET_CSUM_PARTIAL) {
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = p->csum_start;
		header->csum_offset = p->csum_offset;
	} else if (p->flags & PACKET_CSUM_VALID) {
		header->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (!(p->flags & PACKET_GSO_MASK)) {
		return;
	}
	if (p->flags & PACKET_GSO_UDP) {
		header->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	} else {
		header->gso_type = p->flags & PACKET_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
							      : VIRTIO_NET_HDR_GSO_TCPV6;
		header->gso_type |= p->flags & PACKET_GSO_ECN ? VIRTIO_NET_HDR_GSO_ECN : 0;
		l4_len = p->csum_start + 13u <= p->head_len
				 ? (p->data[p->csum_start + 12] >> 4) * 4u
				 : 20u;
	}
	header->gso_size = p->gso_size;
	header->hdr_len = (uint16_t)WEFT_MIN(p->csum_start + l4_len, p->len);
}

/* Fills message @i from packet @p; returns the iovecs used, 0: there are too few left. */
static unsigned
fill_message(struct packet_socket *s, unsigned i, const struct packet *p, unsigned used)
{
	const struct rte_mbuf *m = packet_mbuf(p);
	struct iovec *iov = s->tx_iov + used;
	unsigned n = 0;

	if (used + 1u + m->nb_segs > TX_IOVECS) {
		return 0;
	}
	tell_offloads(p, &s->tx_headers[i]);
	iov[n++] = (struct iovec){&s->tx_headers[i], sizeof s->tx_headers[i]};
	for (; m; m = m->next) {
		iov[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	}
	s->tx[i].msg_hdr = (struct msghdr){.msg_iov = iov, .msg_iovlen = n};
	return n;
}

/* Why the kernel refused a packet for good; DROP_N: it may take it later. */
static unsigned
refusal(const struct packet *p, int error)
{
	switch (error) {
	case EAGAIN:
		return DROP_N;
	case ENOBUFS:
		return DROP_TX_FULL;
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
	case EIO:    /* a tap that is down */
	case EBADFD: /* or was deleted */
		return DROP_TX_DOWN;
	case EMSGSIZE:
		return DROP_TX_TOO_LONG;
	default:
		return p->flags & (PACKET_CSUM_PARTIAL | PACKET_GSO_MASK) ? DROP_TX_OFFLOAD
									  : DROP_TX_ERROR;
	}
}

/* As sendmmsg(). */
static int
write_tap(struct packet_socket *s, const struct mmsghdr *messages, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct msghdr *m = &messages[i].msg_hdr;

		if (writev(s->fd, m->msg_iov, (int)m->msg_iovlen) < 0) {
			break;
		}
	}
	return i ? (int)i : -1;
}

/* Sends the first @n messages. Returns how many packets are dealt with: sent, or refused for good. */
static unsigned
send_messages(struct packet_socket *s, struct packet **pkts, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		int sent = s->is_tap ? write_tap(s, s->tx + done, n - done)
				     : sendmmsg(s->fd, s->tx + done, n - done, MSG_DONTWAIT);
		unsigned reason;

		if (sent > 0) {
			done += (unsigned)sent;
			continue;
		}
		if (errno == EINTR) {
			continue;
		}
		reason = refusal(pkts[done], errno);
		if (reason == DROP_N) {
			break;
		}
		port_core_tx_drop(s->port, reason, 1);
		done++;
	}
	for (unsigned i = 0; i < done; i++) {
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
	return done;
}

uint16_t
packet_socket_tx(struct packet_socket *s, struct packet **pkts, uint16_t n)
{
	uint16_t done = 0;

	while (done < n) {
		unsigned batch = 0, used = 0, dealt;

		while (batch < TX_SLOTS && done + batch < n) {
			unsigned more = fill_message(s, batch, pkts[done + batch], used);

			if (!more) {
				break;
			}
			used += more;
			batch++;
		}
		if (!batch) {
			/* One packet of more pieces than a call takes. */
			rte_pktmbuf_free(packet_mbuf(pkts[done++]));
			port_core_tx_drop(s->port, DROP_TX_ERROR, 1);
			continue;
		}
		dealt = send_messages(s, pkts + done, batch);
		done = (uint16_t)(done + dealt);
		if (dealt < batch) {
			break;
		}
	}
	return done;
}
