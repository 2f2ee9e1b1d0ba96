# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests in tools/ and system/. What a test starts belongs to its lab, which removes it and complains of leftovers."""

import os
import pathlib
import secrets
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lab import Lab, Weft  # noqa: E402

RUN_ID = secrets.token_hex(3)
_labs = 0


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than ten seconds")

    # Also when the run is ended from outside, the labs are taken down.
    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def pytest_report_header(config):
    return f"weft: run {RUN_ID}"


def pytest_collection_modifyitems(config, items):
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: network namespaces")
    for item in items:
        if "lab" in item.fixturenames:
            item.add_marker(skip)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the end of each program's log into the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.failed and lab is not None:
        for name, text in lab.logs():
            report.sections.append((f"log of {name}", text))


@pytest.fixture
def lab(request):
    """A Lab for this test."""
    global _labs
    _labs += 1
    lab = Lab(f"{RUN_ID}{_labs:02x}")
    yield lab
    lab.close()


@pytest.fixture
def weft(lab):
    """Both daemons, running; at the end of the test they must stop with status 0 and without a sanitizer's report."""
    weft = Weft(lab).start()
    yield weft
    weft.stop()


