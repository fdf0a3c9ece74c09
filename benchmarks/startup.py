"""Start-up: eight short runs as one batch, and by eight commands."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.timing import seconds

EXPERIMENT = """\
name: startup
title: Start-up
data:
  source: digits
  split: {per_class: 8}
  augmentation: {pad: 1, flip: false}
training: {epochs: 1, batch_size: 32}
teachers:
  t: {arch: resnet8}
pairs:
  p: {teacher: t, student: resnet8}
methods:
  kd: {}
seeds: [SEEDS]
"""
STUDENTS = "train-student"


def measure(quick: bool = False) -> list[Row]:
    """Return single commands / one batch, and what is imported without need."""
    count = 2 if quick else 8
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder, "startup.yaml")
        seeds = ", ".join(map(str, range(2 * count + 1)))
        params.write_text(EXPERIMENT.replace("SEEDS", seeds), encoding="utf-8")
        command = [sys.executable, "-m", "distillery", "run", "--params", str(params)]
        command += ["--data", str(Path(folder, "data"))]
        students = _prepared(params, Path(folder, "data"), command)
        first, *others = students
        imported = _imports_compiler(command[3:], first)
        batch, singles = others[:count], others[count : 2 * count]
        together = seconds(lambda: _call([*command, *batch]))
        apart = sum(seconds(lambda name=name: _call([*command, name])) for name in singles)
    return [
        Row(
            label=f"{count} commands / one batch of {count} runs",
            value=apart / together,
            target=None,
            note=f"{apart:.1f} s / {together:.1f} s; a run is one step of resnet8",
        ),
        Row(
            label="one of several runs of a batch",
            value=together / count,
            unit="s",
            target=None,
            at_most=True,
            note="what a run of one step costs in a batch",
        ),
        Row(
            label="a student's process imports torch._dynamo",
            value=float(imported),
            target=0.0,
            at_most=True,
            note="1: yes, 0: no; asked after a run without compilation",
        ),
    ]


def _prepared(params: Path, data: Path, command: list[str]) -> list[str]:
    """Compute what the students read, and return their names."""
    from distillery.planning import loading

    planned = loading.load(params, data)
    for stage, runs in itertools.groupby(planned.runs.values(), key=lambda run: run.stage):
        if stage in ("prepare", "split", "train-teacher", "embed"):
            _call([*command, *(run.name for run in runs)])
    return [run.name for run in planned.stage(STUDENTS)]


def _imports_compiler(arguments: list[str], name: str) -> bool:
    """Tell whether a student's process has imported torch's compiler when it ends."""
    program = (
        "import json, sys\n"
        "from distillery.cli import app\n"
        f"app({[*arguments, name]!r}, standalone_mode=False)\n"
        "print(json.dumps('torch._dynamo' in sys.modules))\n"
    )
    done = _call([sys.executable, "-c", program])
    return bool(json.loads(done.splitlines()[-1]))


def _call(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
