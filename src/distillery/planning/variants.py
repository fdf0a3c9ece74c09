"""Expands an ablation into its variants, whose settings have dotted names (``training.lr``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distillery.evaluation import registry as protocols
from distillery.evaluation.base import Study
from distillery.experiment.ablations import Ablation
from distillery.experiment.checks import protocol_options
from distillery.experiment.errors import KeyPath, ParamsError, validated
from distillery.experiment.experiment import Experiment
from distillery.experiment.methods import MethodOverride
from distillery.experiment.protocols import ProtocolEntry


@dataclass(frozen=True)
class Variant:
    """One combination of the values of an ablation's axes.

    Attributes:
        settings: axis -> value; a listed variant need not have all axes.
        override: what applies them to a method entry.
        path: where the params file has them.
    """

    settings: Mapping[str, Any]
    override: MethodOverride
    path: KeyPath


def variants_of(ablation: Ablation, path: KeyPath) -> Iterator[Variant]:
    """Yield the variants of an ablation.

    Args:
        ablation: the ablation; its pairs and methods do not matter here.
        path: where the params file has what is varied: a ``ParamsError`` if an axis is no list of
            values, or a value is not allowed.
    """
    if isinstance(ablation.vary, list):
        yield from _listed(ablation.vary, path)
    else:
        yield from _combined(ablation.vary, path)


def variant(settings: Mapping[str, Any], path: KeyPath) -> Variant:
    """Return the variant with these settings, dotted name -> value.

    It is a ``ParamsError`` at ``path`` if a value is not allowed.
    """
    return Variant(settings, validated(MethodOverride, _nested(settings), path), path)


def dotted(vary: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of what is varied, each with ``prefix`` before it."""
    for name, value in vary.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def lookup(tree: Mapping[str, Any], axis: str) -> Any:
    """Return the value of a dotted name in nested mappings."""
    value: Any = tree
    for part in axis.split("."):
        value = value[part]
    return value


def axes_of(ablation: Ablation) -> tuple[str, ...]:
    """Return the axes of an ablation: pairs and methods where there are several, then settings."""
    several = {"pair": ablation.pairs, "method": ablation.methods}
    names = [name for name, ids in several.items() if len(ids) > 1]
    parts = ablation.vary if isinstance(ablation.vary, list) else [ablation.vary]
    return (*names, *dict.fromkeys(axis for part in parts for axis in dotted(part)))


def study_of(name: str, entry: ProtocolEntry, experiment: Experiment) -> Ablation | None:
    """Return what a protocol trains, if it does (few-shot, ensemble) and any pair has it.

    Args:
        name: id of the protocol's entry.
        entry: the entry.
        experiment: what has all pairs and methods, which are meant when the entry names none.
    """
    kind = protocols.load(entry.protocol or name)
    if not issubclass(kind, Study):
        return None
    pairs = tuple(experiment.pairs) if entry.pairs is None else entry.pairs
    methods = tuple(experiment.methods) if entry.methods is None else entry.methods
    if not pairs or not methods:
        return None
    return Ablation(
        pair=pairs,
        method=methods,
        vary=kind(protocol_options(name, entry)).vary(),
        seeds=entry.seeds,
    )


def _listed(parts: list[dict[str, Any]], path: KeyPath) -> Iterator[Variant]:
    """Yield variants that are given one by one."""
    for number, part in enumerate(parts):
        yield variant({axis: lookup(part, axis) for axis in dotted(part)}, (*path, number))


def _combined(vary: Mapping[str, Any], path: KeyPath) -> Iterator[Variant]:
    """Yield every combination of the values of the axes.

    Raises:
        ParamsError: an axis is no list of values.
    """
    axes = [*dotted(vary)]
    values = [lookup(vary, axis) for axis in axes]
    for axis, choices in zip(axes, values, strict=True):
        if not isinstance(choices, list | tuple) or not choices:
            raise ParamsError(
                (*path, *axis.split(".")), f"found {choices!r}; an axis is a list of values"
            )
    for combination in itertools.product(*values):
        yield variant(dict(zip(axes, combination, strict=True)), path)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested mappings."""
    tree: dict[str, Any] = {}
    for axis, value in flat.items():
        *parents, last = axis.split(".")
        branch = tree
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree
