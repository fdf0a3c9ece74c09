"""Which runs a job computes together."""

from __future__ import annotations

from project import Project

from distillery.planning.batches import Batch, Size, batches_of
from distillery.planning.plan import Plan

METHODS = {"ce": {}, "kd": {}, "crd": {"options": {"negatives": 16}}}


def of_students(planned: Plan) -> list[Batch]:
    return batches_of(planned.stage("train-student"), Size(4))


def test_every_run_is_in_one_batch_of_its_stage(project: Project) -> None:
    planned = project.plan({"methods": METHODS, "seeds": [0, 1, 2]})
    batches = batches_of(planned.runs.values(), Size(4))
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


def test_what_measures_time_is_in_jobs_of_its_own(project: Project) -> None:
    planned = project.plan(
        {"methods": METHODS, "protocols": {"classification": {}, "computation": {}}}
    )
    together = [
        [str(run.settings["protocol"]) for run in batch.runs]
        for batch in batches_of(planned.stage("evaluate"), Size(16, cores=2))
    ]
    # Jobs that have all cores to themselves: each further one would only start once more.
    assert sorted(together) == [["classification"] * 2, ["classification"] * 2, ["computation"] * 4]


def test_batches_do_not_depend_on_what_is_done(project: Project) -> None:
    planned = project.plan({"methods": METHODS})
    before = [batch.name for batch in batches_of(planned.runs.values(), Size(4))]
    project.make(planned, planned.stage("split")[0])
    again = project.plan({"methods": METHODS})
    assert [batch.name for batch in batches_of(again.runs.values(), Size(4))] == before
    one_by_one = batches_of(planned.runs.values(), Size(1))
    assert {batch.name for batch in one_by_one} == {run.name for run in planned.runs.values()}


def sizes(planned: Plan, stage: str, size: Size) -> list[int]:
    return sorted(len(batch.runs) for batch in batches_of(planned.stage(stage), size))


def test_every_core_gets_a_batch_and_no_more_start_up_than_that(project: Project) -> None:
    planned = project.plan({"methods": METHODS, "seeds": [0, 1, 2]})
    # Three students without a teacher, six with the same one.
    assert sizes(planned, "train-student", Size(16)) == [3, 6]
    assert sizes(planned, "train-student", Size(16, cores=2)) == [3, 3, 3]
    assert sizes(planned, "train-student", Size(16, cores=64)) == [1] * 9
    # Two lanes are two cores' work.
    assert sizes(planned, "train-student", Size(16, lanes=2, cores=2)) == [3, 6]
    assert sizes(planned, "evaluate", Size(16, cores=2)) == [5, 5]


def test_long_students_share_a_job_only_in_lanes(project: Project) -> None:
    planned = project.plan(
        {
            "methods": METHODS,
            "seeds": [0, 1, 2],
            "training": {"epochs": 2000},
            "teachers": {"u": {"arch": "resnet8", "seed": 1}},
        }
    )
    assert sizes(planned, "train-student", Size(16, cores=2)) == [1] * 9
    assert sizes(planned, "train-student", Size(16, lanes=4)) == [3, 3, 3]
    assert set(sizes(planned, "train-teacher", Size(16, lanes=4))) == {1}
