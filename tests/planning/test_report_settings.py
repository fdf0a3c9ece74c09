"""What the report is told beside the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from project import Project

from distillery.reporting.results.collected import Results


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


def test_entries_say_what_is_not_the_method_s_own(shared_project: Project) -> None:
    changes: dict[str, Any] = {
        "!methods": {
            "ce": {},
            "crd": {"weights": {"kd": 1}, "options": {"negatives": 16}},
            "infonce": {},
        },
        "pairs": {
            "q": {
                "teacher": "t",
                "student": "resnet8x4",
                "methods": {"crd": {"training": {"lr": 0.01}}},
            }
        },
    }
    entries = shared_project.plan(changes, "entries").report.entries
    assert list(entries) == ["ce", "crd", "infonce"]
    assert entries["ce"].differs == entries["infonce"].differs == {}
    assert entries["crd"].title == "CRD + KD"
    assert entries["crd"].source.startswith("Tian et al. 2020")
    assert entries["crd"].weights["kd"] == 1.0
    assert entries["crd"].differs == {
        "weights.kd": 1.0,
        "options.negatives": 16,
        "q: training.lr": 0.01,
    }


def test_pairs_have_the_sizes_of_their_networks(shared_project: Project) -> None:
    pair = shared_project.plan({}, "sizes").report.pairs["p"]
    assert pair.teacher_parameters == pair.student_parameters
    assert pair.student_parameters
    assert pair.student_parameters > 10_000


def test_ablations_and_sections_belong_to_a_work(shared_project: Project) -> None:
    vary = {"training": {"lr": [0.1, 0.2]}}
    changes = {
        "methods": {"aecrd": {}, "kd": {}},
        "ablations": {
            "one": {"pair": "p", "method": "kd", "vary": vary},
            "several": {"pair": "p", "method": ["ce", "kd"], "vary": vary},
        },
    }
    report = shared_project.plan(changes, "works").report
    assert report.ablations["one"].paper == "KD (Hinton et al. 2015)"
    assert report.ablations["several"].paper == ""
    assert report.sections["aecrd"].paper == "AECRD (after Cheng 2022)"


def test_metrics_have_headings_and_commands_a_file(shared_project: Project) -> None:
    report = shared_project.plan({}, "words").report
    assert report.headings["classification/nll"] == "NLL (nats)"
    # Where else the file lies is no part of a report.
    assert report.params == "words.yaml"


def test_results_say_how_networks_were_made(tmp_path: Path) -> None:
    project = Project(tmp_path)
    planned = project.plan({"training": {"epochs": 1}})
    collected = project.make(planned, planned.runs[planned.collected])
    made = Results.read(planned.report, collected).made
    assert set(made["run"]) == {row.run for row in planned.rows}
    assert set(made["train"]) == {80}
    assert set(made["test"]) == {600}
    assert set(made["shape"]) == {"8 × 8 × 1"}
    assert all(json.loads(text)["training"]["epochs"] == 1 for text in made["settings"])
    assert made["started"].notna().all()
