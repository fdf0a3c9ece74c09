"""What protocols can know when the plan is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from distillery.models.base import ModelSpec
    from distillery.training.settings import Training

Shape = tuple[int, int] | None
"""Side length and channels of the images of a data set; None when they are not known."""


class PlanContext(NamedTuple):
    """What is known of a network to evaluate before anything is read or trained.

    Attributes:
        network: the network.
        teacher: its first teacher, or itself.
        training: how it is trained; None for an imported network.
        source: images of the data set that it is trained on.
        target: images of the data set that the protocol looks at, if it is another one.
    """

    network: ModelSpec
    teacher: ModelSpec
    training: Training | None
    source: Shape
    target: Shape
