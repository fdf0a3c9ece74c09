from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.experiment import params
from distillery.planning import build as grid
from distillery.planning import plan
from distillery.planning.plan import Plan
from distillery.planning.runs import fingerprint_of
from distillery.runs import fingerprint

FOUR = {"ce": {}, "kd": {}, "crd": {"options": {"negatives": 16}}, "infonce": {}}


def build(project: Project, changes: dict[str, Any] | None = None) -> Plan:
    file = project.params(changes)
    return grid.build(params.load(file), file)


def names(planned: Plan, stage: str) -> set[str]:
    return {run.name for run in planned.stage(stage)}


def test_a_baseline_is_shared_between_pairs_and_experiments(project: Project) -> None:
    changes = {
        "teachers": {"u": {"arch": "resnet14"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
        "methods": FOUR,
        "seeds": [0, 1],
    }
    planned = build(project, changes)
    assert len(planned.stage("train-student")) == 2 * (1 + 2 * 3)
    other = build(project, {"name": "other", "title": "Other"})
    assert names(other, "train-student") <= names(planned, "train-student")


def test_inputs_come_before_what_reads_them(project: Project) -> None:
    planned = build(project, {"methods": FOUR})
    seen: set[str] = set()
    for location, run in planned.runs.items():
        assert set(run.inputs.values()) <= seen
        seen.add(location)


def test_what_trains_from_the_cache_does_not_read_the_teacher(project: Project) -> None:
    planned = build(project, {"methods": {**FOUR, "at": {}}})
    inputs = {run.settings["method"]: set(run.inputs) for run in planned.stage("train-student")}
    assert inputs["ce"] == {"prepared", "split"}
    assert inputs["crd"] == inputs["kd"] == {"prepared", "split", "embeddings"}
    assert inputs["at"] == {"prepared", "split", "teacher"}


def test_a_changed_setting_changes_exactly_its_runs(project: Project) -> None:
    before = build(project, {"methods": FOUR})
    after = build(project, {"methods": {**FOUR, "kd": {"options": {"temperature": 2}}}})
    changed = {
        run.settings["method"]
        for run in after.stage("train-student")
        if run.location not in before.runs
    }
    assert changed == {"kd"}
    for stage in ("train-teacher", "embed", "split"):
        assert names(before, stage) == names(after, stage)


def test_a_changed_method_file_changes_that_method_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build(project, {"methods": FOUR})
    original = fingerprint._normalised
    fingerprint_of.cache_clear()

    def edited(module: str) -> str:
        return original(module) + ("\nEDIT = 1" if module.endswith("methods.crd") else "")

    monkeypatch.setattr(fingerprint, "_normalised", edited)
    after = build(project, {"methods": FOUR})
    fingerprint_of.cache_clear()
    changed = {
        run.settings["method"]
        for run in after.stage("train-student")
        if run.location not in before.runs
    }
    assert changed == {"crd"}


def test_an_ablation_varies_every_axis_and_shares_runs_with_the_main_table(
    project: Project,
) -> None:
    vary = {"options": {"temperature": [0.07, 0.2]}, "weights": {"method": [0.8, 1.6, 3.2]}}
    planned = build(
        project,
        {"methods": FOUR, "ablations": {"a": {"pair": "p", "method": "infonce", "vary": vary}}},
    )
    rows = [row for row in planned.rows if row.table == "a"]
    assert len(rows) == 6
    assert rows[0].variant == {"options.temperature": 0.07, "weights.method": 0.8}
    main = {row.run for row in planned.rows if row.table == "main"}
    assert sum(row.run in main for row in rows) == 1


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"options": {"temperature": 0.07}}, "vary.options.temperature: found 0.07; an axis is"),
        ({"options": {"temperature": []}}, "vary.options.temperature: found []; an axis is"),
        ({"options": {"temperature": [-1]}}, "vary.options.temperature: found -1; input should"),
        ({"option": {"temperature": [1]}}, "unknown key 'option'; did you mean 'options'?"),
    ],
)
def test_impossible_axes_are_refused(project: Project, vary: dict[str, Any], message: str) -> None:
    changes = {
        "methods": FOUR,
        "ablations": {"a": {"pair": "p", "method": "infonce", "vary": vary}},
    }
    with pytest.raises(UserError) as error:
        build(project, changes)
    assert "ablations.a." in str(error.value)
    assert message in str(error.value)


def test_overrides_of_a_pair_and_of_a_method_in_it(project: Project) -> None:
    changes = {
        "methods": FOUR,
        "pairs": {
            "p": {
                "training": {"lr": 0.01},
                "methods": {"kd": {"options": {"temperature": 2}, "weights": {"ce": 0.5}}},
            }
        },
    }
    runs = {run.settings["method"]: run for run in build(project, changes).stage("train-student")}
    assert {run.settings["training"]["lr"] for run in runs.values()} == {0.01}
    assert runs["kd"].settings["options"] == {"temperature": 2}
    assert runs["kd"].settings["weights"] == {"ce": 0.5, "kd": 0, "method": 0.9}


def test_slots_are_all_views_or_the_epochs(project: Project) -> None:
    assert build(project).stage("train-student")[0].settings["views"]["slots"] == 3
    many = build(project, {"training": {"epochs": 300}, "data": {"augmentation": {"pad": 4}}})
    assert many.stage("train-student")[0].settings["views"]["slots"] == 81
    with pytest.raises(UserError, match=r"embeddings\.slots: found 10; there are only 9"):
        build(project, {"embeddings": {"slots": 10}})


def test_a_pair_that_a_method_cannot_match_is_refused_when_the_plan_is_made(
    project: Project,
) -> None:
    changes = {"!methods": {"fsp": {}}, "!teachers": {"t": {"arch": "wrn_40_2"}}}
    with pytest.raises(UserError, match=r"pairs\.p: .*fsp.*wrn_40_2"):
        build(project, changes)


def test_a_plan_survives_the_disk(project: Project) -> None:
    planned = build(project, {"methods": FOUR})
    assert Plan.from_dict(planned.as_dict()) == planned


def test_a_kept_plan_needs_no_torch(project: Project) -> None:
    project.plan({"methods": FOUR})
    code = (
        "import sys; from pathlib import Path; from distillery.planning import plan;"
        "plan.load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    arguments = [str(project.folder / "tiny.yaml"), str(project.data)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_keys_do_not_depend_on_the_place_of_the_params_file(
    project: Project, tmp_path: Path
) -> None:
    one = project.plan()
    copy = tmp_path / "elsewhere.yaml"
    copy.write_text((project.folder / "tiny.yaml").read_text())
    assert plan.load(copy, project.data).runs == one.runs


def test_runs_are_found_by_key_name_and_path(project: Project) -> None:
    planned = build(project)
    run = planned.stage("split")[0]
    for name in (run.key, run.name, f"data/{run.location}/", f"data/{run.location}/manifest.json"):
        assert planned.find(name) == run
    with pytest.raises(UserError, match="unknown run 'digits-split-x'; did you mean"):
        planned.find("digits-split-x")


def test_a_pair_goes_without_a_method_that_another_runs(project: Project) -> None:
    changes = {
        "teachers": {"u": {"arch": "wrn_40_2"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8", "without": ["fsp"]}},
        "methods": {"fsp": {}, "kd": {}},
    }
    rows = [(row.pair, row.method) for row in build(project, changes).rows if row.table == "main"]
    assert rows == [("p", "ce"), ("p", "fsp"), ("p", "kd"), ("q", "ce"), ("q", "kd")]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"without": ["kdd"]}, "pairs.p.without: unknown method entry 'kdd'; did you mean 'kd'?"),
        ({"without": ["kd"], "methods": {"kd": {}}}, "pairs.p: 'kd' is both in methods and in"),
    ],
)
def test_mistakes_in_what_a_pair_goes_without(
    project: Project, pair: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        build(project, {"pairs": {"p": pair}, "methods": FOUR})
    assert message in str(error.value)
