# SPDX-License-Identifier: Apache-2.0
"""Controllers over TLS: Open vSwitch's test controller as a server, ovs-ofctl as a client."""

import types

import pytest
from lab import TestController, VhostGuest, Weft, free_port, wait_for

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def frame(source, destination):
    return bytes.fromhex((destination + source).replace(":", "") + "9000").ljust(60, b"\0")


@pytest.fixture
def papers(lab):
    """Keys and certificates: two CAs; of the first a switch and a controller, of the second a stranger."""
    directory = lab.dir / "papers"
    directory.mkdir()

    def openssl(*arguments):
        lab.run(["openssl", *(str(directory / word) if "." in word and "=" not in word else word for word in arguments)])

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca in ("ca", "other"):
        openssl("req", "-x509", *new_key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2", "-subj", f"/CN={ca}")
    for name, ca in (("switch", "ca"), ("controller", "ca"), ("stranger", "other")):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                "-days", "2", "-out", f"{name}.pem")

    def weft(name, ca="ca"):
        return [f"key={directory}/{name}.key", f"cert={directory}/{name}.pem", f"ca={directory}/{ca}.pem"]

    def ovs(name, ca="ca"):
        return ["-p", f"{directory}/{name}.key", "-c", f"{directory}/{name}.pem", "-C", f"{directory}/{ca}.pem"]

    return types.SimpleNamespace(weft=weft, ovs=ovs, directory=directory)


def controller(weft):
    return weft.cli("controller", "list", json=True)[0]


def test_switch_connects_to_a_controller_over_tls(lab, papers):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    guests = []
    for number, name in enumerate(("a", "b"), 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
        guests.append(VhostGuest(lab, weft.vhost_path(name)).open())
    server = TestController(lab, arguments=papers.ovs("controller"), tls=True)
    weft.cli("controller", "add", "br0", server.target, *papers.weft("switch"))
    wait_for("the connection", lambda: controller(weft)["state"] == "connected", 20)
    a, b = guests

    def passes():
        a.send(frame(A, B))
        return b.poll(0.5) == frame(A, B)

    wait_for("the controller's rules", passes, 20)
    # What this switch shows as its CA's signature is another's: it does not speak to that controller any more.
    weft.cli("controller", "del", "br0", server.target)
    weft.cli("controller", "add", "br0", server.target, *papers.weft("switch", ca="other"))
    wait_for("the refusal", lambda: "certificate is not accepted" in controller(weft)["last_error"], 20)
    assert controller(weft)["state"] != "connected"
    weft.stop()


def test_clients_connect_to_a_switch_over_tls(lab, papers):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure", "dpid=00000000000000ab")
    port = free_port()
    weft.cli("controller", "add", "br0", f"ptls:{port}:127.0.0.1", *papers.weft("switch"))
    environment = {"OVS_RUNDIR": str(lab.dir), "OVS_LOGDIR": str(lab.dir), "OVS_SYSCONFDIR": str(lab.dir)}

    def show(*arguments, **options):
        return lab.run(["ovs-ofctl", "-O", "OpenFlow13", *arguments, "show", f"ssl:127.0.0.1:{port}"], env=environment,
                       **options)

    assert "dpid:00000000000000ab" in show(*papers.ovs("controller"))
    show(*papers.ovs("stranger"), check=False)
    wait_for("the refusal", lambda: "certificate is not accepted" in controller(weft)["last_error"], 20)
    # New files are read with the next connection.
    for kind in ("key", "pem"):
        (papers.directory / f"switch.{kind}").write_bytes((papers.directory / f"stranger.{kind}").read_bytes())
    assert "dpid" not in show(*papers.ovs("controller"), check=False)
    assert "dpid" in show(*papers.ovs("controller", ca="other"))
    weft.stop()
