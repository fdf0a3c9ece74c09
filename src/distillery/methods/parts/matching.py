"""Which stage map of the student is compared with which of the teacher.

Networks with equally many maps are paired map by map, as the references do: all pairs of the CRD
benchmark are of this kind. The references cut the longer list off where the numbers differ, which
compares maps that have nothing to do with each other. Here each resolution that both networks have
gives one pair, of the deepest map of either at it; maps without a partner take no part.
"""

from __future__ import annotations

from distillery.core.errors import UserError
from distillery.models.base import ModelSpec


class Mismatch(UserError):
    """A pair of networks does not suit a method; the message has the shapes of their maps."""

    def __init__(self, method: str, student: ModelSpec, teacher: ModelSpec, why: str) -> None:
        super().__init__(
            f"{method} cannot match student {student.arch} ({_written(student.feature_shapes)}) "
            f"with teacher {teacher.arch} ({_written(teacher.feature_shapes)}): {why}"
        )


def pair_stages(
    method: str, student: ModelSpec, teacher: ModelSpec, *, first: int = 1
) -> tuple[tuple[int, int], ...]:
    """Return the pairs (student's stage, teacher's stage), from shallow to deep.

    Args:
        method: name of the method, for the message.
        student: description of the student.
        teacher: description of the teacher.
        first: the first stage that takes part; 1 leaves out the stem.

    Raises:
        Mismatch: no stage of the one can be paired with one of the other.
    """
    shapes, targets = student.feature_shapes, teacher.feature_shapes
    if len(shapes) == len(targets) > first:
        return tuple((stage, stage) for stage in range(first, len(shapes)))
    # Later stages overwrite earlier ones of the same height and width.
    deepest = {shape[1:]: stage for stage, shape in enumerate(shapes) if stage >= first}
    partner = {shape[1:]: stage for stage, shape in enumerate(targets) if stage >= first}
    pairs = tuple((stage, partner[size]) for size, stage in deepest.items() if size in partner)
    if not pairs:
        raise Mismatch(method, student, teacher, "no two stage maps can be paired")
    return tuple(sorted(pairs))


def require_equal_stages(method: str, student: ModelSpec, teacher: ModelSpec) -> None:
    """Refuse two networks with different numbers of stages behind the stem.

    Raises:
        Mismatch: naming the method, both architectures and their shapes.
    """
    stages, targets = len(student.feature_shapes) - 1, len(teacher.feature_shapes) - 1
    if stages != targets or stages < 1:
        raise Mismatch(
            method,
            student,
            teacher,
            f"it joins the stages behind the stem one by one, and there are {stages} and {targets}",
        )


def require_equal_channels(
    method: str, student: ModelSpec, teacher: ModelSpec, pairs: tuple[tuple[int, int], ...]
) -> None:
    """Refuse two networks of which a pair of stages differs in channels.

    Raises:
        Mismatch: naming the method, both architectures and their shapes.
    """
    for student_stage, teacher_stage in pairs:
        channels = student.feature_shapes[student_stage][0]
        target = teacher.feature_shapes[teacher_stage][0]
        if channels != target:
            why = f"it needs equally many channels, not {channels} and {target}"
            raise Mismatch(method, student, teacher, why)


def _written(shapes: tuple[tuple[int, int, int], ...]) -> str:
    """Return shapes in words: ``16x32x32, 32x16x16``."""
    return ", ".join("x".join(str(size) for size in shape) for shape in shapes) or "none"
