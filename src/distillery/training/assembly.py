"""Puts a student, its method and its teachers together as the settings of a run say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from distillery.core.randomness import seed_for
from distillery.methods import registry as methods
from distillery.methods.base import Context, Method, Weights
from distillery.models.base import Classifier, ModelSpec
from distillery.training.distiller import Distiller, Gather
from distillery.training.ensemble import Ensemble

Source = TypeVar("Source")


class Networks(NamedTuple):
    """The networks of a run as its method knows them.

    Attributes:
        student: shape of the student.
        teachers: shape of each teacher; none for a run without.
        live: the teachers themselves, where they are run rather than read from a cache.
    """

    student: ModelSpec
    teachers: Sequence[ModelSpec]
    live: Sequence[Classifier]


def numbered(inputs: Mapping[str, Source], kind: str) -> list[Source]:
    """Return the inputs ``kind``, ``kind-2``, ``kind-3``, ... of a run, one for each teacher."""
    return [source for name, source in inputs.items() if name.partition("-")[0] == kind]


def assemble(
    student: Classifier,
    settings: Mapping[str, Any],
    networks: Networks,
    labels: Tensor,
    gather: Gather | None = None,
) -> Distiller:
    """Return the distiller of a run.

    Args:
        student: the network to train.
        settings: those of a run of the stage ``train-student``.
        networks: shapes of the student and of its teachers.
        labels: (n,) int64 on the CPU, of the training set.
        gather: joins a tensor of all processes.
    """
    contexts = [
        Context(
            student=networks.student,
            teacher=teacher,
            labels=labels,
            seed=settings["seed"],
            epochs=settings["training"]["epochs"],
            teacher_network=network,
        )
        # A run without a teacher has one copy of its method, too.
        for teacher, network in zip_longest(networks.teachers or [networks.student], networks.live)
    ]
    # The heads have a seed of their own, so that all methods start from the same student.
    torch.manual_seed(seed_for(settings["seed"], "method"))
    method = _method(settings["method"], settings["options"], contexts, settings["ensemble"])
    kd = None
    if settings["kd_temperature"]:
        options = {"temperature": settings["kd_temperature"]}
        kd = _method("kd", options, contexts, settings["ensemble"])
    return Distiller(
        student,
        method,
        Weights(**settings["weights"]),
        kd,
        gather=gather,
        joint_temperature=settings["joint_temperature"],
    )


def _method(
    name: str, options: Mapping[str, Any], contexts: Sequence[Context], combination: str | None
) -> Method:
    kind = methods.load(name)
    if combination == "joint":
        dim = sum(context.teacher.embedding_dim for context in contexts)
        teacher = replace(contexts[0].teacher, embedding_dim=dim)
        contexts = [replace(contexts[0], teacher=teacher)]
    members = [kind(kind.Options(**options), context) for context in contexts]
    if len(members) == 1:
        return members[0]
    return Ensemble(members, "sum" if combination == "sum" else "mean")
