"""Several teachers: how their losses and outputs are combined, and that students are trained."""

from __future__ import annotations

import math

import pytest
import torch
from project import Project

from distillery.core.errors import UserError
from distillery.methods.base import Batch, Context
from distillery.methods.infonce import InBatchContrast
from distillery.methods.kd import KD
from distillery.models.base import ModelSpec, Outputs
from distillery.training.ensemble import combined, joint
from distillery.training.settings import Combination

TEACHERS = {f"t{seed}": {"arch": "resnet8", "seed": seed} for seed in range(3)}
PAIRS = {"p": {"teacher": ["t0", "t1", "t2"], "student": "resnet8"}}


def outputs(seed: int, dim: int = 8) -> Outputs:
    random = torch.Generator().manual_seed(seed)
    return Outputs(torch.randn(6, 5, generator=random), torch.randn(6, dim, generator=random))


def context(dim: int = 8) -> Context:
    spec = ModelSpec("m", 5, 3, 32, dim, (), 0)
    return Context(spec, spec, torch.arange(6) % 5, seed=0)


BATCH = Batch(torch.arange(6), torch.arange(6) % 5, epoch=0, step=0)


@pytest.mark.parametrize(("combination", "factor"), [("mean", 0.5), ("sum", 1.0)])
def test_losses_are_combined(combination: Combination, factor: float) -> None:
    copies = [InBatchContrast(InBatchContrast.Options(dim=4), context()) for _ in range(2)]
    student = outputs(3)
    own = [
        copy(student, teacher, BATCH)
        for copy, teacher in zip(copies, (outputs(1), outputs(2)), strict=True)
    ]
    found = combined(own, combination)
    assert set(found) == {"student_anchor", "teacher_anchor"}
    for name, value in found.items():
        torch.testing.assert_close(value, factor * (own[0][name] + own[1][name]))
    found["student_anchor"].backward()
    assert all(copy.teacher_head.linear.weight.grad is not None for copy in copies)


def test_the_joint_teacher_has_the_mean_of_the_softened_probabilities() -> None:
    teachers = [outputs(seed, dim=3) for seed in range(3)]
    found = joint(teachers, temperature=4.0)
    mean = torch.stack([(each.logits / 4).softmax(1) for each in teachers]).mean(0)
    torch.testing.assert_close((found.logits / 4).softmax(1), mean)
    torch.testing.assert_close(found.embedding, torch.cat([t.embedding for t in teachers], 1))
    # KL to the average is the KL of KD with that teacher.
    student = outputs(9, dim=3)
    kd = KD(KD.Options(), context())(student, found, BATCH)["kd"]
    own = (student.logits / 4).log_softmax(1)
    expected = 16 * (mean * (mean.log() - own)).sum(1).mean()
    torch.testing.assert_close(kd, expected)


def test_one_teacher_is_its_own_joint_teacher() -> None:
    teacher = outputs(0)
    assert joint([teacher], 4.0) is teacher


def test_students_learn_from_several_teachers(shared_project: Project) -> None:
    methods = {
        "kd": {},
        "kd-joint": {"method": "kd", "ensemble": "joint"},
        "infonce-kd": {"method": "infonce", "weights": {"kd": 1}, "options": {"dim": 8}},
        "infonce-joint": {"method": "infonce", "ensemble": "joint", "options": {"dim": 8}},
        "crd-sum": {"method": "crd", "ensemble": "sum", "options": {"dim": 8, "negatives": 16}},
        # Runs the teachers live.
        "at": {},
    }
    changes = {"!teachers": TEACHERS, "!pairs": PAIRS, "methods": methods}
    planned = shared_project.plan(changes, "ensemble")
    rows = {row.method: planned.runs[row.run] for row in planned.rows if row.table == "main"}
    losses = {}
    for name, run in rows.items():
        kind = "teacher" if name == "at" else "embeddings"
        expected = [] if name == "ce" else [kind, f"{kind}-2", f"{kind}-3"]
        assert [source for source in run.inputs if source.startswith(kind)] == expected
        losses[name] = shared_project.make(planned, run).json("metrics.json")["loss"]
    assert all(math.isfinite(loss) for loss in losses.values())
    assert losses["kd"] != losses["kd-joint"]


def test_the_number_of_teachers_is_an_axis(shared_project: Project) -> None:
    changes = {
        "!teachers": TEACHERS,
        "!pairs": PAIRS,
        "methods": {"kd": {}},
        "ablations": {"n": {"pair": "p", "method": "kd", "vary": {"teachers": [1, 3]}}},
    }
    planned = shared_project.plan(changes, "number-of-teachers")
    runs = [planned.runs[row.run] for row in planned.rows if row.table == "n"]
    assert [sum(name.startswith("embeddings") for name in run.inputs) for run in runs] == [1, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"methods": {"at": {"ensemble": "joint"}}},
            "pairs.p: 'at' runs the teacher live, which leaves no joint embedding",
        ),
        (
            {
                "ablations": {"n": {"pair": "p", "method": "kd", "vary": {"teachers": [1, 4]}}},
                "methods": {"kd": {}},
            },
            "ablations.n.vary.teachers: found 4; pair 'p' has 3",
        ),
        (
            {
                "!teachers": {**TEACHERS, "t1": {"arch": "resnet8", "data": "other"}},
                "datasets": {"other": {"source": "digits"}},
            },
            "pairs.p.teacher: the teachers of an ensemble need one data set in common",
        ),
    ],
)
def test_impossible_ensembles_are_refused(
    shared_project: Project, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        shared_project.plan({"!teachers": TEACHERS, "!pairs": PAIRS, **changes}, "refused")
