# SPDX-License-Identifier: Apache-2.0
"""configure: what it says to wrong options and missing packages. (Its work is shown by the build itself.)"""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def configure(*arguments, path=None):
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run([ROOT / "configure", *arguments], capture_output=True, text=True, env=environment)


def test_help_names_each_option():
    done = configure("--help")
    assert done.returncode == 0
    for option in ("--prefix", "--install-deps", "--enable-sanitize", "--enable-debug", "CC"):
        assert f"  {option}" in done.stdout


@pytest.mark.parametrize("argument, message", [("--nonsense", "unknown option '--nonsense'"), ("--prefix=a/b", "absolute path")])
def test_wrong_option_is_one_line(argument, message):
    done = configure(argument)
    assert done.returncode == 1
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_compiler_is_named_by_its_package():
    done = configure("CC=no-such-compiler")
    assert done.returncode == 1
    assert "missing Debian packages: gcc " in done.stderr and "--install-deps" in done.stderr


def test_missing_library_is_named_by_its_package(tmp_path):
    """With a pkg-config that knows everything but jansson."""
    fake = tmp_path / "pkg-config"
    fake.write_text('#!/bin/sh\ncase "$*" in *jansson*) exit 1 ;; esac\nexit 0\n')
    fake.chmod(0o755)
    done = configure(path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "missing Debian packages: libjansson-dev " in done.stderr
