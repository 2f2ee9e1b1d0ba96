/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared-memory ring: against a queue, and against a peer that writes nonsense.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/shm_ring.h"
#include "tests/unit/lib/random.h"

#define SIZE SHM_RING_MIN_SIZE
#define REC ((uint32_t)sizeof(struct shm_ring_rec))

/* Both sides over plain memory. */
struct pair {
	struct shm_ring in, out;
	void *memory;
	int event_fd;
};

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof *p);

	p->memory = aligned_alloc(64, SHM_RING_HEADER_SIZE + SIZE);
	p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	shm_ring_init_private(&p->in, p->memory, SIZE, p->event_fd);
	shm_ring_init_private(&p->out, p->memory, SIZE, p->event_fd);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	close(p->event_fd);
	free(p->memory);
	free(p);
	return 0;
}

static bool
write_text(struct shm_ring *r, uint32_t kind, const char *text)
{
	void *at = shm_ring_reserve(r, kind, (uint32_t)strlen(text));

	if (at) {
		memcpy(at, text, strlen(text));
	}
	return at;
}

static void
assert_read(struct shm_ring *r, uint32_t kind, const char *text)
{
	char buf[64];
	uint32_t got;
	int n = shm_ring_read(r, buf, sizeof buf, &got);

	assert_int_equal(n, strlen(text));
	assert_int_equal(got, kind);
	assert_memory_equal(buf, text, (size_t)n);
}

static int
read_any(struct shm_ring *r)
{
	char buf[64];
	uint32_t kind;

	return shm_ring_read(r, buf, sizeof buf, &kind);
}

static void
test_shm_ring_passes_records(void **state)
{
	struct pair *p = *state;

	assert_int_equal(read_any(&p->out), -EAGAIN);
	assert_true(write_text(&p->in, 1, "one"));
	assert_int_equal(read_any(&p->out), -EAGAIN); /* not published yet */
	assert_true(write_text(&p->in, 2, ""));
	assert_true(write_text(&p->in, 3, "three, cut short"));
	shm_ring_trim(&p->in, 5);
	shm_ring_trim(&p->in, 9); /* not longer again */
	shm_ring_publish(&p->in);
	shm_ring_trim(&p->in, 1); /* too late */
	assert_int_equal(shm_ring_used(&p->in), 16 + 8 + 16);
	assert_read(&p->out, 1, "one");
	assert_read(&p->out, 2, "");
	assert_read(&p->out, 3, "three");
	assert_int_equal(read_any(&p->out), -EAGAIN);
	assert_int_equal(shm_ring_used(&p->in), 40);
	shm_ring_release(&p->out);
	assert_int_equal(shm_ring_used(&p->in), 0);
}

static void
test_shm_ring_skips_what_is_too_long(void **state)
{
	struct pair *p = *state;
	char buf[4];
	uint32_t kind = 77;

	write_text(&p->in, 1, "12345");
	write_text(&p->in, 2, "1234");
	shm_ring_publish(&p->in);
	assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), -EMSGSIZE);
	assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), 4);
	assert_int_equal(kind, 2);
}

/* The longest record fits wherever the indices stand. */
static void
test_shm_ring_takes_half_everywhere(void **state)
{
	static char buf[SIZE];
	struct pair *p = *state;
	uint32_t longest = SIZE / 2 - REC, kind;

	assert_null(shm_ring_reserve(&p->in, 1, longest + 1));
	assert_null(shm_ring_reserve(&p->in, 1, UINT32_MAX));
	for (unsigned i = 0; i < SIZE / 8 + 1; i++) {
		assert_non_null(shm_ring_reserve(&p->in, 1, longest));
		shm_ring_publish(&p->in);
		assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), longest);
		shm_ring_release(&p->out);
		assert_non_null(shm_ring_reserve(&p->in, 1, 8 * (i % 3)));
		shm_ring_publish(&p->in);
		assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), 8 * (i % 3));
		shm_ring_release(&p->out);
	}
}

static void
test_shm_ring_fills_up(void **state)
{
	struct pair *p = *state;
	unsigned n = 0;

	while (write_text(&p->in, 1, "12345678")) {
		n++;
	}
	assert_int_equal(n, SIZE / 16);
	shm_ring_publish(&p->in);
	for (unsigned i = 0; i < n; i++) {
		assert_read(&p->out, 1, "12345678");
	}
	assert_false(write_text(&p->in, 1, "")); /* read, but not given back */
	shm_ring_release(&p->out);
	assert_true(write_text(&p->in, 1, ""));
}

#define QUEUE 4096

/* The twin: lengths and first bytes of what is under way. */
static void
test_shm_ring_agrees_with_queue(void **state)
{
	static struct {
		uint32_t len, kind;
		uint8_t fill;
	} queue[QUEUE];
	static uint8_t buf[SIZE];
	struct pair *p = *state;
	unsigned head = 0, tail = 0, published = 0;

	random_begin("shm_ring");
	/* Indices wrap at 2^32 on the way. */
	p->in.own = p->in.public = p->in.peer = p->out.own = p->out.public = p->out.peer =
		0xffff8000;
	atomic_store(&p->in.shared->head, 0xffff8000);
	atomic_store(&p->in.shared->tail, 0xffff8000);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t len = random_below(4) ? random_below(40)
					       : random_below(SIZE / 2 - REC + 1),
			 kind;
		uint8_t *at;
		int n;

		switch (random_below(5)) {
		case 0:
		case 1:
			at = head - tail < QUEUE ? shm_ring_reserve(&p->in, i & 0xffff, len) : NULL;
			if (at) {
				memset(at, (int)(i & 0xff), len);
				if (!random_below(4)) {
					len = random_below(len + 1);
					shm_ring_trim(&p->in, len);
				}
				queue[head % QUEUE].len = len;
				queue[head % QUEUE].kind = i & 0xffff;
				queue[head++ % QUEUE].fill = (uint8_t)i;
			} else {
				/* Only a ring without room for it refuses. */
				assert_true(SIZE - shm_ring_used(&p->in) < 2 * (REC + len + 7) ||
					    head - tail == QUEUE);
			}
			break;
		case 2:
			shm_ring_publish(&p->in);
			published = head;
			break;
		case 3:
			n = shm_ring_read(&p->out, buf, sizeof buf, &kind);
			if (tail == published) {
				assert_int_equal(n, -EAGAIN);
				break;
			}
			assert_int_equal(n, queue[tail % QUEUE].len);
			assert_int_equal(kind, queue[tail % QUEUE].kind);
			for (int b = 0; b < n; b++) {
				assert_int_equal(buf[b], queue[tail % QUEUE].fill);
			}
			tail++;
			break;
		default:
			shm_ring_release(&p->out);
			break;
		}
	}
}

static bool
is_kicked(struct pair *p)
{
	uint64_t kicks;

	return read(p->event_fd, &kicks, sizeof kicks) == sizeof kicks;
}

static void
test_shm_ring_kicks_only_sleepers(void **state)
{
	struct pair *p = *state;

	write_text(&p->in, 1, "a");
	shm_ring_publish(&p->in);
	assert_false(is_kicked(p));
	assert_false(shm_ring_sleep(&p->out)); /* a record is there */
	assert_read(&p->out, 1, "a");
	assert_true(shm_ring_sleep(&p->out));
	assert_int_equal(shm_ring_used(&p->in), 0); /* sleep gives back what was read */
	shm_ring_publish(&p->in);
	assert_false(is_kicked(p)); /* nothing new */
	write_text(&p->in, 2, "b");
	shm_ring_publish(&p->in);
	assert_true(is_kicked(p));
	shm_ring_woken(&p->out);
	write_text(&p->in, 3, "c");
	shm_ring_publish(&p->in);
	assert_false(is_kicked(p));
	assert_read(&p->out, 2, "b");
	assert_read(&p->out, 3, "c");
	/* Waking drains the descriptor. */
	assert_true(shm_ring_sleep(&p->out));
	write_text(&p->in, 4, "d");
	shm_ring_publish(&p->in);
	shm_ring_woken(&p->out);
	assert_false(is_kicked(p));
}

/* --- a hostile peer --------------------------------------------------------------------------------- */

static void
assert_consumer_breaks(struct pair *p)
{
	assert_int_equal(read_any(&p->out), -EPROTO);
	assert_int_equal(read_any(&p->out), -EPROTO); /* for good */
	shm_ring_release(&p->out);
	assert_true(shm_ring_sleep(&p->out));
	shm_ring_woken(&p->out);
}

static void
test_shm_ring_refuses_wild_head(void **state)
{
	struct pair *p = *state;

	atomic_store(&p->in.shared->head, SIZE + 8);
	assert_false(shm_ring_sleep(&p->out)); /* read on, and see */
	assert_consumer_breaks(p);
}

static void
test_shm_ring_refuses_head_going_back(void **state)
{
	struct pair *p = *state;

	write_text(&p->in, 1, "12345678");
	shm_ring_publish(&p->in);
	assert_read(&p->out, 1, "12345678");
	atomic_store(&p->in.shared->head, 8);
	assert_consumer_breaks(p);
}

static void
test_shm_ring_refuses_head_over_what_is_unread(void **state)
{
	struct pair *p = *state;

	write_text(&p->in, 1, "12345678");
	shm_ring_publish(&p->in);
	assert_read(&p->out, 1, "12345678");
	atomic_store(&p->in.shared->head, SIZE + 16); /* 16 bytes were not given back */
	assert_consumer_breaks(p);
}

static void
test_shm_ring_refuses_crooked_head(void **state)
{
	struct pair *p = *state;

	atomic_store(&p->in.shared->head, 12);
	assert_consumer_breaks(p);
}

static void
test_shm_ring_refuses_wild_lengths(void **state)
{
	static const uint32_t lengths[] = {9, SIZE, UINT32_MAX, UINT32_MAX - 7, SIZE - 7};

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct pair *p = *state;
		struct shm_ring_rec rec = {lengths[i], 1};

		shm_ring_init_private(&p->in, p->memory, SIZE, p->event_fd);
		shm_ring_init_private(&p->out, p->memory, SIZE, p->event_fd);
		write_text(&p->in, 1, "12345678");
		memcpy(p->in.data, &rec, sizeof rec);
		shm_ring_publish(&p->in);
		assert_consumer_breaks(p);
	}
}

static void
test_shm_ring_refuses_fillers(void **state)
{
	struct pair *p = *state;
	struct shm_ring_rec whole = {SIZE - REC, SHM_RING_FILLER}, small = {0, SHM_RING_FILLER};

	memcpy(p->in.data, &whole, sizeof whole);
	atomic_store(&p->in.shared->head, SIZE);
	assert_consumer_breaks(p);

	shm_ring_init_private(&p->in, p->memory, SIZE, p->event_fd);
	shm_ring_init_private(&p->out, p->memory, SIZE, p->event_fd);
	write_text(&p->in, 1, "12345678");
	write_text(&p->in, 2, "");
	memcpy(p->in.data + 16, &small, sizeof small);
	shm_ring_publish(&p->in);
	assert_read(&p->out, 1, "12345678");
	assert_consumer_breaks(p);
}

static void
test_shm_ring_producer_refuses_wild_tail(void **state)
{
	static const uint32_t tails[] = {8, 0xfffffff8, 0x80000000, 24};

	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		struct pair *p = *state;

		shm_ring_init_private(&p->in, p->memory, SIZE, p->event_fd);
		shm_ring_init_private(&p->out, p->memory, SIZE, p->event_fd);
		write_text(&p->in, 1, "12345678");
		shm_ring_publish(&p->in);
		assert_read(&p->out, 1, "12345678");
		shm_ring_release(&p->out);
		assert_int_equal(shm_ring_used(&p->in), 0);
		atomic_store(&p->in.shared->tail,
			tails[i]); /* behind the last one, or before the head */
		shm_ring_used(&p->in);
		assert_true(p->in.broken);
		assert_false(write_text(&p->in, 1, ""));
		shm_ring_publish(&p->in);
	}
}

/* A scribbled header of a record that is still being written changes nothing for the producer. */
static void
test_shm_ring_trims_under_scribbling(void **state)
{
	struct pair *p = *state;
	struct shm_ring_rec rec = {UINT32_MAX - 7, 1};
	uint32_t kind;
	char buf[8];

	write_text(&p->in, 1, "12345678");
	write_text(&p->in, 2, "12345678");
	memcpy(p->in.data, &rec, sizeof rec);
	shm_ring_trim(&p->in, 3);
	assert_int_equal(p->in.own, 32);
	rec = (struct shm_ring_rec){8, 1};
	memcpy(p->in.data, &rec, sizeof rec);
	shm_ring_publish(&p->in);
	assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), 8);
	assert_int_equal(shm_ring_read(&p->out, buf, sizeof buf, &kind), 3);
}

/* Random scribbling over all of the memory: no access outside of it (the address sanitizer looks),
 * no endless loop. */
static void
test_shm_ring_survives_scribbling(void **state)
{
	struct pair *p = *state;
	char buf[64];

	random_begin("shm_ring scribble");
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t kind;

		if (p->in.broken || p->out.broken) {
			shm_ring_init_private(&p->in, p->memory, SIZE, p->event_fd);
			shm_ring_init_private(&p->out, p->memory, SIZE, p->event_fd);
		}
		if (shm_ring_reserve(&p->in, 1, random_below(100)) && random_below(2)) {
			shm_ring_trim(&p->in, random_below(100));
		}
		shm_ring_publish(&p->in);
		if (!random_below(10)) {
			((uint8_t *)p->memory)[random_below(2) ? random_below(256)
							       : SHM_RING_HEADER_SIZE +
									 random_below(SIZE)] =
				(uint8_t)random_u64();
		}
		for (unsigned n = random_below(4); n > 0; n--) {
			int len = shm_ring_read(&p->out, buf, sizeof buf, &kind);

			assert_true(len <= (int)sizeof buf);
		}
		shm_ring_release(&p->out);
	}
}

/* --- memory ----------------------------------------------------------------------------------------- */

static void
test_shm_ring_over_memfd(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct shm_ring in, out;
	int fd = shm_ring_memfd(SIZE);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), -1); /* sealed */
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_true(shm_ring_attach(&in, fd, SIZE, -1, &err));
	assert_true(shm_ring_attach(&out, fd, SIZE, -1, &err));
	close(fd);
	write_text(&in, 1, "over memfd");
	shm_ring_publish(&in);
	assert_read(&out, 1, "over memfd");
	shm_ring_detach(&in);
	shm_ring_detach(&in);
	shm_ring_detach(&out);
	assert_int_equal(read_any(&out), -EPROTO);
	assert_null(shm_ring_reserve(&out, 1, 0));
}

static void
test_shm_ring_attach_refuses(void **state)
{
	static const uint32_t sizes[] = {
		0, SIZE - 1, SIZE / 2, SIZE * 2, SIZE + 8, SHM_RING_MAX_SIZE * 2u};
	int fd = shm_ring_memfd(SIZE),
	    unsealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int plain = open("/dev/zero", O_RDWR);
	struct shm_ring r;

	(void)state;
	assert_int_equal(shm_ring_memfd(SIZE + 8), -EINVAL);
	assert_int_equal(shm_ring_memfd(SHM_RING_MAX_SIZE * 2u), -EINVAL);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_false(shm_ring_attach(&r, fd, sizes[i], -1, &err));
		assert_true(weft_error_is_set(&err));
	}
	assert_int_equal(ftruncate(unsealed, SHM_RING_HEADER_SIZE + SIZE), 0);
	assert_false(shm_ring_attach(&r, unsealed, SIZE, -1, NULL));
	/* Sealed, but no ring. */
	assert_int_equal(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_false(shm_ring_attach(&r, unsealed, SIZE, -1, NULL));
	assert_false(shm_ring_attach(&r, plain, SIZE, -1, NULL));
	assert_false(shm_ring_attach(&r, -1, SIZE, -1, NULL));
	close(fd);
	close(unsealed);
	close(plain);
}

int
main(void)
{
#define TEST(F) cmocka_unit_test_setup_teardown(F, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_shm_ring_passes_records),
		TEST(test_shm_ring_skips_what_is_too_long),
		TEST(test_shm_ring_takes_half_everywhere),
		TEST(test_shm_ring_fills_up),
		TEST(test_shm_ring_agrees_with_queue),
		TEST(test_shm_ring_kicks_only_sleepers),
		TEST(test_shm_ring_refuses_wild_head),
		TEST(test_shm_ring_refuses_head_going_back),
		TEST(test_shm_ring_refuses_head_over_what_is_unread),
		TEST(test_shm_ring_refuses_crooked_head),
		TEST(test_shm_ring_refuses_wild_lengths),
		TEST(test_shm_ring_refuses_fillers),
		TEST(test_shm_ring_producer_refuses_wild_tail),
		TEST(test_shm_ring_trims_under_scribbling),
		TEST(test_shm_ring_survives_scribbling),
		cmocka_unit_test(test_shm_ring_over_memfd),
		cmocka_unit_test(test_shm_ring_attach_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
