# SPDX-License-Identifier: Apache-2.0
"""Tags that rules push, pop and rewrite, two of them at a time: seen on the wire, with priority and drop-eligible bits.

    guest a --- vhost-user a --- [br0] --- vhost-user b --- guest b
"""

from lab import VhostGuest, Weft

MACS = bytes.fromhex("02000000000b02000000000a")
PAYLOAD = bytes.fromhex("88b5") + bytes(range(60))


def frame(*tags):
    """Tags from the outermost on: (Ethernet type, VLAN, priority, drop eligible)."""
    return MACS + b"".join(
        tpid.to_bytes(2, "big") + (pcp << 13 | dei << 12 | vid).to_bytes(2, "big") for tpid, vid, pcp, dei in tags) + PAYLOAD


C, S = 0x8100, 0x88A8
ONE, TWO = ((C, 10, 3, 1),), ((S, 100, 5, 0), (C, 10, 3, 1))
THREE = (*TWO, (C, 11, 1, 0))


def vid(number):
    return f"set_field:{number | 0x1000}->vlan_vid"


# Rules (the first for packets with a tag or, without tags, all), and what becomes of which tags.
TAGGED = "vlan_tci=0x1000/0x1000,"
PUSH_TWO = f"actions=push_vlan:0x8100,{vid(20)},push_vlan:0x88a8,{vid(300)},set_field:2->vlan_pcp,output:b"
REWRITE_BOTH = (
    f"{TAGGED}actions=pop_vlan,goto_table:1",
    f"table=1,{TAGGED}actions={vid(200)},set_field:1->vlan_pcp,push_vlan:0x88a8,{vid(300)},set_field:4->vlan_pcp,output:b",
    "table=1,priority=1,actions=output:b",
)
POP_TWO = (f"{TAGGED}actions=pop_vlan,goto_table:1", f"table=1,{TAGGED}actions=pop_vlan,output:b", "table=1,priority=1,actions=drop")
CASES = (
    ((f"actions=push_vlan:0x8100,{vid(20)},set_field:6->vlan_pcp,output:b",), (), ((C, 20, 6, 0),)),
    ((PUSH_TWO,), (), ((S, 300, 2, 0), (C, 20, 0, 0))),
    # A new tag gets the one's priority that it is put in front of.
    ((TAGGED + PUSH_TWO,), ONE, ((S, 300, 2, 0), (C, 20, 3, 0), *ONE)),
    ((TAGGED + PUSH_TWO,), TWO, ((S, 300, 2, 0), (C, 20, 5, 0), *TWO)),
    ((f"{TAGGED}actions=pop_vlan,output:b",), ONE, ()),
    ((f"{TAGGED}actions=pop_vlan,output:b",), THREE, THREE[1:]),
    ((f"{TAGGED}actions={vid(200)},output:b",), TWO, ((S, 200, 5, 0), TWO[1])),
    ((f"{TAGGED}actions=set_field:0->vlan_pcp,output:b",), TWO, ((S, 100, 0, 0), TWO[1])),
    (REWRITE_BOTH, TWO, ((S, 300, 4, 0), (C, 200, 1, 1))),
    (REWRITE_BOTH, THREE, ((S, 300, 4, 0), (C, 200, 1, 1), THREE[2])),
    (REWRITE_BOTH, ONE, ()),
    (POP_TWO, TWO, ()),
    (POP_TWO, THREE, THREE[2:]),
    ((f"dl_vlan=100,dl_vlan_pcp=5,actions={vid(101)},output:b", "priority=1,actions=drop"), TWO, ((S, 101, 5, 0), TWO[1])),
)


def test_rules_push_pop_and_rewrite_two_tags(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for name in "ab":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    for rules, before, after in CASES:
        weft.cli("flow", "del", "br0")
        for rule in rules:
            first = "" if rule.startswith("table=1") else "in_port=a,"
            weft.cli("flow", "add", "br0", first + rule)
        for _ in range(2):  # a miss, and the flow that it made
            a.send(frame(*before))
            assert b.receive().hex() == frame(*after).hex(), (rules, before)
    # One rule alone takes off no second tag: whether there is one its match does not tell.
    assert "need not have the header" in weft.cli_fails("flow", "add", "br0", f"in_port=a,{TAGGED}actions=pop_vlan,pop_vlan,output:b")
    assert b.poll(0.1) is None
    weft.stop()
