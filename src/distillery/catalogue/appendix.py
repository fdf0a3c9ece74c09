"""An experiment's methods, as the catalogue has them, for the appendix of a LaTeX document."""

from __future__ import annotations

from collections.abc import Iterable

from distillery.catalogue import methods as catalogue
from distillery.catalogue.methods import Entry, Option
from distillery.core.latex import code, escaped, prose
from distillery.core.schema_words import written
from distillery.experiment.experiment import Experiment

_PREFACE = r"""% Made from the catalogue of methods. Needs enumitem.
Every student minimises $w_\mathrm{CE}\,\mathrm{CE} + w_\mathrm{KD}\,\mathrm{KD} +
w_\mathrm{method}\,\mathrm{method}$, with the weights and options below unless the tables say
otherwise."""


def of(experiment: Experiment) -> str:
    """Return the appendix of an experiment: every method that an entry of it uses."""
    names = dict.fromkeys(entry.method or name for name, entry in experiment.methods.items())
    return latex(catalogue.entries(names))


def latex(shown: Iterable[Entry]) -> str:
    r"""Return the sections of the methods, for ``\input`` after ``\appendix``."""
    return "\n\n".join([_PREFACE, *map(_section, shown)]) + "\n"


def _section(entry: Entry) -> str:
    weights = ", ".join(f"{name} {written(value)}" for name, value in entry.weights.items())
    facts = [f"Source: {escaped(entry.source)}.", f"Default weights: {escaped(weights)}."]
    if entry.needs:
        facts.append(f"Reads of both networks: {escaped(', '.join(entry.needs))}.")
    parts = [
        f"\\subsection{{{escaped(entry.title)}}}\n\\label{{method:{entry.name}}}",
        prose(entry.summary),
        prose(entry.description),
        "\n".join(facts),
    ]
    if entry.options:
        options = "\n".join(map(_option, entry.options))
        parts.append(f"\\begin{{description}}[style=nextline]\n{options}\n\\end{{description}}")
    return "\n\n".join(parts)


def _option(option: Option) -> str:
    default = code(written(option.default))
    meaning = escaped(option.meaning)
    return rf"\item[{code(option.name)}] {default} ({escaped(option.allowed)}). {meaning}"
