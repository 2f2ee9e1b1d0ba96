/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging.
 *
 * Why: each line is formatted on the stack and written at once, so that threads and processes
 *      that share a file never mix their lines, and no lock is held over a slow disk.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"

#define LINE_SIZE 1024
#define LIMIT_BURST 10
#define LIMIT_INTERVAL_MS 6000

static struct log_module *modules; /* built before main() */
static _Atomic int log_fd = STDERR_FILENO;
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER; /* of log_set_file() */

static const char *const level_names[] = {"off", "err", "warn", "info", "dbg"};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
log_register(struct log_module *module)
{
	struct log_module **at = &modules;

	while (*at && strcmp((*at)->name, module->name) < 0) {
		at = &(*at)->next;
	}
	module->next = *at;
	*at = module;
}

void
log_write(const struct log_module *module, enum log_level level, const char *format, ...)
{
	char line[LINE_SIZE];
	struct timespec now;
	struct tm utc;
	va_list args;
	int saved = errno, n;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
	len += (size_t)snprintf(line + len, sizeof line - len,
		".%03ldZ %s %s: ", now.tv_nsec / 1000000, level_names[level], module->name);
	va_start(args, format);
	n = vsnprintf(line + len, sizeof line - len - 1, format, args);
	va_end(args);
	if (n > 0) {
		len += (size_t)n < sizeof line - len - 1 ? (size_t)n : sizeof line - len - 2;
	}
	/* What came from outside may not break lines or terminals. */
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
			line[i] = '?';
		}
	}
	line[len++] = '\n';
	while (write(log_fd, line, len) < 0 && errno == EINTR) {
		/* again */
	}
	errno = saved;
}

bool
log_limit_pass(struct log_limit *limit, uint32_t *held)
{
	/* A token bucket in one word: the time at which its tokens would all have been given. */
	uint64_t now = now_ms() + LIMIT_BURST * LIMIT_INTERVAL_MS;
	uint64_t at = atomic_load_explicit(&limit->tokens_at_ms, memory_order_relaxed), next;

	do {
		uint64_t from = at + LIMIT_BURST * LIMIT_INTERVAL_MS < now
					? now - LIMIT_BURST * LIMIT_INTERVAL_MS
					: at;

		next = from + LIMIT_INTERVAL_MS;
		if (next > now) {
			atomic_fetch_add_explicit(&limit->n_held, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&limit->tokens_at_ms, &at, next, memory_order_relaxed, memory_order_relaxed));
	*held = atomic_exchange_explicit(&limit->n_held, 0, memory_order_relaxed);
	return true;
}

bool
log_set_level(const char *text, struct weft_error *err)
{
	const char *colon = strchr(text, ':');
	const char *level_text = colon ? colon + 1 : text;
	int level = -1;
	bool found = false;

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(level_names); i++) {
		if (!strcasecmp(level_text, level_names[i])) {
			level = (int)i;
		}
	}
	if (level < 0) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"unknown log level \"%s\"; there are off, err, warn, info, dbg",
			level_text);
	}
	for (struct log_module *m = modules; m; m = m->next) {
		if (!colon || (strlen(m->name) == (size_t)(colon - text) &&
				      !strncmp(m->name, text, (size_t)(colon - text)))) {
			atomic_store_explicit(&m->level, level, memory_order_relaxed);
			found = true;
		}
	}
	if (colon && !found) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENOENT,
			"no log module \"%.*s\": each line of the log names its own, behind the level",
			(int)(colon - text), text);
	}
	return true;
}

bool
log_set_file(const char *path, struct weft_error *err)
{
	int fd = STDERR_FILENO, old;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (fd < 0) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				"cannot write log file %s: %s", path, strerror(errno));
		}
	}
	pthread_mutex_lock(&file_lock);
	old = log_fd;
	if (old != STDERR_FILENO && path) {
		/* Keeps the number, so that a thread in the middle of a line writes it somewhere sane. */
		dup3(fd, old, O_CLOEXEC);
		close(fd);
	} else {
		log_fd = fd;
	}
	pthread_mutex_unlock(&file_lock);
	return true;
}
