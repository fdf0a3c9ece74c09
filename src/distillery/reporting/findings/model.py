"""A finding: one sentence, and the runs that it speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["best", "baseline", "ranks", "claim", "size", "ablation", "published"]


@dataclass(frozen=True)
class Finding:
    """One sentence or two of the report's answer.

    Attributes:
        kind: what it is about.
        text: the sentence.
        runs: keys of the runs that it speaks of, each once.
    """

    kind: Kind
    text: str
    runs: tuple[str, ...] = ()


def keys(runs: Iterable[str]) -> tuple[str, ...]:
    """Return the keys in columns ``runs``, each once."""
    return tuple(dict.fromkeys(key for text in runs for key in text.split()))
