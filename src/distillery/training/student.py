"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import model_validator

from distillery.core.randomness import seed_for
from distillery.embeddings.ensemble import JoinedCache
from distillery.embeddings.reader import EmbeddingCache
from distillery.methods import registry as methods
from distillery.methods.base import Weights
from distillery.models import registry as models
from distillery.models.base import describe
from distillery.models.weights import load_network
from distillery.training import distributed
from distillery.training.assembly import Networks, assemble, numbered
from distillery.training.session import Session, train
from distillery.training.settings import Combination, NetworkSettings

if TYPE_CHECKING:
    from distillery.runs.artifacts import Workspace


class Settings(NetworkSettings):
    """Settings of the stage."""

    method: str
    """Name of the method."""
    options: dict[str, Any]
    """Its hyperparameters, all of them."""
    weights: Weights
    """Weights of the objective."""
    kd_temperature: float | None
    """Temperature of the additional KD term; None without one."""
    ensemble: Combination | None
    """How several teachers teach; None unless there are several."""
    joint_temperature: float | None
    """Temperature at which the probabilities of teachers that teach jointly are averaged."""

    @model_validator(mode="after")
    def _complete_options(self) -> Settings:
        """Read the options as the method does: what an old run lacks has its default of today."""
        options = methods.load(self.method).Options.model_validate(self.options)
        object.__setattr__(self, "options", options.model_dump(mode="json"))
        return self


def run(work: Workspace) -> None:
    """Train a student, from the teacher's cache or with the live teacher, as the inputs say."""
    train(work, _fit)


def _fit(session: Session) -> None:
    inputs, info, settings = session.work.inputs, session.info, session.work.run.settings
    classes, channels = len(info.classes), info.shape[2]
    torch.manual_seed(seed_for(settings["seed"], "network"))
    student = models.build(settings["arch"], num_classes=classes, in_channels=channels)
    cached, teachers = (numbered(inputs, kind) for kind in ("embeddings", "teacher"))
    caches = [EmbeddingCache(each, session.images.index.cpu().numpy()) for each in cached]
    live = [load_network(each, info) for each in teachers]
    archs = [cache.arch for cache in caches] or [each.settings["arch"] for each in teachers]
    spec, *specs = (
        describe(arch, classes, channels, session.image_side) for arch in (settings["arch"], *archs)
    )
    gather = distributed.gather if session.accelerator.num_processes > 1 else None
    labels = session.images.labels.cpu()
    distiller = assemble(student, settings, Networks(spec, specs, live), labels, gather)
    session.fit(distiller, live, JoinedCache(caches) if caches else None)
