"""For methods whose modules join the stages of two networks one by one."""

from __future__ import annotations

from distillery.methods.parts.pairing import mismatch
from distillery.models.base import ModelSpec


def require_equal_stages(method: str, student: ModelSpec, teacher: ModelSpec) -> None:
    """Refuse two networks with different numbers of stages behind the stem.

    Raises:
        UserError: naming the method, both architectures and their shapes.
    """
    ours, theirs = len(student.feature_shapes) - 1, len(teacher.feature_shapes) - 1
    if ours != theirs or ours < 1:
        raise mismatch(
            method,
            student,
            teacher,
            f"it joins the stages behind the stem one by one, and there are {ours} and {theirs}",
        )
