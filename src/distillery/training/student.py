"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from distillery.embeddings.reader import EmbeddingCache
from distillery.methods import registry as methods
from distillery.methods.base import Context, Weights
from distillery.models import registry as models
from distillery.models.base import ModelSpec, describe
from distillery.models.weights import load_network
from distillery.randomness import seed_for
from distillery.training import distributed
from distillery.training.distiller import Distiller
from distillery.training.session import Session, train

if TYPE_CHECKING:
    from distillery.artifacts import Artifact, Workspace


def run(work: Workspace) -> None:
    """Train a student, from the teacher's cache or with the live teacher, as the inputs say."""
    train(work, _fit)


def _fit(session: Session) -> None:
    work, card = session.work, session.card
    settings, seed = work.run.settings, work.run.settings["seed"]
    classes, channels = len(card.classes), card.shape[2]
    torch.manual_seed(seed_for(seed, "network"))
    student = models.build(settings["arch"], num_classes=classes, in_channels=channels)
    cache = teacher = None
    if "embeddings" in work.inputs:
        cache = EmbeddingCache(work.inputs["embeddings"], session.images.index.cpu().numpy())
    elif "teacher" in work.inputs:
        teacher = load_network(work.inputs["teacher"], card)
    spec = describe(settings["arch"], classes, channels, card.shape[0])
    context = Context(
        student=spec,
        teacher=_teacher_spec(work.inputs, classes, channels, card.shape[0]) or spec,
        labels=session.images.labels.cpu(),
        seed=seed,
        epochs=settings["training"]["epochs"],
        teacher_network=teacher,
    )
    # The heads have a seed of their own, so that all methods start from the same student.
    torch.manual_seed(seed_for(seed, "method"))
    kind = methods.load(settings["method"])
    method = kind(kind.Options(**settings["options"]), context)
    kd = None
    if settings["kd_temperature"]:
        kd_kind = methods.load("kd")
        kd = kd_kind(kd_kind.Options(**{"temperature": settings["kd_temperature"]}), context)
    gather = distributed.gather if session.accelerator.num_processes > 1 else None
    weights = Weights(**settings["weights"])
    session.fit(Distiller(student, method, weights, kd, gather), teacher, cache)


def _teacher_spec(
    inputs: dict[str, Artifact], classes: int, channels: int, size: int
) -> ModelSpec | None:
    if "embeddings" in inputs:
        arch = inputs["embeddings"].json("cache.json")["arch"]
    elif "teacher" in inputs:
        arch = inputs["teacher"].settings["arch"]
    else:
        return None
    return describe(arch, classes, channels, size)
