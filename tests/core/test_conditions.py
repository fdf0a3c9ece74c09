from __future__ import annotations

from typing import Annotated

from distillery.core.conditions import NotWith, OnlyWith, why_idle
from distillery.core.settings import FrozenModel


class Group(FrozenModel):
    size: Annotated[int, NotWith("kind", "none")] = 1
    both: Annotated[int, NotWith("kind", "none"), OnlyWith("group.size", 1, 2)] = 1


class Outermost(FrozenModel):
    kind: str = "none"
    flag: bool = False
    group: Annotated[Group, OnlyWith("flag", True)] = Group()


def test_conditions_of_a_setting_and_of_its_groups() -> None:
    idle = Outermost(flag=True)
    assert why_idle(idle, "group.size") == "it does not count with kind: none"
    assert why_idle(Outermost(), "group.size") == "it counts only with flag: True"
    assert why_idle(Outermost(kind="some", flag=True), "group.size") == ""
    many = Outermost(kind="some", flag=True, group=Group(size=3))
    assert why_idle(many, "group.both") == "it counts only with group.size: 1, 2"
    assert why_idle(idle, "kind") == why_idle(idle, "unknown.name") == ""


def test_one_is_not_true() -> None:
    assert OnlyWith("group.size", True).unmet(Outermost())
