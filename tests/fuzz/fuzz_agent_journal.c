/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: controller-agent. State directory: the first byte says which file the rest is; opening
 * never fails, and what was appended behind it comes back.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller-agent/state.h"
#include "lib/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char directory[32];
static unsigned n_marks;

static bool
replay(void *user, enum state_kind kind, const void *data, size_t len, struct weft_error *err)
{
	n_marks += kind == STATE_CREDIT && len == 4 && memcmp(data, "mark", 4) == 0;
	return true;
}

static void
switch_gone(void *user, uint32_t id)
{
}

static bool
snapshot(void *user, struct state *state, bool first)
{
	return true;
}

static const struct state_ops ops = {replay, switch_gone, snapshot};

static void
remove_files(void)
{
	static const char *const names[] = {"journal.0", "journal.1", "snapshot.1"};
	char path[64];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
}

static void
remove_directory(void)
{
	remove_files();
	rmdir(directory);
}

static void
write_input(const char *name, const uint8_t *data, size_t len)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
		abort();
	}
}

static struct state *
open_state(void)
{
	struct weft_error err = {0};
	struct state *s;

	n_marks = 0;
	s = state_open(directory, &ops, NULL, &err);
	if (!s) {
		abort();
	}
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct state *s;
	unsigned before;

	if (!directory[0]) {
		snprintf(directory, sizeof(directory), "/tmp/weft-fuzz-XXXXXX");
		if (!mkdtemp(directory)) {
			abort();
		}
		atexit(remove_directory);
	}
	if (len < 1) {
		return 0;
	}
	write_input(data[0] & 1 ? "snapshot.1" : "journal.0", data + 1, len - 1);
	s = open_state();
	before = n_marks;
	state_append(s, STATE_CREDIT, "mark", 4);
	state_close(s);
	s = open_state();
	if (n_marks != before + 1) {
		abort();
	}
	state_close(s);
	remove_files();
	return 0;
}
