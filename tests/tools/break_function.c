/* SPDX-License-Identifier: Apache-2.0
 *
 * Breaks one function of a program that is about to run, or notes which functions it calls. For break-functions,
 * by LD_PRELOAD.
 *
 * BREAK_FUNCTION=OFFSET[:VALUE]  the function at that offset of the program (hexadecimal) does nothing but return
 *                                VALUE (0)
 * BREAK_CALLED=FILE              writes the offsets of all functions that were called, a line each; the program
 *                                must have been built with -finstrument-functions
 * BREAK_PROGRAM=NAME             does all this in programs of that name alone: for daemons that a test starts
 * BREAK_TEST=NAME                runs that cmocka test alone
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TEXT_MAX (64u << 20)

static uintptr_t base;
static uint8_t *called;

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

__attribute__((no_instrument_function)) void
__cyg_profile_func_enter(void *function, void *site)
{
	uintptr_t offset = (uintptr_t)function - base;

	(void)site;
	if (called && offset < TEXT_MAX) {
		called[offset] = 1;
	}
}

__attribute__((no_instrument_function)) void
__cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
}

/* The first object is the program itself. */
static int
see_object(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	base = info->dlpi_addr;
	return 1;
}

/* x86-64: mov $value, %eax; ret */
static void
break_at(uintptr_t at, uint32_t value)
{
	uint8_t code[6] = {0xb8, (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24), 0xc3};
	uintptr_t page = at & ~(uintptr_t)4095;

	if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) {
		perror("break_function: mprotect");
		_Exit(99);
	}
	memcpy((void *)at, code, sizeof(code));
	mprotect((void *)page, 8192, PROT_READ | PROT_EXEC);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *where = getenv("BREAK_FUNCTION"), *test = getenv("BREAK_TEST");
	const char *program = getenv("BREAK_PROGRAM");
	void (*filter)(const char *pattern) = NULL;

	if (program && strcmp(program, program_invocation_short_name)) {
		return;
	}

	dl_iterate_phdr(see_object, NULL);
	if (getenv("BREAK_CALLED")) {
		called = calloc(1, TEXT_MAX);
	}
	*(void **)&filter = dlsym(RTLD_DEFAULT, "cmocka_set_test_filter");
	if (test && filter) {
		filter(test);
	}
	if (where) {
		char *end;
		uintptr_t offset = strtoull(where, &end, 16);

		break_at(base + offset, *end == ':' ? (uint32_t)strtol(end + 1, NULL, 0) : 0);
	}
}

__attribute__((destructor)) static void
end(void)
{
	const char *path = getenv("BREAK_CALLED");
	FILE *file = called ? fopen(path, "w") : NULL;

	for (size_t i = 0; file && i < TEXT_MAX; i++) {
		if (called[i]) {
			fprintf(file, "%zx\n", i);
		}
	}
	if (file) {
		fclose(file);
	}
}
