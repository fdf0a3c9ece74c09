"""Runs of earlier code count as present ones if their settings, inputs and results agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from project import Project
from torch.nn import functional

from distillery.core.errors import UserError
from distillery.core.files import checksum
from distillery.runs import stages
from distillery.runs.adoption import Check, adopt
from distillery.runs.artifact import MANIFEST, Artifact, is_complete, published
from distillery.runs.run import Run

CHANGES = {"!methods": {"kd": {}}}
TUNED: dict[str, Any] = {
    **CHANGES,
    "tuning": {
        "pair": "p",
        "methods": {"kd": {"vary": {"training": {"lr": [0.1]}, "options": {"temperature": [2]}}}},
    },
}
# What of a manifest makes the run.
_OF_RUN = ("stage", "folder", "slug", "settings", "inputs", "code")


class Earlier(NamedTuple):
    """A data folder with the runs that earlier code made.

    Attributes:
        data: the folder.
        planned: the runs of the present code.
        old: location of a planned run -> location of its twin of earlier code.
    """

    data: Path
    planned: list[Run]
    old: dict[str, str]

    def of_stage(self, stage: str) -> Run:
        return next(run for run in self.planned if run.stage == stage)

    def manifest(self, stage: str) -> Path:
        """Return the manifest of the first old run of a stage."""
        return self.data / self.old[self.of_stage(stage).location] / MANIFEST

    def rewrite(self, stage: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a manifest, as if earlier code had written something else, under its own key."""
        path = self.manifest(stage)
        manifest = json.loads(path.read_text())
        change(manifest)
        run = Run(**{name: manifest[name] for name in _OF_RUN})
        path.write_text(json.dumps({**manifest, "key": run.key}))
        path.parent.rename(self.data / run.location)
        self.old[self.of_stage(stage).location] = run.location

    def rewrite_metrics(self, stage: str, name: str, factor: float) -> None:
        """Change a number among the results, and its checksum."""
        path = self.manifest(stage).with_name("metrics.json")
        metrics = json.loads(path.read_text())
        path.write_text(json.dumps({**metrics, name: factor * metrics[name]}))
        entry = {"size": path.stat().st_size, "sha256": checksum(path)}
        self.rewrite(stage, lambda manifest: manifest["files"].update({"metrics.json": entry}))

    def adopted(self, stage: str) -> bool:
        return is_complete(self.data / self.of_stage(stage).location)


def of_code(code: str, planned: list[Run]) -> list[Run]:
    """Return runs as other code plans them: with other keys."""
    runs: dict[str, Run] = {}
    for run in planned:
        inputs = {name: runs[location].location for name, location in run.inputs.items()}
        runs[run.location] = replace(run, code=code, inputs=inputs, key="")
    return [*runs.values()]


def make_earlier(project: Project, changes: dict[str, Any]) -> Earlier:
    """Compute all runs as if by other code."""
    planned = [*project.plan(changes).runs.values()]
    old: dict[str, str] = {}
    for run, twin in zip(planned, of_code("earlier", planned), strict=True):
        if run.stage != "collect":
            stages.execute(project.data, twin)
            old[run.location] = twin.location
    return Earlier(project.data, planned, old)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    return make_earlier(Project(tmp_path_factory.mktemp("earlier")), CHANGES)


@pytest.fixture
def earlier(original: Earlier, tmp_path: Path) -> Earlier:
    copy = tmp_path / "data"
    shutil.copytree(original.data, copy)
    return original._replace(data=copy, old=dict(original.old))


def sums(data: Path) -> dict[str, str]:
    return {str(path): checksum(path) for path in data.rglob("*") if path.is_file()}


def test_everything_but_the_collected_table_is_adopted_once(earlier: Earlier) -> None:
    expected = [*earlier.old.items()]
    told = adopt(earlier.planned, earlier.data, dry_run=True).adopted
    assert sorted((new, old) for old, new in told) == sorted(expected)
    assert len(list(published(earlier.data))) == len(expected)
    assert adopt(earlier.planned, earlier.data).adopted == told
    for new, old in expected:
        twins = [Artifact(earlier.data / location) for location in (new, old)]
        assert twins[0].manifest["files"] == twins[1].manifest["files"]
        assert twins[0].problems() == []
        assert twins[0].adoption == "adopted"
    assert adopt(earlier.planned, earlier.data).adopted == []


def test_a_check_computes_again_and_touches_nothing(earlier: Earlier) -> None:
    before = sums(earlier.data)
    outcome = adopt(earlier.planned, earlier.data, Check(1))
    assert outcome.refused == []
    assert len(outcome.adopted) == len(earlier.old)
    after = sums(earlier.data)
    assert {name: after[name] for name in before} == before
    assert not list((earlier.data / ".scratch").iterdir())
    by_stage = {
        stage: sum(run.stage == stage for run in earlier.planned) for stage in stages.STAGES
    }
    for run in earlier.planned:
        if run.stage != "collect":
            (ancestor,) = Artifact(earlier.data / run.location).manifest["adopted_from"]
            assert ancestor["checked"] == {"of": by_stage[run.stage], "checked": 1}
            assert ancestor["code"] == "earlier"
    assert by_stage["evaluate"] > 1


def test_a_field_that_did_not_exist_has_the_default_of_today(earlier: Earlier) -> None:
    earlier.rewrite("train-student", lambda old: old["settings"]["training"].pop("nesterov"))
    earlier.rewrite("train-student", lambda old: old["settings"]["options"].clear())
    adopt(earlier.planned, earlier.data)
    assert earlier.adopted("train-student")
    new = Artifact(earlier.data / earlier.of_stage("train-student").location)
    assert new.settings["training"]["nesterov"] is False


def test_candidates_have_the_defaults_of_today_as_well(project: Project) -> None:
    earlier = make_earlier(project, TUNED)

    def age(old: dict[str, Any]) -> None:
        first, *others = old["settings"]["candidates"]
        for settings in (old["settings"], *others):
            settings["training"].pop("nesterov")
        assert not first
        assert [candidate["training"]["lr"] for candidate in others]

    earlier.rewrite("train-student", age)
    adopt(earlier.planned, earlier.data)
    assert earlier.adopted("select")
    assert earlier.adopted("train-student")


def test_the_order_of_what_was_tried_together_does_not_count(project: Project) -> None:
    earlier = make_earlier(project, TUNED)

    def turn(old: dict[str, Any]) -> None:
        trials = old["settings"]["trials"]
        old["settings"]["trials"] = [dict(reversed(each.items())) for each in trials]
        assert [*map(list, trials)] != [*map(list, old["settings"]["trials"])]

    earlier.rewrite("select", turn)
    adopt(earlier.planned, earlier.data)
    assert earlier.adopted("select")


def test_another_candidate_is_another_run(project: Project) -> None:
    earlier = make_earlier(project, TUNED)
    earlier.rewrite(
        "train-student", lambda old: old["settings"]["candidates"][1]["training"].update(lr=0.2)
    )
    adopt(earlier.planned, earlier.data)
    assert earlier.adopted("select")
    assert not earlier.adopted("train-student")


def test_a_run_with_another_value_is_not_adopted(earlier: Earlier) -> None:
    """As when a default has changed since: the old run says what it was made with."""
    earlier.rewrite(
        "train-teacher", lambda old: old["settings"]["training"].update(weight_decay=1e-4)
    )
    outcome = adopt(earlier.planned, earlier.data)
    assert outcome.refused == []
    assert [earlier.adopted(stage) for stage in ("prepare", "split")] == [True, True]
    # Nor is what hangs on it.
    for stage in ("train-teacher", "embed", "train-student", "evaluate"):
        assert not earlier.adopted(stage)


def test_an_unknown_field_stops_the_adoption_with_its_name(earlier: Earlier) -> None:
    earlier.rewrite("train-teacher", lambda old: old["settings"]["training"].update(nesterof=True))
    with pytest.raises(UserError) as error:
        adopt(earlier.planned, earlier.data)
    message = str(error.value)
    assert message.startswith(f"{earlier.manifest('train-teacher')}: settings.training: unknown ")
    assert "'nesterof'; did you mean 'nesterov'?" in message
    assert "\n" not in message


def test_another_loss_is_refused_with_both_numbers(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    cross_entropy = functional.cross_entropy

    def other(*arguments: Any, **options: Any) -> Any:
        return 1.5 * cross_entropy(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(functional, "cross_entropy", other)
        earlier = make_earlier(project, CHANGES)
    teacher = earlier.data / earlier.old[earlier.of_stage("train-teacher").location]
    before = json.loads((teacher / "metrics.json").read_text())
    outcome = adopt(earlier.planned, earlier.data, Check(1))
    (reason,) = outcome.refused
    start = f"train-teacher: not adopted: {teacher}: metrics.json: "
    assert reason.startswith(start)
    name, numbers = reason.removeprefix(start).split(" is ")
    now, was = map(float, numbers.split(" and was "))
    assert was == before[name]
    for stage in ("train-teacher", "embed", "train-student"):
        assert not earlier.adopted(stage)
    assert now == present_metrics(project)[name]


def present_metrics(project: Project) -> dict[str, float]:
    """Return the metrics of the teacher by the present code."""
    planned = project.plan(CHANGES)
    metrics: dict[str, float] = project.make(planned, planned.stage("train-teacher")[0]).json(
        "metrics.json"
    )
    return metrics


def test_between_machines_metrics_may_differ_by_a_stated_share(earlier: Earlier) -> None:
    stage = "train-teacher"
    planned = [run for run in earlier.planned if run.stage in ("prepare", "split", stage)]
    adopt(planned[:-1], earlier.data)
    assert planned[-1].stage == stage
    earlier.rewrite_metrics(stage, "test_top1", 1.01)
    # On the same machine a difference is one, whatever is allowed.
    (refused,) = adopt(planned, earlier.data, Check(1, tolerance=0.02)).refused
    assert "metrics.json: test_top1 is" in refused
    earlier.rewrite(stage, lambda old: old["record"].update(processor="another one"))
    (refused,) = adopt(planned, earlier.data, Check(1, tolerance=0.005)).refused
    assert "metrics.json: test_top1 is" in refused
    assert not earlier.adopted(stage)
    assert not adopt(planned, earlier.data, Check(1, tolerance=0.02)).refused
    assert earlier.adopted(stage)


def test_what_measures_time_is_made_anew_by_a_check(earlier: Earlier) -> None:
    planned = [replace(run, exclusive=run.stage == "evaluate") for run in earlier.planned]
    adopt([run for run in planned if not run.exclusive], earlier.data)
    outcome = adopt(planned, earlier.data, Check(1))
    expected = [run.location for run in planned if run.exclusive]
    assert sorted(outcome.measured_again) == sorted(expected)
    assert not earlier.adopted("evaluate")
    assert earlier.adopted("train-student")
    # Without a check the user answers for them, too.
    adopt(planned, earlier.data)
    assert earlier.adopted("evaluate")


def test_what_an_input_was_adopted_as_stands_in_for_it(earlier: Earlier) -> None:
    """Old runs may be removed once they are adopted; what is left can still be checked."""
    first = [run for run in earlier.planned if run.stage in ("prepare", "split", "train-teacher")]
    adopt(first, earlier.data)
    for run in first:
        shutil.rmtree(earlier.data / earlier.old[run.location])
    outcome = adopt(earlier.planned, earlier.data, Check(1))
    assert outcome.refused == []
    assert earlier.adopted("embed")
    assert earlier.adopted("train-student")


def test_one_call_follows_what_was_adopted_several_times(earlier: Earlier) -> None:
    first = [run for run in earlier.planned if run.stage in ("prepare", "split")]
    adopt(first, earlier.data)
    for run in first:
        shutil.rmtree(earlier.data / earlier.old[run.location])
    later = of_code("later", earlier.planned)
    # The teachers have read what was removed, the data sets count as it.
    assert len(adopt(later, earlier.data).adopted) == len(earlier.old)


def test_of_an_adopted_run_and_its_ancestor_the_adopted_one_counts(earlier: Earlier) -> None:
    adopt(earlier.planned, earlier.data)
    for run in earlier.planned:
        if run.stage not in ("prepare", "split", "collect"):
            shutil.rmtree(earlier.data / earlier.old[run.location])
    for code in ("later", "latest"):
        told = adopt(of_code(code, earlier.planned), earlier.data, dry_run=True).adopted
        assert sorted(old for old, _ in told) == sorted(earlier.old)
