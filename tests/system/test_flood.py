# SPDX-License-Identifier: Apache-2.0
"""A port that floods new flows: the others' established flows lose nothing, their new flows are set up.

    weft-bench --- p1 --- switch br0 --- p2 --- weft-bench          a flood, each frame of another flow
               \\-- p3 ---            --- p4 --/                      one established flow, now and then a new one
"""

import json

import pytest

NEW_FLOWS = 100


def rules(masks):
    """Nearly all of the source address is looked at, for a mask that is no prefix; the flooded port has besides so many rules,
    no two of which look at the same."""
    yield "priority=0,in_port=1,actions=output:2"
    yield "priority=0,in_port=3,actions=output:4"
    for port in (1, 3):
        yield f"priority=40000,in_port={port},udp,nw_src=10.255.255.255/127.255.255.255,actions=drop"
    for number in range(masks):
        bits = (0xFFFFFFFFFFFF << max(79 - number, 0) & 0xFFFFFFFFFFFF).to_bytes(6, "big").hex(":")
        source = f"dl_dst=02:00:00:00:00:02/{bits}," if number >= 32 else ""
        yield (f"priority={30000 - number},in_port=1,udp,{source}nw_src=0.0.0.{number}/0.0.0.63,"
               f"nw_dst=192.168.0.1/{min(number + 1, 32)},actions=output:2")


@pytest.mark.parametrize(("masks", "flows"), [(0, 1 << 24), (64, 1 << 24), (64, 40000)])
def test_a_flood_of_flows_harms_no_other_port(weft, lab, masks, flows):
    """Of ever new flows, or of so many over and over that they fill the caches."""
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    ports = []
    for number in range(1, 5):
        weft.cli("port", "add", "br0", f"p{number}", "type=vhost-user", f"of-port={number}")
        ports += ["--port", weft.vhost_path(f"p{number}")]
    weft.cli("flow", "add", "br0", "-f", "-", input="\n".join(rules(masks)))
    output = lab.run([weft.bin / "weft-bench", "flood", *ports, "--no-huge", "--seconds", 1, "--interval-us", 10000,
                      "--count", NEW_FLOWS, "--flows", flows, "--json"])
    report = json.loads(output.splitlines()[-1])
    alone, flooded = report["alone"], report["flooded"]
    caches = {row["port"]: row for row in weft.cli("dp", "caches", json=True)}

    # It was a flood: more than the agent can set up, under so many masks.
    refused = sum(row["packets"] for row in weft.cli("drops", "p1", json=True)
                  if row["reason"] in ("park-full", "upcall-quota"))
    assert refused > 1000
    assert caches["p1"]["hits"] == 0 if flows > 1 << 20 else caches["p1"]["flows"] > 1000
    assert caches["p1"]["masks"] >= max(masks, 1)

    assert flooded["new_sent"] > NEW_FLOWS / 10
    assert flooded["steady_sent"] > 1000
    # The switch lost none of them. (A receiver that its machine leaves no time may let its own ring run full.)
    unread = sum(row["packets"] for row in weft.cli("drops", json=True)
                 if row["port"] in ("p3", "p4") and row["reason"] == "tx-full")
    assert alone["new_lost"] + flooded["new_lost"] + alone["steady_lost"] + flooded["steady_lost"] == unread
    # Each frame of the established flow found it in the cache, with the flood as without.
    assert caches["p3"]["hits"] >= alone["steady_sent"] + flooded["steady_sent"]
