"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from distillery.embeddings.ensemble import JoinedCache
from distillery.embeddings.reader import EmbeddingCache
from distillery.methods.base import Context
from distillery.models import registry as models
from distillery.models.base import Classifier, ModelSpec, describe
from distillery.models.weights import load_network
from distillery.randomness import seed_for
from distillery.training import distributed
from distillery.training.assembly import assemble
from distillery.training.session import Session, train

if TYPE_CHECKING:
    from distillery.artifacts import Artifact, Workspace


def run(work: Workspace) -> None:
    """Train a student, from the teacher's cache or with the live teacher, as the inputs say."""
    train(work, _fit)


def _fit(session: Session) -> None:
    work, card = session.work, session.card
    settings, seed = work.run.settings, work.run.settings["seed"]
    classes, channels, size = len(card.classes), card.shape[2], session.image_side
    torch.manual_seed(seed_for(seed, "network"))
    student = models.build(settings["arch"], num_classes=classes, in_channels=channels)
    caches = [
        EmbeddingCache(artifact, session.images.index.cpu().numpy())
        for artifact in _inputs(work, "embeddings")
    ]
    live = [load_network(artifact, card) for artifact in _inputs(work, "teacher")]
    spec = describe(settings["arch"], classes, channels, size)
    contexts = [
        Context(
            student=spec,
            teacher=teacher,
            labels=session.images.labels.cpu(),
            seed=seed,
            epochs=settings["training"]["epochs"],
            teacher_network=network,
        )
        for teacher, network in _teachers(work, live, classes, channels, size) or [(spec, None)]
    ]
    gather = distributed.gather if session.accelerator.num_processes > 1 else None
    distiller = assemble(student, settings, contexts, gather)
    session.fit(distiller, live, JoinedCache(caches) if caches else None)


def _inputs(work: Workspace, kind: str) -> list[Artifact]:
    """Return the inputs ``kind``, ``kind-2``, ``kind-3``, ..."""
    return [source for name, source in work.inputs.items() if name.partition("-")[0] == kind]


def _teachers(
    work: Workspace, live: list[Classifier], classes: int, channels: int, size: int
) -> list[tuple[ModelSpec, Classifier | None]]:
    """Return shapes and, for methods that need it, network of each teacher."""
    cached = [source.json("cache.json")["arch"] for source in _inputs(work, "embeddings")]
    if cached:
        return [(describe(arch, classes, channels, size), None) for arch in cached]
    archs = [source.settings["arch"] for source in _inputs(work, "teacher")]
    return [
        (describe(arch, classes, channels, size), network)
        for arch, network in zip(archs, live, strict=True)
    ]
