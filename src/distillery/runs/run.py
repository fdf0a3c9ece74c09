"""What a run is: its settings, its inputs and its code, which together give its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KEY_LENGTH = 16
# What a run asks of the process and the machine: neither its key nor its manifest depends on it.
_RESOURCES = ("params", "preloads", "gpu", "exclusive", "spreads", "is_short")


@dataclass(frozen=True)
class Run:
    """One unit of work: a stage, its resolved settings, and the runs that it reads.

    Attributes:
        stage: name of the stage (see ``distillery.runs.stages``).
        folder: folder below ``data/`` that holds the stage's runs.
        slug: readable name, from the ids of the params file; see ``planning.names``.
        settings: everything that decides the result, resolved to plain values.
        inputs: name -> location (``folder/slug-key``) of every run that is read.
        code: fingerprint of the code that computes the run.
        params: the params file that it was planned from.
        outside: name -> where a file or folder from outside is that it reads. The settings have a
            digest of what is in it; where it lies does not belong to the key.
        preloads: modules that it needs beside its stage's; several runs share their import.
        gpu: whether it computes on an accelerator where there is one; None: as the stage says.
        exclusive: whether it needs the machine to itself, since it measures time.
        spreads: whether it computes the same on as many cores as it gets, the faster the more.
        is_short: whether it is so short that starting a program for it alone would take longer.
    """

    stage: str
    folder: str
    slug: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: str
    key: str = field(default="")
    params: str = field(default="", compare=False)
    outside: Mapping[str, str] = field(default_factory=dict, compare=False)
    preloads: tuple[str, ...] = field(default=(), compare=False)
    gpu: bool | None = field(default=None, compare=False)
    exclusive: bool = field(default=False, compare=False)
    spreads: bool = field(default=False, compare=False)
    is_short: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", run_key(self.identity))

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the key is the hash of."""
        return identity_of(self.stage, self.settings, self.inputs, self.code)

    @property
    def has_own_key(self) -> bool:
        """Whether the key, which may have been read from somewhere, is the hash of the identity."""
        return self.key == run_key(self.identity)

    @property
    def name(self) -> str:
        """Name of the run's directory."""
        return f"{self.slug}-{self.key}"

    @property
    def location(self) -> str:
        """Path of the run's directory below ``data/``."""
        return f"{self.folder}/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """Return the run as plain values; ``Run(**plain)`` restores it."""
        return asdict(self)

    def described(self) -> dict[str, Any]:
        """Return what a manifest says of the run."""
        return {name: value for name, value in asdict(self).items() if name not in _RESOURCES}


def identity_of(
    stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str], code: str
) -> dict[str, Any]:
    """Return what the key of a run is the hash of; for the arguments see ``Run``."""
    return {
        "stage": stage,
        "settings": settings,
        "inputs": {name: key_in(location) for name, location in inputs.items()},
        "code": code,
    }


def key_in(name: str) -> str:
    """Return the key that ends the name or location of a run's directory."""
    return name[-KEY_LENGTH:]


def run_key(identity: Mapping[str, Any]) -> str:
    """Return the key of a run: a hash of its canonical JSON form."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]
