"""Remembers what a planner has made, since every student asks for what all of them read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def remembered(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Return a method that is computed once for the same arguments, which are hashable.

    The results belong to the object, unlike those of ``functools.cache``, which would keep it.
    """
    attribute = f"_results_of_{method.__name__}"

    @wraps(method)
    def of_object(self: Owner, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        results: dict[Any, Result] = vars(self).setdefault(attribute, {})
        asked = (args, *kwargs.items())
        if asked not in results:
            results[asked] = method(self, *args, **kwargs)
        return results[asked]

    return of_object
