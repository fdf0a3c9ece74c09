"""A few steps of any method in one process or in several, in double precision."""

from __future__ import annotations

from typing import Any

import torch
from feature_probes import context_of
from test_contract import CLASSES, LABELS, student_of, teacher_of
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from distillery.methods import registry
from distillery.methods.base import Batch, Method
from distillery.models import registry as models
from distillery.training import distributed
from distillery.training.distiller import Distiller, run_teachers

IMAGES, BATCH, STEPS = 48, 16, 2


def steps_of_all(rank: int, processes: int, methods: list[str]) -> dict[str, Any]:
    """Take the steps of several methods in one of several processes; return each one's by name."""
    return {name: steps(name, rank, processes) for name in methods}


def normalises(name: str) -> bool:
    """Tell whether a method has batch normalisation of its own."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in _built(name).modules())


def steps(name: str, rank: int = 0, processes: int = 1) -> dict[str, Any]:
    """Train a student whose images do not meet in it; return terms, gradients and the last state.

    Both stages of a method that has two take as many steps.
    """
    whole = _distiller(name, processes)
    drawn = torch.Generator().manual_seed(2)
    images = torch.randn(IMAGES, 3, 8, 8, dtype=torch.float64, generator=drawn)
    teacher = models.build(teacher_of(name, {}).arch, num_classes=CLASSES).eval().double()
    stage, found = whole.method.pretraining(), []
    for pretrains in (True, False) if stage and stage.epochs else (False,):
        if not pretrains:
            whole.finish_pretraining()
        model: nn.Module = whole
        if processes > 1:
            model = DistributedDataParallel(
                whole, find_unused_parameters=True, broadcast_buffers=False
            )
        trains_all = not pretrains or stage is None or stage.trains_student
        trained = whole if trains_all else whole.methods
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.01, momentum=0.9)
        for _ in range(STEPS):
            rows = torch.randperm(IMAGES, generator=drawn)[:BATCH][rank::processes]
            batch = Batch(rows, LABELS[rows], epoch=0, step=len(found))
            views = whole.method.make_views(images[rows], batch)
            taught = run_teachers([teacher], views, whole.method)
            computed = model(views, taught, batch, pretraining=pretrains)
            computed.loss.backward()
            found.append({"terms": dict(computed.terms), "gradients": _gradients(whole)})
            optimizer.step()
            optimizer.zero_grad()
            whole.after_step()
    return {"steps": found, "state": whole.state_dict()}


def _gradients(module: nn.Module) -> dict[str, Tensor]:
    parameters = module.named_parameters()
    return {name: each.grad.clone() for name, each in parameters if each.grad is not None}


def _distiller(name: str, processes: int) -> Distiller:
    method, kd = _built(name), registry.load("kd")
    context = context_of(student_of(name, {}), teacher_of(name, {}), labels=LABELS)
    torch.manual_seed(1)
    student = _apart(models.build(student_of(name, {}).arch, num_classes=CLASSES))
    method.prepare_student(student)
    return Distiller(
        student,
        [method],
        method.weights,
        [kd(kd.Options(), context)],
        gather=distributed.gather if processes > 1 else None,
    ).double()


def _built(name: str) -> Method:
    kind = registry.load(name)
    torch.manual_seed(3)
    teacher = models.build(teacher_of(name, {}).arch, num_classes=CLASSES).requires_grad_(False)
    specs = student_of(name, {}), teacher_of(name, {})
    context = context_of(*specs, labels=LABELS, teacher_network=teacher.eval())
    return kind(kind.Options(), context)


def _apart(network: nn.Module) -> nn.Module:
    """Replace batch normalisation, in which the images of a process meet, by that of each image."""
    for name, part in network.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(network, name, nn.GroupNorm(1, part.num_features))
        else:
            _apart(part)
    return network
