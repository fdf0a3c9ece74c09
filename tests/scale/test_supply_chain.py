"""Where packages come from, what they are, and that nothing asks the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from distillery.core.files import checksum

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Loopback alone: gloo's processes, and everything that reads and computes.
REPRESENTATIVE = ("tests/core", "tests/training/test_distributed.py", "-k", "not signal")
IS_WHOLE = os.environ.get("DISTILLERY_SCALE") == "full"


def packages() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return found


def test_the_lock_has_a_hash_of_every_file_and_names_public_hosts_alone() -> None:
    files = [
        file
        for package in packages()
        for file in (*package.get("wheels", ()), *filter(None, [package.get("sdist")]))
    ]
    assert len(files) > 1000
    assert all(file["hash"].startswith("sha256:") and len(file["hash"]) == 71 for file in files)
    assert {urlsplit(file["url"]).hostname for file in files} == {"files.pythonhosted.org"}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_a_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    """The documented line, which reads the lock alone."""
    options = ("--format", "cyclonedx1.5", "--locked", "--all-extras", "--all-groups")
    before = checksum(ROOT / "uv.lock")
    done = subprocess.run(
        ["uv", "export", "--quiet", "--offline", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = {each["name"]: each["version"] for each in json.loads(done.stdout)["components"]}
    here = {each["name"]: each["version"] for each in packages() if "registry" in each["source"]}
    assert {name for name in here if name not in told} == set()
    assert checksum(ROOT / "uv.lock") == before


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None,
    reason="a network namespace takes root, unshare and ip",
)
def test_the_fast_tests_pass_with_loopback_alone() -> None:
    selected = ("tests",) if IS_WHOLE else REPRESENTATIVE
    pytest_there = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected]
    script = 'ip link set lo up && ! ip route get 192.0.2.1 2>/dev/null && exec "$@"'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, "sh", *pytest_there],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
