"""Entry point of one process of a multi-process training run."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from distillery.core.errors import DistilleryError
from distillery.core.processes import end_with_parent
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace
from distillery.runs.run import Run
from distillery.runs.stages import STAGES
from distillery.training.distributed import RECORD, TASK, report_failure


def main(scratch: Path) -> None:
    """Compute the run that ``launch`` described in ``scratch``."""
    end_with_parent()
    task = json.loads((scratch / TASK).read_text())
    run = Run(**task["run"])
    try:
        inputs = {name: Artifact(Path(path)) for name, path in task["inputs"].items()}
        work = Workspace(run, inputs, Path(task["raw"]), scratch / "out", scratch)
        importlib.import_module(STAGES[run.stage].module).run(work)
    except DistilleryError as error:
        report_failure(scratch, error)
        sys.exit(error.exit_code)
    if os.environ["RANK"] == "0":
        (scratch / RECORD).write_text(json.dumps(work.record))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
