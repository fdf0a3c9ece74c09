"""What numbers were measured on, in one line."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from distillery.core.processes import present_cores
from distillery.runs.provenance import processor

_OF_INTEREST = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def described() -> str:
    """Return processor, cores, versions and threads of this process, and what else is going on."""
    flags = _instructions()
    shown = f"{processor()} ({', '.join(flags)})" if flags else processor()
    threads = torch.get_num_threads()
    return (
        f"{shown}, {present_cores()} cores, load {os.getloadavg()[0]:.1f} before, "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{threads} thread{'s' if threads > 1 else ''} a process"
    )


def _instructions() -> list[str]:
    """Return which instructions the processor has that matter for networks."""
    try:
        found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return []
    return [name for name in _OF_INTEREST if found and name in found[1].split()]
