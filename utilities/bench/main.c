/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line of weft-bench.
 */
#include "utilities/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/eth_addr.h"

volatile bool bench_stop;

static const struct command {
	const char *name;
	int (*run)(const struct bench_options *o);
	unsigned n_ports;
	const char *help;
} commands[] = {
	{"traffic", bench_traffic, 2,
		"send frames from the first port to the second, report the rate"},
	{"latency", bench_latency, 2, "send a frame now and then, report how long each took"},
	{"flood", bench_flood, 4,
		"flood the first two ports with new flows, report how the other two fare"},
	{"reflect", bench_reflect, 2, "serve two ports and join them: the generator's own limit"},
};

static void
print_help(FILE *f)
{
	fputs("Usage: weft-bench COMMAND --port SOCKET --port SOCKET.. [OPTION..] [-- EAL-ARGUMENT..]\n"
	      "Drives a vhost-user switch with two or four virtio-user ports on one core.\n\nCommands:\n",
		f);
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
	}
	fputs("\nOptions:\n"
	      "  --port SOCKET     vhost-user socket; twice, for flood four times\n"
	      "  --core N          core of the generator (0)\n"
	      "  --size BYTES      of a frame with FCS, 64..1518 (64)\n"
	      "  --flows N         flows that the frames cycle through, 1..16777216 (1; flood: all)\n"
	      "  --seconds S       measured time (3)\n"
	      "  --warm-up S       before it (1)\n"
	      "  --rate PPS        at most; 0: as fast as it goes (0)\n"
	      "  --both-ways       traffic in both directions\n"
	      "  --vxlan-in MAC    traffic: frames go in as VXLAN packets of VNI 5 from 192.0.2.2 to\n"
	      "                    192.0.2.1, which has that address\n"
	      "  --vxlan-out       traffic: frames come out as VXLAN packets\n"
	      "  --count N         latency: frames; flood: at most so many new flows (1000)\n"
	      "  --interval-us N   time between them (10000)\n"
	      "  --memory MB       (256)\n"
	      "  --no-huge         no huge pages even if there are some\n"
	      "  --json            print the result for programs\n"
	      "  --version, --help\n",
		f);
}

static void
fail(const char *what, const char *value)
{
	fprintf(stderr, "weft-bench: %s%s%s; see weft-bench --help\n", what, value ? " " : "",
		value ? value : "");
	exit(EXIT_FAILURE);
}

static double
number(const char *name, const char *text, double min, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= min && v <= max)) {
		fprintf(stderr, "weft-bench: --%s takes a number from %.10g to %.10g, not \"%s\"\n",
			name, min, max, text);
		exit(EXIT_FAILURE);
	}
	return v;
}

static void
mac_address(const char *name, const char *text, uint8_t mac[6])
{
	if (!eth_addr_parse(text, mac)) {
		fprintf(stderr,
			"weft-bench: --%s takes an Ethernet address like 02:00:00:00:00:01, not \"%s\"\n",
			name, text);
		exit(EXIT_FAILURE);
	}
}

static void
on_signal(int signal_number)
{
	(void)signal_number;
	bench_stop = true;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"core", required_argument, NULL, 'c'},
		{"size", required_argument, NULL, 's'},
		{"flows", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 't'},
		{"warm-up", required_argument, NULL, 'w'},
		{"rate", required_argument, NULL, 'r'},
		{"both-ways", no_argument, NULL, 'b'},
		{"vxlan-in", required_argument, NULL, 'x'},
		{"vxlan-out", no_argument, NULL, 'X'},
		{"count", required_argument, NULL, 'n'},
		{"interval-us", required_argument, NULL, 'i'},
		{"memory", required_argument, NULL, 'm'},
		{"no-huge", no_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'j'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct bench_options o = {
		.size = BENCH_MIN_FRAME,
		.n_flows = 1,
		.seconds = 3,
		.warm_up_s = 1,
		.count = 1000,
		.interval_us = 10000,
		.memory_mb = 256,
	};
	const struct command *command = NULL;
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "h", options, &at)) != -1) {
		const char *name = c == 'h' || c == '?' ? "" : options[at].name;

		switch (c) {
		case 'p':
			if (o.n_ports == BENCH_MAX_PORTS) {
				fail("no more than four ports:", optarg);
			}
			o.socket[o.n_ports++] = optarg;
			break;
		case 'c':
			o.core = (unsigned)number(name, optarg, 0, 1023);
			break;
		case 's':
			o.size = (unsigned)number(name, optarg, BENCH_MIN_FRAME, BENCH_MAX_FRAME);
			break;
		case 'f':
			o.n_flows = (unsigned)number(name, optarg, 1, 1 << 24);
			break;
		case 't':
			o.seconds = number(name, optarg, 0.01, 86400);
			break;
		case 'w':
			o.warm_up_s = number(name, optarg, 0, 3600);
			break;
		case 'r':
			o.rate_pps = number(name, optarg, 0, 1e9);
			break;
		case 'b':
			o.both_ways = true;
			break;
		case 'x':
			o.vxlan_in = true;
			mac_address(name, optarg, o.vxlan_mac);
			break;
		case 'X':
			o.vxlan_out = true;
			break;
		case 'n':
			o.count = (unsigned)number(name, optarg, 1, 1e7);
			break;
		case 'i':
			o.interval_us = (unsigned)number(name, optarg, 1, 1e7);
			break;
		case 'm':
			o.memory_mb = (unsigned)number(name, optarg, 64, 1 << 20);
			break;
		case 'H':
			o.no_huge = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'V':
			puts("weft-bench " WEFT_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_help(stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_FAILURE;
		}
	}
	if (optind < argc) {
		for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
			if (!strcmp(argv[optind], commands[i].name)) {
				command = &commands[i];
			}
		}
	}
	if (!command) {
		fail(optind < argc ? "unknown command" : "a command is missing",
			optind < argc ? argv[optind] : NULL);
	}
	if (o.n_ports != command->n_ports) {
		fail(command->n_ports == 2 ? "two --port SOCKET are needed"
					   : "four --port SOCKET are needed",
			NULL);
	}
	o.eal_args = argv + optind + 1;
	o.n_eal_args = argc - optind - 1;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	return command->run(&o);
}
