"""Kinds of values that several sections have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from distillery.core.settings import Id


def _distinct(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"found {list(numbers)}; they must differ")
    return numbers


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)]
Channel = Annotated[int, Field(ge=0, le=3)]
Channels = Annotated[tuple[Channel, ...], Field(min_length=1), AfterValidator(_distinct)]
Ids = Id | Annotated[tuple[Id, ...], Field(min_length=1)]
