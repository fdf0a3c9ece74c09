"""What the methods say of themselves, for `distillery methods` and for docs/methods.md."""

from __future__ import annotations

import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from distillery.core.settings import FrozenModel
from distillery.methods import registry
from distillery.methods.base import Method, Need

_WIDTH = 118
_KINDS = {bool: "true or false", int: "integer", float: "number", str: "text", type(None): "null"}
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}

_PREFACE = """\
# Methods

<!-- Made by `uv run distillery methods --markdown > docs/methods.md`: edit the methods instead. -->

Every method, as its file in `src/distillery/methods/` describes it (`parts.x` is `parts/x.py` in
that folder). The objective is
`weights.ce * CE + weights.kd * KD + weights.method * (sum of the method's terms)`. The weights
below are the defaults, and `weights: {kd: 1}` combines any method with KD. Options go to
`methods.<id>.options` of a params file. `params/methods.yaml` lists the same values with their
sources, and those that were published for single pairs of networks.

* **needs**: what both networks supply beside the student's logits.
* **cache**: whether cached logits and embeddings suffice, so that no teacher is run in training.
* **stages**: two where a stage of the method's own comes before the distillation proper.
* **ce**, **kd**, **own**: default weights of cross-entropy, KD and the method's own terms."""


@dataclass(frozen=True)
class Option:
    """A hyperparameter.

    Attributes:
        name: its key below ``options``; dots separate groups.
        default: its default.
        allowed: kind and bounds in words.
        meaning: what it does.
    """

    name: str
    default: Any
    allowed: str
    meaning: str


@dataclass(frozen=True)
class Entry:
    """A method as the catalogue shows it.

    Attributes:
        name: the method's name in params files.
        title: what tables call it.
        source: where it and its defaults come from.
        needs: what both networks have to supply.
        cache: whether it trains from cached outputs of the teacher.
        stages: 2 when a stage of its own comes first, otherwise 1.
        n_views: versions of each image that both networks see.
        couples_batch: whether its loss compares the samples of a batch.
        weights: default weights of the objective.
        options: its hyperparameters.
        summary: docstring of its module.
        description: docstring of its class.
    """

    name: str
    title: str
    source: str
    needs: tuple[str, ...]
    cache: bool
    stages: int
    n_views: int
    couples_batch: bool
    weights: dict[str, float]
    options: tuple[Option, ...]
    summary: str
    description: str


def entries(names: Iterable[str] = ()) -> list[Entry]:
    """Return the named methods, or all of them, as the catalogue shows them.

    Raises:
        UserError: there is no such method; the message names the nearest one.
    """
    return [_entry(name, registry.load(name)) for name in names or registry.names()]


def text(shown: Sequence[Entry]) -> str:
    """Return a table for terminals: a row a method, below it its source and its options."""
    heads = _aligned([("METHOD", *_TITLES), *(_cells(entry) for entry in shown)])
    options = [option for entry in shown for option in entry.options]
    lines = iter(_aligned([_columns(option) for option in options]))
    blocks = [heads[0].rstrip()]
    for entry, head in zip(shown, heads[1:], strict=True):
        meanings = [
            _beside(next(lines), f"({option.allowed}) {option.meaning}") for option in entry.options
        ]
        source = textwrap.fill(entry.source, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        blocks.append("\n".join([head.rstrip(), source, *meanings]))
    return "\n\n".join(blocks)


def markdown(shown: Sequence[Entry]) -> str:
    """Return the page on methods: an overview, and a section for each."""
    overview = _table(
        ("method", *(title.lower() for title in _TITLES)),
        [(f"[{entry.name}](#{entry.name})", *_cells(entry)[1:]) for entry in shown],
    )
    return "\n\n".join([_PREFACE, overview, *(_section(entry) for entry in shown)])


def _entry(name: str, method: type[Method]) -> Entry:
    return Entry(
        name=name,
        title=method.title,
        source=method.source,
        needs=tuple(need for need in get_args(Need) if need in method.needs),
        cache=method.trains_from_cache(),
        # An instance would tell, but needs two networks and data.
        stages=1 if method.pretraining is Method.pretraining else 2,
        n_views=method.n_views,
        couples_batch=method.couples_batch,
        weights=method.weights.model_dump(),
        options=tuple(_options(method.Options)),
        # Python 3.13 strips the indentation of docstrings, older versions do not.
        summary=inspect.cleandoc(sys.modules[method.__module__].__doc__ or ""),
        description=inspect.cleandoc(method.__doc__ or ""),
    )


def _options(kind: type[FrozenModel], group: str = "") -> Iterator[Option]:
    """Yield the options of a class; those of groups have dotted names."""
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, FrozenModel):
            yield from _options(annotation, f"{group}{name}.")
        else:
            meaning = " ".join((field.description or "").split())
            allowed = _allowed(annotation, field.metadata)
            yield Option(f"{group}{name}", field.default, allowed, meaning)


def _allowed(annotation: Any, bounds: Sequence[Any] = ()) -> str:
    """Say in words what an option may be, for example ``number > 0 or null``."""
    if get_origin(annotation) is Annotated:
        annotation, *further = get_args(annotation)
        fields = [each.metadata for each in further if isinstance(each, FieldInfo)]
        return _allowed(annotation, [*bounds, *itertools.chain(*fields)])
    if get_origin(annotation) is Literal:
        return ", ".join(_written(choice) for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_KINDS[get_args(annotation)[0]]}s"
    if get_origin(annotation) in (Union, UnionType):
        first, *others = get_args(annotation)
        return " or ".join([_allowed(first, bounds), *map(_allowed, others)])
    limits = [
        f"{symbol} {_written(getattr(constraint, name))}"
        for constraint in bounds
        for name, symbol in _BOUNDS.items()
        if hasattr(constraint, name)
    ]
    return f"{_KINDS[annotation]} {', '.join(limits)}".strip()


def _written(value: Any) -> str:
    """Return a value as it is written in a params file."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# The terminal

_TITLES = ("TITLE", "NEEDS", "CACHE", "STAGES", "CE", "KD", "OWN")


def _cells(entry: Entry) -> tuple[str, ...]:
    weights = (_written(weight) for weight in entry.weights.values())
    needs = ", ".join(entry.needs) or "-"
    cache = ("yes" if entry.cache else "no") if entry.needs else "-"
    return (entry.name, entry.title, needs, cache, str(entry.stages), *weights)


def _columns(option: Option) -> tuple[str, ...]:
    return ("", option.name, _written(option.default), "")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _beside(line: str, meaning: str) -> str:
    """Return a line that is continued by a meaning, wrapped in its own column."""
    wrapped = textwrap.wrap(meaning, _WIDTH - len(line))
    return f"\n{' ' * len(line)}".join([line + "".join(wrapped[:1]), *wrapped[1:]])


# The page


def _section(entry: Entry) -> str:
    parts = [
        f"## {entry.name}",
        f"**{entry.title}.** {entry.summary}",
        entry.description,
        "\n".join(f"* {fact}" for fact in _facts(entry)),
    ]
    if entry.options:
        rows = [
            (f"`{option.name}`", f"`{_written(option.default)}`", option.allowed, option.meaning)
            for option in entry.options
        ]
        parts.append(_table(("option", "default", "allowed", "meaning"), rows))
    return "\n\n".join(parts)


def _facts(entry: Entry) -> list[str]:
    needs = ", ".join(f"`{need}`" for need in entry.needs)
    run = "trains from the cache" if entry.cache else "training runs the teacher"
    weights = ", ".join(f"`{name}: {_written(weight)}`" for name, weight in entry.weights.items())
    facts = [
        f"Source: {entry.source}.",
        f"Needs {needs}; {run}." if needs else "Needs no teacher.",
        f"Default weights: {weights}.",
    ]
    if entry.stages > 1:
        facts.append("A stage of its own comes before the distillation proper.")
    if entry.n_views > 1:
        facts.append(f"Both networks see {entry.n_views} versions of each image.")
    if entry.couples_batch:
        facts.append("The loss compares the samples of a batch.")
    return facts


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
