"""What experiments compute in all, and how long that takes on more machines than are at hand.

``python -m benchmarks.beyond docs/scaling.md params/crd.yaml params/aecrd.yaml`` counts FLOPs, runs
and bytes from the plans, and puts what follows from the measured step of a processor's core into
the document.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from distillery.core.files import write_atomically
from distillery.costs.disk import bytes_of
from distillery.costs.makespan import makespan
from distillery.costs.prediction import PASSES_OF_STEP
from distillery.costs.requests import flops_of
from distillery.costs.work import Works
from distillery.models.cost import forward_flops
from distillery.models.spec import describe
from distillery.planning import loading
from distillery.runs.stages import STAGES

BEGIN, END = "<!-- beyond: begin -->", "<!-- beyond: end -->"
# docs/performance.md, `steps`: 64 images of a resnet20 forward and backward in 181 ms on one core.
CORE_SECONDS, CORE_IMAGES = 0.181, 64
FLOPS_AN_IMAGE = PASSES_OF_STEP * forward_flops(describe("resnet20", 100, 3, 32))
CORE = CORE_IMAGES * FLOPS_AN_IMAGE / CORE_SECONDS
# Assumed: how many such cores an accelerator is worth, all of its lanes together.
WORTH = 100
ACCELERATORS = (1, 8, 64)
# docs/performance.md, `plan`: (3.6 - 1.6) s of 2,853 - 729 runs; `startup`: a run in a batch.
PLANNED_SECONDS, STARTED_SECONDS = 2.0 / 2124, 0.602


@dataclass(frozen=True)
class Total:
    """What a params file asks for.

    Attributes:
        name: of the experiment.
        runs: number of its runs.
        flops: of all of them.
        longest: FLOPs of the longest chain of runs that wait for each other.
        hours: accelerators -> hours, lanes filled as runs become ready.
        cache: bytes of all teacher caches.
        read: bytes that students read of them, a slot an epoch.
    """

    name: str
    runs: int
    flops: float
    longest: float
    hours: dict[int, float]
    cache: int
    read: float


def total(params: Path) -> Total:
    """Count what a params file asks for.

    Args:
        params: the file.
    """
    planned = loading.load(params, Path("data"))
    works = Works(planned, Path("data"))
    flops = {}
    for name, run in planned.runs.items():
        work = works.of(run) if STAGES[run.stage].gpu else None
        if work is not None:
            flops[name] = float(flops_of(work))
    chains: dict[str, float] = {}
    for name, run in planned.runs.items():
        before = max((chains.get(each, 0.0) for each in run.inputs.values()), default=0.0)
        chains[name] = before + flops.get(name, 0.0)
    speed = CORE * WORTH
    seconds = {name: value / speed for name, value in flops.items()}
    hours = {
        count: makespan(planned.runs, seconds, set(planned.runs), count) / 3600
        for count in ACCELERATORS
    }
    caches = {run.location: bytes_of(run, works) or 0 for run in planned.stage("embed")}
    slot = {
        name: size / planned.runs[name].settings["views"]["slots"] for name, size in caches.items()
    }
    read = sum(
        slot[source] * run.settings["training"]["epochs"]
        for run in planned.stage("train-student")
        for source in run.inputs.values()
        if source in slot
    )
    return Total(
        planned.name,
        len(planned.runs),
        sum(flops.values()),
        max(chains.values()),
        hours,
        sum(caches.values()),
        read,
    )


def markdown(totals: list[Total]) -> str:
    """Return the tables."""
    speed = CORE * WORTH
    lines = [
        "| experiment | runs | FLOPs | longest chain | teacher caches | hours of one core | "
        + " | ".join(f"{count} GPU{'s' * (count > 1)}" for count in ACCELERATORS)
        + " |",
        "|---" * (6 + len(ACCELERATORS)) + "|",
    ]
    lines += [
        f"| `{each.name}` | {each.runs:,} | {each.flops:.2e} | {each.longest:.2e} | "
        f"{each.cache / 1e9:.0f} GB | {each.flops / CORE / 3600:,.0f} | "
        + " | ".join(f"{each.hours[count]:,.1f} h" for count in ACCELERATORS)
        + " |"
        for each in totals
    ]
    lines += [
        "",
        f"Measured: {CORE_IMAGES} x {FLOPS_AN_IMAGE:.3g} FLOPs in {CORE_SECONDS} s of one core, "
        f"{CORE:.3g} a second. **Assumed**: an accelerator with its lanes is worth {WORTH} such "
        f"cores, {speed:.3g} FLOPs a second; hours change in inverse proportion to that.",
        "",
        "| | "
        + " | ".join(f"{each.name}, {count}" for each in totals for count in ACCELERATORS)
        + " |",
        "|---" * (1 + len(totals) * len(ACCELERATORS)) + "|",
    ]
    pairs = [(each, count) for each in totals for count in ACCELERATORS]
    rows = {
        "longest chain / whole": [
            f"{each.longest / speed / 3600 / each.hours[count]:.0%}" for each, count in pairs
        ],
        "runs an hour": [f"{each.runs / each.hours[count]:,.0f}" for each, count in pairs],
        "teacher caches read, MB/s": [
            f"{each.read / 1e6 / each.hours[count] / 3600:,.1f}" for each, count in pairs
        ],
        "planning by Snakemake, s": [f"{each.runs * PLANNED_SECONDS:.1f}" for each, _ in pairs],
        "start of runs in batches / whole": [
            f"{each.runs * STARTED_SECONDS / count / 3600 / each.hours[count]:.1%}"
            for each, count in pairs
        ],
    }
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def main() -> None:
    """Count, and put the tables into a document between two comments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beyond", description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("params", type=Path, nargs="+")
    given = parser.parse_args()
    text = given.document.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n{markdown([total(each) for each in given.params])}\n\n{END}"
    found = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    write_atomically(given.document, found.sub(lambda _: block, text, count=1).encode())


if __name__ == "__main__":
    main()
