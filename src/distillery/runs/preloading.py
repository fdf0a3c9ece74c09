"""What a process imports before it forks others, so that they need not."""

from __future__ import annotations

from collections.abc import Collection

from distillery.runs.fingerprint import imported_when_called
from distillery.runs.run import Run
from distillery.runs.stages import STAGES

# pyarrow imports it with the first column that becomes an array.
_COLUMNS = "pandas"
# Accelerate imports it, for half a second, when it prepares the first network of a process.
_TENSORS = "torch.distributed.tensor"
# What compiles a network imports it, for a second.
_COMPILER = "torch._dynamo"


def modules_for(runs: Collection[Run]) -> list[str]:
    """Return the modules to import before these runs are computed in forked processes.

    These are their stages' modules, what computes them beside those (a protocol, a method, an
    architecture), and the libraries that the latter import only when they are called.
    """
    stages = {run.stage: STAGES[run.stage] for run in runs}.values()
    own = dict.fromkeys(name for run in runs for name in run.preloads)
    libraries = sorted({name for module in own for name in imported_when_called(module)})
    later = [_TENSORS] if any(stage.trains for stage in stages) else []
    if any(run.settings.get("compute", {}).get("compile") for run in runs):
        later.append(_COMPILER)
    return [_COLUMNS, *(stage.module for stage in stages), *later, *own, *libraries]
