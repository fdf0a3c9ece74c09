"""Names, references and options of a params file, which the types alone cannot check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product, starmap
from typing import Any

from distillery.core.conditions import why_idle
from distillery.core.errors import UnknownName, UserError
from distillery.core.settings import FrozenModel
from distillery.evaluation import registry as protocols
from distillery.experiment.errors import KeyPath, ParamsError, validated
from distillery.experiment.experiment import Experiment
from distillery.experiment.protocols import ProtocolEntry
from distillery.experiment.report import Claim
from distillery.methods import registry as methods
from distillery.models import registry as models

# What rows of other kinds are filed under.
_RESERVED_TABLES = ("main", "teachers")


def check(experiment: Experiment) -> None:
    """Check names, references and options.

    Raises:
        ParamsError: the first problem found.
    """
    for path, arch in _architectures(experiment):
        try:
            models.require(arch)
        except UserError as error:
            raise ParamsError(path, str(error)) from None
    for path, kind, names, known in _references(experiment):
        for name in names:
            _require_known(path, kind, name, known)
    for name, ablation in experiment.ablations.items():
        _require_free(("ablations", name), [*_RESERVED_TABLES, *experiment.protocols])
        if not ablation.vary and len(ablation.pairs) == len(ablation.methods) == 1:
            raise ParamsError(("ablations", name, "vary"), "nothing is varied; give an axis")
    if not any(starmap(experiment.compares, product(experiment.pairs, experiment.methods))):
        raise ParamsError(
            ("pairs",), "no method entry is run for any pair; see their only and without"
        )
    for name, entry in experiment.methods.items():
        method_options(entry.method or name, entry.options, ("methods", name, "options"))
    sections = [
        methods.load(entry.method or name).section for name, entry in experiment.methods.items()
    ]
    for name, chosen in experiment.protocols.items():
        _require_free(("protocols", name), [*_RESERVED_TABLES, "tuning", *filter(None, sections)])
        protocol_options(name, chosen)
    for number, claim in enumerate(experiment.report.claims):
        _require_comparable(("report", "claims", number), experiment, claim)
    if "ce" in experiment.methods or "baseline" in experiment.report.model_fields_set:
        baseline = experiment.report.baseline
        _require_known(("report", "baseline"), "method entry", baseline, experiment.methods)


def method_options(method: str, options: Mapping[str, Any], path: KeyPath) -> FrozenModel:
    """Return the validated options of a method; a mistake is a ``ParamsError`` below ``path``."""
    return validated(methods.load(method).Options, options, path)


def protocol_options(name: str, entry: ProtocolEntry) -> Any:
    """Return the validated options of an evaluation protocol.

    Raises:
        ParamsError: one of them is wrong, or has no effect beside the others.
    """
    protocol, path = protocols.load(entry.protocol or name), ("protocols", name, "options")
    options = validated(protocol.Options, entry.options, path)
    for option in entry.options:
        if why := why_idle(options, option):
            raise ParamsError((*path, option), f"has no effect: {why}")
    return options


def _architectures(experiment: Experiment) -> Iterator[tuple[KeyPath, str]]:
    """Yield the names of all networks, and where they are."""
    for id_, teacher in experiment.teachers.items():
        yield ("teachers", id_, "arch"), teacher.arch
    for id_, pair in experiment.pairs.items():
        yield ("pairs", id_, "student"), pair.student


def _require_known(path: KeyPath, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ParamsError(path, str(UnknownName(kind, name, known)))


def _require_comparable(path: KeyPath, experiment: Experiment, claim: Claim) -> None:
    """Demand two entries that are run for one pair at least."""
    if claim.better == claim.worse:
        raise ParamsError((*path, "worse"), f"'{claim.worse}' is not better than itself")
    both = (claim.better, claim.worse)
    if not any(all(experiment.compares(pair, one) for one in both) for pair in experiment.pairs):
        raise ParamsError(
            path, f"no pair is run with both '{claim.better}' and '{claim.worse}'; see their pairs"
        )


def _require_free(path: tuple[str, str], taken: list[str]) -> None:
    if path[1] in taken:
        known = ", ".join(dict.fromkeys(taken))
        raise ParamsError(path, f"this id names another part of the report (taken: {known})")


def _references(
    experiment: Experiment,
) -> Iterator[tuple[KeyPath, str, Iterable[str], Collection[str]]]:
    """Yield all names that must be among known ones: path, kind, names, known names."""
    known_methods = methods.names()
    teachers, pairs, entries = experiment.teachers, experiment.pairs, experiment.methods
    for id_, teacher in teachers.items():
        if teacher.data:
            yield ("teachers", id_, "data"), "data set", (teacher.data,), experiment.datasets
    for id_, pair in pairs.items():
        yield ("pairs", id_, "teacher"), "teacher", pair.teachers, teachers
        yield ("pairs", id_, "methods"), "method entry", pair.methods, entries
        yield ("pairs", id_, "only"), "method entry", pair.only or (), entries
        yield ("pairs", id_, "without"), "method entry", pair.without, entries
    for id_, entry in entries.items():
        yield ("methods", id_), "method", (entry.method or id_,), known_methods
        yield ("methods", id_, "pairs"), "pair", entry.pairs or (), pairs
    for id_, ablation in experiment.ablations.items():
        at, measured = ("ablations", id_), experiment.protocols
        yield (*at, "pair"), "pair", ablation.pairs, pairs
        yield (*at, "method"), "method entry", ablation.methods, entries
        yield (*at, "protocols"), "protocol entry", ablation.protocols, measured
    for number, claim in enumerate(experiment.report.claims):
        at_claim = ("report", "claims", number)
        yield (*at_claim, "better"), "method entry", (claim.better,), entries
        yield (*at_claim, "worse"), "method entry", (claim.worse,), entries
    if experiment.tuning:
        yield ("tuning", "pair"), "pair", experiment.tuning.pairs, pairs
        yield ("tuning", "methods"), "method entry", experiment.tuning.methods, entries
    for id_, chosen in experiment.protocols.items():
        yield ("protocols", id_), "protocol", (chosen.protocol or id_,), protocols.names()
        yield ("protocols", id_, "pairs"), "pair", chosen.pairs or (), pairs
        yield ("protocols", id_, "methods"), "method entry", chosen.methods or (), entries
