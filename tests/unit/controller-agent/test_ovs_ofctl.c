/* SPDX-License-Identifier: Apache-2.0
 *
 * ovs-ofctl, unmodified, against the service over the mgmt socket, without a datapath: what it prints.
 *
 * Without ovs-ofctl (Debian's openvswitch-common) the tests are skipped, and say so.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/controller-agent/of_world.h"

#include "ofproto/of_context.h"

#define OUTPUT_MAX 65536

static char output[OUTPUT_MAX];

struct child {
	pid_t pid;
	int fd;
	size_t at;
};

/* Starts "ovs-ofctl -O OpenFlow13 COMMAND unix:MGMT ARGUMENTS" through a shell. */
static void
child_start(struct child *child, struct world *w, const char *command, const char *arguments)
{
	char line[4096];
	int fds[2];

	snprintf(line, sizeof(line),
		"OVS_RUNDIR=%s exec timeout 20 ovs-ofctl -O OpenFlow13 %s unix:%s %s 2>&1", w->dir,
		command, w->mgmt, arguments);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(fds[1], 1);
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	child->fd = fds[0];
	child->at = 0;
	output[0] = '\0';
}

/* Serves for 2 ms, and collects what the child printed in @output. */
static void
child_serve(struct child *child, struct world *w)
{
	ssize_t n;

	event_base_loopexit(w->lab.base, &(struct timeval){0, 2000});
	event_base_dispatch(w->lab.base);
	while (child->at < sizeof(output) - 1 &&
		(n = read(child->fd, output + child->at, sizeof(output) - 1 - child->at)) > 0) {
		child->at += (size_t)n;
	}
	output[child->at] = '\0';
}

/* Serves until the child has ended; its status. */
static int
child_finish(struct child *child, struct world *w)
{
	int status;

	while (waitpid(child->pid, &status, WNOHANG) == 0) {
		child_serve(child, w);
	}
	child_serve(child, w);
	close(child->fd);
	world_run(w);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int
ofctl(struct world *w, const char *command, const char *arguments)
{
	struct child child;

	child_start(&child, w, command, arguments);
	return child_finish(&child, w);
}

/* Runs monitor, gives it packet-ins until it prints one, then a port-status, and ends it. (What comes before
 * its own questions are answered, monitor passes over.) */
static void
monitor(struct world *w)
{
	static const uint8_t data[60] = {[12] = 0x08, 0x06};
	struct of_packet_in pi = {
		.data = data,
		.len = sizeof(data),
		.total_len = sizeof(data),
		.max_len = 0xffff,
		.reason = OF_REASON_ACTION,
		.cookie = 0x1122,
	};
	struct child child;

	of_match_init(&pi.match);
	of_match_set_u64(&pi.match, FIELD_IN_PORT, 2);
	child_start(&child, w, "monitor", "65534");
	for (unsigned i = 0; i < 5000 && !strstr(output, "OFPT_PORT_STATUS"); i++) {
		if (!strstr(output, "OFPT_PACKET_IN")) {
			of_service_packet_in(w->service, w->ofproto, &pi);
		} else if (!of_service_counters(w->service)->port_status) {
			of_service_port_status(w->service, w->ofproto, OF_PORT_DELETED,
				ofproto_port_find(w->ofproto, OF_PORT(2)));
		}
		child_serve(&child, w);
	}
	kill(child.pid, SIGTERM);
	child_finish(&child, w);
}

/* The command succeeds and prints exactly this; xid=0x.. becomes xid=X, since ovs-ofctl counts by its own
 * rules. */
static void
expect(struct world *w, const char *command, const char *arguments, const char *wanted)
{
	static char got[OUTPUT_MAX];
	char *to = got;
	int status = ofctl(w, command, arguments);

	for (const char *from = output; *from;) {
		if (strncmp(from, "xid=0x", 6) == 0) {
			to = stpcpy(to, "xid=X");
			from += 6 + strspn(from + 6, "0123456789abcdef");
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	if (status != 0 || strcmp(got, wanted) != 0) {
		fprintf(stderr, "ovs-ofctl %s %s: status %d\n--- wanted\n%s--- got\n%s---\n",
			command, arguments, status, wanted, got);
		fail();
	}
}

/* The command succeeds, and what it prints has this in it. */
static void
expect_match(struct world *w, const char *command, const char *arguments, const char *wanted)
{
	int status = ofctl(w, command, arguments);

	if (status != 0 || !strstr(output, wanted)) {
		fprintf(stderr, "ovs-ofctl %s %s: status %d\n%s", command, arguments, status,
			output);
		fail();
	}
}

/* The command fails, and what it prints has this in it. */
static void
expect_error(struct world *w, const char *command, const char *arguments, const char *wanted)
{
	int status = ofctl(w, command, arguments);

	if (status == 0 || !strstr(output, wanted)) {
		fprintf(stderr, "ovs-ofctl %s %s: status %d\n%s", command, arguments, status,
			output);
		fail();
	}
}

static bool
is_missing(void)
{
	if (system("command -v ovs-ofctl >/dev/null") == 0) {
		return false;
	}
	print_message("ovs-ofctl is not installed (package openvswitch-common)\n");
	skip();
	return true;
}

static void
test_ofctl_shows_the_switch(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "probe", "", "");
	expect(&w, "show", "",
		"OFPT_FEATURES_REPLY (OF1.3) (xid=X): dpid:123456789abcdef0\n"
		"n_tables:255, n_buffers:0\n"
		"capabilities: FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS\n"
		"OFPST_PORT_DESC reply (OF1.3) (xid=X):\n"
		" 1(p1): addr:02:00:00:00:01:01\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n"
		" 2(p2): addr:02:00:00:00:01:02\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n"
		" LOCAL(br0): addr:02:00:00:00:01:fe\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n"
		"OFPT_GET_CONFIG_REPLY (OF1.3) (xid=X): frags=normal miss_send_len=0\n");
	expect(&w, "dump-desc", "",
		"OFPST_DESC reply (OF1.3) (xid=X):\n"
		"Manufacturer: Weft\n"
		"Hardware: none\n"
		"Software: 1\n"
		"Serial Num: \n"
		"DP Description: br0\n");
	expect(&w, "get-frags", "", "normal\n");
	/* The agent is told what it has to keep, when it changes. */
	expect(&w, "set-frags", "drop", "");
	expect(&w, "get-frags", "", "drop\n");
	assert_int_equal(w.n_config_changes, 1);
	expect(&w, "set-frags", "normal", "");
	assert_int_equal(w.n_config_changes, 2);
	expect(&w, "dump-ports-desc", "",
		"OFPST_PORT_DESC reply (OF1.3) (xid=X):\n"
		" 1(p1): addr:02:00:00:00:01:01\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n"
		" 2(p2): addr:02:00:00:00:01:02\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n"
		" LOCAL(br0): addr:02:00:00:00:01:fe\n"
		"     config:     0\n"
		"     state:      LIVE\n"
		"     speed: 0 Mbps now, 0 Mbps max\n");
	expect(&w, "dump-ports", "",
		"OFPST_PORT reply (OF1.3) (xid=X): 3 ports\n"
		"  port  1: rx pkts=10, bytes=1000, drop=0, errs=0, frame=?, over=?, crc=?\n"
		"           tx pkts=11, bytes=1001, drop=0, errs=0, coll=?\n"
		"           duration=12.345s\n"
		"  port  2: rx pkts=20, bytes=2000, drop=0, errs=0, frame=?, over=?, crc=?\n"
		"           tx pkts=21, bytes=2001, drop=0, errs=0, coll=?\n"
		"           duration=12.345s\n"
		"  port LOCAL: rx pkts=4294967276, bytes=4294965296, drop=0, errs=0, "
		"frame=?, over=?, crc=?\n"
		"           tx pkts=4294967277, bytes=4294965297, drop=0, errs=0, coll=?\n"
		"           duration=12.345s\n");
	expect(&w, "dump-ports", "2",
		"OFPST_PORT reply (OF1.3) (xid=X): 1 ports\n"
		"  port  2: rx pkts=20, bytes=2000, drop=0, errs=0, frame=?, over=?, crc=?\n"
		"           tx pkts=21, bytes=2001, drop=0, errs=0, coll=?\n"
		"           duration=12.345s\n");
	expect(&w, "dump-tables", "",
		"OFPST_TABLE reply (OF1.3) (xid=X):\n"
		"  table 0:\n"
		"    active=0, lookup=0, matched=0\n"
		"\n"
		"  tables 1...254: ditto\n");
	expect_match(&w, "ping", "64", "64 bytes from unix:");
	expect_match(&w, "dump-table-features", "",
		"instructions: meter apply_actions clear_actions write_actions write_metadata goto_table");
	world_close(&w);
}

static void
test_ofctl_changes_flows(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "add-flow",
		"'cookie=0x7,table=0,priority=10,in_port=p1,dl_dst=02:00:00:00:00:02,"
		"idle_timeout=5,actions=output:p2'",
		"");
	expect(&w, "add-flow",
		"'priority=11,tcp,nw_src=10.0.0.0/8,tp_dst=80,vlan_tci=0x1064/0x1fff,"
		"actions=pop_vlan,set_field:02:00:00:00:00:09->eth_dst,goto_table:3'",
		"");
	expect(&w, "add-flow", "'table=3,priority=0,actions=CONTROLLER:65535'", "");
	expect(&w, "add-flow",
		"'table=4,ip,actions=dec_ttl,clear_actions,write_actions(push_vlan:0x8100,"
		"output:1),write_metadata:0x5/0xf'",
		"");
	expect(&w, "add-flow",
		"'table=5,priority=1,ipv6,ipv6_src=2001:db8::/32,actions=NORMAL,FLOOD,ALL,"
		"IN_PORT,LOCAL'",
		"");
	expect(&w, "add-flow",
		"'table=6,reg1=0x5,tun_id=0x7,actions=load:0x5->NXM_NX_REG0[0..7],"
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],resubmit(,7),resubmit:2,"
		"controller(reason=action,max_len=12,id=2)'",
		"");
	expect(&w, "dump-flows", "",
		"OFPST_FLOW reply (OF1.3) (xid=X):\n"
		" cookie=0x7, duration=0s, table=0, n_packets=0, n_bytes=0, idle_timeout=5, "
		"priority=10,in_port=1,dl_dst=02:00:00:00:00:02 actions=output:2\n"
		" cookie=0x0, duration=0s, table=0, n_packets=0, n_bytes=0, "
		"priority=11,tcp,dl_vlan=100,nw_src=10.0.0.0/8,tp_dst=80 "
		"actions=pop_vlan,set_field:02:00:00:00:00:09->eth_dst,goto_table:3\n"
		" cookie=0x0, duration=0s, table=3, n_packets=0, n_bytes=0, priority=0 "
		"actions=CONTROLLER:65535\n"
		" cookie=0x0, duration=0s, table=4, n_packets=0, n_bytes=0, ip "
		"actions=dec_ttl,clear_actions,write_actions(push_vlan:0x8100,output:1),"
		"write_metadata:0x5/0xf\n"
		" cookie=0x0, duration=0s, table=5, n_packets=0, n_bytes=0, "
		"priority=1,ipv6,ipv6_src=2001:db8::/32 "
		"actions=NORMAL,FLOOD,ALL,IN_PORT,LOCAL\n"
		" cookie=0x0, duration=0s, table=6, n_packets=0, n_bytes=0, "
		"reg1=0x5,tun_id=0x7 actions=load:0x5->NXM_NX_REG0[0..7],"
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],resubmit(,7),resubmit:2,"
		"controller(max_len=12,id=2)\n");
	expect(&w, "--names dump-flows", "table=0",
		" cookie=0x7, duration=0s, table=0, n_packets=0, n_bytes=0, idle_timeout=5, "
		"priority=10,in_port=p1,dl_dst=02:00:00:00:00:02 actions=output:p2\n"
		" cookie=0x0, duration=0s, table=0, n_packets=0, n_bytes=0, "
		"priority=11,tcp,dl_vlan=100,nw_src=10.0.0.0/8,tp_dst=80 "
		"actions=pop_vlan,set_field:02:00:00:00:00:09->eth_dst,goto_table:3\n");
	expect(&w, "--no-stats dump-flows", "in_port=1",
		" cookie=0x7, idle_timeout=5, priority=10,in_port=1,dl_dst=02:00:00:00:00:02 "
		"actions=output:2\n");
	expect(&w, "dump-aggregate", "",
		"OFPST_AGGREGATE reply (OF1.3) (xid=X): packet_count=0 byte_count=0 "
		"flow_count=6\n");
	expect(&w, "dump-aggregate", "table=4",
		"OFPST_AGGREGATE reply (OF1.3) (xid=X): packet_count=0 byte_count=0 "
		"flow_count=1\n");
	expect(&w, "mod-flows", "'table=3,actions=drop'", "");
	expect(&w, "--strict mod-flows",
		"'table=0,priority=10,in_port=p1,dl_dst=02:00:00:00:00:02,"
		"actions=output:LOCAL'",
		"");
	expect(&w, "--no-stats dump-flows", "",
		" cookie=0x7, idle_timeout=5, priority=10,in_port=1,dl_dst=02:00:00:00:00:02 "
		"actions=LOCAL\n"
		" priority=11,tcp,dl_vlan=100,nw_src=10.0.0.0/8,tp_dst=80 "
		"actions=pop_vlan,set_field:02:00:00:00:00:09->eth_dst,goto_table:3\n"
		" table=3, priority=0 actions=drop\n"
		" table=4, ip actions=dec_ttl,clear_actions,write_actions(push_vlan:0x8100,"
		"output:1),write_metadata:0x5/0xf\n"
		" table=5, priority=1,ipv6,ipv6_src=2001:db8::/32 "
		"actions=NORMAL,FLOOD,ALL,IN_PORT,LOCAL\n"
		" table=6, reg1=0x5,tun_id=0x7 "
		"actions=load:0x5->NXM_NX_REG0[0..7],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
		"resubmit(,7),resubmit:2,controller(max_len=12,id=2)\n");
	expect(&w, "del-flows", "'cookie=0x7/-1'", "");
	expect(&w, "--strict del-flows", "'table=3,priority=0'", "");
	expect(&w, "del-flows", "'ipv6'", "");
	expect(&w, "del-flows", "'out_port=1'", "");
	expect(&w, "--no-stats --sort dump-flows", "",
		" priority=11,tcp,dl_vlan=100,nw_src=10.0.0.0/8,tp_dst=80 "
		"actions=pop_vlan,set_field:02:00:00:00:00:09->eth_dst,goto_table:3\n"
		" table=6, reg1=0x5,tun_id=0x7 "
		"actions=load:0x5->NXM_NX_REG0[0..7],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
		"resubmit(,7),resubmit:2,controller(max_len=12,id=2)\n");
	expect(&w, "del-flows", "", "");
	expect(&w, "dump-flows", "", "OFPST_FLOW reply (OF1.3) (xid=X):\n");
	world_close(&w);
}

static void
test_ofctl_takes_files(void **state)
{
	char path[128], arguments[256];
	struct world w;
	FILE *file;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	snprintf(path, sizeof(path), "%s/flows", w.dir);
	snprintf(arguments, sizeof(arguments), "%s", path);
	file = fopen(path, "w");
	assert_non_null(file);
	for (unsigned i = 0; i < 2000; i++) {
		fprintf(file,
			"table=%u,priority=%u,dl_dst=02:00:00:00:%02x:%02x,actions=output:%u\n",
			i % 3, i, i >> 8, i & 255, i % 2 + 1);
	}
	fclose(file);
	expect(&w, "add-flows", arguments, "");
	assert_int_equal(ofproto_n_rules(w.ofproto), 2000);
	expect(&w, "diff-flows", arguments, "");
	expect(&w, "del-flows", "", "");
	expect(&w, "--bundle add-flows", arguments, "");
	assert_int_equal(ofproto_n_rules(w.ofproto), 2000);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "priority=1,actions=output:1\n");
	fclose(file);
	expect(&w, "replace-flows", arguments, "");
	expect(&w, "--no-stats dump-flows", "", " priority=1 actions=output:1\n");
	/* All or nothing. */
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "delete\npriority=2,actions=output:1\npriority=3,actions=group:5\n");
	fclose(file);
	expect_error(&w, "--bundle add-flows", arguments, "OFPBAC_BAD_OUT_GROUP");
	assert_non_null(strstr(output, "OFPBFC_MSG_FAILED"));
	expect(&w, "--no-stats dump-flows", "", " priority=1 actions=output:1\n");
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "group add group_id=5,type=all,bucket=actions=1\n"
		      "flow add priority=3,actions=group:5\n"
		      "flow delete_strict priority=1\n");
	fclose(file);
	expect(&w, "bundle", arguments, "");
	expect(&w, "--no-stats dump-flows", "", " priority=3 actions=group:5\n");
	unlink(path);
	world_close(&w);
}

static void
test_ofctl_sees_errors(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect_error(&w, "add-flow", "'actions=group:1'", "OFPBAC_BAD_OUT_GROUP");
	expect_error(&w, "add-group", "'group_id=1,type=ff,bucket=watch_port:9,output:1'",
		"OFPGMFC_BAD_WATCH");
	expect_error(&w, "add-meter", "'meter=1,kbps,band=type=dscp_remark,rate=1,prec_level=4'",
		"OFPMMFC_BAD_BAND_VALUE");
	expect(&w, "add-flow", "'priority=5,actions=drop'", "");
	expect_error(&w, "add-flow", "'check_overlap,priority=5,in_port=1,actions=drop'",
		"OFPFMFC_OVERLAP");
	world_close(&w);
}

static void
test_ofctl_sends_and_sees_packets(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "packet-out",
		"'in_port=controller,packet=ffffffffffff0200000000010800,actions=FLOOD'", "");
	assert_int_equal(w.n_packet_outs, 1);
	assert_int_equal(w.packet_out.len, 14);
	expect(&w, "mod-port", "p1 down", "");
	assert_int_equal(w.n_port_mods, 1);
	assert_int_equal(w.port_mod_config, OF_PORT_DOWN);
	/* What monitor prints, when a packet and a port change come. */
	monitor(&w);
	assert_non_null(strstr(output,
		"OFPT_PACKET_IN (OF1.3) (xid=0x0): cookie=0x1122 total_len=60 in_port=2 "
		"(via action) data_len=60 (unbuffered)"));
	assert_non_null(strstr(
		output, "OFPT_PORT_STATUS (OF1.3) (xid=0x0): DEL: 2(p2): addr:02:00:00:00:01:02"));
	world_close(&w);
}

static void
test_ofctl_changes_groups(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "dump-groups", "", "OFPST_GROUP_DESC reply (OF1.3) (xid=X):\n");
	expect(&w, "dump-group-stats", "", "OFPST_GROUP reply (OF1.3) (xid=X):\n");
	expect(&w, "del-groups", "", "");
	expect(&w, "add-group",
		"'group_id=1,type=select,bucket=weight:3,actions=output:1,"
		"bucket=weight:1,watch_port:1,actions=push_vlan:0x8100,output:1'",
		"");
	expect(&w, "add-group", "'group_id=7,type=all,bucket=actions=group:1,bucket=actions=1'",
		"");
	expect(&w, "add-group", "'group_id=9,type=indirect,bucket=actions=drop'", "");
	expect(&w, "mod-group", "'group_id=9,type=ff,bucket=watch_group:1,actions=output:1'", "");
	expect_error(
		&w, "mod-group", "'group_id=1,type=all,bucket=actions=group:7'", "OFPGMFC_LOOP");
	expect_error(&w, "add-group", "'group_id=1,type=all'", "OFPGMFC_GROUP_EXISTS");
	expect_error(&w, "mod-group", "'group_id=2,type=all'", "OFPGMFC_UNKNOWN_GROUP");
	expect_error(&w, "del-groups", "group_id=1", "OFPGMFC_CHAINED_GROUP");
	expect(&w, "dump-groups", "",
		"OFPST_GROUP_DESC reply (OF1.3) (xid=X):\n"
		" group_id=1,type=select,bucket=weight:3,actions=output:1,"
		"bucket=watch_port:1,actions=push_vlan:0x8100,output:1\n"
		" group_id=7,type=all,bucket=actions=group:1,bucket=actions=output:1\n"
		" group_id=9,type=ff,bucket=watch_group:1,actions=output:1\n");
	expect(&w, "add-flow", "'in_port=1,actions=group:7'", "");
	expect_match(&w, "dump-group-stats", "group_id=7", "group_id=7,duration=");
	expect_match(&w, "dump-group-stats", "group_id=7",
		"ref_count=1,packet_count=0,byte_count=0,bucket0:packet_count=0,byte_count=0,"
		"bucket1:packet_count=0,byte_count=0\n");
	expect_match(&w, "dump-group-stats", "group_id=1", "ref_count=1,");
	expect(&w, "del-groups", "group_id=7", "");
	expect(&w, "dump-flows", "", "OFPST_FLOW reply (OF1.3) (xid=X):\n");
	expect(&w, "del-groups", "", "");
	expect(&w, "dump-groups", "", "OFPST_GROUP_DESC reply (OF1.3) (xid=X):\n");
	expect_match(&w, "dump-group-features", "",
		" Group table:\n"
		"    Types:  0xf\n"
		"    Capabilities:  0xf\n");
	world_close(&w);
}

static void
test_ofctl_changes_meters(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "dump-meters", "", "OFPST_METER_CONFIG reply (OF1.3) (xid=X):\n");
	expect(&w, "meter-stats", "", "OFPST_METER reply (OF1.3) (xid=X):\n");
	expect(&w, "add-meter",
		"'meter=5,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100,"
		"type=dscp_remark,rate=500,burst_size=50,prec_level=1'",
		"");
	expect(&w, "add-meter", "'meter=2,pktps,band=type=drop,rate=10'", "");
	expect(&w, "mod-meter", "'meter=2,pktps,band=type=drop,rate=20'", "");
	expect_error(
		&w, "add-meter", "'meter=2,pktps,band=type=drop,rate=10'", "OFPMMFC_METER_EXISTS");
	expect_error(
		&w, "mod-meter", "'meter=3,pktps,band=type=drop,rate=10'", "OFPMMFC_UNKNOWN_METER");
	expect(&w, "dump-meters", "",
		"OFPST_METER_CONFIG reply (OF1.3) (xid=X):\n"
		"meter=2 pktps bands=\n"
		"type=drop rate=20\n"
		"\n"
		"meter=5 kbps burst stats bands=\n"
		"type=drop rate=1000 burst_size=100\n"
		"type=dscp_remark rate=500 burst_size=50 prec_level=1\n");
	expect(&w, "add-flow", "'in_port=1,actions=meter:5,output:1'", "");
	expect_match(&w, "meter-stats", "meter=5",
		"meter:5 flow_count:1 packet_in_count:5000 "
		"byte_in_count:5000000 duration:");
	expect_match(&w, "meter-stats", "meter=5",
		"0: packet_count:100 byte_count:10000\n1: packet_count:101 byte_count:10001\n");
	expect_match(&w, "meter-stats", "meter=9", "OFPMMFC_UNKNOWN_METER");
	expect_error(
		&w, "add-flow", "'in_port=1,actions=meter:9,output:1'", "OFPMMFC_UNKNOWN_METER");
	expect(&w, "del-meter", "meter=5", "");
	expect(&w, "dump-flows", "", "OFPST_FLOW reply (OF1.3) (xid=X):\n");
	expect(&w, "del-meters", "", "");
	expect(&w, "dump-meters", "", "OFPST_METER_CONFIG reply (OF1.3) (xid=X):\n");
	expect(&w, "meter-features", "",
		"OFPST_METER_FEATURES reply (OF1.3) (xid=X):\n"
		"max_meter:65536 max_bands:16 max_color:0\n"
		"band_types: drop dscp_remark\n"
		"capabilities: kbps pktps burst stats\n");
	world_close(&w);
}

static void
test_ofctl_sees_no_queues(void **state)
{
	struct world w;

	(void)state;
	if (is_missing()) {
		return;
	}
	world_open(&w);
	expect(&w, "queue-stats", "", "OFPST_QUEUE reply (OF1.3) (xid=X): 0 queues\n");
	expect(&w, "queue-get-config", "", "OFPT_QUEUE_GET_CONFIG_REPLY (OF1.3) (xid=X):\n");
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ofctl_shows_the_switch),
		cmocka_unit_test(test_ofctl_changes_flows),
		cmocka_unit_test(test_ofctl_takes_files),
		cmocka_unit_test(test_ofctl_sees_errors),
		cmocka_unit_test(test_ofctl_sends_and_sees_packets),
		cmocka_unit_test(test_ofctl_changes_groups),
		cmocka_unit_test(test_ofctl_changes_meters),
		cmocka_unit_test(test_ofctl_sees_no_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
