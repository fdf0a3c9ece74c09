"""What the methods say of themselves, for `distillery methods` and for docs/methods.md."""

from __future__ import annotations

import csv
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from distillery.catalogue import peers
from distillery.core.schema_words import allowed, definition, markdown_table, written
from distillery.core.text_tables import text_table
from distillery.methods import registry
from distillery.methods.base import Method, Need, Paper

COSTS = Path(__file__).parent / "costs.csv"
WIDTH = 118
"""Of what terminals show, in characters."""
_TITLES = ("TITLE", "NEEDS", "CACHE", "STAGES", "CE", "KD", "OWN")

_PREFACE = """\
# Methods

<!-- Made by `uv run distillery methods --markdown > docs/methods.md`: edit the methods instead. -->

Every method, as its file in `src/distillery/methods/` describes it (`parts.x` is `parts/x.py` in
that folder). The objective is
`weights.ce * CE + weights.kd * KD + weights.method * (sum of the method's terms)`. The weights
below are the defaults, and `weights: {kd: 1}` combines any method with KD. Options go to
`methods.<id>.options` of a params file. `docs/method-defaults.yaml` lists the same values with
their sources, and those that were published for single pairs of networks.

* **needs**: what both networks supply beside the student's logits.
* **cache**: whether cached logits and embeddings suffice, so that no teacher is run in training.
* **stages**: two where a stage of the method's own comes before the distillation proper.
* **ce**, **kd**, **own**: default weights of cross-entropy, KD and the method's own terms."""

_COSTS_PREFACE = """\
## Papers, costs and peers

* **kind**: what is distilled: responses, features, relations between samples, channels or layers,
  or a contrast of samples.
* **parameters**, **MiB**, **step**: what is trained beside the student, peak memory of a training
  step beyond that of a step with cross-entropy alone, and the time of a step in such steps, of
  which **teacher** runs the teacher or reads its cached outputs. Measured by the protocol
  [computation](evaluation/computation.md) at the defaults for resnet56 -> resnet20, B = 64 on one
  CPU thread, after any stage of the method's own: `python -m benchmarks.method_costs`. The
  machine was not quiet; times are the process's own, in turn with the step that they are divided
  by.
* **also in**: [other projects](peers.md) that have it.
* **where references disagree**: about what, and which side this one is on."""


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


class Cost(NamedTuple):
    """What a method costs; see ``benchmarks.method_costs``."""

    parameters: int
    """Trained beside the student's own."""
    memory_mib: float
    """Peak memory of a step beyond one with cross-entropy alone."""
    step: float
    """Time of a step, in steps with cross-entropy alone."""
    teacher: float
    """The part of it that runs the teacher or reads its outputs."""


@dataclass(frozen=True)
class Entry:
    """A method as the catalogue shows it.

    Attributes:
        name: the method's name in params files.
        title: what tables call it.
        source: where it and its defaults come from.
        paper: the paper that proposed it, if there is one.
        kind: what is distilled, if anything is.
        disagreement: what references disagree about, and on which side this one is.
        peers: other projects that have it.
        cost: what it costs, if it was measured.
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
    paper: Paper | None
    kind: str | None
    disagreement: str
    peers: tuple[str, ...]
    cost: Cost | None
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
    """Return the named methods, or all of them, as the catalogue shows them."""
    return [_entry(name, registry.load(name)) for name in names or registry.names()]


def text(shown: Sequence[Entry]) -> str:
    """Return what terminals show: a table of the methods, then the source and options of each."""
    overview = text_table(("METHOD", *_TITLES), map(_cells, shown), width=WIDTH)
    options = [
        line
        for entry in shown
        for line in ("", *_source_lines(entry), *_option_lines(entry.options))
    ]
    return "\n".join([*overview, *options])


def markdown(shown: Sequence[Entry]) -> str:
    """Return the page on methods: an overview, and a section for each."""
    overview = markdown_table(
        ("method", *(title.lower() for title in _TITLES)),
        [(f"[{entry.name}](#{entry.name})", *_cells(entry)[1:]) for entry in shown],
    )
    sections = [_section(entry) for entry in shown]
    return "\n\n".join([_PREFACE, overview, _COSTS_PREFACE, _papers_and_costs(shown), *sections])


@cache
def costs() -> dict[str, Cost]:
    """Return what was measured of methods, by name."""
    with COSTS.open(encoding="utf-8", newline="") as file:
        return {
            row.pop("method"): Cost(
                int(row["parameters"]),
                *(float(row[column]) for column in ("memory_mib", "step", "teacher")),
            )
            for row in csv.DictReader(file)
        }


def _entry(name: str, method: type[Method]) -> Entry:
    return Entry(
        name=name,
        title=method.title,
        source=method.source,
        paper=method.paper,
        kind=method.kind,
        disagreement=method.disagreement,
        peers=tuple(peers.having(name)),
        cost=costs().get(name),
        needs=tuple(need for need in get_args(Need) if need in method.needs),
        cache=method.trains_from_cache(),
        # An instance would tell, but needs two networks and data.
        stages=1 if method.pretraining is Method.pretraining else 2,
        n_views=method.n_views,
        couples_batch=method.couples_batch,
        weights=method.weights.model_dump(),
        options=tuple(_options(method.Options.model_json_schema())),
        # Python 3.13 strips the indentation of docstrings, older versions do not.
        summary=inspect.cleandoc(sys.modules[method.__module__].__doc__ or ""),
        description=inspect.cleandoc(method.__doc__ or ""),
    )


def _options(
    schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None, group: str = ""
) -> Iterator[Option]:
    """Yield the options of a JSON Schema; those of groups have dotted names."""
    definitions = schema.get("$defs", {}) if definitions is None else definitions
    for name, field in schema.get("properties", {}).items():
        if "$ref" in field:
            nested = definitions[definition(field["$ref"])]
            yield from _options(nested, definitions, f"{group}{name}.")
        else:
            meaning = " ".join(field.get("description", "").split())
            yield Option(f"{group}{name}", field.get("default"), allowed(field), meaning)


def _cells(entry: Entry) -> tuple[str, ...]:
    weights = (written(weight) for weight in entry.weights.values())
    needs = ", ".join(entry.needs) or "-"
    cache = ("yes" if entry.cache else "no") if entry.needs else "-"
    return (entry.name, entry.title, needs, cache, str(entry.stages), *weights)


def _papers_and_costs(shown: Iterable[Entry]) -> str:
    header = ("method", "paper", "year", "kind", "parameters", "MiB", "step", "teacher")
    rows = [
        (
            f"[{entry.name}](#{entry.name})",
            _cited(entry.paper),
            str(entry.paper.year) if entry.paper else "-",
            entry.kind or "-",
            *_costs_of(entry.cost),
            ", ".join(entry.peers) or "-",
            entry.disagreement or "-",
        )
        for entry in shown
    ]
    return markdown_table((*header, "also in", "where references disagree"), rows)


def _cited(paper: Paper | None) -> str:
    if paper is None:
        return "-"
    cited = f"{paper.authors}, {paper.venue}"
    return f"[{cited}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else cited


def _costs_of(cost: Cost | None) -> tuple[str, str, str, str]:
    """Return what the table shows of costs; a new method has none until they are measured."""
    if cost is None:
        return ("", "", "", "")
    return (
        f"{cost.parameters:,}",
        f"{cost.memory_mib:.1f}",
        f"{cost.step:.2f}",
        f"{cost.teacher:.2f}",
    )


def _source_lines(entry: Entry) -> list[str]:
    return textwrap.wrap(f"{entry.name}: {entry.source}", WIDTH, subsequent_indent="  ")


def _option_lines(options: Iterable[Option]) -> list[str]:
    rows = [
        (option.name, written(option.default), f"({option.allowed}) {option.meaning}")
        for option in options
    ]
    return [f"  {line}" for line in text_table((), rows, width=WIDTH - 2)]


def _section(entry: Entry) -> str:
    parts = [
        f"## {entry.name}",
        f"**{entry.title}.** {entry.summary}",
        entry.description,
        "\n".join(f"* {fact}" for fact in _facts(entry)),
    ]
    if entry.options:
        rows = [
            (f"`{option.name}`", f"`{written(option.default)}`", option.allowed, option.meaning)
            for option in entry.options
        ]
        parts.append(markdown_table(("option", "default", "allowed", "meaning"), rows))
    return "\n\n".join(parts)


def _facts(entry: Entry) -> list[str]:
    needs = ", ".join(f"`{need}`" for need in entry.needs)
    run = "trains from the cache" if entry.cache else "training runs the teacher"
    weights = ", ".join(f"`{name}: {written(weight)}`" for name, weight in entry.weights.items())
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
