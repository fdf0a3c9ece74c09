"""Small stand-ins for what the trainer hands to a method."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.methods.base import Batch, Context
from distillery.models.base import ModelSpec, Outputs


def outputs(
    logits: Tensor | None = None,
    embedding: Tensor | None = None,
    features: tuple[Tensor, ...] = (),
    preactivations: tuple[Tensor, ...] = (),
) -> Outputs:
    """Return network outputs of which only the given fields are set."""
    return Outputs(logits, embedding, tuple(features), tuple(preactivations))  # type: ignore[arg-type]


def batch_of(size: int, labels: Tensor | None = None) -> Batch:
    """Return the first batch of a run."""
    labels = torch.arange(size) if labels is None else labels
    return Batch(position=torch.arange(size), labels=labels, epoch=0, step=0)


def spec(
    embedding_dim: int = 1, shapes: tuple[tuple[int, ...], ...] = (), classes: int = 10
) -> ModelSpec:
    """Return the description of a network of which only the shapes matter."""
    return ModelSpec(
        arch="test",
        num_classes=classes,
        in_channels=3,
        image_size=32,
        embedding_dim=embedding_dim,
        feature_shapes=shapes,  # type: ignore[arg-type]
        parameters=0,
    )


def context(
    student_dim: int = 1,
    teacher_dim: int = 1,
    *,
    student_shapes: tuple[tuple[int, ...], ...] = (),
    teacher_shapes: tuple[tuple[int, ...], ...] = (),
    labels: Tensor | None = None,
) -> Context:
    """Return the context from which a method is built."""
    return Context(
        student=spec(student_dim, student_shapes),
        teacher=spec(teacher_dim, teacher_shapes),
        labels=torch.arange(10) if labels is None else labels,
        seed=0,
    )
