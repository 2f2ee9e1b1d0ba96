# SPDX-License-Identifier: Apache-2.0
"""The OpenFlow peers: ovs-ofctl, os-ken applications, Open vSwitch's test controller and its switch."""

import os
import pathlib
import socket

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
