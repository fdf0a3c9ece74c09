"""Which published numbers stand beside ours, and what is said where none do."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project

CRD: dict[str, Any] = {
    "!data": {"source": "cifar100", "augmentation": {"pad": 4, "flip": True}},
    "!training": {},
    "!teachers": {"big": {"arch": "resnet56"}},
    "!pairs": {"p": {"teacher": "big", "student": "resnet20"}},
    "!methods": {"ce": {}, "crd": {}, "crd-kd": {"method": "crd", "weights": {"kd": 1}}},
}


def test_numbers_of_the_same_protocol_stand_beside_ours(shared_project: Project) -> None:
    found = shared_project.plan(CRD, "published").report.published
    # Table 1: a student of resnet20 alone, and with CRD; CRD + KD is not in it.
    assert [(n.pair, n.method, n.top1) for n in found.numbers] == [
        ("p", "ce", 69.06),
        ("p", "crd", 71.16),
    ]
    assert "repeat them" in found.note
    assert {n.source for n in found.numbers} == {"CRD (Tian et al. 2020), table 1"}


def test_the_rate_of_mobile_networks_is_the_published_one(shared_project: Project) -> None:
    pair = {"teacher": "big", "student": "MobileNetV2", "training": {"lr": 0.01}}
    changes = {**CRD, "!teachers": {"big": {"arch": "vgg13"}}, "!pairs": {"p": pair}}
    found = shared_project.plan(changes, "mobile").report.published
    assert [n.top1 for n in found.numbers] == [64.6, 69.73]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"!training": {"epochs": 120}}, "120 epochs, not 240"),
        ({"!training": {"lr": 0.1}}, "a learning rate of 0.1, not 0.05"),
        ({"!training": {"nesterov": True}}, "another optimiser"),
        ({"!data": {"source": "cifar100", "augmentation": {"pad": 2}}}, "augmented in another way"),
        (
            {"!data": {**CRD["!data"], "split": {"per_class": 100}}},
            "not all training images are used",
        ),
        ({"!data": {**CRD["!data"], "source": "cifar10"}}, "the data set is cifar10, not cifar100"),
        (
            {"!teachers": {"big": {"arch": "resnet56", "training": {"epochs": 20}}}},
            "the teacher big has another schedule",
        ),
        ({"!methods": {"crd": {"options": {"temperature": 0.1}}}}, "methods set otherwise"),
        ({"!teachers": {"big": {"arch": "resnet44"}}}, "other pairs of networks"),
    ],
)
def test_whatever_differs_is_said_in_one_sentence(
    shared_project: Project, change: dict[str, Any], said: str
) -> None:
    found = shared_project.plan({**CRD, **change}, "unlike").report.published
    assert found.numbers == ()
    assert found.note.startswith("No published number stands beside these")
    assert said in found.note
