"""Distillery: reproducible knowledge distillation of image classifiers.

``distillery.open`` and ``distillery.results`` give finished runs and experiments in Python; see
``distillery.library``, which is imported when one of them is asked for.
"""

import importlib.util
import sys
from typing import Any

__version__ = "0.1.0"
__all__ = ["open", "results"]

# Locks that die with their holder, forked processes and signals between them are those of Unix.
if importlib.util.find_spec("fcntl") is None:
    sys.exit("distillery: needs Linux or macOS (on Windows: WSL)")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    # Not by a statement: the code of runs that import this package does not depend on it.
    return getattr(importlib.import_module(f"{__name__}.library"), name)
