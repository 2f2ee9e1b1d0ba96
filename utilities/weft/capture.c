/* SPDX-License-Identifier: Apache-2.0
 *
 * weft capture: the filter is compiled here, the datapath sends pcapng, which is written or shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/flow_key.h"
#include "lib/jsonrpc.h"
#include "lib/packet.h"
#include "lib/packet_key.h"
#include "lib/pcapng.h"
#include "lib/strbuf.h"
#include "utilities/weft/cli.h"

#define TIMEOUT_MS 30000
#define READ_SIZE 262144u
#define MIN_SNAPLEN 14u

struct capture_request {
	const char *port;
	const char *file; /* NULL: lines of text */
	char *filter;     /* NULL: all packets */
	const char *direction;
	uint64_t count; /* 0: no end */
	uint64_t snaplen;
};

/* --- words ---------------------------------------------------------------------------------------------------- */

static bool
take_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value,
	struct weft_error *err)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *value < min || *value > max) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s takes a number from %llu to %llu, not \"%s\"", option,
			(unsigned long long)min, (unsigned long long)max, text);
	}
	return true;
}

static bool
take_option(
	struct capture_request *r, const char *option, const char *value, struct weft_error *err)
{
	switch (option[1]) {
	case 'w':
		r->file = value;
		return true;
	case 'c':
		return take_number("-c", value, 1, INT64_MAX, &r->count, err);
	case 's':
		return take_number("-s", value, MIN_SNAPLEN, PACKET_MAX_LEN, &r->snaplen, err);
	default:
		if (strcmp(value, "in") && strcmp(value, "out") && strcmp(value, "inout")) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"-Q takes in, out or inout, not \"%s\"", value);
		}
		r->direction = value;
		return true;
	}
}

/* Options stand in front of the filter, whose own words may begin with a dash. */
static bool
take_words(int argc, char *const *argv, struct capture_request *r, struct weft_error *err)
{
	struct strbuf filter = STRBUF_INIT;
	int i = 0;

	*r = (struct capture_request){.direction = "inout", .snaplen = PACKET_MAX_LEN};
	for (; i < argc && (argv[i][0] == '-' || !r->port); i++) {
		const char *word = argv[i];

		if (word[0] != '-') {
			r->port = word;
			continue;
		}
		if (!strcmp(word, "--")) {
			i++;
			break;
		}
		if (!strchr("wcsQ", word[1]) || !word[1]) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"unknown option %s; usage: weft capture " CLI_CAPTURE_USAGE, word);
		}
		if (!word[2] && i + 1 == argc) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"a value is missing behind %s; usage: weft "
				"capture " CLI_CAPTURE_USAGE,
				word);
		}
		if (!take_option(r, word, word[2] ? word + 2 : argv[++i], err)) {
			return false;
		}
	}
	if (!r->port) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"PORT is missing; usage: weft capture " CLI_CAPTURE_USAGE);
	}
	for (; i < argc; i++) {
		strbuf_printf(&filter, "%s%s", filter.len ? " " : "", argv[i]);
	}
	r->filter = filter.len ? strbuf_take(&filter) : NULL;
	return true;
}

/* --- the call ------------------------------------------------------------------------------------------------- */

/* The filter's program as the method takes it. NULL: libpcap says why not. */
static json_t *
compile(const struct capture_request *r, struct weft_error *err)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, (int)r->snaplen);
	struct bpf_program program;
	json_t *rows = NULL;

	if (!pcap || pcap_compile(pcap, &program, r->filter, 1, PCAP_NETMASK_UNKNOWN)) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "filter \"%.200s\": %s", r->filter,
			pcap ? pcap_geterr(pcap) : "no memory");
	} else {
		rows = json_array();
		for (unsigned i = 0; i < program.bf_len; i++) {
			const struct bpf_insn *insn = &program.bf_insns[i];

			json_array_append_new(rows, json_pack("[i, i, i, I]", insn->code, insn->jt,
							    insn->jf, (json_int_t)insn->k));
		}
		pcap_freecode(&program);
	}
	if (pcap) {
		pcap_close(pcap);
	}
	return rows;
}

/* Returns the stream, or -1. */
static int
start(const struct cli_options *o, const struct capture_request *r, struct weft_error *err)
{
	json_t *params = json_pack("{s:s, s:s, s:I, s:I}", "port", r->port, "direction",
		r->direction, "snaplen", (json_int_t)r->snaplen, "count", (json_int_t)r->count);
	struct rpc_client *client;
	size_t n_fds = 1;
	char *path;
	int fd = -1;

	if (!params) {
		weft_error_set(err, WEFT_ERR_INVALID, EILSEQ, "PORT is not UTF-8");
		return -1;
	}
	if (r->filter) {
		json_t *text = json_string(r->filter), *program = compile(r, err);

		if (!text || !program) {
			weft_error_set(err, WEFT_ERR_INVALID, EILSEQ, "the filter is not UTF-8");
			json_decref(text);
			json_decref(program);
			json_decref(params);
			return -1;
		}
		json_object_set_new(params, "filter", text);
		json_object_set_new(params, "program", program);
	}
	path = xasprintf("%s/datapath.sock", o->rundir);
	client = rpc_client_open(path, "weft-datapath", err);
	free(path);
	if (!client) {
		json_decref(params);
		return -1;
	}
	json_decref(
		rpc_client_call_fds(client, "capture.start", params, TIMEOUT_MS, &fd, &n_fds, err));
	rpc_client_close(client);
	if (!weft_error_is_set(err) && n_fds != 1) {
		weft_error_set(err, WEFT_ERR_SYSTEM, EPROTO, "weft-datapath sent no stream");
	}
	return fd;
}

/* --- the stream ------------------------------------------------------------------------------------------------ */

struct sink {
	const struct capture_request *request;
	FILE *file; /* NULL: lines of text on out */
	FILE *out;
	uint64_t n;
	bool ended; /* statistics have come */
	struct pcapng_statistics statistics;
	char why[PCAPNG_TEXT]; /* it ended; "" as was asked */
};

static void
print_packet(struct sink *s, const struct pcapng_block *b)
{
	static const char *const directions[] = {"?  ", "in ", "out", "?  "};
	const struct pcapng_packet *p = &b->packet;
	time_t seconds = (time_t)(p->time_ns / 1000000000);
	struct strbuf text = STRBUF_INIT;
	struct flow_key key;
	char clock[16] = "?";
	struct tm tm;

	if (localtime_r(&seconds, &tm)) {
		strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	}
	packet_key_parse(p->data, p->caplen, &key);
	if (p->caplen < p->len) {
		/* What looks bad may only be cut off. */
		key.ip_frag &= (uint8_t) ~(FLOW_BAD_L3 | FLOW_BAD_L4);
	}
	packet_key_format(&key, &text);
	fprintf(s->out, "%s.%06u %s %s length %u", clock, (unsigned)(p->time_ns / 1000 % 1000000),
		s->request->port, directions[p->direction & 3], p->len);
	if (p->caplen < p->len) {
		fprintf(s->out, " (%u captured)", p->caplen);
	}
	fprintf(s->out, ": %s", strbuf_text(&text));
	if (*b->comment) {
		fprintf(s->out, " (%s)", b->comment);
	}
	if (p->lost) {
		fprintf(s->out, " (%llu lost before it)", (unsigned long long)p->lost);
	}
	fputc('\n', s->out);
	strbuf_uninit(&text);
}

/* Takes whole blocks out of @data. Returns how many bytes; -EPROTO. */
static ssize_t
take_blocks(struct sink *s, const uint8_t *data, size_t size)
{
	struct pcapng_block b;
	size_t at = 0;
	int rc;

	while ((rc = pcapng_get(data + at, size - at, &b)) > 0) {
		if (b.type == PCAPNG_PACKET) {
			s->n++;
			if (!s->file) {
				print_packet(s, &b);
			}
		} else if (b.type == PCAPNG_STATISTICS) {
			s->ended = true;
			s->statistics = b.statistics;
			memcpy(s->why, b.comment, sizeof s->why);
		}
		at += b.size;
	}
	if (s->file) {
		fwrite(data, 1, at, s->file);
	}
	return rc < 0 ? rc : (ssize_t)at;
}

static int stream_fd = -1;

/* The datapath then sends what it has, statistics, and ends the stream. A second signal kills. */
static void
on_signal(int number)
{
	(void)number;
	shutdown(stream_fd, SHUT_WR);
}

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP};

static void
catch_signals(int fd, struct sigaction *was)
{
	struct sigaction action = {
		.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

	stream_fd = fd;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(end_signals); i++) {
		sigaction(end_signals[i], &action, &was[i]);
	}
}

static void
release_signals(const struct sigaction *was)
{
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(end_signals); i++) {
		sigaction(end_signals[i], &was[i], NULL);
	}
}

/* Reads the stream to its end. */
static bool
pump(int fd, struct sink *s, struct weft_error *err)
{
	size_t capacity = PCAPNG_MAX_BLOCK + READ_SIZE, size = 0;
	uint8_t *data = xmalloc(capacity);
	FILE *out = s->file ? s->file : s->out;
	ssize_t n, taken;

	while ((n = read(fd, data + size, READ_SIZE)) > 0 || (n < 0 && errno == EINTR)) {
		size += n > 0 ? (size_t)n : 0;
		taken = take_blocks(s, data, size);
		if (taken < 0) {
			weft_error_set(err, WEFT_ERR_SYSTEM, EPROTO,
				"weft-datapath sent something that is no pcapng");
			break;
		}
		size -= (size_t)taken;
		memmove(data, data + taken, size);
		if (fflush(out) || ferror(out)) {
			weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot write the capture: %s",
				strerror(errno));
			break;
		}
	}
	free(data);
	if (!weft_error_is_set(err) && !s->ended) {
		weft_error_set(err, WEFT_ERR_SYSTEM, ECONNRESET,
			"weft-datapath ended without a word: the capture is cut short");
	}
	return !weft_error_is_set(err);
}

static FILE *
open_file(const char *path, FILE *out, struct weft_error *err)
{
	FILE *f = out;

	if (strcmp(path, "-")) {
		f = fopen(path, "we");
	} else if (isatty(fileno(out))) {
		weft_error_set(err, WEFT_ERR_INVALID, ENOTTY,
			"pcapng is nothing for a terminal: -w FILE, or a pipe behind -w -");
		return NULL;
	}
	if (!f) {
		weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot write %s: %s", path, strerror(errno));
	}
	return f;
}

static bool
show(const struct capture_request *r, int fd, FILE *out, FILE *err_out, struct weft_error *err)
{
	struct sink s = {.request = r, .out = out};
	struct sigaction was[WEFT_ARRAY_SIZE(end_signals)];
	bool ok;

	if (r->file && !(s.file = open_file(r->file, out, err))) {
		return false;
	}
	catch_signals(fd, was);
	fprintf(err_out, "weft: capturing on %s; Ctrl-C ends it\n", r->port);
	fflush(err_out);
	ok = pump(fd, &s, err);
	release_signals(was);
	if (s.file && s.file != out && fclose(s.file)) {
		ok = weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot write %s: %s", r->file,
			strerror(errno));
	}
	fprintf(err_out, "weft: %llu packets captured, %llu lost, %llu looked at\n",
		(unsigned long long)s.n, (unsigned long long)s.statistics.lost,
		(unsigned long long)s.statistics.received);
	if (ok && *s.why) {
		ok = weft_error_set(err, WEFT_ERR_CONFLICT, ENODEV, "the capture ended: %s", s.why);
	}
	return ok;
}

int
cli_capture(const struct cli_options *o, int argc, char *const *argv, FILE *out, FILE *err_out)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct capture_request r = {0};
	int fd = -1;

	if (o->json) {
		weft_error_set(&err, WEFT_ERR_INVALID, EINVAL,
			"capture prints no JSON; weft capture PORT -w - | tshark -r - -T json does");
	} else if (take_words(argc, argv, &r, &err)) {
		fd = start(o, &r, &err);
	}
	if (fd >= 0) {
		(void)show(&r, fd, out, err_out, &err);
		close(fd);
	}
	free(r.filter);
	if (weft_error_is_set(&err)) {
		fprintf(err_out, "weft: %s\n", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
