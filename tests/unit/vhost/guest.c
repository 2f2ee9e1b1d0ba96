/* SPDX-License-Identifier: Apache-2.0
 *
 * Guest.
 */
#include "tests/unit/vhost/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/compiler.h"

/* vhost-user's messages. */
enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
};

#define VERSION 1u
#define PROTOCOL_F_MQ 1u
#define USER_BASE                                                                                  \
	0x100000000u /* where the memory stands in the monitor's pretended address space */
#define USED_NO_NOTIFY 1u
#define PACKED_NO_NOTIFY 1u
#define PACKED_AVAIL (1u << 7)
#define PACKED_USED (1u << 15)

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, value;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} address;
		struct {
			uint32_t n, zero;
			uint64_t guest, size, user, offset;
		} memory;
	};
} __attribute__((packed));

#define MESSAGE_HEAD 12u

struct packed_desc {
	uint64_t address;
	uint32_t len;
	uint16_t id, flags;
};

/* --- messages -------------------------------------------------------------------------------------------- */

static void
tell(struct guest *g, struct message *m, int fd)
{
	char control[CMSG_SPACE(sizeof fd)] __attribute__((aligned(8))) = {0};
	struct iovec iov = {m, MESSAGE_HEAD + m->size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	m->flags = VERSION;
	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof control;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	assert_int_equal(sendmsg(g->fd, &msg, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
}

static void
tell_u64(struct guest *g, enum request request, uint64_t value, int fd)
{
	struct message m = {.request = request, .size = 8, .u64 = value};

	tell(g, &m, fd);
}

static void
tell_state(struct guest *g, enum request request, unsigned index, uint32_t value)
{
	struct message m = {.request = request, .size = 8, .state = {index, value}};

	tell(g, &m, -1);
}

static uint64_t
ask(struct guest *g, struct message *m)
{
	enum request request = m->request;

	tell(g, m, -1);
	assert_int_equal(recv(g->fd, m, MESSAGE_HEAD + 8, MSG_WAITALL), MESSAGE_HEAD + 8);
	assert_int_equal(m->request, request);
	return m->u64;
}

void
guest_sync(struct guest *g)
{
	struct message m = {.request = GET_FEATURES};

	/* One message is done with before the next is read. */
	ask(g, &m);
}

void
guest_enable(struct guest *g, unsigned queue, bool enable)
{
	tell_state(g, SET_VRING_ENABLE, queue, enable);
	guest_sync(g);
}

uint32_t
guest_stop_ring(struct guest *g, unsigned queue)
{
	struct message m = {.request = GET_VRING_BASE, .size = 8, .state = {queue, 0}};

	ask(g, &m);
	return m.state.value;
}

/* --- life -------------------------------------------------------------------------------------------------- */

static struct sockaddr_un
address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	return address;
}

void
guest_connect(struct guest *g, const char *path)
{
	struct sockaddr_un address = address_of(path);

	*g = (struct guest){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .memory_fd = -1};
	assert_int_equal(connect(g->fd, (struct sockaddr *)&address, sizeof address), 0);
}

int
guest_listen(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

void
guest_accept(struct guest *g, int fd)
{
	*g = (struct guest){.fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC), .memory_fd = -1};
	assert_true(g->fd >= 0);
}

uint64_t
guest_address(size_t offset)
{
	return offset; /* the guest's physical memory begins at 0 */
}

static size_t
place_ring(struct guest_ring *r, size_t at)
{
	r->desc = at;
	r->avail = r->desc + 16 * GUEST_RING_SIZE;
	r->used = WEFT_ROUND_UP(r->avail + 6 + 2 * GUEST_RING_SIZE, 4096u);
	r->buffers = WEFT_ROUND_UP(r->used + 6 + 8 * GUEST_RING_SIZE, 4096u);
	return r->buffers + (size_t)GUEST_RING_SIZE * GUEST_BUFFER_SIZE;
}

static size_t
buffer_of(const struct guest_ring *r, unsigned index)
{
	return r->buffers + (size_t)index * GUEST_BUFFER_SIZE;
}

static void
share_memory(struct guest *g)
{
	struct message m = {.request = SET_MEM_TABLE, .size = 40};

	for (unsigned q = 0; q < 2 * g->n_pairs; q++) {
		g->memory_size = place_ring(&g->rings[q], g->memory_size);
	}
	g->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(g->memory_fd, (off_t)g->memory_size), 0);
	g->memory = mmap(NULL, g->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->memory_fd, 0);
	assert_true(g->memory != MAP_FAILED);
	m.memory.n = 1;
	m.memory.size = g->memory_size;
	m.memory.user = USER_BASE;
	tell(g, &m, g->memory_fd);
}

static void
start_ring(struct guest *g, unsigned queue)
{
	struct guest_ring *r = &g->rings[queue];
	struct message m = {.request = SET_VRING_ADDR, .size = 40};
	bool packed = g->features & GUEST_F_RING_PACKED;

	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (uint16_t i = 0; !(queue & 1) && !packed && i < GUEST_RING_SIZE; i++) {
		guest_describe(g, queue, i, guest_address(buffer_of(r, i)), GUEST_BUFFER_SIZE,
			GUEST_DESC_WRITE, 0);
		guest_offer(g, queue, i);
	}
	tell_state(g, SET_VRING_NUM, queue, GUEST_RING_SIZE);
	/* Packed: both wrap counters begin with 1 (VIRTIO 1.1 s.2.7.1). */
	tell_state(g, SET_VRING_BASE, queue, packed ? 0x80008000u : 0);
	m.address.index = queue;
	m.address.desc = USER_BASE + r->desc;
	m.address.used = USER_BASE + r->used;
	m.address.avail = USER_BASE + r->avail;
	tell(g, &m, -1);
	tell_u64(g, SET_VRING_CALL, queue, r->call);
	tell_u64(g, SET_VRING_KICK, queue, r->kick);
}

void
guest_start(struct guest *g, unsigned n_pairs, uint64_t features)
{
	struct message get = {.request = GET_FEATURES},
		       get_protocol = {.request = GET_PROTOCOL_FEATURES};
	struct message own = {.request = SET_OWNER};

	g->n_pairs = n_pairs;
	tell(g, &own, -1);
	g->offered = ask(g, &get);
	g->features = g->offered & features;
	if (g->features & GUEST_F_PROTOCOL_FEATURES) {
		tell_u64(g, SET_PROTOCOL_FEATURES, ask(g, &get_protocol) & PROTOCOL_F_MQ, -1);
	}
	tell_u64(g, SET_FEATURES, g->features, -1);
	share_memory(g);
	for (unsigned q = 0; q < 2 * n_pairs; q++) {
		start_ring(g, q);
	}
	for (unsigned q = 0; q < 2 * n_pairs; q++) {
		tell_state(g, SET_VRING_ENABLE, q, 1);
	}
	guest_sync(g);
}

void
guest_kill(struct guest *g)
{
	close(g->fd);
	g->fd = -1;
	for (unsigned q = 0; g->memory && q < 2 * g->n_pairs; q++) {
		close(g->rings[q].kick);
		close(g->rings[q].call);
	}
	if (g->memory) {
		munmap(g->memory, g->memory_size);
		close(g->memory_fd);
	}
	g->memory = NULL;
}

/* --- rings ------------------------------------------------------------------------------------------------- */

static uint16_t
get_u16(const struct guest *g, size_t offset)
{
	return atomic_load((_Atomic uint16_t *)(void *)(g->memory + offset));
}

static void
put_u16(struct guest *g, size_t offset, uint16_t value)
{
	atomic_store((_Atomic uint16_t *)(void *)(g->memory + offset), value);
}

static uint32_t
get_u32(const struct guest *g, size_t offset)
{
	uint32_t value;

	memcpy(&value, g->memory + offset, sizeof value);
	return value;
}

void
guest_describe(struct guest *g, unsigned queue, uint16_t index, uint64_t address, uint32_t len,
	uint16_t flags, uint16_t next)
{
	struct {
		uint64_t address;
		uint32_t len;
		uint16_t flags, next;
	} desc = {address, len, flags, next};

	memcpy(g->memory + g->rings[queue].desc + sizeof desc * index, &desc, sizeof desc);
}

void
guest_offer(struct guest *g, unsigned queue, uint16_t head)
{
	struct guest_ring *r = &g->rings[queue];

	put_u16(g, r->avail + 4 + 2u * (r->avail_idx % GUEST_RING_SIZE), head);
	put_u16(g, r->avail + 2, ++r->avail_idx);
}

bool
guest_wants_notice(const struct guest *g, unsigned queue)
{
	const struct guest_ring *r = &g->rings[queue];

	if (g->features & GUEST_F_RING_PACKED) {
		return get_u16(g, r->used + 2) != PACKED_NO_NOTIFY;
	}
	return !(get_u16(g, r->used) & USED_NO_NOTIFY);
}

/* Writes @len bytes behind a header of zeros into descriptors from the next one on; returns their
 * number. */
static uint16_t
fill_chain(struct guest *g, unsigned queue, const uint8_t *frame, size_t len)
{
	struct guest_ring *r = &g->rings[queue];
	size_t left = len, skip = GUEST_NET_HEADER_LEN;
	uint16_t n = 0;

	while (left || !n) {
		/* The device has used what was written a ring's length ago: tests send less. */
		uint16_t index = (uint16_t)((r->used_idx + n) % GUEST_RING_SIZE);
		size_t part = WEFT_MIN(left, GUEST_BUFFER_SIZE - skip);
		uint8_t *to = g->memory + buffer_of(r, index);

		memset(to, 0, skip);
		memcpy(to + skip, frame + (len - left), part);
		left -= part;
		guest_describe(g, queue, index, guest_address(buffer_of(r, index)),
			(uint32_t)(part + skip), left ? GUEST_DESC_NEXT : 0,
			(uint16_t)((index + 1) % GUEST_RING_SIZE));
		skip = 0;
		n++;
	}
	return n;
}

static void
send_packed(struct guest *g, struct guest_ring *r, const uint8_t *frame, size_t len)
{
	uint16_t index = r->avail_idx % GUEST_RING_SIZE;
	bool wrap = !(r->avail_idx / GUEST_RING_SIZE & 1);
	struct packed_desc desc = {guest_address(buffer_of(r, index)),
		(uint32_t)(len + GUEST_NET_HEADER_LEN), index, 0};
	size_t at = r->desc + sizeof desc * index;

	memset(g->memory + buffer_of(r, index), 0, GUEST_NET_HEADER_LEN);
	memcpy(g->memory + buffer_of(r, index) + GUEST_NET_HEADER_LEN, frame, len);
	memcpy(g->memory + at, &desc, offsetof(struct packed_desc, flags));
	put_u16(g, at + offsetof(struct packed_desc, flags), wrap ? PACKED_AVAIL : PACKED_USED);
	r->avail_idx++;
}

void
guest_send(struct guest *g, unsigned pair, const uint8_t *frame, size_t len)
{
	struct guest_ring *r = &g->rings[GUEST_TX(pair)];
	uint64_t one = 1;

	if (g->features & GUEST_F_RING_PACKED) {
		send_packed(g, r, frame, len);
	} else {
		uint16_t head = r->used_idx % GUEST_RING_SIZE;

		r->used_idx = (uint16_t)(r->used_idx + fill_chain(g, GUEST_TX(pair), frame, len));
		guest_offer(g, GUEST_TX(pair), head);
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (guest_wants_notice(g, GUEST_TX(pair))) {
		assert_int_equal(write(r->kick, &one, sizeof one), sizeof one);
	}
}

size_t
guest_receive(struct guest *g, unsigned pair, uint8_t *frame, size_t capacity)
{
	struct guest_ring *r = &g->rings[GUEST_RX(pair)];
	size_t len = 0;
	unsigned missing = 1;

	if (r->used_idx == get_u16(g, r->used + 2)) {
		return 0;
	}
	for (bool first = true; missing; first = false, missing--) {
		size_t at = r->used + 4 + 8u * (r->used_idx++ % GUEST_RING_SIZE);
		uint32_t head = get_u32(g, at), n = get_u32(g, at + 4);
		size_t skip = first ? GUEST_NET_HEADER_LEN : 0;

		assert_true(head < GUEST_RING_SIZE && n >= skip && n <= GUEST_BUFFER_SIZE);
		if (first) {
			/* num_buffers; the rest says: nothing left for the guest to do. */
			missing = get_u16(g, buffer_of(r, head) + 10);
			assert_memory_equal(g->memory + buffer_of(r, head), (uint8_t[10]){0}, 10);
		}
		assert_true(len + n - skip <= capacity);
		memcpy(frame + len, g->memory + buffer_of(r, head) + skip, n - skip);
		len += n - skip;
		guest_offer(g, GUEST_RX(pair), (uint16_t)head);
	}
	return len;
}

uint64_t
guest_calls(struct guest *g, unsigned queue)
{
	uint64_t n = 0;

	return read(g->rings[queue].call, &n, sizeof n) == sizeof n ? n : 0;
}
