"""The stage ``train-teacher``: a network trained with cross-entropy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from distillery.core.randomness import seed_for
from distillery.methods.base import Context, Weights
from distillery.methods.ce import CrossEntropy
from distillery.models import registry
from distillery.models.base import describe
from distillery.training.distiller import Distiller
from distillery.training.session import Session, train
from distillery.training.settings import NetworkSettings

if TYPE_CHECKING:
    from distillery.runs.artifacts import Workspace


class Settings(NetworkSettings):
    """Settings of the stage."""


def run(work: Workspace) -> None:
    """Train a teacher from scratch."""
    train(work, _fit)


def _fit(session: Session) -> None:
    settings, info = session.work.run.settings, session.info
    classes, channels = len(info.classes), info.shape[2]
    torch.manual_seed(seed_for(settings["seed"], "network"))
    network = registry.build(settings["arch"], num_classes=classes, in_channels=channels)
    spec = describe(settings["arch"], classes, channels, session.image_side)
    context = Context(spec, spec, session.images.labels.cpu(), settings["seed"])
    method = CrossEntropy(CrossEntropy.Options(), context)
    session.fit(Distiller(network, method, Weights(ce=1.0)))
