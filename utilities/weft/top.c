/* SPDX-License-Identifier: Apache-2.0
 *
 * weft top: reads the datapath's counters again and again.
 *
 * Where: on a terminal the report stands still and is refreshed; elsewhere reports follow each other, with
 *        --json an object a line, for programs.
 * Gone:  a datapath that went away is waited for on a terminal alone; elsewhere it is an error.
 */
#include "utilities/weft/top.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "utilities/weft/cli.h"

#define TIMEOUT_MS 10000
#define DEFAULT_ROWS 24
#define DEFAULT_COLUMNS 80
#define MAX_INTERVAL_S 3600.0
#define MIN_INTERVAL_S 0.1

struct top {
	const char *rundir;
	bool json;
	double interval_s;
	unsigned long count; /* 0: no end */
	FILE *out;
	bool is_terminal;
	bool has_keys; /* standard input is a terminal too, without echo now */
	struct termios was;
	struct rpc_client *client;
};

static volatile sig_atomic_t ending;

/* --- words -------------------------------------------------------------------------------------- */

static bool
take_interval(const char *text, struct top *t, struct weft_error *err)
{
	char *end;

	t->interval_s = strtod(text, &end);
	if (!*text || *end || !isfinite(t->interval_s) || t->interval_s < MIN_INTERVAL_S ||
		t->interval_s > MAX_INTERVAL_S) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"-d takes seconds from 0.1 to 3600, not \"%s\"", text);
	}
	return true;
}

static bool
take_count(const char *text, struct top *t, struct weft_error *err)
{
	char *end;

	errno = 0;
	t->count = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !t->count) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"-n takes a number from 1 on, not \"%s\"", text);
	}
	return true;
}

static bool
take_words(int argc, char *const *argv, struct top *t, struct weft_error *err)
{
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		bool is_count = !strcmp(word, "-n");

		if (!strcmp(word, "--json")) {
			t->json = true;
		} else if (!strcmp(word, "--once")) {
			t->count = 1;
		} else if (is_count || !strcmp(word, "-d")) {
			if (++i == argc) {
				return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
					"a value is missing behind %s; usage: weft top " CLI_TOP_USAGE,
					word);
			}
			if (!(is_count ? take_count : take_interval)(argv[i], t, err)) {
				return false;
			}
		} else {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"unknown word %s; usage: weft top " CLI_TOP_USAGE, word);
		}
	}
	return true;
}

/* --- readings ----------------------------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool
read_sample(struct top *t, struct top_sample *s, struct weft_error *err)
{
	struct {
		const char *method;
		json_t **result;
	} const calls[] = {
		{"stats.get", &s->stats},
		{"port.list", &s->ports},
		{"drop.list", &s->drops},
		{"worker.list", &s->workers},
	};

	*s = (struct top_sample){.at_ns = now_ns()};
	if (!t->client) {
		char *path = xasprintf("%s/datapath.sock", t->rundir);

		t->client = rpc_client_open(path, "weft-datapath", err);
		free(path);
	}
	for (unsigned i = 0; t->client && i < WEFT_ARRAY_SIZE(calls); i++) {
		*calls[i].result =
			rpc_client_call(t->client, calls[i].method, NULL, TIMEOUT_MS, err);
		if (!*calls[i].result) {
			rpc_client_close(t->client);
			t->client = NULL;
		}
	}
	if (!t->client) {
		top_sample_uninit(s);
	}
	return t->client != NULL;
}

/* --- the terminal ------------------------------------------------------------------------------- */

static void
on_signal(int number)
{
	(void)number;
	ending = 1;
}

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP};

static void
enter_terminal(struct top *t, struct sigaction *was)
{
	struct sigaction action = {.sa_handler = on_signal};

	ending = 0;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(end_signals); i++) {
		sigaction(end_signals[i], &action, &was[i]);
	}
	t->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t->was) == 0;
	if (t->has_keys) {
		struct termios keys = t->was;

		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	}
}

static void
leave_terminal(struct top *t, const struct sigaction *was)
{
	if (t->has_keys) {
		tcsetattr(STDIN_FILENO, TCSANOW, &t->was);
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(end_signals); i++) {
		sigaction(end_signals[i], &was[i], NULL);
	}
	fputc('\n', t->out);
}

/* Shows @text in place of what stands there, as much of it as there is room for. */
static void
show_page(struct top *t, const char *text)
{
	struct winsize size = {0};
	unsigned rows, columns, row = 0;

	(void)ioctl(fileno(t->out), TIOCGWINSZ, &size);
	rows = size.ws_row ? size.ws_row : DEFAULT_ROWS;
	columns = size.ws_col ? size.ws_col : DEFAULT_COLUMNS;
	fputs("\033[H", t->out);
	while (*text && row < rows) {
		size_t len = strcspn(text, "\n");

		fprintf(t->out, "%s%.*s\033[K", row ? "\n" : "",
			(int)(len < columns ? len : columns), text);
		text += len + (text[len] == '\n');
		row++;
	}
	fputs("\033[J", t->out);
}

/* Until @ns of the clock, a signal or q. False: it is time to end. */
static bool
wait_until(struct top *t, uint64_t ns)
{
	uint64_t now;

	while (!ending && (now = now_ns()) < ns) {
		struct pollfd in = {.fd = t->has_keys ? STDIN_FILENO : -1, .events = POLLIN};
		struct timespec left = {
			(time_t)((ns - now) / 1000000000), (long)((ns - now) % 1000000000)};
		char key;

		if (ppoll(&in, 1, &left, NULL) <= 0) {
			continue;
		}
		if (read(STDIN_FILENO, &key, 1) != 1) {
			t->has_keys = false; /* hung up */
		} else if (key == 'q' || key == 'Q') {
			return false;
		}
	}
	return !ending;
}

/* --- reports ------------------------------------------------------------------------------------ */

static void
put_time(struct top *t, FILE *out)
{
	time_t seconds = time(NULL);
	char clock[16] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm)) {
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	}
	if (t->is_terminal) {
		fprintf(out, "weft top, %s, every %g s; q quits\n", clock, t->interval_s);
	} else {
		fprintf(out, "%s\n", clock);
	}
}

static void
show(struct top *t, const json_t *report, bool is_first, const struct weft_error *err)
{
	char *text = NULL;
	size_t size;
	FILE *page;

	if (t->json) {
		json_dumpf(report, t->out, t->count == 1 ? JSON_INDENT(2) : JSON_COMPACT);
		fputc('\n', t->out);
		return;
	}
	page = open_memstream(&text, &size);
	if (!page) {
		return;
	}
	if (t->count != 1) {
		fputs(t->is_terminal || is_first ? "" : "\n", page);
		put_time(t, page);
	}
	if (report) {
		top_print(report, page);
	} else {
		fprintf(page, "%s\n", err->text);
	}
	fclose(page);
	if (t->is_terminal) {
		show_page(t, text);
	} else {
		fputs(text, t->out);
	}
	free(text);
}

/* False: see the error. */
static bool
run(struct top *t, struct weft_error *err)
{
	struct top_sample before, now;
	uint64_t step = (uint64_t)(t->interval_s * 1e9), next = now_ns() + step;
	bool ok = read_sample(t, &before, err);

	for (unsigned long n = 0; ok && (!t->count || n < t->count); n++) {
		if (!wait_until(t, next)) {
			break;
		}
		next = now_ns() + step;
		if (read_sample(t, &now, err)) {
			json_t *report = top_report(&before, &now);

			show(t, report, !n, NULL);
			json_decref(report);
			top_sample_uninit(&before);
			before = now;
		} else if (t->is_terminal && !ending) {
			show(t, NULL, !n, err);
			weft_error_init(err);
		} else {
			ok = ending;
		}
		if (fflush(t->out) || ferror(t->out)) {
			ok = weft_error_set(
				err, WEFT_ERR_SYSTEM, errno, "cannot write: %s", strerror(errno));
		}
	}
	top_sample_uninit(&before);
	return ok;
}

int
cli_top(const struct cli_options *o, int argc, char *const *argv, FILE *out, FILE *err_out)
{
	struct top t = {.rundir = o->rundir, .json = o->json, .interval_s = 1, .out = out};
	struct sigaction was[WEFT_ARRAY_SIZE(end_signals)];
	struct weft_error err = WEFT_ERROR_INIT;
	bool ok = take_words(argc, argv, &t, &err);

	if (ok) {
		t.is_terminal = !t.json && t.count != 1 && fileno(out) >= 0 && isatty(fileno(out));
		if (t.is_terminal) {
			enter_terminal(&t, was);
			fputs("\033[H\033[2J", out);
		}
		ok = run(&t, &err);
		if (t.is_terminal) {
			leave_terminal(&t, was);
		}
	}
	if (t.client) {
		rpc_client_close(t.client);
	}
	if (!ok) {
		fprintf(err_out, "weft: %s\n", err.text);
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
