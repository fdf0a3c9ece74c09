"""The experiments in ``params``: what they plan, without running any of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from distillery.experiment import reading
from distillery.experiment.experiment import Experiment
from distillery.methods.aecrd.options import WITH_TANGENTS
from distillery.planning.build import build
from distillery.planning.plan import Plan
from distillery.reporting.settings import Row

FOLDER = Path(__file__).parents[2] / "params"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
SMALL = [name for name in NAMES if name.startswith("cifar10-small")]
SECTIONS = {
    "4.2": ("transfer-stl10", "transfer-tiny-imagenet"),
    "4.3": ("few-shot",),
    "4.4": ("inter-class",),
    "4.5": ("computation", "negatives-of-crd", "points", "pairs"),
    "4.6": ("ensemble", "ensemble-combination"),
    "4.7.1": ("role", "gradient"),
    "4.7.2": ("strategy", "strategy-hermite", "neighbours", "diffusion", "reprojection"),
    "4.7.3": (
        "points",
        "tangent-scale",
        "tension",
        "diffusion-radius",
        "top-k",
        "warm-up",
        "sampler",
    ),
    "4.7.4": (
        "temperature",
        "beta",
        "alpha",
        "dimension",
        "head",
        "synthetic-weight",
        "directions",
    ),
    "A.1": ("why-hermite", "representation"),
}
# Classes and training images of each.
IMAGES = {"aecrd": (100, 500), "cifar10-small-protocols": (10, 5000)}
SPLINE = {"cardinal", "kochanek-bartels"}


@cache
def experiment(name: str) -> Experiment:
    return reading.load(FOLDER / f"{name}.yaml")


@cache
def planned(name: str) -> Plan:
    return build(experiment(name), FOLDER / f"{name}.yaml")


def rows(name: str, table: str) -> list[Row]:
    return [row for row in planned(name).rows if row.table == table]


def ablations_of(name: str) -> set[str]:
    return set(experiment(name).ablations)


def settings_of(name: str, row: Row) -> dict[str, Any]:
    return dict(planned(name).runs[row.run].settings)


def split_of(name: str, row: Row) -> Mapping[str, Any]:
    runs = planned(name).runs
    return runs[runs[row.run].inputs["split"]].settings


def teacher_key(name: str, teacher: str) -> str:
    (row,) = [row for row in rows(name, "teachers") if row.title == teacher]
    return planned(name).runs[row.run].key


def read_of_curve(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a curve that its points depend on."""
    bent, tangents = curve["interpolation"] in WITH_TANGENTS, curve["tangents"]
    is_spline = bent and tangents in SPLINE
    is_read = {
        "tangents": bent,
        "scale": bent and not is_spline and tangents != "zero",
        "tension": is_spline,
        "neighbours": is_spline,
        "bias": is_spline and tangents == "kochanek-bartels",
    }
    return {option: value for option, value in curve.items() if is_read.get(option, True)}


def what_is_computed(settings: dict[str, Any]) -> str:
    """Return a student's settings without those that AECRD does not read."""
    if settings["method"] == "aecrd":
        options = dict(settings["options"])
        options["curve"] = read_of_curve(options["curve"])
        if options["diffusion"]["kind"] == "none":
            options["diffusion"] = None
        settings = {**settings, "options": options}
    return json.dumps(settings, sort_keys=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_plans_what_its_name_says(name: str) -> None:
    assert experiment(name).name == name
    assert rows(name, "teachers")
    assert rows(name, "main")
    assert planned(name).stage("collect")


@pytest.mark.parametrize("name", NAMES)
def test_every_ablation_and_protocol_has_rows(name: str) -> None:
    evaluated = {entry for row in planned(name).rows for entry in row.evaluations}
    tables = {row.table for row in planned(name).rows}
    assert set(experiment(name).ablations) <= tables
    assert set(experiment(name).protocols) <= tables | evaluated


@pytest.mark.parametrize("name", NAMES)
def test_variants_of_an_ablation_are_different_runs(name: str) -> None:
    main = {row.run for row in rows(name, "main")}
    found = Counter((row.table, row.run) for row in planned(name).rows if row.run not in main)
    twice = [
        table for (table, _), times in found.items() if times > 1 and table in ablations_of(name)
    ]
    assert twice == []


def test_variants_of_aecrd_differ_in_what_it_reads() -> None:
    found = Counter(
        (row.table, row.variant.get("teachers"), what_is_computed(settings_of("aecrd", row)))
        for row in planned("aecrd").rows
        if row.table in ablations_of("aecrd")
    )
    assert found
    assert [key for key, times in found.items() if times > 1] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_of_the_thesis_has_its_experiments(section: str) -> None:
    known: dict[str, Any] = {**experiment("aecrd").ablations, **experiment("aecrd").protocols}
    for name in SECTIONS[section]:
        assert section in known[name].title.split(), name


def test_the_main_table_of_aecrd() -> None:
    found = Counter(row.method for row in rows("aecrd", "main"))
    methods = ("ce", "kd", "crd", "crd-kd", "infonce", "infonce-kd", "aecrd", "aecrd-kd")
    assert found == dict.fromkeys(methods, 7 * 5 + 6 * 3)
    crd = experiment("crd")
    assert {row.pair for row in rows("aecrd", "main")} == set(crd.pairs)
    assert experiment("aecrd").training == crd.training
    for pair, entry in crd.pairs.items():
        own = experiment("aecrd").pairs[pair]
        fields = (own.teacher, own.student, own.training, own.seeds)
        assert fields == (entry.teacher, entry.student, entry.training, entry.seeds)


def test_baselines_are_planned_under_every_sampler_of_aecrd() -> None:
    trained: dict[str, set[tuple[str, str]]] = {}
    for run in planned("aecrd").stage("train-student"):
        conditions = (run.settings["arch"], json.dumps(run.settings["training"], sort_keys=True))
        trained.setdefault(run.settings["method"], set()).add(conditions)
    for method in ("ce", "kd", "crd", "infonce"):
        assert trained["aecrd"] <= trained[method], method


def test_ablations_of_aecrd_have_three_seeds() -> None:
    seeds: dict[str, set[int]] = {}
    for row in planned("aecrd").rows:
        if row.table in ablations_of("aecrd"):
            seeds.setdefault(row.table, set()).add(row.seed)
    assert seeds == {name: {0, 1, 2} for name in ablations_of("aecrd")}


@pytest.mark.parametrize(
    ("name", "table", "axis", "values", "others"),
    [
        ("aecrd", "few-shot", "split.fraction", (0.25, 0.5, 0.75, 1.0), 8 * 5),
        ("aecrd", "ensemble", "teachers", (1, 2, 4, 6), 5 * 5),
        ("cifar10-small-protocols", "few-shot", "split.fraction", (0.25, 0.5, 0.75, 1.0), 4),
        ("cifar10-small-protocols", "ensemble", "teachers", (1, 2, 3), 5),
    ],
)
def test_studies_have_a_row_for_every_value_method_and_seed(
    name: str, table: str, axis: str, values: tuple[float, ...], others: int
) -> None:
    found = Counter(row.variant[axis] for row in rows(name, table))
    assert found == dict.fromkeys(values, others)
    # One teacher alone is the same to both ways of averaging.
    kinds = {
        (
            row.method.removesuffix("-joint" if row.variant[axis] == 1 else ""),
            row.variant[axis],
            row.seed,
        )
        for row in rows(name, table)
    }
    assert len({row.run for row in rows(name, table)}) == len(kinds)


@pytest.mark.parametrize("name", ["aecrd", "cifar10-small-protocols"])
def test_ensembles_have_distinct_teachers_and_crd_sums(name: str) -> None:
    largest = max(row.variant["teachers"] for row in rows(name, "ensemble"))
    for row in rows(name, "ensemble"):
        run = planned(name).runs[row.run]
        caches = {
            source
            for key, source in run.inputs.items()
            if key.startswith(("embeddings", "teacher"))
        }
        assert len(caches) == row.variant["teachers"] <= largest
        combination = {"crd": "sum", "kd-joint": "joint"}.get(row.method, "mean")
        expected = None if row.variant["teachers"] == 1 else combination
        assert run.settings["ensemble"] == expected


@pytest.mark.parametrize("name", IMAGES)
def test_crd_finds_its_negatives_in_every_split(name: str) -> None:
    classes, images = IMAGES[name]
    tried = []
    for row in planned(name).rows:
        if row.method not in ("crd", "crd-kd"):
            continue
        split = split_of(name, row)
        others = round((split["per_class"] or images) * split["fraction"]) * (classes - 1)
        tried.append(settings_of(name, row)["options"]["negatives"] <= others)
    assert tried
    assert all(tried)


def test_small_experiments_share_their_teacher() -> None:
    assert len(SMALL) >= 4
    assert len({teacher_key(name, "resnet20") for name in SMALL}) == 1


def test_small_protocols_are_those_of_the_project() -> None:
    name = "cifar10-small-protocols"
    found = {entry.protocol or id_ for id_, entry in experiment(name).protocols.items()}
    assert {"transfer", "few-shot", "inter-class", "computation", "ensemble", "deployment"} < found
    methods = {row.method for row in rows(name, "main")}
    assert methods == {"ce", "kd", "crd", "infonce", "aecrd", "fsecd"}
    # Four students and the teacher, there and back: more would make it slow.
    assert len(planned(name).stage("extract")) == 2 * (4 + 1)


@pytest.mark.parametrize("name", ["cross-modal", "cross-modal-depth"])
def test_cross_modal_students_learn_without_labels_what_their_teacher_cannot_see(name: str) -> None:
    negatives = {"infonce": "negatives", "aecrd": "negatives", "crd": "negatives_from"}
    for row in rows(name, "main"):
        run, teacher = planned(name).runs[row.run], planned(name).runs[row.teacher]
        assert not set(run.settings["channels"]) & set(teacher.settings["channels"])
        (probe,) = row.evaluations.values()
        assert planned(name).runs[probe].settings["protocol"] == "transfer"
        uses_labels = run.settings["weights"]["ce"] > 0
        assert uses_labels == (row.method in ("ce", "kd"))
        if row.method in negatives:
            assert run.settings["options"][negatives[row.method]] == "all"
            assert not row.classifies
    assert {row.method for row in rows(name, "main")} == {*negatives, "ce", "kd", "kd-unlabelled"}
