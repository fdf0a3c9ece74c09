from __future__ import annotations

import torch
from aecrd_probes import aecrd, draw


def test_heads() -> None:
    shapes = {
        kind: [tuple(p.shape) for p in aecrd(head=kind).parameters()]
        for kind in ("projection", "mlp", "teacher-space")
    }
    assert shapes == {
        "projection": [(8, 6), (8,), (8, 5), (8,)],
        "mlp": [(6, 6), (6,), (8, 6), (8,), (5, 5), (5,), (8, 5), (8,)],
        "teacher-space": [(5, 6), (5,)],
    }
    for kind in shapes:
        method = aecrd(head=kind)
        student, teacher = draw(4, 6, 0), draw(4, 5, 1)
        for projected in (
            method.student_head(student.embedding),
            method.teacher_head(teacher.embedding),
        ):
            torch.testing.assert_close(projected.norm(dim=1), torch.ones(4).double())
