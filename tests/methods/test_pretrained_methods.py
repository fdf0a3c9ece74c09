"""AB, FSP and FT: what happens before the distillation, and what remains of it afterwards."""

from __future__ import annotations

import pytest
import torch
from feature_probes import context_of, draw_outputs, labelled, network
from relation_methods import STUDENT, TWIN, build, frozen
from torch import nn

from distillery.methods.ab import ActivationBoundary, boundary_loss
from distillery.methods.base import Pretraining
from distillery.methods.parts.heads import Regressor


@pytest.mark.parametrize("name", ["ab", "fsp"])
def test_initialisation_trains_the_student_and_then_is_over(name: str) -> None:
    method = build(name, {"pretraining_epochs": 7}, STUDENT, TWIN)
    assert method.pretraining() == Pretraining(epochs=7, trains_student=True)
    student = draw_outputs(STUDENT, 4)
    teacher = frozen(draw_outputs(TWIN, 4, seed=1))
    terms = method.pretrain(student, teacher, labelled(4))
    torch.stack(list(terms.values())).sum().backward()
    maps = student.preactivations if name == "ab" else student.features
    # AB leaves out the stem.
    assert all(one.grad is not None for one in maps[name == "ab" :])
    method.finish_pretraining()
    assert not any(parameter.requires_grad for parameter in method.parameters())
    assert method(student, teacher, labelled(4)) == {}


@pytest.mark.parametrize("name", ["ab", "fsp"])
def test_weight_of_the_initialisation(name: str) -> None:
    default = {"ab": 1.0, "fsp": 50.0}[name]
    student = draw_outputs(STUDENT, 4)
    teacher = frozen(draw_outputs(TWIN, 4, seed=1))
    plain = build(name, {}, STUDENT, TWIN).pretrain(student, teacher, labelled(4))
    options = {"pretraining_weight": 1.0, "pretraining_epochs": 2}
    single = build(name, options, STUDENT, TWIN)
    assert single.pretraining().epochs == 2
    for key, term in single.pretrain(student, teacher, labelled(4)).items():
        torch.testing.assert_close(plain[key], default * term)


def test_paraphraser_is_trained_first_and_frozen_then() -> None:
    options = {"pretraining_epochs": 7, "pretraining_lr": 0.5}
    method = build("ft", options, STUDENT, TWIN)
    assert method.pretraining() == Pretraining(epochs=7, trains_student=False, lr=0.5)
    teacher = frozen(draw_outputs(TWIN, 4, seed=1))
    batch = labelled(4)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        terms = method.pretrain(teacher, teacher, batch)
        terms["reconstruction"].backward()
        optimiser.step()
        losses.append(terms["reconstruction"].item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in method.translator.parameters())
    method.finish_pretraining()
    student = draw_outputs(STUDENT, 4)
    method.zero_grad()
    method(student, teacher, batch)["factor"].backward()
    assert student.features[-1].grad is not None
    assert all(parameter.grad is not None for parameter in method.translator.parameters())
    assert all(parameter.grad is None for parameter in method.paraphraser.parameters())


def test_ab_connects_only_maps_that_differ() -> None:
    teacher = network(((4, 8, 8), (9, 4, 4), (8, 1, 1)))
    options = ActivationBoundary.Options()
    connectors = ActivationBoundary(options, context_of(STUDENT, teacher)).connectors
    assert [type(connect) for connect in connectors] == [nn.Identity, Regressor, Regressor]


def test_ab_hinge_by_hand() -> None:
    student = torch.tensor([[-3.0, -0.5, 0.5, 3.0], [-3.0, -0.5, 0.5, 3.0]])
    teacher = torch.tensor([[1.0, 1.0, 1.0, 1.0], [-1.0, -1.0, 0.0, 0.0]])
    loss = boundary_loss(student, teacher, margin=1.0)
    active = 4.0**2 + 1.5**2 + 0.5**2 + 0.0
    silent = 0.0 + 0.5**2 + 1.5**2 + 4.0**2
    assert loss == (active + silent) / 2


def test_ab_halves_every_stage_above_the_last() -> None:
    method = build("ab", {}, STUDENT, STUDENT)
    student = draw_outputs(STUDENT, 4)
    teacher = frozen(draw_outputs(STUDENT, 4, seed=1))
    terms = method.pretrain(student, teacher, labelled(4))
    for stage, share in ((1, 0.25), (2, 0.5), (3, 1.0)):
        maps = student.preactivations[stage], teacher.preactivations[stage]
        torch.testing.assert_close(
            terms[f"stage{stage}"], 3e-3 * share * boundary_loss(*maps, margin=1.0)
        )
