# SPDX-License-Identifier: Apache-2.0
"""weft trace: what it says a packet becomes is what becomes of it, and it changes nothing.

    guest a --- vhost-user a --- switch br0 --- vhost-user b --- guest b
                                            --- vhost-user c (VLAN 7)
"""

import concurrent.futures
import struct

import pytest
from lab import VhostGuest, Weft, wait_for

A, B = "020000000001", "020000000002"
IP = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 9, 17, 0x5DCF, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
UDP = struct.pack("!HHHH", 1, 2, 8, 0)
PLAIN = bytes.fromhex(B + A + "0800") + IP + UDP + bytes(18)
LABELLED = bytes.fromhex(B + A + "8847" + "00007040" + "0000813f") + IP + UDP + bytes(10)

REFUSED = [
    ("trace", "switch is missing; usage: weft trace SWITCH FLOW"),
    ("trace nope in_port=a", "no switch nope"),
    ("trace br0", "in_port is missing"),
    ("trace br0 tcp", "in_port is missing"),
    ("trace br0 in_port=77", "no port 77"),
    ("trace br0 in_port=x", "no port of that name"),
    ("trace br0 in_port=a,colour=red", "colour: unknown"),
    ("trace br0 in_port=a,nw_dst=10.0.0.300", "nw_dst=10.0.0.300"),
    ("trace br0 in_port=a,udp,tcp_dst=4", "tcp_dst needs tcp"),
    ("trace br0 in_port=a,actions=drop", "actions: unknown"),
    ("trace br0 in_port=a --packet", "--packet needs a value"),
    ("trace br0 in_port=a --packet 012", "3 hexadecimal digits are no whole bytes"),
    ("trace br0 in_port=a --packet 01zz", "character 3 is no hexadecimal digit"),
    ("trace br0 in_port=a --packet 0102", "rx-truncated"),
    ("trace br0 in_port=a,ip --packet " + PLAIN.hex(), "eth_type: the packet's bytes say"),
    ("trace br0 in_port=gone", "is not in the datapath"),
    ("trace br0 in_port=a --colour", "unknown option --colour"),
]


@pytest.fixture
def stage(lab):
    """Weft, and the guests of a and b."""
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", "of-port=1")
    weft.cli("port", "add", "br0", "b", "type=vhost-user", "of-port=2")
    weft.cli("port", "add", "br0", "c", "type=vhost-user", "of-port=3", "tag=7")
    guests = [VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab"]
    wait_for("links are up", lambda: [p["link"] for p in weft.cli("port", "list", json=True)] == ["up", "up", "down"])
    yield weft, *guests
    weft.stop()


def fast_path(trace):
    return sorted((p["fast_path"]["match"], p["fast_path"]["actions"]) for p in trace["passes"])


def installed(weft):
    return sorted((flow["match"], flow["actions"]) for flow in weft.cli("dp", "flows", json=True))


def everything(weft):
    """What a trace could have changed. (The tables' version is moved by news of ports too: test_trace_random has it.)"""
    stats = weft.cli("stats", json=True)
    dp = weft.cli("dp", "stats", json=True)
    return (
        stats["handlers"]["upcalls"],
        [dp[key] for key in ("flows", "objects", "contexts", "to_agent", "rx_packets", "tx_packets", "executes")],
        [(f["text"].split("n_packets")[1]) for f in weft.cli("flow", "list", "br0", json=True)],
        weft.cli("group", "list", "br0", json=True)[0]["packets"],
        weft.cli("fdb", "list", json=True),
        weft.cli("table", "list", json=True),
        weft.cli("drops", json=True),
    )


def test_trace_refuses(stage):
    weft = stage[0]
    # A port that the datapath could not make: its peer is not there.
    weft.cli("port", "add", "br0", "gone", "type=patch", "peer=nobody")
    for words, named in REFUSED:
        line = weft.cli_fails(*words.split())
        assert named in line, line
        assert line.startswith("weft: ")


def test_trace_text_and_json(stage):
    weft = stage[0]
    weft.cli("flow", "add", "br0", "cookie=0x5,priority=9,ip,nw_dst=10.0.0.0/8,actions=dec_ttl,output:c,goto_table:4")
    assert weft.cli("trace", "br0", "in_port=a", "nw_dst=10.0.0.2,nw_ttl=7") == (
        "packet: ip,in_port=a,nw_dst=10.0.0.2,nw_ttl=7\n"
        "  switch br0, port a (1)\n"
        "    table 0: priority=9,ip,nw_dst=10.0.0.0/8, cookie=0x5\n"
        "      dec_ttl\n"
        "        nw_ttl: 7 -> 6\n"
        "      output:c\n"
        "        out by port c (3), whose link is down\n"
        "      goto_table:4\n"
        "    table 4: no rule matches\n"
        "final flow: ip,in_port=a,nw_dst=10.0.0.2,nw_ttl=6\n"
        "fast-path flow: recirc_id=0,ip,in_port=%d,nw_dst=10.0.0.0/8\n"
        "  looks at: in_port, recirc_id, eth_type, ip_dst (the first 8 of 32 bits)\n"
        "  actions: dec_ttl(drop(invalid-ttl)),output(%d)\n"
    ) % tuple(weft.cli("port", "show", name, json=True)["dp_port"] for name in "ac")
    trace = weft.cli("trace", "br0", "in_port=1,udp_dst=5", json=True)
    assert trace["text"].startswith("packet: udp,in_port=a,nw_ttl=64,tp_dst=5\n")
    one = trace["passes"][0]
    assert one["recirc_id"] == 0 and one["flow"] == "udp,in_port=a,nw_ttl=64,tp_dst=5"
    assert one["final_flow"] == one["flow"]
    assert one["steps"] == [
        {
            "kind": "switch",
            "text": "switch br0, port a (1)",
            "steps": [{"kind": "table", "text": "table 0: no rule matches", "table": 0}],
        }
    ]
    assert one["fast_path"]["actions"] == "drop" and one["fast_path"]["drop"] == "explicit"
    assert {"field": "eth_type", "bits": "all"} in one["fast_path"]["looks_at"]
    # Each kind with its values.
    steps = weft.cli("trace", "br0", "in_port=1,nw_dst=10.1.1.1", json=True)["passes"][0]["steps"][0]["steps"]
    table = steps[0]
    assert [table[key] for key in ("kind", "table", "priority", "match", "cookie")] == [
        "table", 0, 9, "ip,nw_dst=10.0.0.0/8", "0x5"]
    assert table["steps"][0] == {
        "kind": "action",
        "text": "dec_ttl",
        "action": "dec_ttl",
        "steps": [{"kind": "change", "text": "nw_ttl: 64 -> 63", "field": "nw_ttl", "before": "64", "after": "63"}],
    }
    output = table["steps"][1]["steps"][0]
    assert (output["kind"], output["port"], output["name"]) == ("output", 3, "c")
    assert steps[1] == {"kind": "table", "text": "table 4: no rule matches", "table": 4}


def test_trace_shows_the_flows_that_packets_make(stage):
    weft, a, b = stage
    weft.cli("flow", "add", "br0", "mpls,mpls_bos=0,actions=pop_mpls:0x8847,goto_table:1")
    weft.cli("flow", "add", "br0", "table=1,mpls,mpls_label=8,actions=set_field:4->reg3,pop_mpls:0x0800,goto_table:2")
    weft.cli("flow", "add", "br0", "table=2,reg3=4,ip,nw_dst=10.0.0.2,actions=dec_ttl,output:b")
    weft.cli("flow", "add", "br0", "ip,udp,nw_src=10.0.0.0/24,actions=mod_vlan_vid:5,output:b,strip_vlan,controller:77")
    for frame in (PLAIN, LABELLED):
        def same(frame=frame):
            a.send(frame)
            b.receive(20)
            shown = fast_path(weft.cli("trace", "br0", "in_port=a", "--packet", frame.hex(), json=True))
            return shown == [flow for flow in installed(weft) if flow in shown] and shown

        shown = wait_for("the flows of the packet", same, 30)
        assert len(shown) == (1 if frame is PLAIN else 3)


def test_trace_changes_nothing(stage):
    weft = stage[0]
    weft.cli("group", "add", "br0", "group_id=1,type=select,bucket=actions=output:a,bucket=actions=output:b")
    weft.cli("flow", "add", "br0", "priority=9,tcp,actions=group:1,controller,NORMAL")
    weft.cli("flow", "add", "br0", "priority=9,mpls,actions=pop_mpls:0x0800,resubmit(,1)")
    weft.cli("flow", "add", "br0", "priority=1,actions=NORMAL")
    before = wait_for("nothing happens any more", lambda: (now := everything(weft)) == everything(weft) and now)
    flows = [
        "in_port=a,tcp,dl_src=00:00:00:00:00:01",
        "in_port=b,mpls,dl_src=00:00:00:00:00:02",
        "in_port=c,dl_src=00:00:00:00:00:03",
    ]

    def run(flow):
        return weft.cli("trace", "br0", flow)

    # Also many at once.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(run, 8 * flows))
    assert texts == 8 * texts[:3]
    assert "would be learned at port a" in texts[0] and "select(1.1)" in texts[0]
    assert "recirculated: " in texts[1]
    assert "VLAN 7: destination not known, floods to a,b" in texts[2]
    assert everything(weft) == before


def test_agent_ends_while_traces_wait(stage):
    """None of them keeps it, and callers get a line of error or their trace."""
    weft = stage[0]
    actions = ",".join(["group:1"] * 1300)
    weft.cli("group", "add", "br0", "group_id=1,type=all,bucket=actions=output:a,bucket=actions=output:b")
    weft.cli("flow", "add", "br0", f"actions={actions}")

    def run(_):
        return weft.run_cli("trace", "br0", "in_port=a")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = [pool.submit(run, n) for n in range(24)]
        weft.stop_agent()
        for result in results:
            done = result.result()
            assert done.returncode in (0, 1)
            assert done.stdout.startswith("packet: in_port=a\n") or done.stderr.startswith("weft: ")
    weft.start_agent()
    # Ports come back as the datapath tells of them.
    wait_for("traces again", lambda: weft.run_cli("trace", "br0", "in_port=a").stdout.startswith("packet: in_port=a\n"))
