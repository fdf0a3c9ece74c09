"""Which stage map of the student is compared with which of the teacher.

Networks with equally many maps are paired map by map, as the references do: all pairs of the CRD
benchmark are of this kind. The references cut the longer list off where the numbers differ, which
compares maps that have nothing to do with each other. Here each resolution that both networks have
gives one pair, of the deepest map of either at it; maps without a partner take no part.
"""

from __future__ import annotations

from distillery.core.errors import UserError
from distillery.methods.parts.stages import written
from distillery.models.base import ModelSpec


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
        UserError: no stage of the one can be paired with one of the other.
    """
    ours, theirs = student.feature_shapes, teacher.feature_shapes
    if len(ours) == len(theirs) > first:
        return tuple((stage, stage) for stage in range(first, len(ours)))
    # Later stages overwrite earlier ones of the same height and width.
    deepest = {shape[1:]: stage for stage, shape in enumerate(ours) if stage >= first}
    partner = {shape[1:]: stage for stage, shape in enumerate(theirs) if stage >= first}
    pairs = tuple((stage, partner[size]) for size, stage in deepest.items() if size in partner)
    if not pairs:
        raise mismatch(method, student, teacher, "no two stage maps can be paired")
    return tuple(sorted(pairs))


def mismatch(method: str, student: ModelSpec, teacher: ModelSpec, why: str) -> UserError:
    """Return the error that a pair of networks does not suit a method, with their maps' shapes."""
    return UserError(
        f"{method} cannot match student {student.arch} ({written(student.feature_shapes)}) with "
        f"teacher {teacher.arch} ({written(teacher.feature_shapes)}): {why}"
    )
