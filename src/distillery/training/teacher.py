"""The stage ``train-teacher``: a network trained with cross-entropy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distillery.methods.base import Context, Weights
from distillery.methods.ce import CrossEntropy
from distillery.training import distributed
from distillery.training.distiller import Distiller
from distillery.training.run import open_run
from distillery.training.settings import NetworkSettings

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class Settings(NetworkSettings):
    """Settings of the stage."""


def run(work: Workspace) -> None:
    """Train a teacher from scratch."""
    settings = Settings.model_validate(work.run.settings)
    if distributed.launched(work, settings.compute.processes):
        return
    training = open_run(work, settings)
    network = training.new_network()
    spec = training.describe(settings.arch)
    context = Context(spec, spec, training.images.labels.cpu(), settings.seed)
    method = CrossEntropy(CrossEntropy.Options(), context)
    state = training.fit(Distiller(network, [method], Weights(ce=1.0)))
    training.write(network, state)
