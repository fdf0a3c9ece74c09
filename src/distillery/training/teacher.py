"""The stage ``train-teacher``: a network trained with cross-entropy alone, perhaps from weights."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from distillery.core.settings import FrozenModel
from distillery.methods.base import Context, Weights
from distillery.methods.ce import CrossEntropy
from distillery.training import distributed, foreign
from distillery.training.distiller import Distiller
from distillery.training.files import located
from distillery.training.run import open_run
from distillery.training.settings import NetworkSettings

if TYPE_CHECKING:
    from distillery.models.base import Classifier
    from distillery.runs.produce import Workspace
    from distillery.training.run import TrainingRun

Trains = Literal["all", "head"]


class Start(FrozenModel):
    """Weights that a teacher's training starts from."""

    file: str
    """Name of the file, looked up among the raw files."""
    sha256: str
    """Its checksum."""
    new_head: bool
    """Whether the last layer is a new one."""
    trains: Trains
    """What is trained: the whole network, or the last layer alone."""


class Settings(NetworkSettings):
    """Settings of the stage."""

    start: Start | None = None
    """What training starts from; None for a new network."""


class Probe(Distiller):
    """Trains the head alone: the layers before it stay as they are, running statistics included."""

    def train(self, mode: bool = True) -> Probe:
        """Leave the network in evaluation mode."""
        super().train(mode)
        self.student.eval()
        return self


def run(work: Workspace) -> None:
    """Train a teacher."""
    settings = Settings.model_validate(work.run.settings)
    if distributed.launched(work, settings.compute.processes):
        return
    training = open_run(work, settings)
    network = training.new_network()
    kind: type[Distiller] = Distiller
    if settings.start:
        _start(training, network, settings.start)
        if settings.start.trains == "head":
            kind = Probe
            network.requires_grad_(False)
            network.head.requires_grad_(True)
    spec = training.describe(settings.arch)
    context = Context(spec, spec, training.images.labels.cpu(), settings.seed)
    method = CrossEntropy(CrossEntropy.Options(), context)
    smoothing = settings.training.label_smoothing
    distiller = kind(network, [method], Weights(ce=1.0), label_smoothing=smoothing)
    said = training.write(network, training.fit(distiller))
    if said and said.top1 <= said.chance:
        warnings.warn(
            f"teacher {training.name}: test top-1 {said.top1:.2f} % is no better than chance "
            f"({said.chance:.2f} %); students learn nothing of it",
            stacklevel=1,
        )


def _start(training: TrainingRun, network: Classifier, start: Start) -> None:
    """Load the weights to start from.

    Raises:
        UserError: they are not there, or do not fit.
    """
    path = located(training.work, start.file, start.sha256)
    found = foreign.read(path)
    if not start.new_head:
        foreign.compare_classes(found.classes, training.info.classes, path)
    foreign.load_into(network, found, path, new_head=start.new_head)
    training.work.record["origin"] = {"file": path.name, "sha256": start.sha256}
