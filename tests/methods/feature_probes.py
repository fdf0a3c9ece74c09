"""What the tests of the feature-map methods share: stand-in networks, one step, and its memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from helpers import batch_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from distillery.core.measuring import allocated_bytes
from distillery.methods.base import Batch, Context, Method
from distillery.models.base import ModelSpec, Outputs

BATCH = 64

quick = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def networks(draw: st.DrawFn, stages: int | None = None) -> ModelSpec:
    """Draw a small network; its blocks have the shapes of the stages behind the stem, repeated."""
    count = draw(st.integers(1, 3)) if stages is None else stages
    shapes = tuple(
        (draw(st.integers(1, 5)), size := draw(st.integers(1, 6)), size) for _ in range(count)
    )
    return network(shapes, embedding=draw(st.integers(2, 6)))


def network(
    shapes: tuple[tuple[int, int, int], ...], embedding: int = 4, classes: int = 5
) -> ModelSpec:
    """Describe a network with the given stages behind its stem, and two blocks in each."""
    return ModelSpec(
        arch="test",
        num_classes=classes,
        in_channels=3,
        image_size=shapes[0][1],
        embedding_dim=embedding,
        map_shape=(embedding, 2, 2),
        feature_shapes=((2, *shapes[0][1:]), *shapes),
        block_shapes=tuple(shape for shape in shapes for _ in range(2)),
        parameters=0,
    )


def context_of(student: ModelSpec, teacher: ModelSpec, **changes: Any) -> Context:
    """Return a context over 40 training images of 4 classes."""
    with torch.random.fork_rng():
        head = nn.Linear(teacher.embedding_dim, teacher.num_classes)
    built = Context(
        student,
        teacher,
        labels=torch.arange(40) % 4,
        seed=0,
        batch_size=6,
        teacher_head=head,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )
    return replace(built, **changes)


def draw_outputs(
    spec: ModelSpec,
    rows: int = 4,
    seed: int = 0,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Outputs:
    """Draw outputs of a network; all of them require a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        values = torch.randn(rows, *shape, generator=generator) * scale
        return values.to(dtype).requires_grad_()

    return Outputs(
        logits=draw(spec.num_classes),
        embedding=draw(spec.embedding_dim),
        features=tuple(draw(*shape) for shape in spec.feature_shapes),
        preactivations=tuple(draw(*shape) for shape in spec.feature_shapes),
        blocks=tuple(draw(*shape) for shape in spec.block_shapes),
        last_map=draw(*spec.map_shape),
        class_maps=draw(spec.num_classes, *spec.map_shape[1:]),
    )


def leaves(outputs: Outputs) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tuple(outputs)) if leaf is not None]


def reordered(outputs: Outputs, rows: Tensor) -> Outputs:
    """Return the outputs with their rows in another order."""
    return Outputs(*tree_map_only(Tensor, lambda tensor: tensor[rows], tuple(outputs)))


def labelled(rows: int, seed: int = 0) -> Batch:
    labels = torch.randint(4, (rows,), generator=torch.Generator().manual_seed(seed))
    return batch_of(rows, labels)


def value_of(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    return torch.stack(list(method(student, teacher, batch).values())).sum()


def safe_step(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> float:
    """Run a step; everything is finite, and only the student and the method get gradients."""
    value = value_of(method, student, teacher, batch)
    value.backward()
    assert value.isfinite()
    assert all(tensor.grad is None for tensor in leaves(teacher))
    found = [t.grad for t in (*leaves(student), *method.parameters()) if t.grad is not None]
    assert found
    assert all(bool(gradient.isfinite().all()) for gradient in found)
    return value.item()


def peak_megabytes(run: Callable[[], Tensor]) -> float:
    """Return the most memory that a loss and its backward pass hold at once beside their inputs."""
    return allocated_bytes(lambda: run().backward(), torch.device("cpu")) / 1e6
