"""The training step, by hand for one student and as a contract of every registered method."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import Tensor

from distillery.methods import registry as methods
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.models.registry import build
from distillery.models.spec import describe
from distillery.training.assembly import Teacher
from distillery.training.distiller import Distiller, StepOutput, run_teachers
from distillery.training.step import training_step

CLASSES, IMAGES, SIDE = 4, 40, 8
LABELS = torch.arange(IMAGES) % CLASSES


def distilled_with(name: str) -> tuple[Distiller, Teacher]:
    """Return a distiller with random networks, and its live teacher."""
    torch.manual_seed(0)
    spec, teacher_spec = (describe(arch, CLASSES, 3, SIDE) for arch in ("resnet8", "resnet14"))
    network = build("resnet14", num_classes=CLASSES).eval().requires_grad_(False)
    method = methods.load(name)
    arch = method.student_arch(method.Options(), spec, teacher_spec)
    context = Context(
        describe(arch, CLASSES, 3, SIDE),
        teacher_spec,
        LABELS,
        seed=0,
        batch_size=16,
        teacher_network=network,
        teacher_head=network.head,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )
    # By default there are more negatives than images here.
    count = method.Options.model_fields.get("negatives")
    options = method.Options(**({"negatives": 16} if count and count.annotation is int else {}))
    student = build(arch, num_classes=CLASSES)
    teaching = method(options, context)
    teaching.prepare_student(student)
    distiller = Distiller(student, [teaching], Weights()).train()
    return distiller, Teacher(teacher_spec, network)


def steps(name: str, count: int, *, pretraining: bool = False) -> list[StepOutput]:
    """Take steps on one batch."""
    distiller, teacher = distilled_with(name)
    if not pretraining:
        distiller.finish_pretraining()
    assert teacher.network is not None
    teach = partial(run_teachers, [teacher.network], method=distiller.method)
    optimizer = torch.optim.Adam(distiller.parameters(), lr=0.003)
    images = torch.randn(16, 3, SIDE, SIDE)
    return [
        training_step(
            distiller,
            optimizer,
            images,
            Batch(torch.arange(16), LABELS[:16], epoch=0, step=step),
            teach,
            pretraining=pretraining,
        )
        for step in range(count)
    ]


@pytest.mark.parametrize("name", methods.names())
def test_every_method_teaches_real_networks(name: str) -> None:
    first, *_, last = steps(name, 12)
    assert torch.isfinite(last.loss)
    assert last.loss < first.loss
    assert {"ce"} <= first.terms.keys() <= {"ce", *(t for t in first.terms if "method_" in t)}
    assert first.logits is not None
    assert first.logits.shape == (16, CLASSES)
    logged = [*first.terms.values(), *first.diagnostics.values()]
    assert not any(value.requires_grad for value in logged)


@pytest.mark.parametrize(
    "name",
    [each for each in methods.names() if methods.load(each).pretraining is not Method.pretraining],
)
def test_every_first_stage_lowers_its_loss(name: str) -> None:
    first, *_, last = steps(name, 12, pretraining=True)
    assert last.loss < first.loss
    assert first.logits is None


@pytest.mark.parametrize(("name", "with_heads"), [("reviewkd", True), ("semckd", False)])
def test_synchronised_normalisation_keeps_names_and_answers(name: str, with_heads: bool) -> None:
    """A method that couples the batch has all of it already."""
    distiller, _ = distilled_with(name)
    expected = copy.deepcopy(distiller.state_dict())
    images = torch.rand(3, 3, SIDE, SIDE)
    answer = distiller.student.eval()(images).logits
    distiller.synchronise_batchnorm()
    assert distiller.state_dict().keys() == expected.keys()
    assert torch.equal(distiller.student.eval()(images).logits, answer)
    for module, changed in ((distiller.student, True), (distiller.methods, with_heads)):
        kinds = {type(part).__name__ for part in module.modules()}
        assert ("SyncBatchNorm" in kinds) == changed
        assert ("BatchNorm2d" in kinds) != changed


def test_a_step_is_forward_backward_and_update() -> None:
    distiller, _ = distilled_with("ce")
    twin = copy.deepcopy(distiller)
    optimizer, other = (
        torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9) for each in (distiller, twin)
    )
    batch = Batch(torch.arange(8), LABELS[:8], epoch=0, step=0)
    scaled: list[Tensor] = []

    def backward(loss: Tensor) -> None:
        scaled.append(loss.detach())
        (2 * loss).backward()

    for step in range(2):
        images = torch.randn(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(step))
        found = training_step(distiller, optimizer, images, batch, lambda _: (), backward=backward)
        loss = torch.nn.functional.cross_entropy(twin.student(images).logits, batch.labels)
        (2 * loss).backward()
        other.step()
        other.zero_grad()
        assert torch.equal(found.loss, loss)
        assert torch.equal(scaled[-1], loss)
    for one, expected in zip(distiller.parameters(), twin.parameters(), strict=True):
        assert one.grad is None
        assert torch.equal(one, expected)
