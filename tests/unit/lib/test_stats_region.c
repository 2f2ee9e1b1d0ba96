/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics region: sums, generations, what attaching refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/stats_region.h"

#define INSTANCE 0x1122334455667788u

static void
test_stats_region_sums_workers(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct stats_region writer, reader;
	struct flow_stats sum;
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&writer, INSTANCE, 3, 10, &fd), 0);
	assert_true(stats_region_attach(&reader, fd, INSTANCE, &err));
	assert_int_equal(reader.n_workers, 3);
	assert_int_equal(reader.n_slots, 10);
	stats_region_reset(&writer, 4, 7);
	stats_record_credit(stats_region_record(&writer, 0, 4), 2, 100, 50, 0x02);
	stats_record_credit(stats_region_record(&writer, 0, 4), 1, 60, 55, 0);
	stats_record_credit(stats_region_record(&writer, 2, 4), 5, 1000, 52, 0x10);
	stats_region_read(&reader, 4, 7, &sum);
	assert_int_equal(sum.packets, 8);
	assert_int_equal(sum.bytes, 1160);
	assert_int_equal(sum.used_ms, 55);
	assert_int_equal(sum.tcp_flags, 0x12);

	/* Another life of the slot. */
	stats_region_read(&reader, 4, 6, &sum);
	assert_int_equal(sum.packets, 0);
	stats_region_reset(&writer, 4, 8);
	stats_region_read(&reader, 4, 7, &sum);
	assert_int_equal(sum.packets + sum.bytes + sum.used_ms + sum.tcp_flags, 0);
	stats_region_read(&reader, 4, 8, &sum);
	assert_int_equal(sum.packets + sum.bytes + sum.used_ms + sum.tcp_flags, 0);
	stats_region_read(&reader, 10, 0, &sum); /* no such slot */
	assert_int_equal(sum.packets, 0);
	stats_region_destroy(&reader);
	stats_region_destroy(&writer);
	stats_region_destroy(&writer);
	close(fd);
}

/* Whoever has the descriptor can neither write, nor shrink it. */
static void
test_stats_region_is_read_only(void **state)
{
	struct stats_region writer;
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&writer, INSTANCE, 1, 1, &fd), 0);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	stats_region_destroy(&writer);
	close(fd);
	assert_int_equal(stats_region_create(&writer, INSTANCE, 0, 1, &fd), -EINVAL);
	assert_int_equal(
		stats_region_create(&writer, INSTANCE, STATS_REGION_MAX_WORKERS + 1, 1, &fd),
		-EINVAL);
}

static bool
attach_to(const struct stats_header *header, size_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stats_region r = {0};
	bool ok;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_true(pwrite(fd, header, sizeof *header, 0) == sizeof *header);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	ok = stats_region_attach(&r, fd, INSTANCE, NULL);
	stats_region_destroy(&r);
	close(fd);
	return ok;
}

static void
test_stats_region_attach_refuses(void **state)
{
	const struct stats_header good = {.magic = STATS_REGION_MAGIC,
		.version = STATS_REGION_VERSION,
		.instance = INSTANCE,
		.n_workers = 2,
		.n_slots = 4,
		.stride = 32};
	const size_t size = STATS_REGION_HEADER_SIZE + 2 * 4 * 32;
	struct stats_header h = good;
	struct stats_region r;
	int plain = open("/dev/zero", O_RDWR);
	FILE *file = tmpfile();

	(void)state;
	assert_true(attach_to(&good, size, F_SEAL_SHRINK));
	assert_false(attach_to(&good, size, 0));
	assert_false(attach_to(&good, size - 32, F_SEAL_SHRINK));
	assert_false(attach_to(&good, size + 32, F_SEAL_SHRINK));
	h.magic++;
	assert_false(attach_to(&h, size, F_SEAL_SHRINK));
	h = good;
	h.version++;
	assert_false(attach_to(&h, size, F_SEAL_SHRINK));
	h = good;
	h.instance++;
	assert_false(attach_to(&h, size, F_SEAL_SHRINK));
	h = good;
	h.stride = 64;
	assert_false(attach_to(&h, size, F_SEAL_SHRINK));
	h = good;
	h.n_workers = 0;
	assert_false(attach_to(&h, STATS_REGION_HEADER_SIZE, F_SEAL_SHRINK));
	/* Products that overflow to nothing. */
	h.n_workers = h.n_slots = 1u << 31;
	assert_false(attach_to(&h, STATS_REGION_HEADER_SIZE, F_SEAL_SHRINK));
	assert_false(stats_region_attach(&r, plain, INSTANCE, NULL));
	/* A file may be cut while it is mapped, whatever stands in it. */
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
	assert_true(pwrite(fileno(file), &good, sizeof good, 0) == sizeof good);
	assert_false(stats_region_attach(&r, fileno(file), INSTANCE, NULL));
	fclose(file);
	assert_false(stats_region_attach(&r, -1, INSTANCE, NULL));
	close(plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats_region_sums_workers),
		cmocka_unit_test(test_stats_region_is_read_only),
		cmocka_unit_test(test_stats_region_attach_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
