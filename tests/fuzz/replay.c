/* SPDX-License-Identifier: Apache-2.0
 *
 * Main program of a fuzz target in a build without libFuzzer: runs the target once on each file that is named, or
 * that stands in a folder that is named.
 *
 * Limits:   files beyond INPUT_MAX bytes are refused; folders are not searched for folders.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Runs the target on the file @path. The copy is as long as the file, so that a sanitizer sees a
 * read beyond its end. Returns 0 or a negative errno. */
static int
replay_file(const char *path)
{
	static uint8_t input[INPUT_MAX + 1];
	FILE *file = fopen(path, "rb");
	if (!file) {
		return -errno;
	}
	size_t len = fread(input, 1, sizeof(input), file);
	int error = ferror(file) ? -EIO : 0;
	fclose(file);
	if (error || len > INPUT_MAX) {
		return error ? error : -EFBIG;
	}
	uint8_t *copy = malloc(len ? len : 1);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, input, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return 0;
}

/* Runs the target on each file in the folder @path; @n_files counts them. */
static int
replay_folder(const char *path, unsigned *n_files)
{
	DIR *folder = opendir(path);
	if (!folder) {
		return -errno;
	}
	int error = 0;
	struct dirent *entry;
	while (!error && (entry = readdir(folder))) {
		char file[4096];
		struct stat st;
		int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (len >= (int)sizeof(file)) {
			error = -ENAMETOOLONG;
		} else if (stat(file, &st) < 0) {
			error = -errno;
		} else if (S_ISREG(st.st_mode)) {
			error = replay_file(file);
			(*n_files)++;
		}
	}
	closedir(folder);
	return error;
}

int
main(int argc, char **argv)
{
	unsigned n_files = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		int error;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			error = replay_folder(argv[i], &n_files);
		} else {
			error = replay_file(argv[i]);
			n_files++;
		}
		if (error) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-error));
			return 1;
		}
	}
	printf("%u inputs replayed\n", n_files);
	return 0;
}
