"""What planning costs: `snakemake -n` of params/crd.yaml, and how time grows with the runs.

Every number is the median of interleaved rounds in a copy of the project, with a data folder of its
own. The Snakefile's own cost stands beside a Snakefile that holds nothing but as many jobs with as
many inputs and outputs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from benchmarks import timing
from benchmarks.rows import Row
from benchmarks.timing import in_turn
from distillery.planning import loading
from distillery.planning.batches import Size
from distillery.workflow import LARGEST_BATCH, Graph

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "workflow", "profiles", "src")
PLANS = Path("data/.cache/plans")
# Seeds of each pair: about 700, 3,000 and 10,000 runs.
SEEDS = (1, 4, 14)
BARE = """
import json
from pathlib import Path

JOBS = json.loads(Path("jobs.json").read_text())

rule all:
    default_target: True
    input: JOBS["all"]

for stage, batches in JOBS["stages"].items():
    rule:
        name: stage
        input: lambda wildcards, all=batches: [ancient(read) for read in all[wildcards.batch]]
        output: touch(f"data/.batches/{stage}/{{batch}}")
        wildcard_constraints: batch="[^/]+"
        shell: "exec true"
"""


def measure(quick: bool = False) -> list[Row]:
    """Return seconds of dry runs, and how they grow."""
    rounds = 1 if quick else 3
    with _project() as folder:
        crd = "params/crd.yaml"
        jobs = _write_bare(folder, Path(crd))
        times = in_turn(
            {
                "nothing kept": lambda: _dry_run(folder, crd, keeps=False),
                "plan kept": lambda: _dry_run(folder, crd),
                "bare": lambda: _seconds(folder, "snakemake", "-n", "-q", "-c", "2", "-s", "Bare"),
            },
            rounds,
        )
        seconds = {name: float(np.median(taken)) for name, taken in times.items()}
        rows = [
            _row("snakemake -n of params/crd.yaml, nothing kept, s", seconds["nothing kept"], 8),
            _row("the same with its plan kept, s", seconds["plan kept"], 4),
            _row(f"a Snakefile of as many jobs ({jobs}) and nothing else, s", seconds["bare"]),
            _row("ours to that, plan kept", seconds["plan kept"] / seconds["bare"]),
        ]
        return rows + _growth(folder)


def _growth(folder: Path) -> list[Row]:
    """Return time by the number of runs, and how much a run costs at most beside the fewest."""
    counts, made, cached = [], [], []
    for seeds in SEEDS:
        params = _with_seeds(folder, seeds)
        made.append(_dry_run(folder, params, keeps=False))
        cached.append(_dry_run(folder, params))
        plan = next((folder / PLANS).iterdir()).read_bytes().partition(b"\n")[2]
        counts.append(len(json.loads(plan)["runs"]))
    rows = [
        _row(f"snakemake -n of {count} runs, {state}, s", seconds)
        for state, times in (("nothing kept", made), ("plan kept", cached))
        for count, seconds in zip(counts, times, strict=True)
    ]
    (few, middle, many), (first, second, third) = counts, cached
    later, earlier = (third - second) / (many - middle), (second - first) / (middle - few)
    return [*rows, _row("seconds of a further run, many runs to few", later / earlier, 1.5)]


def _dry_run(folder: Path, params: str, *, keeps: bool = True) -> float:
    """Return the seconds of a dry run, without a kept plan or with one."""
    if not keeps:
        shutil.rmtree(folder / PLANS, ignore_errors=True)
    return _seconds(folder, "snakemake", "-n", "-q", "-c", "2", "--configfile", params)


def _seconds(folder: Path, *command: str) -> float:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs}

    def call() -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stdout + done.stderr

    return timing.seconds(call)


def _write_bare(folder: Path, params: Path) -> int:
    """Write a Snakefile with the jobs of a params file, and return how many there are."""
    planned = loading.load(ROOT / params, folder / "data")
    graph = Graph(planned, "data", Size(LARGEST_BATCH, cores=2))
    stages: dict[str, dict[str, list[str]]] = {}
    for marker in graph.results():
        _, _, stage, batch = marker.split("/")
        wildcards = type("Wildcards", (), {"batch": batch})
        stages.setdefault(stage, {})[batch] = graph.inputs(str)(wildcards)
    (folder / "Bare").write_text(BARE)
    (folder / "jobs.json").write_text(json.dumps({"all": graph.results(), "stages": stages}))
    return sum(map(len, stages.values()))


def _with_seeds(folder: Path, seeds: int) -> str:
    """Write params/crd.yaml with so many seeds for every pair, and return its name."""
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / "params/crd.yaml").read_text())
    for pair in params["pairs"].values():
        pair["seeds"] = list(range(seeds))
    name = f"params/crd-{seeds}.yaml"
    with (folder / name).open("w") as file:
        yaml.dump(params, file)
    return name


def _row(label: str, value: float, target: float | None = None) -> Row:
    return Row(label=label, value=value, target=target, at_most=True)


@contextmanager
def _project() -> Iterator[Path]:
    """Yield a copy of what plans and of the params files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in COPIED:
            source = ROOT / each
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / each)
        (folder / "params").mkdir()
        shutil.copy(ROOT / "params/crd.yaml", folder / "params")
        yield folder
