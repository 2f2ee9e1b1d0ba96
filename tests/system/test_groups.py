# SPDX-License-Identifier: Apache-2.0
"""Groups and meters, from the command line to the packets and back, with and without the agent.

    guest a --- vhost-user a --- switch br0 --- vhost-user b --- guest b
                                            --- vhost-user c --- guest c
"""

import struct

from lab import VhostGuest, Weft, ovs_ofctl, wait_for

A, B = "020000000001", "020000000002"


def datagram(source_port, tos=0):
    """A UDP datagram of 60 bytes from a to b; addresses, checksums and all but the port are always the same."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 46, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~total & 0xFFFF) + ip[12:]
    return bytes.fromhex(B + A + "0800") + ip + struct.pack("!HHHH", source_port, 4789, 26, 0) + bytes(18)


def stage(lab, **options):
    weft = Weft(lab, **options).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    guests = []
    for number, name in enumerate("abc", 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
        guests.append(VhostGuest(lab, weft.vhost_path(name)).open())
    return weft, *guests


def listed(weft, kind, number):
    return next(item for item in weft.cli(kind, "list", "br0", json=True) if item[kind] == number)


def counted(weft, number):
    group = listed(weft, "group", number)
    return group["packets"], [bucket["packets"] for bucket in group["buckets"]]


def test_select_shares_and_outlives_the_agent(lab):
    weft, a, b, c = stage(lab)
    weft.cli("group", "add", "br0", "group_id=1,type=select,bucket=weight:3,actions=output:b,bucket=actions=output:c")
    weft.cli("flow", "add", "br0", "in_port=a,actions=group:1")
    frames = [datagram(2000 + n) for n in range(200)]

    def send_all():
        for frame in frames:
            a.send(frame)
        # In no order: packets that wait while their flow is set up may be overtaken.
        return sorted(b.receive_all(1)), sorted(c.receive_all(1))

    first_b, first_c = send_all()
    assert sorted(first_b + first_c) == frames
    assert 115 <= len(first_b) <= 180
    wait_for(lambda: f"counters: {counted(weft, 1)}", lambda: counted(weft, 1) == (200, [len(first_b), len(first_c)]))
    # One wide flow, whose choice is the datapath's: without an agent new connections are shared alike.
    flows = weft.cli("dp", "flows", json=True)
    assert len(flows) == 1 and "select" in flows[0]["actions"]
    weft.stop_agent()
    assert send_all() == (first_b, first_c)
    weft.start_agent()
    assert "weight:3" in listed(weft, "group", 1)["text"]
    wait_for(
        lambda: f"counters go on: {counted(weft, 1)}",
        lambda: counted(weft, 1) == (400, [2 * len(first_b), 2 * len(first_c)]),
    )
    assert [flow["actions"] for flow in weft.cli("dp", "flows", json=True)] == [flows[0]["actions"]]
    # Changed under traffic: nothing is lost, the counters of buckets begin anew.
    weft.cli("group", "mod", "br0", "group_id=1,type=select,bucket=actions=output:c")
    assert send_all() == ([], frames)
    wait_for(lambda: f"counters: {counted(weft, 1)}", lambda: counted(weft, 1) == (600, [200]))
    weft.cli("group", "del", "br0", "group_id=1")
    assert weft.cli("flow", "list", "br0", json=True) == []
    assert send_all() == ([], [])
    wait_for("no object is left", lambda: weft.cli("dp", "objects", json=True) == [])
    weft.stop()


def test_failover_needs_no_agent(lab):
    weft, a, b, c = stage(lab)
    weft.cli("group", "add", "br0", "group_id=7,type=ff,bucket=watch_port:b,output:b,bucket=watch_port:c,output:c")
    weft.cli("flow", "add", "br0", "in_port=a,actions=group:7")
    a.send(datagram(1))
    assert b.receive() == datagram(1)
    weft.kill_agent()
    b.close()

    def fails_over():
        a.send(datagram(2))
        return c.poll(0.2) == datagram(2)

    wait_for("the second bucket", fails_over, 10)
    weft.start_agent()
    assert listed(weft, "group", 7)["refs"] == 1
    weft.stop()


def test_meter_drops_and_counts_exactly(lab):
    weft, a, b, c = stage(lab)
    weft.cli("meter", "add", "br0", "meter=5,pktps,burst,bands=type=drop,rate=1,burst_size=20")
    weft.cli("flow", "add", "br0", "in_port=a,actions=meter:5,output:b")
    for n in range(100):
        a.send(datagram(n))
    passed = len(b.receive_all())
    assert 20 <= passed <= 25

    def counts(total, dropped):
        meter = listed(weft, "meter", 5)
        return (meter["packets"], meter["bands"][0]["packets"]) == (total, dropped)

    wait_for(lambda: f"counters: {listed(weft, 'meter', 5)}", lambda: counts(100, 100 - passed))
    assert f"packet_in_count:100 byte_in_count:6000" in ovs_ofctl(weft, "meter-stats", "br0", "meter=5")
    # A new agent finds the meter as it stands in the datapath.
    weft.stop_agent()
    weft.start_agent()
    wait_for(lambda: f"counters go on: {listed(weft, 'meter', 5)}", lambda: counts(100, 100 - passed))
    # Without a limit all pass, through the same object.
    weft.cli("meter", "mod", "br0", "meter=5,pktps,band=type=drop,rate=1000000")
    for n in range(100):
        a.send(datagram(n))
    assert len(b.receive_all()) == 100
    wait_for(lambda: f"counters: {listed(weft, 'meter', 5)}", lambda: listed(weft, "meter", 5)["packets"] == 200)
    weft.cli("meter", "del", "br0", "meter=5")
    assert weft.cli("flow", "list", "br0", json=True) == []
    wait_for("no object is left", lambda: weft.cli("dp", "objects", json=True) == [])
    weft.stop()


def test_groups_come_back_with_the_datapath(lab):
    weft, a, b, c = stage(lab)
    weft.cli("group", "add", "br0", "group_id=1,type=select,bucket=actions=output:b")
    weft.cli("meter", "add", "br0", "meter=5,pktps,band=type=drop,rate=1000000")
    weft.cli("flow", "add", "br0", "in_port=a,actions=meter:5,group:1")
    a.send(datagram(1))
    assert b.receive() == datagram(1)
    weft.kill_datapath()
    for guest in (a, b, c):
        guest.close()
    weft.start_datapath()
    wait_for("the ports", lambda: weft.vhost_path("a").exists() and weft.vhost_path("b").exists(), 10)
    a.open()
    b.open()
    wait_for("traffic again", lambda: a.send(datagram(2)) or b.poll(0.2) == datagram(2), 10)
    assert listed(weft, "meter", 5)["packets"] >= 1
    weft.stop()
