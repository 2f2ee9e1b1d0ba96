/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal: what is replayed after a death at any byte, snapshots, refusals.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/journal.h"
#include "lib/error.h"

#define N_RECORDS 12
#define FILE_HEADER 16
#define RECORD_HEADER 12

/* What was replayed: the numbers, in order. */
struct seen {
	unsigned numbers[4096];
	unsigned n;
	unsigned refuse; /* this number; 0: none */
};

static char directory[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/weft-journal-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static void
clear(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.') {
			unlinkat(dirfd(dir), entry->d_name, 0);
		}
	}
	closedir(dir);
}

static int
teardown(void **state)
{
	(void)state;
	clear();
	return rmdir(directory);
}

static bool
replay(void *user, uint32_t kind, const void *data, size_t len, struct weft_error *err)
{
	struct seen *seen = user;
	unsigned number;

	assert_true(len >= sizeof(number));
	memcpy(&number, data, sizeof(number));
	assert_int_equal(kind, number % 7 + 1);
	assert_int_equal(len, sizeof(number) + number % 5);
	if (seen->refuse == number) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "number %u is refused", number);
		return false;
	}
	seen->numbers[seen->n++] = number;
	return true;
}

static struct journal *
open_journal(struct seen *seen)
{
	struct weft_error err = {0};
	struct journal *j;

	memset(seen->numbers, 0, sizeof(seen->numbers));
	seen->n = 0;
	j = journal_open(directory, replay, seen, &err);
	if (!j) {
		print_message("%s\n", err.text);
	}
	assert_non_null(j);
	return j;
}

/* The record of @number: its length and kind follow from it. */
static size_t
record(unsigned number, uint8_t *data)
{
	memset(data, 0x5a, 16);
	memcpy(data, &number, sizeof(number));
	return sizeof(number) + number % 5;
}

static void
append(struct journal *j, unsigned number)
{
	uint8_t data[16];
	size_t len = record(number, data);

	journal_append(j, number % 7 + 1, data, len);
}

static void
expect(const struct seen *seen, unsigned from, unsigned n)
{
	assert_int_equal(seen->n, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(seen->numbers[i], from + i);
	}
}

static void
test_journal_replays_what_was_appended(void **state)
{
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);

	(void)state;
	expect(&seen, 0, 0);
	for (unsigned i = 1; i <= N_RECORDS; i++) {
		append(j, i);
	}
	journal_close(j);
	j = open_journal(&seen);
	expect(&seen, 1, N_RECORDS);
	append(j, N_RECORDS + 1);
	journal_close(j);
	j = open_journal(&seen);
	expect(&seen, 1, N_RECORDS + 1);
	journal_close(j);
}

static size_t
read_whole(const char *name, uint8_t *data, size_t size)
{
	char path[128];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(data, 1, size, file);
	fclose(file);
	return n;
}

static void
write_whole(const char *name, const uint8_t *data, size_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

/* How many records are whole in the first @size bytes. */
static unsigned
whole_records(size_t size)
{
	size_t at = FILE_HEADER;
	unsigned n = 0;
	uint8_t data[16];

	while (at + RECORD_HEADER + record(n + 1, data) <= size && n < N_RECORDS) {
		at += RECORD_HEADER + record(n + 1, data);
		n++;
	}
	return n;
}

static void
test_journal_survives_a_tail_torn_at_any_byte(void **state)
{
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);
	uint8_t file[1024];
	size_t size;

	(void)state;
	for (unsigned i = 1; i <= N_RECORDS; i++) {
		append(j, i);
	}
	journal_close(j);
	size = read_whole("journal.0", file, sizeof(file));
	assert_int_equal(whole_records(size), N_RECORDS);
	for (size_t cut = 0; cut <= size; cut++) {
		clear();
		write_whole("journal.0", file, cut);
		j = open_journal(&seen);
		expect(&seen, 1, cut < FILE_HEADER ? 0 : whole_records(cut));
		append(j, seen.n + 1); /* goes where the tail was */
		journal_close(j);
		j = open_journal(&seen);
		expect(&seen, 1, (cut < FILE_HEADER ? 0 : whole_records(cut)) + 1);
		journal_close(j);
	}
}

static void
test_journal_stops_at_a_flipped_byte(void **state)
{
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);
	uint8_t file[1024];
	size_t size;

	(void)state;
	for (unsigned i = 1; i <= N_RECORDS; i++) {
		append(j, i);
	}
	journal_close(j);
	size = read_whole("journal.0", file, sizeof(file));
	for (size_t at = FILE_HEADER; at < size; at++) {
		clear();
		file[at] ^= 0x40;
		write_whole("journal.0", file, size);
		file[at] ^= 0x40;
		j = open_journal(&seen);
		expect(&seen, 1, whole_records(at));
		journal_close(j);
	}
}

/* Appends 1..10, then takes a snapshot of 1..10 while 11..20 are appended. @steps: how far. */
static void
snapshot_until(unsigned steps)
{
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);
	uint8_t data[16];

	for (unsigned i = 1; i <= 10; i++) {
		append(j, i);
	}
	if (steps >= 1) {
		assert_int_equal(journal_snapshot_begin(j), 0);
		assert_true(journal_snapshot_running(j));
	}
	for (unsigned i = 11; i <= 20; i++) {
		append(j, i);
		if (steps >= 2) {
			size_t len = record(i - 10, data);

			journal_snapshot_put(j, (i - 10) % 7 + 1, data, len);
		}
	}
	if (steps >= 3) {
		assert_int_equal(journal_snapshot_end(j), 0);
		assert_false(journal_snapshot_running(j));
	}
	journal_close(j);
}

static void
test_journal_snapshot_replaces_older_files(void **state)
{
	struct seen seen = {0};
	struct journal *j;
	char path[128];

	(void)state;
	snapshot_until(3);
	snprintf(path, sizeof(path), "%s/journal.0", directory);
	assert_int_equal(access(path, F_OK), -1);
	j = open_journal(&seen);
	expect(&seen, 1, 20);
	journal_close(j);
}

static void
test_journal_broken_off_snapshot_does_not_count(void **state)
{
	struct seen seen = {0};
	struct journal *j;

	(void)state;
	for (unsigned steps = 1; steps <= 2; steps++) {
		clear();
		snapshot_until(steps);
		j = open_journal(&seen);
		expect(&seen, 1, 20);
		assert_int_equal(journal_snapshot_begin(j), 0);
		for (unsigned i = 1; i <= 20; i++) {
			uint8_t data[16];
			size_t len = record(i, data);

			journal_snapshot_put(j, i % 7 + 1, data, len);
		}
		assert_int_equal(journal_snapshot_end(j), 0);
		journal_close(j);
		j = open_journal(&seen);
		expect(&seen, 1, 20);
		journal_close(j);
	}
}

static void
test_journal_torn_snapshot_gives_way_to_the_older(void **state)
{
	static uint8_t old_journal[1024], new_journal[1024], snapshot[1024];
	size_t old_size, new_size, size;
	struct seen seen = {0};
	struct journal *j;

	(void)state;
	snapshot_until(0);
	old_size = read_whole("journal.0", old_journal, sizeof(old_journal));
	clear();
	snapshot_until(3);
	new_size = read_whole("journal.1", new_journal, sizeof(new_journal));
	size = read_whole("snapshot.1", snapshot, sizeof(snapshot));
	for (size_t cut = 0; cut < size; cut++) {
		clear();
		/* The older journal has 1..20 here, the newer one 11..20 again. */
		write_whole("journal.0", old_journal, old_size);
		write_whole("journal.1", new_journal, new_size);
		write_whole("snapshot.1", snapshot, cut);
		j = open_journal(&seen);
		assert_int_equal(seen.n, 30);
		assert_int_equal(seen.numbers[19], 20);
		assert_int_equal(seen.numbers[29], 20);
		journal_close(j);
	}
}

static void
test_journal_goes_on_after_a_refused_record(void **state)
{
	struct seen seen = {.refuse = 3};
	struct journal_stats stats;
	struct journal *j = open_journal(&seen);

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		append(j, i);
	}
	journal_close(j);
	j = open_journal(&seen);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.numbers[2], 4);
	journal_get_stats(j, &stats);
	assert_int_equal(stats.n_replayed, 5);
	assert_int_equal(stats.n_refused, 1);
	journal_close(j);
}

static void
test_journal_refuses_a_second_owner(void **state)
{
	struct weft_error err = {0};
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);

	(void)state;
	assert_null(journal_open(directory, replay, &seen, &err));
	assert_non_null(strstr(err.text, "in use"));
	journal_close(j);
}

static void
test_journal_wants_a_snapshot_when_it_has_grown(void **state)
{
	static uint8_t big[70000];
	struct seen seen = {0};
	struct journal *j = open_journal(&seen);
	unsigned n = 0;

	(void)state;
	assert_false(journal_wants_snapshot(j));
	while (!journal_wants_snapshot(j)) {
		assert_true(n++ < 100);
		journal_append(j, 1, big, sizeof(big));
	}
	assert_int_equal(journal_snapshot_begin(j), 0);
	assert_false(journal_wants_snapshot(j));
	assert_int_equal(journal_snapshot_end(j), 0);
	assert_false(journal_wants_snapshot(j));
	journal_close(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_journal_replays_what_was_appended, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_survives_a_tail_torn_at_any_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_stops_at_a_flipped_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_snapshot_replaces_older_files, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_broken_off_snapshot_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_torn_snapshot_gives_way_to_the_older, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_goes_on_after_a_refused_record, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_refuses_a_second_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_journal_wants_a_snapshot_when_it_has_grown, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
