"""Finds protocols by file name.

A protocol's module has ``Options`` (its settings), ``TITLE``, and ``run(work)``, which writes
``metrics.json``, a flat mapping of names to numbers, and may write ``details.parquet``, any tidy
table. It may have

* ``check(options, known)``, which raises ``UserError`` when the plan is made and what is ``known``
  of the network, its teacher, its training or the data sets does not fit;
* ``data_set(options)``, the id of another data set, None for the experiment's own, and
  ``extract_settings(options)``: ``run`` then finds it as the input ``target``, and the network's
  embeddings of it as the input ``features``;
* ``USES_METHOD = True``, if it runs the method of a student.

A study has ``vary(options)`` instead of ``run``: what it trains, as in an ablation.
"""

from __future__ import annotations

from types import ModuleType

from distillery.core import registry

_PACKAGE = "distillery.evaluation"
_NOT_PROTOCOLS = ("context", "registry")


def names() -> list[str]:
    """Return the names of all protocols, sorted."""
    return registry.module_names(_PACKAGE, _NOT_PROTOCOLS)


def module_of(name: str) -> str:
    """Return the dotted name of a protocol's module."""
    return registry.module_of(_PACKAGE, "protocol", name, _NOT_PROTOCOLS)


def is_study(module: ModuleType) -> bool:
    """Tell whether a protocol trains networks of its own instead of measuring others."""
    return hasattr(module, "vary")


def load(name: str) -> ModuleType:
    """Import a protocol's module."""
    return registry.import_one(_PACKAGE, "protocol", name, _NOT_PROTOCOLS)
