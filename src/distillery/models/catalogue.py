"""What `distillery models` lists: sizes, cost and features of architectures, without weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from distillery.core.errors import UserError
from distillery.models import registry
from distillery.models.base import EVERYTHING
from distillery.models.cost import forward_flops
from distillery.models.naming import library_of
from distillery.models.spec import describe

_MILLION = 1e6
_HEADER = ("model", "parameters", "MFLOPs", "embedding", "maps of stages", "lacks")
_TO_THE_RIGHT = {1, 2, 3}


@dataclass(frozen=True)
class Images:
    """What networks are described for."""

    classes: int
    channels: int
    size: int


@dataclass(frozen=True)
class Entry:
    """One architecture.

    Attributes:
        name: its name.
        parameters: number of parameters.
        flops: of one image forward, multiplications and additions apart.
        embedding: length of the embedding.
        features: (c, h, w) of the maps of its stages.
        lacks: what methods cannot have of it.
    """

    name: str
    parameters: int
    flops: int
    embedding: int
    features: tuple[tuple[int, int, int], ...]
    lacks: tuple[str, ...]

    @property
    def counted(self) -> tuple[str, str, str]:
        """Parameters, millions of FLOPs and length of the embedding, as they are shown."""
        return f"{self.parameters:,}", f"{self.flops / _MILLION:,.1f}", str(self.embedding)

    @property
    def maps(self) -> list[str]:
        """The maps of its stages, as they are shown."""
        return ["x".join(map(str, shape)) for shape in self.features]


def matching(patterns: Iterable[str]) -> list[str]:
    """Return the architectures that patterns stand for; our own families when there are none.

    A pattern with ``*``, ``?`` or ``[`` is matched with our own names or, as ``timm/*``, those of
    a library. Anything else is a name.

    Raises:
        UserError: nothing has this name, or matches.
    """
    found: list[str] = []
    for pattern in patterns:
        if not set("*?[") & set(pattern):
            registry.require(pattern)
            found.append(pattern)
            continue
        library = library_of(pattern)
        names = registry.names()
        if library:
            names = [f"{library}/{name}" for name in registry.library_names(library)]
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            raise UserError(f"no model matches '{pattern}'")
        found += matched
    return list(dict.fromkeys(found)) or registry.names()


def entry(name: str, images: Images) -> Entry:
    """Describe one architecture.

    Raises:
        UserError: it is not for such images.
    """
    spec = describe(name, images.classes, images.channels, images.size)
    return Entry(
        name=name,
        parameters=spec.parameters,
        flops=forward_flops(spec),
        embedding=spec.embedding_dim,
        features=spec.feature_shapes,
        lacks=tuple(sorted(EVERYTHING - spec.supplies)),
    )


def text(entries: Iterable[Entry | str], images: Images) -> str:
    """Return a table; a string stands for itself."""
    shape = f"{images.channels} x {images.size} x {images.size}"
    rows = [_HEADER, *(each if isinstance(each, str) else _cells(each) for each in entries)]
    cells = [row for row in rows if not isinstance(row, str)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [row if isinstance(row, str) else _line(row, widths) for row in rows]
    return "\n".join([*lines, f"for images of {shape} and {images.classes} classes"])


def _cells(shown: Entry) -> tuple[str, ...]:
    maps, lacks = " ".join(shown.maps) or "-", " ".join(shown.lacks) or "-"
    return (shown.name, *shown.counted, maps, lacks)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell.rjust(width) if place in _TO_THE_RIGHT else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()
