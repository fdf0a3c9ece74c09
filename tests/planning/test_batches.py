"""Which runs a job computes together."""

from __future__ import annotations

from project import Project

from distillery.planning.batches import Batch, batches_of
from distillery.planning.plan import Plan

METHODS = {"ce": {}, "kd": {}, "crd": {"options": {"negatives": 16}}}


def of_students(planned: Plan) -> list[Batch]:
    return batches_of(planned.stage("train-student"), 4)


def test_every_run_is_in_one_batch_of_its_stage(project: Project) -> None:
    planned = project.plan({"methods": METHODS, "seeds": [0, 1, 2]})
    batches = batches_of(planned.runs.values(), 4)
    members = [run.location for batch in batches for run in batch.runs]
    assert sorted(members) == sorted(planned.runs)
    for batch in batches:
        assert len({run.stage for run in batch.runs}) == 1
        assert len(batch.runs) <= 4
    assert len({batch.name for batch in batches}) == len(batches)


def test_short_students_of_the_same_teachers_share_a_job_and_others_do_not(
    project: Project,
) -> None:
    planned = project.plan({"methods": METHODS, "seeds": [0, 1, 2]})
    students = of_students(planned)
    # Those of cross-entropy wait for no teacher; six learn from the cache.
    assert sorted(len(batch.runs) for batch in students) == [3, 3, 3]
    for batch in students:
        assert len({tuple(run.inputs.items()) for run in batch.runs}) == 1
    changes = {"methods": METHODS, "seeds": [0, 1, 2], "training": {"epochs": 2000}}
    assert [len(batch.runs) for batch in of_students(project.plan(changes, "long"))] == [1] * 9


def test_what_measures_time_has_a_job_of_its_own(project: Project) -> None:
    planned = project.plan(
        {"methods": METHODS, "protocols": {"classification": {}, "computation": {}}}
    )
    by_protocol: dict[str, list[int]] = {}
    for batch in batches_of(planned.runs.values(), 16):
        if batch.runs[0].stage == "evaluate":
            name = str(batch.runs[0].settings["protocol"])
            by_protocol.setdefault(name, []).append(len(batch.runs))
    assert by_protocol == {"classification": [4], "computation": [1, 1, 1, 1]}


def test_batches_do_not_depend_on_what_is_done(project: Project) -> None:
    planned = project.plan({"methods": METHODS})
    before = [batch.name for batch in batches_of(planned.runs.values(), 4)]
    project.make(planned, planned.stage("split")[0])
    again = project.plan({"methods": METHODS})
    assert [batch.name for batch in batches_of(again.runs.values(), 4)] == before
    one_by_one = batches_of(planned.runs.values(), 1)
    assert {batch.name for batch in one_by_one} == {run.name for run in planned.runs.values()}
