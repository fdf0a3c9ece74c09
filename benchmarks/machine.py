"""What numbers were measured on, in one line."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

_OF_INTEREST = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def described() -> str:
    """Return processor, cores, versions and threads of this process, and what else is going on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model, flags = _processor()
    shown = f"{model} ({', '.join(flags)})" if flags else model
    load = os.getloadavg()[0]
    return (
        f"{shown}, {cores} cores, load {load:.1f} before, Python {platform.python_version()}, "
        f"torch {torch.__version__}, "
        f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''} a process"
    )


def _processor() -> tuple[str, list[str]]:
    """Return the processor's name, and which instructions it has that matter for networks."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = facts.get("flags", "").split()
    return facts.get("model name", platform.machine()), [f for f in _OF_INTEREST if f in flags]
