"""Puts a student, its method and its teachers together as the settings of a run say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from distillery.core.randomness import seed_for
from distillery.data.info import DataSetInfo
from distillery.methods import registry as methods
from distillery.methods.base import Context, Method
from distillery.models.base import Classifier, ModelSpec
from distillery.training.distiller import Distiller, Gather
from distillery.training.settings import DistillationSettings

Source = TypeVar("Source")


class Teacher(NamedTuple):
    """A teacher as a method knows it."""

    spec: ModelSpec
    """Its shape."""
    network: Classifier | None = None
    """The teacher itself, where it is run rather than read from a cache."""
    head: nn.Linear | None = None
    """The last layer of one that is read from a cache, where the method needs that."""


def numbered(inputs: Mapping[str, Source], kind: str) -> list[Source]:
    """Return the inputs ``kind``, ``kind-2``, ``kind-3``, ... of a run, one for each teacher."""
    return [source for name, source in inputs.items() if name.partition("-")[0] == kind]


def assemble(
    student: Classifier,
    settings: DistillationSettings,
    spec: ModelSpec,
    teachers: Sequence[Teacher],
    labels: Tensor,
    info: DataSetInfo,
    gather: Gather | None = None,
) -> Distiller:
    """Return the distiller of a run.

    Args:
        student: the network to train.
        settings: those of the run.
        spec: shape of the student.
        teachers: its teachers; none for a run without.
        labels: (n,) int64 on the CPU, of the training set.
        info: of the data set, as the student sees it.
        gather: joins a tensor of all processes.
    """
    contexts = [
        Context(
            student=spec,
            teacher=teacher.spec,
            labels=labels,
            seed=settings.seed,
            epochs=settings.training.epochs,
            batch_size=settings.training.batch_size,
            teacher_network=teacher.network,
            teacher_head=teacher.network.head if teacher.network else teacher.head,
            mean=tuple(info.mean),
            std=tuple(info.std),
        )
        # A run without a teacher has one copy of its method, too.
        for teacher in teachers or [Teacher(spec)]
    ]
    if settings.ensemble == "joint":
        dim = sum(context.teacher.embedding_dim for context in contexts)
        joint = replace(contexts[0].teacher, embedding_dim=dim)
        contexts = [replace(contexts[0], teacher=joint)]
    # The heads have a seed of their own, so that all methods start from the same student.
    torch.manual_seed(seed_for(settings.seed, "method"))
    copies = _copies(settings.method, settings.options, contexts)
    copies[0].prepare_student(student)
    kd: list[Method] = []
    if settings.kd_temperature:
        kd = _copies("kd", {"temperature": settings.kd_temperature}, contexts)
    return Distiller(
        student,
        copies,
        settings.weights,
        kd,
        gather=gather,
        combination=settings.ensemble or "mean",
        joint_temperature=settings.joint_temperature,
        label_smoothing=settings.training.label_smoothing,
    )


def _copies(name: str, options: Mapping[str, Any], contexts: Sequence[Context]) -> list[Method]:
    kind = methods.load(name)
    return [kind(kind.Options(**options), context) for context in contexts]
