"""What other projects' methods, networks and hyperparameters are called here.

Each file of ``tables`` has the names of one project. A name has counterparts here or a reason why
there is none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator
from ruamel.yaml import YAML

from distillery.core.settings import FrozenModel

TABLES = Path(__file__).parent / "tables"
NAMES = ("repdistiller", "mdistiller", "torchdistill")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Counterpart(FrozenModel):
    """What stands here for a name of another project."""

    ours: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Names here: of a method, a network, a data source, or keys of a params file with dots, in
    which `*` stands for any id."""
    reason: str = ""
    """Why there is none."""
    note: str = ""
    """What to know of it."""

    @model_validator(mode="after")
    def _either(self) -> Counterpart:
        if bool(self.ours) == bool(self.reason):
            raise ValueError("either ours or a reason")
        return self


class Peer(FrozenModel):
    """The names of one project."""

    title: str
    """What it calls itself."""
    source: str
    """Repository, commit and file that the names were read in."""
    methods: dict[str, Counterpart] = Field(min_length=1)
    """Methods and losses."""
    networks: dict[str, Counterpart]
    """Architectures; with the data set before the name where names mean different ones."""
    data: dict[str, Counterpart]
    """Data sets."""
    settings: dict[str, Counterpart] = Field(min_length=1)
    """Flags, keys and arguments."""


@cache
def load(name: str) -> Peer:
    """Return the table of a project, one of ``NAMES``."""
    text = (TABLES / f"{name}.yaml").read_text(encoding="utf-8")
    return Peer.model_validate(YAML(typ="safe", pure=True).load(text))


def having(method: str) -> list[str]:
    """Return the titles of the projects that have a method of ours."""
    peers = [load(name) for name in NAMES]
    return [
        peer.title for peer in peers if any(method in each.ours for each in peer.methods.values())
    ]
