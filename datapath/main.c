/* SPDX-License-Identifier: Apache-2.0
 *
 * weft-datapath: options, DPDK, and the wiring of the threads.
 *
 * Threads: workers are DPDK's lcores; the main lcore is the ports thread; tables and liveness are
 *          threads of their own on the main core.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "datapath/flow_table.h"
#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/ports_thread.h"
#include "datapath/rcu.h"
#include "datapath/tables.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/daemon.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/strbuf.h"
#include "vhost/packet_mbuf.h"

WEFT_LOG_MODULE(datapath);

#define DEFAULT_MEMORY_MB 512u
#define DEFAULT_MAX_FLOWS (1u << 20)
#define MBUF_BYTES (RTE_MBUF_DEFAULT_BUF_SIZE + sizeof(struct rte_mbuf) + PACKET_MBUF_PRIV + 64)

static const char help[] =
	"Usage: weft-datapath [OPTION..]\n"
	"The fast path of Weft: forwards packets between its ports as weft-agent says.\n\n"
	"  --workers CORES              cores of the workers, as 1,3-5 (all allowed but the first)\n"
	"  --main-core N                core of the other threads (the first allowed)\n"
	"  --no-huge                    no huge pages even if there are some\n"
	"  --memory MB                  for packets and rings (512)\n"
	"  --max-flows N                fast-path flows, 1024..16777216 (1048576)\n"
	"  --busy-poll                  workers never sleep\n"
	"  --eal ARGS                   more arguments for DPDK, separated by spaces\n";

struct options {
	struct daemon daemon;
	unsigned cores[DP_MAX_WORKERS];
	unsigned n_workers;
	int main_core; /* -1: the first allowed */
	bool no_huge, busy_poll;
	uint32_t memory_mb, max_flows;
	const char *eal;
};

static uint32_t
number(const struct options *o, const char *name, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < min || n > max) {
		daemon_usage_error(&o->daemon, "--%s takes a number from %u to %u, not \"%s\"",
			name, min, max, text);
	}
	return (uint32_t)n;
}

static bool
is_allowed(unsigned core)
{
	cpu_set_t allowed;

	return core < CPU_SETSIZE && !sched_getaffinity(0, sizeof allowed, &allowed) &&
	       CPU_ISSET(core, &allowed);
}

static void
parse_cores(struct options *o, const char *text)
{
	const char *at = text;

	o->n_workers = 0;
	for (;;) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (at[0] < '0' || at[0] > '9') {
			daemon_usage_error(
				&o->daemon, "--workers takes cores as 1,3-5, not \"%s\"", text);
		}
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
		}
		if (end == at || last < first || (*end && *end != ',')) {
			daemon_usage_error(
				&o->daemon, "--workers takes cores as 1,3-5, not \"%s\"", text);
		}
		for (unsigned long core = first; core <= last; core++) {
			if (!is_allowed((unsigned)core)) {
				daemon_usage_error(
					&o->daemon, "core %lu is not there or not allowed", core);
			}
			if (o->n_workers == DP_MAX_WORKERS) {
				daemon_usage_error(
					&o->daemon, "more than %u workers", DP_MAX_WORKERS);
			}
			o->cores[o->n_workers++] = (unsigned)core;
		}
		if (!*end) {
			return;
		}
		at = end + 1;
	}
}

/* Without --workers: every allowed core but the first; on one core one worker there. */
static void
default_cores(struct options *o)
{
	unsigned first = UINT32_MAX;

	for (unsigned core = 0; core < CPU_SETSIZE; core++) {
		if (!is_allowed(core)) {
			continue;
		}
		if (first == UINT32_MAX) {
			first = core;
		} else if (o->n_workers < DP_MAX_WORKERS) {
			o->cores[o->n_workers++] = core;
		}
	}
	if (!o->n_workers) {
		o->cores[o->n_workers++] = first;
	}
}

static int
first_allowed(void)
{
	unsigned core = 0;

	while (core < CPU_SETSIZE && !is_allowed(core)) {
		core++;
	}
	return (int)core;
}

enum {
	OPT_WORKERS = 0x100,
	OPT_MAIN_CORE,
	OPT_NO_HUGE,
	OPT_MEMORY,
	OPT_MAX_FLOWS,
	OPT_BUSY_POLL,
	OPT_EAL,
};

static void
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option table[] = {
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"main-core", required_argument, NULL, OPT_MAIN_CORE},
		{"no-huge", no_argument, NULL, OPT_NO_HUGE},
		{"memory", required_argument, NULL, OPT_MEMORY},
		{"max-flows", required_argument, NULL, OPT_MAX_FLOWS},
		{"busy-poll", no_argument, NULL, OPT_BUSY_POLL},
		{"eal", required_argument, NULL, OPT_EAL},
		DAEMON_OPTIONS,
		{0},
	};
	int c;

	daemon_init(&o->daemon, "weft-datapath");
	o->main_core = -1;
	o->memory_mb = DEFAULT_MEMORY_MB;
	o->max_flows = DEFAULT_MAX_FLOWS;
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (daemon_option(&o->daemon, c, optarg, help)) {
			continue;
		}
		switch (c) {
		case OPT_WORKERS:
			parse_cores(o, optarg);
			break;
		case OPT_MAIN_CORE:
			o->main_core = (int)number(o, "main-core", optarg, 0, CPU_SETSIZE - 1);
			if (!is_allowed((unsigned)o->main_core)) {
				daemon_usage_error(&o->daemon,
					"core %d is not there or not allowed", o->main_core);
			}
			break;
		case OPT_NO_HUGE:
			o->no_huge = true;
			break;
		case OPT_MEMORY:
			o->memory_mb = number(o, "memory", optarg, 64, 1u << 20);
			break;
		case OPT_MAX_FLOWS:
			o->max_flows = number(o, "max-flows", optarg, 1024, 1u << 24);
			break;
		case OPT_BUSY_POLL:
			o->busy_poll = true;
			break;
		case OPT_EAL:
			o->eal = optarg;
			break;
		default:
			exit(EXIT_FAILURE); /* getopt has said why */
		}
	}
	if (optind < argc) {
		daemon_usage_error(&o->daemon, "\"%s\" is one word too many", argv[optind]);
	}
	if (!o->n_workers) {
		default_cores(o);
	}
	if (o->main_core < 0) {
		o->main_core = first_allowed();
	}
}

/* --- DPDK -------------------------------------------------------------------------------------------------- */

static uint64_t
free_huge_mb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t n_free = 0, size_kb = 0;
	char line[128];

	while (f && fgets(line, sizeof line, f)) {
		sscanf(line, "HugePages_Free: %" SCNu64, &n_free);
		sscanf(line, "Hugepagesize: %" SCNu64 " kB", &size_kb);
	}
	if (f) {
		fclose(f);
	}
	return n_free * size_kb / 1024;
}

/* A path in the run directory makes a prefix that no other instance has. */
static uint64_t
path_hash(const char *path)
{
	char *full = realpath(path, NULL);
	uint64_t h = 1469598103934665603u;

	for (const char *c = full ? full : path; *c; c++) {
		h = (h ^ (unsigned char)*c) * 1099511628211u;
	}
	free(full);
	return h;
}

#define MAX_EAL_ARGS 64

static int
eal_start(const struct options *o)
{
	struct strbuf lcores = STRBUF_INIT;
	char memory[16], prefix[64], *more = o->eal ? xstrdup(o->eal) : NULL, *save = NULL;
	char *args[MAX_EAL_ARGS];
	int n = 0, rc;

	/* DPDK keeps its own files under the first of these. */
	setenv("RUNTIME_DIRECTORY", o->daemon.rundir, 1);
	strbuf_printf(&lcores, "(0)@%d", o->main_core);
	for (unsigned i = 0; i < o->n_workers; i++) {
		strbuf_printf(&lcores, ",(%u)@%u", i + 1, o->cores[i]);
	}
	snprintf(memory, sizeof memory, "%u", o->memory_mb);
	snprintf(prefix, sizeof prefix, "--file-prefix=weft-%016" PRIx64,
		path_hash(o->daemon.rundir));
	args[n++] = (char *)"weft-datapath";
	args[n++] = (char *)"--lcores";
	args[n++] = lcores.data;
	args[n++] = (char *)"-m";
	args[n++] = memory;
	args[n++] = (char *)"--no-telemetry";
	args[n++] = (char *)"--no-shconf";
	args[n++] = (char *)"--log-level=lib.eal:error";
	args[n++] = (char *)"--log-level=lib.vhost.config:error";
	args[n++] = (char *)"--log-level=lib.vhost.data:critical";
	if (!o->no_huge && free_huge_mb() >= o->memory_mb) {
		args[n++] = (char *)"--in-memory";
		args[n++] = (char *)"--single-file-segments";
	} else {
		if (!o->no_huge) {
			LOG_WARN("less than %u MB of free huge pages: going on without, slower",
				o->memory_mb);
		}
		args[n++] = (char *)"--no-huge";
		args[n++] = prefix;
	}
	/* Physical devices are probed when a port names them, unless --eal says otherwise: a list of one
	 * device that nobody drives (the host bridge) keeps the rest out until then. */
	if (access("/sys/bus/pci/devices", R_OK)) {
		args[n++] = (char *)"--no-pci";
	} else if (!o->eal || !strstr(o->eal, "-a")) {
		args[n++] = (char *)"-a";
		args[n++] = (char *)"0000:00:00.0";
	}
	for (char *word = more ? strtok_r(more, " ", &save) : NULL; word && n < MAX_EAL_ARGS - 1;
		word = strtok_r(NULL, " ", &save)) {
		args[n++] = word;
	}
	args[n] = NULL;
	optind = 1;
	rc = rte_eal_init(n, args);
	strbuf_uninit(&lcores);
	return rc < 0 ? -rte_errno : 0;
}

/* DPDK leaves its directories behind: RUNDIR/dpdk/PREFIX. */
static void
eal_stop(const struct daemon *daemon)
{
	char *own = xstrdup(rte_eal_get_runtime_dir()), *all = xasprintf("%s/dpdk", daemon->rundir);

	rte_eal_cleanup();
	if (!strncmp(own, all, strlen(all))) {
		(void)rmdir(own);
		(void)rmdir(all);
	}
	free(own);
	free(all);
}

static struct rte_mempool *
make_pool(const struct options *o)
{
	/* Half of the memory: without huge pages DPDK cannot give away more in one piece. */
	uint64_t n = (uint64_t)o->memory_mb * 1024 * 1024 / MBUF_BYTES / 2;

	return rte_pktmbuf_pool_create("packets", (unsigned)WEFT_MIN(n, (uint64_t)1 << 22), 256,
		PACKET_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}

/* --- run ----------------------------------------------------------------------------------------------------- */

static void
on_signal(evutil_socket_t number_, short what, void *base)
{
	(void)number_;
	(void)what;
	event_base_loopexit(base, NULL);
}

static void
on_reopen(evutil_socket_t number_, short what, void *daemon)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)number_;
	(void)what;
	if (((struct daemon *)daemon)->log_file &&
		!log_set_file(((struct daemon *)daemon)->log_file, &err)) {
		LOG_ERR("%s", err.text);
	}
}

/* With all ports closed and no worker at work, each packet must have ended somewhere. */
static void
check_books(void)
{
	struct port_sums sums;

	port_read_all(&sums);
	if (port_books_missing(&sums)) {
		LOG_ERR("the books do not balance: %" PRId64 " packets of %" PRIu64
			" received, %" PRIu64 " made and %" PRIu64 " copied went nowhere",
			port_books_missing(&sums), sums.rx_packets, sums.made, sums.copied);
	}
}

static bool
run(struct options *o, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct event *term, *interrupt, *reopen;
	struct ports_thread_config config = {.daemon = &o->daemon,
		.max_flows = o->max_flows,
		.n_slots = o->max_flows + OBJECT_PARTS_MAX,
		.stats_fd = -1};
	struct event_base *base = event_base_new();
	struct stats_region stats = {0};
	int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rc;
	bool ok = false;

	if (getrandom(&config.instance, sizeof config.instance, 0) != sizeof config.instance) {
		config.instance = path_hash(o->daemon.rundir) ^ (uint64_t)getpid();
	}
	config.instance >>= 1; /* fits JSON's integers too */
	rc = stats_region_create(
		&stats, config.instance, o->n_workers, config.n_slots, &config.stats_fd);
	config.stats = &stats;
	config.pool = rc ? NULL : make_pool(o);
	if (!config.pool) {
		weft_error_set(err, WEFT_ERR_SYSTEM, ENOMEM,
			"cannot get memory for %s: %s; give a smaller --max-flows or another --memory",
			rc ? "statistics" : "packets",
			rc ? strerror(-rc) : rte_strerror(rte_errno));
		goto free_base;
	}
	config.table = flow_table_create(o->max_flows, &stats);
	rc = rcu_init();
	rcu_register(RCU_READER_PORTS);
	rc = rc ? rc : objects_init(&stats, o->max_flows);
	rc = rc ? rc : port_init(o->n_workers);
	rc = rc ? rc
		: workers_create(o->n_workers, o->cores, config.table, &stats, config.pool,
			  o->max_flows, o->busy_poll, event_fd);
	rc = rc ? rc : tables_start(config.table, &stats, config.instance, event_fd);
	if (rc) {
		weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "cannot start: %s", strerror(-rc));
		goto free_table;
	}
	for (unsigned i = 0; i < o->n_workers; i++) {
		rte_eal_remote_launch(worker_main, workers.list[i], i + 1);
	}
	term = evsignal_new(base, SIGTERM, on_signal, base);
	interrupt = evsignal_new(base, SIGINT, on_signal, base);
	reopen = evsignal_new(base, SIGHUP, on_reopen, &o->daemon);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	event_add(reopen, NULL);
	ok = ports_thread_start(base, &config, err);
	if (ok) {
		LOG_INFO("instance %" PRIu64 ": %u workers, %u flows at most, %s", config.instance,
			o->n_workers, o->max_flows,
			rte_eal_has_hugepages() ? "huge pages" : "ordinary pages");
		daemon_ready(&o->daemon);
		event_base_dispatch(base);
		daemon_notify("STOPPING=1");
	}
	ports_thread_stop();
	workers_stop();
	rte_eal_mp_wait_lcore();
	check_books();
	tables_stop();
	event_free(term);
	event_free(interrupt);
	event_free(reopen);
	workers_destroy();
	port_uninit();

free_table:
	rcu_unregister(RCU_READER_PORTS);
	flow_table_destroy(config.table);
	objects_uninit();
	tunnel_options_uninit();
free_base:
	rte_mempool_free(config.pool);
	stats_region_destroy(&stats);
	if (config.stats_fd >= 0) {
		close(config.stats_fd);
	}
	close(event_fd);
	event_base_free(base);
	return ok;
}

int
main(int argc, char **argv)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct options o = {0};
	bool ok;
	int rc;

	parse_options(&o, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (!daemon_start(&o.daemon, &err)) {
		fprintf(stderr, "weft-datapath: %s\n", err.text);
		daemon_end(&o.daemon);
		return EXIT_FAILURE;
	}
	rc = eal_start(&o);
	if (rc) {
		fprintf(stderr, "weft-datapath: cannot start DPDK: %s; see the lines above\n",
			strerror(-rc));
		return EXIT_FAILURE;
	}
	weft_role_enter(weft_ports);
	ok = run(&o, &err);
	weft_role_leave(weft_ports);
	if (!ok) {
		fprintf(stderr, "weft-datapath: %s\n", err.text);
	}
	daemon_end(&o.daemon);
	eal_stop(&o.daemon);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
