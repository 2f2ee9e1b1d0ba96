# SPDX-License-Identifier: Apache-2.0
"""weft top: what it says happens, on a terminal, in a pipe and for programs.

    guest a --- vhost-user a --- switch br0 --- vhost-user b --- guest b
"""

import json
import os
import pty
import re
import subprocess
import termios

import pytest
from lab import VhostGuest, Weft, wait_for

FRAME = bytes.fromhex("020000000002020000000001" + "88b5") + bytes(46)

REFUSED = [
    ("top -d", "a value is missing behind -d"),
    ("top -d 0", "-d takes seconds from 0.1 to 3600"),
    ("top -d 1x", "-d takes seconds from 0.1 to 3600"),
    ("top -d nan", "-d takes seconds from 0.1 to 3600"),
    ("top -n 0", "-n takes a number from 1 on"),
    ("top -n 99999999999999999999", "-n takes a number from 1 on"),
    ("top --twice", "unknown word --twice; usage: weft top"),
    ("top p1", "unknown word p1"),
]


@pytest.fixture
def stage(lab):
    """Weft, and the guests of a and b."""
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user")
    weft.cli("port", "add", "br0", "b", "type=vhost-user")
    weft.cli("flow", "add", "br0", "in_port=a,actions=output:b")
    yield weft, *(VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    weft.stop()


def test_top_refuses(weft):
    for words, named in REFUSED:
        line = weft.cli_fails(*words.split())
        assert named in line and line.startswith("weft: "), line
    weft.stop_datapath()
    assert "weft-datapath does not run" in weft.cli_fails("top", "--once")


def test_top_counts_what_passed(stage):
    """All that is sent between the first and the last reading is in the reports between them, and nothing else."""
    weft, a, b = stage
    top = weft.lab.start("top", [weft.bin / "weft", "--rundir", weft.rundir, "top", "--json", "-d", "0.2", "-n", "100000"])

    def reports():
        return [json.loads(line) for line in top.log().splitlines(keepends=True) if line.endswith("\n")]

    def sums():
        """What the reports add up to: datapath in and out, a in, b out, drops of b."""
        total = [0.0] * 5
        for report in reports():
            ports = {port["port"]: port for port in report["ports"]}
            drops = {(drop["port"], drop["reason"]): drop["pps"] for drop in report["drops"]}
            rates = [
                report["datapath"]["rx_pps"],
                report["datapath"]["tx_pps"],
                ports["a"]["rx_pps"],
                ports["b"]["tx_pps"],
                drops.get(("b", "explicit"), 0),
            ]
            total = [n + rate * report["interval_s"] for n, rate in zip(total, rates)]
        return [round(n, 3) for n in total]

    wait_for("a first report", reports)
    for _ in range(20):
        a.send(FRAME)
        b.receive(20)
    for _ in range(3):
        b.send(FRAME)
    wait_for(lambda: f"all of it: {sums()}", lambda: sums() == [23, 20, 20, 20, 3], 20)
    last = reports()[-1]
    top.kill()
    assert sorted(port["port"] for port in last["ports"]) == ["a", "b"]
    assert last["datapath"]["agent"] == "connected"
    assert 0 <= last["workers"][0]["load"] <= 1
    assert [(drop["port"], drop["reason"], drop["packets"]) for drop in last["drops"]] == [("b", "explicit", 3)]


def test_top_once_and_in_a_pipe(stage):
    weft = stage[0]
    wait_for("links are up", lambda: [p["link"] for p in weft.cli("port", "list", json=True)] == ["up", "up"])
    once = weft.cli("top", "--once", "-d", "0.1")
    assert "\033" not in once
    assert once.startswith("in 0 packets/s, 0 bit/s; out 0 packets/s, 0 bit/s; dropped 0/s; to agent 0/s\nflows 0 of ")
    assert re.search(r"^PORT  LINK  RX PKT/S .*\na     up           0 .*\nb     up           0 ", once, re.M)
    assert "DROPS OF PORT" not in once
    report = weft.cli("top", "--once", "-d", "0.1", json=True)
    assert report["datapath"]["rx_pps"] == 0 and report["interval_s"] >= 0.1
    # Reports follow each other, with the time.
    lines = weft.cli("top", "-d", "0.1", "-n", "3").splitlines()
    assert len([line for line in lines if re.fullmatch(r"\d\d:\d\d:\d\d", line)]) == 3
    assert not any("\033" in line for line in lines)


def test_top_on_a_terminal(stage):
    """It refreshes, outlives the datapath, and ends with q; the terminal is as it was."""
    weft = stage[0]
    leader, follower = pty.openpty()
    before = termios.tcgetattr(follower)
    top = subprocess.Popen(
        [weft.bin / "weft", "--rundir", weft.rundir, "top", "-d", "0.1"], stdin=follower, stdout=follower, stderr=follower)
    seen = bytearray()

    def shown(text):
        def look():
            seen.extend(os.read(leader, 65536))
            return text in seen

        wait_for(lambda: f"{text!r} in {bytes(seen[-2000:])!r}", look)
        seen.clear()

    try:
        shown(b"every 0.1 s; q quits")
        shown(b"\033[H")
        weft.stop_datapath()
        shown(b"weft-datapath does not run")
        weft.start_datapath()
        shown(b"flows 0 of ")
        os.write(leader, b"xq")
        assert top.wait(10) == 0
        assert termios.tcgetattr(follower) == before
    finally:
        top.kill()
        top.wait()
        os.close(leader)
        os.close(follower)
    wait_for("the agent is back", lambda: weft.cli("stats", json=True)["datapath"]["session"] == "open")
