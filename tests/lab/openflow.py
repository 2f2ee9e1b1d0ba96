# SPDX-License-Identifier: Apache-2.0
"""The OpenFlow peers: ovs-ofctl, os-ken applications, Open vSwitch's test controller and its switch."""

import os
import pathlib
import socket
import struct
import threading

from .core import ROOT, wait_for


def free_port(address="127.0.0.1"):
    """A TCP port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def ovs_ofctl(weft, command, switch, *arguments, version="OpenFlow13", **options):
    """Runs ovs-ofctl COMMAND on a switch's management socket; returns its output.

    Options as of Lab.run(): check=False does without success, input= is its standard input.
    """
    target = f"unix:{weft.rundir / switch}.mgmt"
    private = weft.lab.dir / "ovs"
    private.mkdir(exist_ok=True)
    environment = {"OVS_RUNDIR": str(private), "OVS_LOGDIR": str(private), "OVS_SYSCONFDIR": str(private)}
    return weft.lab.run(["ovs-ofctl", "-O", version, command, target, *arguments], env=environment, **options)


class OsKen:
    """An os-ken application as a controller on 127.0.0.1, in a process of its own."""

    def __init__(self, lab, application, name="controller", port=None, env=None, arguments=()):
        self.application = pathlib.Path(application)
        self.port = port or free_port()
        self.target = f"tcp:127.0.0.1:{self.port}"
        argv = [
            "/usr/bin/python3", "-B", "-u", "-m", "os_ken.cmd.manager",
            "--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", self.port, *arguments,
            "os_ken.controller.ofp_handler", self.application,
        ]  # fmt: skip
        path = os.pathsep.join([str(self.application.parent), str(ROOT / "tests")])
        self.process = lab.start(name, argv, env={"PYTHONPATH": path, **(env or {})}, expect=None)
        wait_for(lambda: f"{name} listens:\n{self.process.log()[-3000:]}", self._listens, 20)

    def _listens(self):
        self.process.check(expect=(None,))
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return self.process.log()

    def wait_log(self, text, timeout=10.0):
        self.process.wait_log(text, timeout)

    def stop(self):
        self.process.stop(expect=None)

    def kill(self):
        self.process.kill()


class TestController:
    """Open vSwitch's ovs-testcontroller, a learning switch, unpacked under build/."""

    __test__ = False

    def __init__(self, lab, name="testcontroller", version="OpenFlow13", arguments=(), tls=False):
        package = ROOT / "build/unpacked/openvswitch-testcontroller"
        self.port = free_port()
        self.target = f"{'tls' if tls else 'tcp'}:127.0.0.1:{self.port}"
        method = f"{'pssl' if tls else 'ptcp'}:{self.port}:127.0.0.1"
        argv = [package / "usr/bin/ovs-testcontroller", "-O", version, *arguments, method]
        private = {"OVS_RUNDIR": str(lab.dir), "OVS_LOGDIR": str(lab.dir), "OVS_SYSCONFDIR": str(lab.dir)}
        self.process = lab.start(name, argv, env=private, expect=None)
        wait_for(f"{name} listens", self._listens, 10)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class OpenVSwitch:
    """Open vSwitch's userspace datapath, unpacked under build/, in a namespace and a directory of its own."""

    def __init__(self, lab, netns):
        self.package = ROOT / "build/unpacked/openvswitch-switch"
        self.netns = netns
        self.dir = lab.dir / "openvswitch"
        self.dir.mkdir()
        private = str(self.dir)
        self.env = {"OVS_RUNDIR": private, "OVS_LOGDIR": private, "OVS_DBDIR": private, "OVS_SYSCONFDIR": private}
        database, self.socket = self.dir / "conf.db", f"unix:{self.dir}/db.sock"
        schema = self.package / "usr/share/openvswitch/vswitch.ovsschema"
        lab.run(["ovsdb-tool", "create", database, schema], env=self.env)
        netns.start("ovsdb-server", database, f"--remote=p{self.socket}", name="ovsdb", env=self.env, expect=None)
        wait_for("ovsdb-server serves", (self.dir / "db.sock").exists)
        self.vsctl("--no-wait", "init")
        daemon = self.package / "usr/lib/openvswitch-switch/ovs-vswitchd"
        netns.start(daemon, self.socket, name="vswitchd", env=self.env, expect=None)

    def vsctl(self, *words):
        program = self.package / "usr/bin/ovs-vsctl"
        return self.netns.run(program, f"--db={self.socket}", "--timeout=30", *words, env=self.env)


class RawController:
    """A controller of OpenFlow 1.3 on 127.0.0.1 in a thread of the test, that speaks bytes.

    It answers hellos and echo requests as long as it is awake, and keeps what else comes: messages, a list of (type,
    xid, body). It serves one connection at a time; n_connects tells how many there were.
    """

    HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, PACKET_IN, PACKET_OUT, FLOW_MOD = 0, 1, 2, 3, 10, 13, 14

    def __init__(self, lab, port=None):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port or 0))
        self._listener.listen(8)
        self.port = self._listener.getsockname()[1]
        self.target = f"tcp:127.0.0.1:{self.port}"
        self.messages = []
        self.n_connects = 0
        self._socket = None
        self._awake = threading.Event()
        self._awake.set()
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        lab.defer(self.close)

    def close(self):
        """Ends the connection and listens no more."""
        self._ended = True
        self._awake.set()
        for open_socket in (self._listener, self._socket):
            try:
                open_socket and open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(10)
        self._listener.close()

    def sleep(self):
        """From now on it reads nothing and says nothing; the connection stays."""
        self._awake.clear()

    def wake(self):
        self._awake.set()

    def send(self, kind, body=b"", xid=7):
        self._socket.sendall(struct.pack("!BBHI", 4, kind, 8 + len(body), xid) + body)

    def packet_ins(self):
        """(in_port, reason, frame) of each packet-in so far; in_port is the first field of all our packet-ins."""
        found = []
        for kind, _, body in list(self.messages):
            if kind == self.PACKET_IN:
                match_len = struct.unpack_from("!H", body, 18)[0]
                in_port = struct.unpack_from("!I", body, 24)[0]
                found.append((in_port, body[6], body[16 + (match_len + 7) // 8 * 8 + 2 :]))
        return found

    def _serve(self):
        while not self._ended:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._socket = connection
                try:
                    self.send(self.HELLO, struct.pack("!HHI", 1, 8, 1 << 4), 1)
                    self.n_connects += 1
                    self._read(connection)
                except OSError:
                    pass

    def _read(self, connection):
        data = b""
        while not self._ended:
            self._awake.wait()
            part = connection.recv(65536)
            if not part:
                return
            data += part
            while len(data) >= 8 and len(data) >= struct.unpack_from("!H", data, 2)[0]:
                _, kind, size, xid = struct.unpack_from("!BBHI", data)
                body, data = data[8:size], data[size:]
                if kind == self.ECHO_REQUEST:
                    self._awake.wait()
                    self.send(self.ECHO_REPLY, body, xid)
                elif kind not in (self.HELLO, self.ECHO_REPLY):
                    self.messages.append((kind, xid, body))
