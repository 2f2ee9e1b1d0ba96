# SPDX-License-Identifier: Apache-2.0
"""Runs the Ryu project's OpenFlow conformance cases against Weft, prints the score, exits with 0 if all passed.

    check.py [--pairs N] [--all-failures] [CASES..]

CASES: files or folders below tests/openflow/ryu; without them all of of13.

All of it stands in one network namespace: one Weft with N switches to be tested, one Open vSwitch with N bridges that
send and receive, three links between each two, and N testers, os-ken's (tester.py), as their controllers.

    tester.py K (os-ken)
      |          \\\\
    switch tK     bridge oK
     1  2  3 ------ 1  2  3
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lab import Lab, LabError, Netns, OpenVSwitch, Weft, wait_for  # noqa: E402

CASES = HERE / "ryu"
FIRST_TCP_PORT = 6700


def case_units(paths):
    """(path, index) of each case, those that measure a rate first: they take half a minute."""
    units = []
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        for file in files:
            cases = [case for case in json.loads(file.read_text()) if isinstance(case, dict)]
            for index, case in enumerate(cases):
                is_slow = any(isinstance(test["ingress"], dict) for test in case["tests"])
                units.append((not is_slow, str(file), index))
    return [(file, index) for _, file, index in sorted(units)]


def make_pairs(weft, ovs, netns, n, version):
    words = []
    for k in range(n):
        target = f"tcp:127.0.0.1:{FIRST_TCP_PORT + k}"
        weft.cli("switch", "add", f"t{k}", f"dpid={k + 1:016x}", "fail-mode=secure", f"protocols={version}")
        bridge = f"o{k}"
        words += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail_mode=secure"]
        words += ["protocols=OpenFlow10,OpenFlow13", f"other_config:datapath-id={k + 0x101:016x}", "other_config:disable-in-band=true"]
        for port in (1, 2, 3):
            name = f"t{k}p{port}"
            weft.cli("port", "add", f"t{k}", name, "type=veth", f"of-port={port}", f"ifname=o{k}p{port}")
            wait_for(f"the peer of {name}", lambda: netns.has_link(f"o{k}p{port}"))
            netns.run("ip", "link", "set", f"o{k}p{port}", "up")
            words += ["--", "add-port", bridge, f"o{k}p{port}"]
            words += ["--", "set", "interface", f"o{k}p{port}", f"ofport_request={port}"]
        words += ["--", "set-controller", bridge, target]
        weft.cli("controller", "add", f"t{k}", target)
    ovs.vsctl(*words)


def start_testers(lab, netns, n, version, units):
    (lab.dir / "claims").mkdir()
    (lab.dir / "list").write_text("".join(f"{path} {index}\n" for path, index in units))
    testers = []
    for k in range(n):
        env = {
            "CASES_LIST": lab.dir / "list",
            "CASES_CLAIMS": lab.dir / "claims",
            "CASES_RESULTS": lab.dir / f"results{k}",
        }
        testers.append(
            netns.start(
                "/usr/bin/python3", "-B", "-u", "-m", "os_ken.cmd.manager",
                "--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", FIRST_TCP_PORT + k,
                "--test-switch-interval", "0",
                "--test-switch-target", f"{k + 1:016x}", "--test-switch-tester", f"{k + 0x101:016x}",
                "--test-switch-target-version", version, "--test-switch-tester-version", "openflow13",
                "os_ken.controller.ofp_handler", HERE / "tester.py",
                name=f"tester{k}", env=env, expect=None,
            )
        )  # fmt: skip
    return testers


def collect(lab, n):
    results = []
    for k in range(n):
        path = lab.dir / f"results{k}"
        if path.exists():
            results += [json.loads(line) for line in path.read_text().splitlines()]
    return results


def category(path):
    """of13/action/25_SET_FIELD/.. is in "of13 action"."""
    parts = pathlib.Path(path).resolve().relative_to(CASES).parts
    return " ".join(parts[:2])


def report(results, units, seconds):
    """Prints failures and the score of each category; whether all passed."""
    done = {(result["path"], result["case"]): result for result in results}
    score = collections.defaultdict(lambda: [0, 0])
    for path, index in units:
        result = done.get((path, index), {"ok": False, "description": "", "detail": "was not run"})
        score[category(path)][0] += result["ok"]
        score[category(path)][1] += 1
        if not result["ok"]:
            where = f"{pathlib.Path(path).relative_to(CASES)} case {index}"
            print(f"failed: {where}: {result['description']}\n        {result['detail']}")
        elif result["tries"] > 1:
            print(f"again:  {pathlib.Path(path).relative_to(CASES)} case {index}: passed the second time")
    for name in sorted(score):
        print(f"{name:16} {score[name][0]:4} of {score[name][1]:4}")
    passed, total = (sum(column) for column in zip(*score.values()))
    print(f"{'all':16} {passed:4} of {total:4} in {seconds:.0f} s")
    return passed == total


def run(options, units, version):
    began = time.monotonic()
    with Lab() as lab:
        try:
            netns = Netns(lab, "of")
            weft = Weft(lab, huge=False, memory_mb=256, netns=netns.name).start()
            ovs = OpenVSwitch(lab, netns)
            testers = start_testers(lab, netns, options.pairs, f"openflow{version.replace('.', '')}", units)
            make_pairs(weft, ovs, netns, options.pairs, version)
            wait_for(
                lambda: f"the testers end, {len(collect(lab, options.pairs))} of {len(units)} cases done",
                lambda: not any(process.is_running() for process in testers) or not weft.is_running(),
                options.timeout,
                0.5,
            )
        except LabError as error:
            print(error)
        ok = report(collect(lab, options.pairs), units, time.monotonic() - began)
        if not ok and options.logs:
            for name, text in lab.logs():
                print(f"--- {name} ---\n{text}")
    return ok


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=12, help="switches tested side by side")
    parser.add_argument("--timeout", type=float, default=280, help="seconds for everything")
    parser.add_argument("--version", default="1.3", help="of OpenFlow that the switches speak")
    parser.add_argument("--logs", action="store_true", help="print the ends of all logs after a failure")
    parser.add_argument("cases", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("check.py: needs root: network namespaces")

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    paths = [path.resolve() for path in options.cases] or [CASES / f"of{options.version.replace('.', '')}"]
    units = case_units(paths)
    if not units:
        sys.exit("check.py: there are no cases")
    options.pairs = max(1, min(options.pairs, len(units)))
    sys.exit(0 if run(options, units, options.version) else 1)


main()
