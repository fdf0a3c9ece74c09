"""The stage ``trial``: train a student without held-out images, and measure it on these alone.

It never reads the test set, and keeps no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from distillery.core.errors import Diverged
from distillery.training import distributed
from distillery.training.run import open_run
from distillery.training.settings import DistillationSettings
from distillery.training.student import distil

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

METRICS = "metrics.json"
ACCURACY = "validation_top1"
DIVERGED = "diverged"


class Settings(DistillationSettings):
    """Settings of the stage."""


def run(work: Workspace) -> None:
    """Write ``metrics.json``: the held-out accuracy of the last epoch, or how training diverged."""
    settings = Settings.model_validate(work.run.settings)
    if distributed.launched(work, settings.compute.processes):
        return
    training = open_run(work, settings, reads_test=False)
    try:
        _, state = distil(training, settings)
    except Diverged as error:
        metrics = {DIVERGED: str(error)}
    else:
        metrics = {ACCURACY: state.history[-1][ACCURACY]}
    if training.accelerator.is_main_process:
        work.write_json(METRICS, metrics)
