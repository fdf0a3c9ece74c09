"""Distillery: reproducible knowledge distillation of image classifiers.

``distillery.open`` and ``distillery.results`` give finished runs and experiments in Python; see
``distillery.library``, which is imported when one of them is asked for.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["open", "results"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    # Not by a statement: the code of runs that import this package does not depend on it.
    from importlib import import_module

    return getattr(import_module(f"{__name__}.library"), name)
