"""Puts a student, its method and its teachers together as the settings of a run say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from distillery.methods import registry as methods
from distillery.methods.base import Context, Method, Weights
from distillery.models.base import Classifier
from distillery.randomness import seed_for
from distillery.training.distiller import Distiller, Gather
from distillery.training.ensemble import Ensemble


def assemble(
    student: Classifier,
    settings: Mapping[str, Any],
    contexts: Sequence[Context],
    gather: Gather | None = None,
) -> Distiller:
    """Return the distiller of a run.

    Args:
        student: the network to train.
        settings: those of a run of the stage ``train-student``.
        contexts: one for each teacher, or one for a run without a teacher.
        gather: joins a tensor of all processes.
    """
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
