# SPDX-License-Identifier: Apache-2.0
"""check-layers finds each kind of broken wall, and accepts a tree without one.

Each case puts one file into a small tree of its own, compiles it and reads what check-layers says.
"""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

SOUND = {
    "lib/key.h": "#pragma once\nint key_size(void);\n",
    "lib/key_internal.h": "#pragma once\n",
    "lib/key.c": '#include "lib/key.h"\nint key_size(void)\n{\n\treturn 3;\n}\n',
    "vhost/vhost.h": "#pragma once\n",
    "vhost/vhost_internal.h": "#pragma once\n",
    "ofproto/table.h": "#pragma once\nint weft_table(void);\n",
    "ofproto/table_internal.h": "#pragma once\n",
    "ofproto/table.c": '#include "ofproto/table.h"\n/* like rte_hash; read() no file */\n#include "lib/key.h"\n'
    "int weft_table(void)\n{\n\treturn key_size();\n}\n",
    "datapath/port.c": '#include "vhost/vhost.h"\n#include "lib/key.h"\nint port(void);\nint port(void)\n{\n\treturn key_size();\n}\n',
    "controller-agent/agent.c": '#include "ofproto/table.h"\nint agent(void);\nint agent(void)\n{\n\treturn weft_table();\n}\n',
}

BROKEN = [
    ("ofproto includes DPDK", "ofproto/x.c", "#include <rte_mbuf.h>\n", "must not include <rte_mbuf.h>"),
    ("ofproto names an mbuf", "ofproto/x.c", "struct mbuf;\n", "must not mention 'mbuf'"),
    ("ofproto reads a clock", "ofproto/x.c", "#include <time.h>\nlong x(void);\nlong x(void) { return time(0); }\n", "must not use time"),
    ("ofproto opens a socket", "ofproto/x.c", "int socket(int, int, int);\nint x(void);\nint x(void) { return socket(1, 1, 0); }\n", "must not use socket"),
    ("ofproto reads a file", "ofproto/x.c", "#include <unistd.h>\nlong x(char *b);\nlong x(char *b) { return read(0, b, 1); }\n", "must not use read"),
    ("ofproto includes socket headers", "ofproto/x.h", "#include <sys/socket.h>\n", "must not include <sys/socket.h>"),
    ("agent names DPDK", "controller-agent/x.c", "int x = sizeof(struct rte_thing *);\n", "must not mention 'rte_'"),
    ("agent includes the datapath", "controller-agent/x.c", '#include "vhost/vhost.h"\n', "must not include vhost/"),
    ("agent sees ofproto's inside", "controller-agent/x.c", '#include "ofproto/table_internal.h"\n', "its tests only"),
    ("lib includes a room", "lib/x.c", '#include "vhost/vhost.h"\n', "must not include vhost/"),
    ("lib calls DPDK", "lib/x.c", "int rte_lcore(void);\nint x(void);\nint x(void) { return rte_lcore(); }\n", "must not use rte_lcore"),
    ("datapath includes ofproto", "datapath/x.c", '#include "ofproto/table.h"\n', "must not include ofproto/"),
    ("datapath names OpenFlow", "datapath/x.c", "enum { x = 1, ofp_port = 2 };\n", "must not mention 'ofp_"),
    ("datapath sees vhost's inside", "datapath/x.c", '#include "vhost/vhost_internal.h"\n', "its tests only"),
    ("datapath calls ofproto", "datapath/x.c", "int weft_table(void);\nint x(void);\nint x(void) { return weft_table(); }\n", "must not use weft_table of ofproto/"),
    ("vhost includes the datapath", "vhost/x.c", '#include "datapath/x.h"\n', "does not name one of our files"),
    ("vhost calls the datapath", "vhost/x.c", "int port(void);\nint x(void);\nint x(void) { return port(); }\n", "must not use port of datapath/"),
    ("the tool uses DPDK", "utilities/weft/x.c", "#include <rte_eal.h>\n", "must not include <rte_eal.h>"),
    ("an include without its folder", "lib/x.c", '#include "key.h"\n', "does not name one of our files"),
    ("a test of another unit's inside", "tests/unit/lib/test_x.c", '#include "ofproto/table_internal.h"\n', "not of the unit under test"),
]


def run(tmp_path, files):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if name.endswith(".c") and not name.startswith("tests/"):
            target = (tmp_path / "build" / name).with_suffix(".o")
            target.parent.mkdir(parents=True, exist_ok=True)
            # What does not compile is still checked by its text.
            subprocess.run(["gcc", "-w", "-I", tmp_path, "-c", "-o", target, file], capture_output=True)
    return subprocess.run([ROOT / "tests/check-layers", "--root", tmp_path], capture_output=True, text=True)


def test_sound_tree_passes(tmp_path):
    result = run(tmp_path, SOUND)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name, text, message", [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken_wall_is_named(tmp_path, name, text, message):
    result = run(tmp_path, {**SOUND, name: text})
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert any(message in line and pathlib.Path(name).stem in line for line in lines), lines
