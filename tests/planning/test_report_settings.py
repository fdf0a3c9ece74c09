"""What the report is told beside the results."""

from __future__ import annotations

from typing import Any

from project import Project


def test_teachers_are_named_with_their_data_set_where_there_are_several(
    shared_project: Project,
) -> None:
    changes: dict[str, Any] = {
        "teachers": {"same": {"arch": "resnet8", "seed": 1}, "wide": {"arch": "resnet8x4"}},
        "pairs": {"q": {"teacher": ["t", "same", "wide"], "student": "resnet8"}},
    }
    report = shared_project.plan(changes, "labels-of-one").report
    assert report.pairs["q"].teacher_arch == "2 resnet8 + resnet8x4"
    changes["datasets"] = {"small": {"source": "digits", "split": {"per_class": 4}}}
    changes["teachers"]["u"] = {"arch": "resnet8", "data": "small"}
    changes["pairs"]["r"] = {"teacher": "u", "student": "resnet8"}
    report = shared_project.plan(changes, "labels").report
    assert {name: pair.teacher_arch for name, pair in report.pairs.items()} == {
        "p": "digits: resnet8",
        "q": "digits: 2 resnet8 + resnet8x4",
        "r": "small: resnet8",
    }


def test_sections_are_those_of_protocols_and_then_of_methods(shared_project: Project) -> None:
    assert shared_project.plan({}, "no-sections").report.sections == {}
    changes = {
        "methods": {"aecrd": {}},
        "protocols": {"few": {"protocol": "few-shot", "title": "Few"}},
    }
    sections = shared_project.plan(changes, "sections").report.sections
    assert list(sections) == ["few", "aecrd"]
    assert (sections["few"].module, sections["few"].title) == ("few-shot", "Few")
    assert sections["few"].axes == ("method", "split.fraction")
    assert sections["aecrd"].axes == ()


def test_ablations_have_a_caption_and_axes(shared_project: Project) -> None:
    ablation = {"pair": "p", "method": "ce", "vary": {"training": {"lr": [0.1, 0.2]}}}
    changes = {"ablations": {"plain": ablation, "named": {**ablation, "title": "Rates"}}}
    report = shared_project.plan(changes, "captions").report
    titles = {name: settings.title for name, settings in report.ablations.items()}
    assert titles == {"plain": "plain", "named": "Rates"}
    assert report.ablations["plain"].axes == ("training.lr",)
