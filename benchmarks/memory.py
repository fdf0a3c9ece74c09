"""Memory of methods, and their share of a step's time: AECRD beside CRD, AFD and RTK beside KD.

What a method holds are its parameters, buffers and what its loss keeps for the backward pass. The
memory of a step is the most that operations hold at once beside the networks themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import made_up
from benchmarks.made_up import BATCH, CLASSES, NEGATIVES, PAIRS
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import called
from distillery.core.measuring import allocated_bytes
from distillery.methods import registry as methods
from distillery.methods.base import Batch, Method
from distillery.models.base import Outputs
from distillery.training.distiller import Distiller, run_network

CPU = torch.device("cpu")
WITH_TEACHER: dict[str, tuple[str, dict[str, Any]]] = {
    "kd": ("kd", {}),
    "afd": ("afd", {}),
    "rtk": ("rtk", {}),
    "rtk, all layers, average pooling": ("rtk", {"k": "all", "pool": "average"}),
    "rtk, student queries, SoftPool": (
        "rtk",
        {"orientation": "student-query", "masking": "renormalise", "resize": "softpool"},
    ),
}
LIVE, CACHED = PAIRS["resnet56→resnet20"], PAIRS["resnet32x4→resnet8x4"]


def measure(quick: bool = False) -> list[Row]:
    """Return bytes and times as ratios."""
    return [*_of_live_teachers(rounds=2 if quick else 5), *_of_contrasts(rounds=5 if quick else 15)]


def new_method(name: str, pair: tuple[str, str], options: dict[str, Any]) -> Method:
    """Return a method with its defaults, but for the options given."""
    kind = methods.load(name)
    return kind(kind.Options(**options), made_up.context(*pair))


def _of_live_teachers(rounds: int) -> list[Row]:
    steps = {name: _live_step(*variant) for name, variant in WITH_TEACHER.items()}
    peaks = {name: allocated_bytes(step, CPU) for name, step in steps.items()}
    times = called(steps, rounds)
    rows = []
    for name in [each for each in steps if each != "kd"]:
        rows.append(
            Row(
                label=f"memory of a step: {name} / kd, live teacher",
                value=peaks[name] / peaks["kd"],
                target=1.25 if name == "rtk" else None,
                note=f"maps of the blocks; kd {peaks['kd'] / 1e6:.0f} MB",
                at_most=True,
            )
        )
        note = "attention between maps of all blocks"
        label = f"time of a step: {name} / kd, live teacher"
        rows.append(ratio_row(label, times[name], times["kd"], note=note, at_most=True))
    return rows


def _live_step(name: str, options: dict[str, Any]) -> Callable[[], None]:
    """Return a training step without that of the optimiser, as the trainer composes it."""
    teacher, student = (made_up.network(arch) for arch in LIVE)
    teacher.eval().requires_grad_(False)
    method = new_method(name, LIVE, options)
    kd = [] if name == "kd" else [new_method("kd", LIVE, {})]
    distiller = Distiller(student, [method], method.weights, kd).train()
    images, batch = made_up.normalised(), _batch()

    def step() -> None:
        with torch.no_grad():
            outputs = run_network(teacher, images, method)
        distiller(images, [outputs], batch).loss.backward()
        distiller.zero_grad()

    return step


def _of_contrasts(rounds: int) -> list[Row]:
    aecrd = new_method("aecrd", CACHED, {})
    crd = new_method("crd", CACHED, {"negatives": NEGATIVES})
    held = {method: _held_bytes(method) for method in (aecrd, crd)}
    student, teacher = _outputs(aecrd)
    distiller = Distiller(made_up.network(CACHED[1]), [aecrd], aecrd.weights).train()
    images, batch = made_up.normalised(), _batch()

    def whole() -> None:
        distiller(images, [teacher], batch).loss.backward()
        distiller.zero_grad()

    def alone() -> None:
        torch.stack([*aecrd(student, teacher, batch).values()]).sum().backward()

    times = called({"whole": whole, "alone": alone}, rounds)
    share = ratio_row(
        "time of AECRD's loss / step of ce + aecrd",
        times["alone"],
        times["whole"],
        0.1,
        "few synthetic points a batch",
        at_most=True,
    )
    memory = Row(
        label="memory held: aecrd / crd",
        value=held[aecrd] / held[crd],
        target=0.05,
        note=f"no banks; {held[aecrd] / 1e6:.2f} MB / {held[crd] / 1e6:.0f} MB",
        at_most=True,
    )
    return [share, memory]


def _batch() -> Batch:
    position = torch.arange(BATCH)
    # No step in which diagnostics are taken: these come once in ten.
    return Batch(position, position % CLASSES, epoch=1, step=1)


def _outputs(method: Method) -> tuple[Outputs, Outputs]:
    """Return outputs of both networks, (BATCH, CLASSES) and (BATCH, D) each."""
    context = made_up.context(*CACHED)
    student, teacher = (
        Outputs(torch.randn(BATCH, CLASSES), torch.randn(BATCH, spec.embedding_dim))
        for spec in (context.student, context.teacher)
    )
    student.embedding.requires_grad_()
    return student, teacher


def _held_bytes(method: Method) -> int:
    """Return the bytes of the method's state and of what its loss keeps for the backward pass."""
    student, teacher = _outputs(method)
    state = [*method.parameters(), *method.buffers()]
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in state}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = method(student, teacher, _batch())
    assert terms
    return sum(held.values())
