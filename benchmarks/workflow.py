"""The default experiment from a fresh clone, on all cores; the environment is there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.timing import seconds

ON_REQUEST = True
_ROOT = Path(__file__).parents[1]


def measure(quick: bool = False) -> list[Row]:
    """Return the seconds of the default experiment (quick: of the smoke test)."""
    name, target = ("smoke", None) if quick else ("digits", 100.0)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
        command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile"]
        command.append(f"params/{name}.yaml")
        taken = seconds(lambda: subprocess.run(command, cwd=clone, check=True, capture_output=True))
    return [
        Row(
            label=f"params/{name}.yaml",
            value=taken,
            unit="s",
            target=target,
            note="of the committed state, in this environment",
            at_most=True,
        )
    ]
