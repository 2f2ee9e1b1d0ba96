# SPDX-License-Identifier: Apache-2.0
"""What weft table list, fdb list and controller list tell, to the number.

    guest a --- 1 --- switch br0 --- 2 --- guest b         raw OpenFlow connections --- ptcp:
"""

import re
import socket
import struct

import pytest
from lab import VhostGuest, free_port, wait_for

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
TAG = "81000007"


def frame(source, destination, tag=""):
    return bytes.fromhex((destination + source).replace(":", "") + tag + "9000").ljust(64, b"\0")


@pytest.fixture
def stage(lab, weft):
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    guests = []
    for number, name in enumerate(("a", "b"), 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
        guests.append(VhostGuest(lab, weft.vhost_path(name)).open())
    return weft, *guests


def test_tables_count_lookups(stage):
    weft, a, b = stage
    weft.cli("flow", "add", "br0", "dl_type=0x9000,actions=goto_table:5")
    weft.cli("flow", "add", "br0", f"table=5,dl_src={A},actions=output:2")
    for source, n in ((A, 4), (B, 3)):
        for _ in range(n):
            a.send(frame(source, B))
    for _ in range(4):
        b.receive()
    a.send(bytes.fromhex("0200000000020200000000019999").ljust(64, b"\0"))
    wanted = [
        {"switch": "br0", "table": 0, "active": 1, "lookups": 8, "matched": 7, "missed": 1},
        {"switch": "br0", "table": 5, "active": 1, "lookups": 7, "matched": 4, "missed": 3},
    ]
    wait_for(lambda: f"{wanted}: {weft.cli('table', 'list', 'br0', json=True)}",
             lambda: weft.cli("table", "list", "br0", json=True) == wanted, 20)
    assert weft.cli("table", "list") == ("SWITCH  TABLE  ACTIVE  LOOKUPS  MATCHED  MISSED\n"
                                         "br0         0       1        8        7       1\n"
                                         "br0         5       1        7        4       3\n")


def test_fdb_tells_where_addresses_are(stage):
    weft, a, b = stage
    weft.cli("flow", "add", "br0", "actions=NORMAL")
    a.send(frame(A, B, TAG))
    b.receive()
    b.send(frame(B, A))
    a.receive()
    wait_for("both addresses", lambda: len(weft.cli("fdb", "list", json=True)) == 2)
    rows = sorted(weft.cli("fdb", "list", "br0", json=True), key=lambda row: row["mac"])
    for row, (port, vlan, mac) in zip(rows, (("a", 7, A), ("b", 0, B))):
        age, expires = row.pop("age_s"), row.pop("expires_s")
        assert row == {"switch": "br0", "port": port, "vlan": vlan, "mac": mac, "remote": None, "static": False}
        assert 0 <= age < 300 and age + expires == 300
    head, *lines = weft.cli("fdb", "list").splitlines()
    assert head.split() == ["SWITCH", "PORT", "VLAN", "MAC", "REMOTE", "AGE", "S", "EXPIRES", "S"]
    assert sorted(line.split()[:5] for line in lines) == [["br0", "a", "7", A, "-"], ["br0", "b", "0", B, "-"]]


def hello(port):
    """A connection of OpenFlow 1.3 that has said hello and been answered."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(bytes.fromhex("0400000800000001"))
    read(connection)
    return connection


def read(connection):
    head = connection.recv(8, socket.MSG_WAITALL)
    return head + connection.recv(struct.unpack("!H", head[2:4])[0] - 8, socket.MSG_WAITALL)


def test_controllers_have_a_row_for_each_connection(stage):
    weft, _, _ = stage
    port, nobody = free_port(), free_port()
    weft.cli("controller", "add", "br0", f"ptcp:{port}:127.0.0.1", "inactivity-probe=0")
    row, = weft.cli("controller", "list", "br0", json=True)
    assert (row["state"], row["peer"], row["role"], row["rx_messages"]) == ("listening", "", "", 0)
    first, second = hello(port), hello(port)
    # The first becomes master; echoes are answered.
    first.sendall(bytes.fromhex("0418001800000002 00000002 00000000 0000000000000001"))
    assert read(first)[1] == 25
    for connection in (first, second, second):
        connection.sendall(bytes.fromhex("0402000800000003"))
        assert read(connection)[1] == 3
    rows = {int(row["peer"].rpartition(":")[2].rstrip("]")): row for row in weft.cli("controller", "list", json=True)}
    master, other = (rows[connection.getsockname()[1]] for connection in (first, second))
    for row, role in ((master, "master"), (other, "equal")):
        assert row["target"] == f"ptcp:{port}:127.0.0.1"
        assert (row["state"], row["role"], row["version"]) == ("connected", role, "1.3")
        # Their hello and two requests; our hello and two answers.
        assert (row["rx_messages"], row["tx_messages"]) == (3, 3)
        assert (row["packet_ins"], row["packet_ins_waiting"], row["packet_ins_dropped"]) == (0, 0, 0)
    table = weft.cli("controller", "list")
    assert re.search(r"^SWITCH +TARGET +PEER +STATE +ROLE +VERSION +SINCE S +CONNECTS +RX MSGS +TX MSGS ", table)
    assert table.count("connected") == 2 and table.count("master") == 1
    first.close()
    second.close()
    wait_for("the rows of connections to go", lambda: [row["state"] for row in weft.cli("controller", "list", json=True)] == ["listening"])
    # Of one that nobody answers for: why.
    weft.cli("controller", "add", "br0", f"tcp:127.0.0.1:{nobody}")
    wait_for("the error", lambda: any("refused" in row["last_error"] for row in weft.cli("controller", "list", json=True)))
    assert "there is no switch" in weft.cli_fails("controller", "list", "nosuch")
