# SPDX-License-Identifier: Apache-2.0
"""The fast path outlives the agent.

    guest a --- vhost-user a --- switch br0 --- vhost-user b --- guest b
"""

import threading
import time

from lab import VhostGuest, Weft, ovs_ofctl, wait_for
from scapy.all import IP, UDP, Ether

A, B = "020000000001", "020000000002"
AWAY_S = 5
FRAGMENT = bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(src="10.0.0.1", dst="10.0.0.2", flags="MF")
                 / UDP() / bytes(40))


def frame(source, destination, number):
    return bytes.fromhex(destination + source + "9000") + number.to_bytes(4, "big") + bytes(46)


def stage(lab, **options):
    weft = Weft(lab, **options).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", "of-port=1")
    weft.cli("port", "add", "br0", "b", "type=vhost-user", "of-port=2")
    weft.cli("flow", "add", "br0", "in_port=1,actions=output:2")
    weft.cli("flow", "add", "br0", "in_port=2,actions=output:1")
    return weft, VhostGuest(lab, weft.vhost_path("a")).open(), VhostGuest(lab, weft.vhost_path("b")).open()


def fast_flows(weft):
    return {flow["match"]: (flow["handle"], flow["actions"]) for flow in weft.cli("dp", "flows", json=True)}


def test_killed_agent_costs_no_packet_and_a_new_one_takes_over(lab):
    weft, a, b = stage(lab)
    a.send(frame(A, B, 0))
    assert b.receive() == frame(A, B, 0)
    before = fast_flows(weft)
    ports = {port["name"]: port["of_port"] for port in weft.cli("port", "list", json=True)}
    assert before

    sent = 1
    weft.kill_agent()
    end = time.monotonic() + AWAY_S
    while time.monotonic() < end:
        a.send(frame(A, B, sent))
        sent += 1
        time.sleep(0.005)
    assert fast_flows(weft) == before
    stop = threading.Event()

    def talk():
        nonlocal sent
        while not stop.is_set():
            a.send(frame(A, B, sent))
            sent += 1
            time.sleep(0.005)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        weft.start_agent()
        assert {port["name"]: port["of_port"] for port in weft.cli("port", "list", json=True)} == ports
        assert fast_flows(weft) == before
        # The rules have come back from the state directory, so new flows are served too.
        b.send(frame(B, A, 7))
        assert a.receive(5) == frame(B, A, 7)
        time.sleep(1)
    finally:
        stop.set()
        thread.join()
    got = []
    wait_for(lambda: f"all {sent - 1} frames; {len(got)} came",
             lambda: got.extend(b.receive_all(quiet=0.1)) or len(got) >= sent - 1, 5)
    assert [int.from_bytes(each[14:18], "big") for each in got] == list(range(1, sent))
    weft.stop()


def test_what_controllers_have_set_outlives_the_agent(lab):
    weft, a, b = stage(lab)
    weft.cli("port", "add", "br0", "c", "type=null", "of-port=3")
    ovs_ofctl(weft, "set-frags", "br0", "drop")
    ovs_ofctl(weft, "mod-port", "br0", "1", "no-packet-in")
    ovs_ofctl(weft, "mod-port", "br0", "2", "no-receive")
    ovs_ofctl(weft, "mod-port", "br0", "3", "down")

    def shown():
        text = ovs_ofctl(weft, "dump-ports-desc", "br0") + ovs_ofctl(weft, "get-frags", "br0")
        admin = {port["name"]: port["admin"] for port in weft.cli("port", "list", json=True)}
        return [line.strip() for line in text.splitlines() if "config" in line or "drop" in line or "normal" in line], admin

    def dropped(port, reason):
        return sum(row["packets"] for row in weft.cli("drops", port, json=True) if row["reason"] == reason)

    before = shown()
    assert before == (["config:     NO_PACKET_IN", "config:     NO_RECV", "config:     PORT_DOWN", "drop"],
                      {"a": "up", "b": "up", "c": "down"})
    for number, end in enumerate((weft.stop_agent, weft.kill_agent), 1):
        end()
        weft.start_agent()
        wait_for(lambda: f"the ports as they were: {shown()}", lambda: shown() == before)
        a.send(FRAGMENT)
        wait_for("the fragment is dropped", lambda: dropped("a", "fragment") == number)
        b.send(frame(B, A, number))
        wait_for("b is not listened to", lambda: dropped("b", "rx-disabled") == number)
    assert (a.poll(), b.poll()) == (None, None)
    # What is configured goes before; a port that is made anew knows nothing of the one before it.
    weft.cli("port", "set", "c", "admin=down")
    weft.cli("port", "set", "c", "admin=up")
    weft.cli("port", "del", "br0", "b")
    weft.cli("port", "add", "br0", "b", "type=null", "of-port=2")
    ovs_ofctl(weft, "set-frags", "br0", "normal")
    weft.stop_agent()
    weft.start_agent()
    after = (["config:     NO_PACKET_IN", "config:     0", "config:     0", "normal"], {"a": "up", "b": "up", "c": "up"})
    wait_for(lambda: f"the ports as they are now: {shown()}", lambda: shown() == after)
    weft.stop()


def test_killed_datapath_comes_back_with_ports_and_flows(lab):
    weft, a, b = stage(lab)
    a.send(frame(A, B, 0))
    b.receive()
    weft.kill_datapath()
    a.close()
    b.close()
    weft.start_datapath()
    wait_for("the ports", lambda: weft.vhost_path("a").exists() and weft.vhost_path("b").exists(), 10)
    a.open()
    b.open()
    wait_for("traffic again", lambda: a.send(frame(A, B, 1)) or b.poll(0.2) == frame(A, B, 1), 10)
    weft.stop()


def test_second_agent_is_refused_while_the_first_lives(lab):
    weft, a, b = stage(lab)
    second = lab.start("second", [weft.bin / "weft-agent", "--rundir", weft.rundir, "--config", weft.config],
                       expect=None)
    assert second.wait(10) == 1
    assert "weft-agent" in second.log() or "agent.sock" in second.log()
    a.send(frame(A, B, 3))
    assert b.receive() == frame(A, B, 3)
    weft.stop()


def test_agent_ends_orderly_from_its_first_answer_on(lab):
    weft = Weft(lab)
    weft.start_datapath()
    for _ in range(20):
        weft.start_agent()
        weft.stop_agent()  # which fails if a signal ended it
