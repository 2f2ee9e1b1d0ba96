/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo's learning switch on os-ken, unmodified, as the controller of a switch without a datapath: what it
 * installs and sends.
 *
 * Without os-ken (Debian's python3-os-ken) the test is skipped, and says so.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/controller-agent/of_world.h"

#include "lib/strbuf.h"
#include "ofproto/of_context.h"
#include "ofproto/of_text.h"

#define APPLICATION "utilities/demo/learning_switch.py"
#define PATIENCE_MS 60000

static pid_t
start_controller(struct world *w, unsigned port)
{
	char text[16], log[96];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(text, sizeof(text), "%u", port);
		snprintf(log, sizeof(log), "%s/log", w->dir);
		if (!freopen("/dev/null", "w", stdout) || !freopen(log, "w", stderr)) {
			_exit(126);
		}
		signal(SIGPIPE, SIG_DFL);
		execl("/usr/bin/timeout", "timeout", "100", "/usr/bin/python3", "-B",
			"/usr/bin/osken-manager", "--ofp-listen-host", "127.0.0.1",
			"--ofp-tcp-listen-port", text, APPLICATION, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* A port that nobody listens on now. */
static unsigned
free_port(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	return ntohs(addr.sin_port);
}

/* Serves, with the clock of the world going as real time goes, until so many rules are there and so many
 * packet-outs have come. */
static void
serve_until(struct world *w, size_t n_rules, unsigned n_packet_outs)
{
	for (unsigned i = 0; i < PATIENCE_MS / 2; i++) {
		if (ofproto_n_rules(w->ofproto) >= n_rules && w->n_packet_outs >= n_packet_outs) {
			break;
		}
		event_base_loopexit(w->lab.base, &(struct timeval){0, 2000});
		event_base_dispatch(w->lab.base);
		w->lab.now_ms += 2;
		of_service_run(w->service);
	}
	assert_int_equal(ofproto_n_rules(w->ofproto), n_rules);
	assert_int_equal(w->n_packet_outs, n_packet_outs);
}

/* A frame from host @from to host @to comes in by port @from and matches nothing. */
static void
frame(struct world *w, uint8_t from, uint8_t to)
{
	uint8_t data[60] = {2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0};
	const struct of_context context = {
		.kind = OF_CONTEXT_PACKET_IN,
		.reason = OF_REASON_NO_MATCH,
		.max_len = OF_MAX_LEN_NO_BUFFER,
	};
	struct of_packet_in pi = {.data = data, .len = sizeof(data), .total_len = sizeof(data)};
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	of_packet_in_fill(&pi, &context, &key, OF_PORT(from), NULL);
	of_service_packet_in(w->service, w->ofproto, &pi);
}

static bool
add_line(const struct of_flow_view *flow, void *user)
{
	struct strbuf *out = user;

	of_text_format_match(&flow->match, flow->priority, NULL, out);
	strbuf_put(out, " actions=");
	of_text_format_actions(flow->actions, flow->actions_size, NULL, out);
	strbuf_put_char(out, '\n');
	return true;
}

static void
expect_rules(struct world *w, const char *wanted)
{
	struct strbuf out = STRBUF_INIT;
	struct of_flow_query query;
	struct of_flow_cursor *cursor;

	of_flow_query_init(&query);
	cursor = ofproto_query_begin(w->ofproto, &query);
	while (ofproto_query_step(cursor, 100, w->lab.now_ms, add_line, &out)) {
	}
	ofproto_query_end(cursor);
	assert_string_equal(strbuf_text(&out), wanted);
	strbuf_uninit(&out);
}

static void
test_os_ken_learns(void **state)
{
	struct of_port_info info;
	char target[64], path[96];
	unsigned port = free_port();
	struct world w;
	pid_t pid;

	(void)state;
	if (access("/usr/bin/osken-manager", X_OK) < 0 || access(APPLICATION, R_OK) < 0) {
		print_message("os-ken is not installed (package python3-os-ken)\n");
		skip();
		return;
	}
	world_open(&w);
	pid = start_controller(&w, port);
	snprintf(target, sizeof(target), "tcp:127.0.0.1:%u", port);
	assert_true(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = target}, NULL));
	/* All that matches nothing goes to the controller. */
	serve_until(&w, 1, 0);
	expect_rules(&w, "priority=0 actions=CONTROLLER:65535\n");
	/* 1 -> 2 is flooded; 2 -> 1 has its flow and goes to port 1; then 1 -> 2. */
	frame(&w, 1, 2);
	serve_until(&w, 1, 1);
	assert_int_equal(w.packet_out.in_port.v, 1);
	assert_int_equal(w.packet_out.len, 60);
	assert_int_equal(
		((const struct of_action_output *)(const void *)w.packet_out_actions)->port,
		OFPP_FLOOD);
	frame(&w, 2, 1);
	serve_until(&w, 2, 2);
	assert_int_equal(
		((const struct of_action_output *)(const void *)w.packet_out_actions)->port, 1);
	frame(&w, 1, 2);
	serve_until(&w, 3, 3);
	expect_rules(&w, "priority=0 actions=CONTROLLER:65535\n"
			 "priority=1,in_port=2,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01 "
			 "actions=output:1\n"
			 "priority=1,in_port=1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02 "
			 "actions=output:2\n");
	/* A link goes down: its address loses its flows. */
	info = *ofproto_port_find(w.ofproto, OF_PORT(2));
	info.state = OF_PORT_LINK_DOWN;
	of_service_port_status(w.service, w.ofproto, OF_PORT_MODIFIED, &info);
	for (unsigned i = 0; i < PATIENCE_MS / 2 && ofproto_n_rules(w.ofproto) != 1; i++) {
		event_base_loopexit(w.lab.base, &(struct timeval){0, 2000});
		event_base_dispatch(w.lab.base);
	}
	expect_rules(&w, "priority=0 actions=CONTROLLER:65535\n");
	assert_int_equal(of_service_counters(w.service)->errors_sent, 0);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/log", w.dir);
	unlink(path);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_os_ken_learns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
