"""Whoever calls a function reads in its docstring what shapes arrays have, and what it raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

EVERYWHERE = ("core", "runs", "experiment", "planning", "reporting", "costs")
ROOMS = ("data", "models", "embeddings", "methods", "geometry", "training", "evaluation")
ARRAY = re.compile(r"\b(Tensor|ndarray|NDArray)\b")
# A length such as `B`, `4 B`, `H * W`, `T - 1`, `*size`, `C'` or `...`.
_TERM = r"(?:\d+ )?\*{0,2}[\w.]+'*"
_LENGTH = rf"{_TERM}(?: ?(?:\*|\+|-|//?) ?{_TERM})*"
SHAPE = re.compile(rf"\((?:{_LENGTH},\s*)+(?:{_LENGTH})?\)|any shape|scalar")


def modules(*rooms: str) -> list[str]:
    """Return the names of all modules of these rooms."""
    found = []
    for room in rooms:
        package = importlib.import_module(f"distillery.{room}")
        found += [
            info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ]
    return found


def public(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in names.items() if not name.startswith("_"))


def functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any], list[str]]]:
    """Yield name, function and docstrings of the public functions and methods of a module.

    A method has the docstrings of what it overrides, too: a contract need not be repeated.
    """
    for name, value in public(vars(module)):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            for method, function in public(vars(value)):
                overridden = [vars(base).get(method) for base in value.__mro__]
                if inspect.isfunction(plain := unwrapped(function)):
                    docs = [unwrapped(each).__doc__ or "" for each in overridden if each]
                    yield f"{name}.{method}", plain, docs
        elif inspect.isfunction(plain := unwrapped(value)):
            yield name, plain, [plain.__doc__ or ""]


def unwrapped(value: Any) -> Any:
    """Return the function behind a property, class method, cache or other decorator."""
    value = getattr(value, "fget", None) or getattr(value, "func", value)
    return inspect.unwrap(getattr(value, "__func__", value))


def raises(function: Callable[..., Any]) -> bool:
    """Tell whether the body of a function itself raises anything that callers may meet."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [
        node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None
    ]
    return any("NotImplementedError" not in ast.unparse(each) for each in raised)


@pytest.mark.parametrize("name", modules(*ROOMS, *EVERYWHERE))
def test_public_functions_say_what_they_raise(name: str) -> None:
    silent = [
        function
        for function, plain, docs in functions(importlib.import_module(name))
        if raises(plain) and not any(re.search(r"Raises:|Raise ``", doc) for doc in docs)
    ]
    assert not silent, f"say what they raise in the docstrings of {silent}"


@pytest.mark.parametrize("name", modules(*ROOMS))
def test_public_functions_of_arrays_name_shapes(name: str) -> None:
    silent = [
        function
        for function, plain, docs in functions(importlib.import_module(name))
        if any(ARRAY.search(str(annotation)) for annotation in plain.__annotations__.values())
        and not any(SHAPE.search(doc) for doc in docs)
    ]
    assert not silent, f"name the shapes of arrays, as (B, C), in the docstrings of {silent}"


@pytest.mark.parametrize(
    "text",
    ["(B, C)", "(B,)", "rows (4 B, D)", "(B, H * W)", "(T - 1, *size)", "(B, C')", "(..., n)"],
)
def test_shapes_are_recognised(text: str) -> None:
    assert SHAPE.search(text)


@pytest.mark.parametrize("text", ["(Ji et al., AAAI 2021)", "(see above)", "``f(x)``", "(B)"])
def test_what_is_no_shape_is_not_taken_for_one(text: str) -> None:
    assert not SHAPE.search(text)


def test_a_function_without_shapes_is_found() -> None:
    module = ModuleType("silent")
    source = (
        "from __future__ import annotations\n"
        "class A:\n"
        "    def told(self, x: Tensor): '''Take (B, C).'''\n"
        "    def silent(self, x: Tensor): '''Take x.'''\n"
        "class B(A):\n"
        "    def told(self, x: Tensor): '''Take x.'''\n"
        "def _private(x: Tensor): '''Take x.'''\n"
    )
    exec(source, vars(module))
    named = {name: any(SHAPE.search(doc) for doc in docs) for name, _, docs in functions(module)}
    assert named == {"A.told": True, "A.silent": False, "B.told": True}
