"""What a manifest records of the making of a run: when, by what, on which machine, at what cost."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGES = ("distillery", "torch", "torchvision", "timm", "accelerate", "numpy", "pyarrow")


class Recorder:
    """Takes the time of a run."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._clock = time.perf_counter()

    def record(self) -> dict[str, Any]:
        """Return the record of what has happened since this recorder was made."""
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "wall_seconds": round(time.perf_counter() - self._clock, 3),
            "peak_memory_mb": _peak_memory_mb(),
            "processor": processor(),
            "versions": _versions(),
            "git": _git_state(),
        }


def give_same_bits(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether the same code must have given the same bits under two records.

    It must with the same torch on the same model of processor. What a record does not say counts
    as different, and accelerators add up in any order.
    """
    machines = [
        (record["versions"].get("torch"), record.get("processor"), record.get("device", "cpu"))
        for record in (one, other)
    ]
    return machines[0] == machines[1] and None not in machines[0] and machines[0][2] == "cpu"


def _peak_memory_mb() -> float:
    """Return the peak resident memory of this process, or of its largest child, in MiB."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose)
    bytes_a_unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * bytes_a_unit / 2**20, 1)


def processor() -> str:
    """Return the model of the processor, which decides the last bits of sums."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _git_state() -> dict[str, Any]:
    """Return the commit of the working tree and whether it has uncommitted changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit.strip(), "dirty": bool(_git("status", "--porcelain").strip())}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
