# SPDX-License-Identifier: Apache-2.0
"""Bad input: one line with cause and remedy, exit status 1, nothing half-made left.

    weft ---- agent.sock, datapath.sock ---- Weft, no guests
"""

import json
import os
import socket

import pytest
from lab import Weft

# Arguments, and what the line must name. DIR stands for the lab's directory.
REFUSED = [
    ("switch add br0", "exists already"),
    ("switch add 1bad", "begins with a letter"),
    ("switch add br1 dpid=zz", "hexadecimal"),
    ("switch add br1 fail-mode=x", "secure or standalone"),
    ("switch add br1 protocols=1.9", "1.3"),
    ("switch add br1 protocols=1.3,1.4", "does not speak OpenFlow 1.4"),
    ("switch add br1 colour=red", "no property colour"),
    ("switch del nope", "no switch nope"),
    ("switch show nope", "no switch nope"),
    ("port add br0 p2", "usage"),
    ("port add br0 p2 type=nope", "vhost-user"),
    ("port add br0 p2 type=vhost-user queues=99", "1 to 16"),
    ("port add br0 p2 type=vhost-user colour=red", "no option \"colour\""),
    ("port add br0 p2 type=vhost-user of-port=0", "1 to 65279"),
    ("port add br0 p2 type=vhost-user of-port=1", "port p1"),
    ("port add br0 p2 type=vhost-user tag=5000", "0 to 4095"),
    ("port add br0 LOCAL type=vhost-user", "reserved word"),
    ("port add br0 p1 type=vhost-user", "exists already"),
    ("port add nope p2 type=vhost-user", "no switch nope"),
    ("port add br0 p2 type=vhost-user owner=nobodyatall", "no user"),
    ("port add br0 p2 type=vhost-user socket-mode=rw", "octal"),
    ("port add br0 p2 type=vhost-user path=DIR/live.sock", "somebody listens"),
    ("port add br0 p2 type=vhost-user path=DIR/file", "not a socket"),
    ("port add br0 p2 type=vhost-user path=DIR/weft/vhost/p1.sock", "somebody listens"),
    ("port add br0 p2 type=vhost-user path=" + "/x" * 80, "107 characters"),
    ("port add br0 p2 type=veth netns=nope", "ip netns add"),
    ("port add br0 p2 type=veth ip=1.2.3", "10.0.0.1/24"),
    ("port add br0 averyveryverylongname type=veth", "15 characters"),
    ("port add br0 p2 type=af-packet", "needs ifname="),
    ("port add br0 p2 type=af-packet ifname=nope0", "ip link"),
    ("port add br0 p2 type=ethdev", "needs devargs="),
    ("port add br0 p2 type=ethdev devargs=net_nonsense0", "net_nonsense0"),
    ("port add br0 p2 type=ethdev devargs=0000:99:00.0", "0000:99:00.0"),
    ("port add br0 p2 type=ethdev devargs=bus=vdev", "must begin with the device's name"),
    ("port add br0 p2 type=tap ifname=averyveryverylongname", "15 characters"),
    ("port add br0 p2 type=tap ifname=x%d", "slash, colon or %"),
    ("port add br0 p2 type=veth ifname=x%d", "slash, colon or %"),
    ("port add br0 p2 type=tap netns=nope", "ip netns add"),
    ("port add br0 p2 type=af-xdp", "needs ifname="),
    ("port add br0 p2 type=af-xdp ifname=nope0", "ip link"),
    ("port add br0 p2 type=memif", "needs socket="),
    ("port add br0 p2 type=memif socket=rel", "a path from the root"),
    ("port add br0 p2 type=memif socket=/a,b", "no comma"),
    ("port add br0 p2 type=memif socket=DIR/no/where", "make it first"),
    ("port add br0 p2 type=memif socket=DIR/nowhere role=client", "start the other end first"),
    ("port add br0 p2 type=memif socket=DIR/live.sock", "somebody listens"),
    ("port add br0 p2 type=memif socket=DIR/m role=both", "server,client"),
    ("port add br0 p2 type=pcap", "needs rx= or tx="),
    ("port add br0 p2 type=pcap rx=DIR/nowhere", "No such file"),
    ("port add br0 p2 type=pcap rx=DIR/file", "capture file"),
    ("port add br0 p2 type=pcap rx=-", "a path from the root"),
    ("port add br0 p2 type=pcap rx=DIR/fifo", "not a regular file"),
    ("port add br0 p2 type=pcap rx=/", "not a regular file"),
    ("port add br0 p2 type=pcap tx=DIR/no/where", "directory must exist"),
    ("port add br0 p2 type=pcap tx=rel.pcap", "a path from the root"),
    ("port add br0 p2 type=pcap tx=DIR/fifo", "not a regular file"),
    ("port add br0 p2 type=pcap tx=DIR", "not a regular file"),
    ("port add br0 p2 type=null mtu=67", "68 to 65535"),
    ("port add br0 p2 type=vhost-user path=DIR/no/where", "make it first"),
    ("port add br0 p2 type=vhost-user path=rel.sock", "a path from the root"),
    ("port add br0 p2 type=vhost-user mode=client path=rel.sock", "a path from the root"),
    ("port add br0 p2 type=null rxq-worker=1:0", "QUEUE:WORKER"),
    ("port add br0 p2 type=null rxq-worker=4294967296:0", "QUEUE:WORKER"),
    ("port set p1 rxq-worker=0:4294967296", "QUEUE:WORKER"),
    ("port set p1 rxq-worker=0:99", "QUEUE:WORKER"),
    ("port set p1 mtu=x", "68 to 65535"),
    ("port del br0 nope", "no port nope"),
    ("port set p1 queues=2", "cannot change"),
    ("port set p1 admin=sideways", "up or down"),
    ("controller add br0 foo:1", "tcp:HOST:PORT"),
    ("controller add br0 tcp:127.0.0.1:99999", "1 to 65535"),
    ("controller del br0 tcp:127.0.0.1:1", "no controller"),
    ("flow add br0 in_port=1", "actions="),
    ("flow add br0 in_port=1,actions=bogus", "bogus"),
    ("flow add br0 nw_src=1.2.3.4,actions=drop", "eth_type"),
    ("flow add br0 in_port=nope,actions=drop", "nope"),
    ("flow add br0 priority=99999,actions=drop", "priority=99999"),
    ("flow add br0 dl_src=zz,actions=drop", "00:11:22:aa:bb:cc"),
    ("flow add br0 -f DIR/nowhere", "No such file"),
    ("flow list br0 x=1", "x"),
    ("flow add nope actions=drop", "no switch nope"),
    ("drops nope", "no port nope"),
    ("log nosuchmodule:dbg", "no log module"),
    ("log x", "off, err, warn, info, dbg"),
    ("nonsense", "there are switch"),
    ("port", "there are add"),
    ("port list br0 too many", "one word too many"),
    ("--nonsense port list", "unknown option"),
]


@pytest.fixture(scope="module")
def weft(request):
    from lab import Lab

    with Lab() as lab:
        weft = Weft(lab).start()
        weft.cli("switch", "add", "br0")
        weft.cli("port", "add", "br0", "p1", "type=vhost-user")
        live = socket.socket(socket.AF_UNIX)
        live.bind(str(lab.dir / "live.sock"))
        live.listen()
        (lab.dir / "file").touch()
        os.mkfifo(lab.dir / "fifo")
        yield weft
        live.close()
        weft.stop()


def everything(weft):
    """What must not change: configuration, ports of both daemons, flows."""
    return (
        json.loads(weft.config.read_text()),
        [(port["name"], port["type"]) for port in weft.cli("port", "list", json=True)],
        [port["name"] for port in weft.cli("dp", "ports", json=True)],
        [flow["match"] for flow in weft.cli("flow", "list", "br0", json=True)],
    )


@pytest.mark.parametrize("words,named", REFUSED, ids=[words[:60] for words, _ in REFUSED])
def test_refused_with_cause_and_nothing_left(weft, words, named):
    before = everything(weft)
    line = weft.cli_fails(*words.replace("DIR", str(weft.lab.dir)).split())
    assert named in line
    assert line.startswith("weft: ")
    assert everything(weft) == before


def test_stale_socket_is_taken_over(weft):
    path = weft.lab.dir / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    weft.cli("port", "add", "br0", "s1", "type=vhost-user", f"path={path}")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
    weft.cli("port", "del", "br0", "s1")
    assert not path.exists()


GARBAGE = {
    "http": b"GET / HTTP/1.0\r\n\r\n",
    "zeroes": bytes(100) + b"\n",
    "no rpc": b'{"a": 1}\n',
    "deep": b"[" * 100000 + b"\n",
    "array": b"[1, 2]\n",
    "bad id": b'{"jsonrpc": "2.0", "method": "port.list", "id": [1]}\n',
    "bad params": b'{"jsonrpc": "2.0", "method": "port.list", "params": 7, "id": 1}\n',
}


@pytest.mark.parametrize("name", ["agent.sock", "datapath.sock"])
@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_closes_that_connection_alone(weft, name, data):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(weft.rundir / name))
        peer.sendall(data)
        answer = b""
        while part := peer.recv(65536):
            answer += part
    assert json.loads(answer)["error"]["code"] in (-32700, -32600)
    assert weft.cli("port", "list", json=True)
    assert weft.cli("dp", "ports", json=True)


def rpc(weft, socket_name, method, **params):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(weft.rundir / socket_name))
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": 7}
        peer.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += peer.recv(65536)
    return json.loads(answer)


def test_session_of_another_version_or_a_second_agent_is_refused(weft):
    answer = rpc(weft, "datapath.sock", "session.open", protocol=1, epoch="1", handlers=1)
    assert "connected already" in answer["error"]["message"]
    answer = rpc(weft, "datapath.sock", "port.add", port=9, name="x", type="vhost-user", options={})
    assert "only the agent" in answer["error"]["message"] or "session" in answer["error"]["message"]
    assert rpc(weft, "datapath.sock", "nonsense")["error"]["code"] == -32601


def test_session_of_another_version_is_refused_without_an_agent(lab):
    weft = Weft(lab)
    weft.start_datapath()
    answer = rpc(weft, "datapath.sock", "session.open", protocol=99, epoch="1", handlers=1)
    assert "version" in answer["error"]["message"]
    weft.stop()


@pytest.mark.parametrize("program,words,named", [
    ("weft-datapath", ["--workers", "99"], "core 99"),
    ("weft-datapath", ["--workers", "x"], "1,3-5"),
    ("weft-datapath", ["--memory", "1"], "64"),
    ("weft-datapath", ["--max-flows", "7"], "1024"),
    ("weft-datapath", ["stray"], "stray"),
    ("weft-agent", ["--log-level", "loud"], "loud"),
    ("weft-agent", ["stray"], "stray"),
])
def test_daemons_refuse_bad_options(lab, program, words, named):
    weft = Weft(lab)
    process = lab.start(program, [weft.bin / program, "--rundir", weft.rundir, *words], expect=None)
    assert process.wait(20) == 1
    assert named in process.log()


def test_second_datapath_in_a_run_directory_is_refused(lab):
    weft = Weft(lab)
    weft.start_datapath()
    second = lab.start("second", [weft.bin / "weft-datapath", "--rundir", weft.rundir, "--no-huge"], expect=None)
    assert second.wait(30) == 1
    assert "somebody listens" in second.log() or "runs already" in second.log()
    assert weft.cli("dp", "stats", json=True)["agent"] == "none"
    weft.stop()
