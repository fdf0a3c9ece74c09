"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from distillery.embeddings.ensemble import JoinedCache
from distillery.embeddings.reader import EmbeddingCache
from distillery.models import registry as models
from distillery.models.base import describe
from distillery.models.weights import load_network
from distillery.randomness import seed_for
from distillery.training import distributed
from distillery.training.assembly import Networks, assemble, numbered
from distillery.training.session import Session, train

if TYPE_CHECKING:
    from distillery.artifacts import Workspace


def run(work: Workspace) -> None:
    """Train a student, from the teacher's cache or with the live teacher, as the inputs say."""
    train(work, _fit)


def _fit(session: Session) -> None:
    inputs, card, settings = session.work.inputs, session.card, session.work.run.settings
    classes, channels = len(card.classes), card.shape[2]
    torch.manual_seed(seed_for(settings["seed"], "network"))
    student = models.build(settings["arch"], num_classes=classes, in_channels=channels)
    cached, teachers = (numbered(inputs, kind) for kind in ("embeddings", "teacher"))
    caches = [EmbeddingCache(each, session.images.index.cpu().numpy()) for each in cached]
    live = [load_network(each, card) for each in teachers]
    archs = [cache.arch for cache in caches] or [each.settings["arch"] for each in teachers]
    spec, *specs = (
        describe(arch, classes, channels, session.image_side) for arch in (settings["arch"], *archs)
    )
    gather = distributed.gather if session.accelerator.num_processes > 1 else None
    labels = session.images.labels.cpu()
    distiller = assemble(student, settings, Networks(spec, specs, live), labels, gather)
    session.fit(distiller, live, JoinedCache(caches) if caches else None)
