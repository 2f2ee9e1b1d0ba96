# SPDX-License-Identifier: Apache-2.0
"""TCP through a tunnel to the kernel's: what guest and kernel leave to be cut is cut before it goes in, and goes on
as it is when it comes out.

    guest ---- veth vm [br0] t1 : ul0 [under] up0 ---- eth0, remote's kernel ---- vx0
    10.0.0.1                      192.0.2.1            192.0.2.2                  10.0.0.2
                                  2001:db8::1          2001:db8::2
"""

import hashlib
import subprocess
import sys

import pytest
from test_tunnel_ports import Hosts

from lab import wait_for

MB = 12
SERVER = """
import hashlib, socket
server = socket.create_server(("", 5000))
print("listening", flush=True)
connection, _ = server.accept()
digest = hashlib.sha256()
while data := connection.recv(1 << 20):
    digest.update(data)
print(digest.hexdigest(), flush=True)
"""
CLIENT = f"""
import socket, sys
connection = socket.create_connection((sys.argv[1], 5000))
for i in range({MB}):
    connection.sendall(bytes([i]) * (1 << 20))
connection.close()
"""


def digest():
    total = hashlib.sha256()
    for i in range(MB):
        total.update(bytes([i]) * (1 << 20))
    return total.hexdigest()


def transfer(sender, receiver, address):
    run = ["ip", "netns", "exec"]
    with subprocess.Popen([*run, receiver.name, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "listening\n"
            subprocess.run([*run, sender.name, sys.executable, "-c", CLIENT, address], check=True, timeout=120)
            assert server.stdout.readline().strip() == digest()
        finally:
            server.kill()


@pytest.mark.parametrize("local,remote", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_tcp_through_vxlan(lab, local, remote):
    hosts = Hosts(lab)
    hosts.kernel_vxlan(remote, local)
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", f"remote={remote}", "vni=5")
    hosts.wait_ready()
    hosts.guest.run("ip", "link", "set", "eth0", "mtu", "1400")
    hosts.remote.run("ip", "link", "set", "vx0", "mtu", "1400")
    transfer(hosts.guest, hosts.remote, "10.0.0.2")
    transfer(hosts.remote, hosts.guest, "10.0.0.1")

    def balance():
        s = hosts.cli("dp", "stats", json=True)
        return s["rx_packets"] + s["made"] + s["copied"] == s["tx_packets"] + s["to_agent"] + s["dropped"] + s["parked"]

    wait_for("the books to balance", balance)
    # What was longer than the path came in whole and was cut.
    assert hosts.cli("dp", "stats", json=True)["copied"] > 1000
    assert not [reason for _, reason in hosts.drops() if "cap" in reason or "offload" in reason or "tunnel" in reason]
    hosts.weft.stop()
