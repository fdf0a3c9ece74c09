"""Entry point of one process of a multi-process training run."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from distillery.artifacts import Run, Workspace, open_input
from distillery.errors import DistilleryError
from distillery.stages import module_of
from distillery.training.distributed import RECORD, TASK, end_with_parent, report_failure


def main(scratch: Path) -> None:
    """Compute the run that ``launch`` described in ``scratch``."""
    end_with_parent()
    task = json.loads((scratch / TASK).read_text())
    run, data = Run(**task["run"]), Path(task["data"])
    try:
        inputs = {name: open_input(data, place, run) for name, place in run.inputs.items()}
        work = Workspace(run, data, inputs, scratch / "out", scratch)
        importlib.import_module(module_of(run.stage, run.settings)).run(work)
    except DistilleryError as error:
        report_failure(scratch, error)
        sys.exit(error.exit_code)
    if os.environ["RANK"] == "0":
        (scratch / RECORD).write_text(json.dumps(work.record))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
