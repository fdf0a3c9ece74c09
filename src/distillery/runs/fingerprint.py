"""Fingerprint of the code that computes a run: comments and docstrings do not count.

A fingerprint covers the named modules and every module of this package that they import, directly
or not, also inside functions. It follows static imports only: registries discover methods, models
and data sources by file name, so that an edit of one method changes the runs of that method alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
_SOURCE = Path(__file__).parents[1]


def fingerprint(modules: Iterable[str]) -> str:
    """Return the hex digest of the normalised sources of ``modules`` and what they import."""
    digest = hashlib.sha256()
    for name in sorted(closure(modules)):
        digest.update(f"{name}\0{_normalised(name)}\0".encode())
    return digest.hexdigest()[:16]


def closure(modules: Iterable[str]) -> set[str]:
    """Return ``modules`` and all package modules reachable through their imports."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imports(name))
    return found


def source_digest(folder: str = "") -> str:
    """Return a digest of the package's files as they are, or of those below one folder of it."""
    digest = hashlib.sha256()
    for path in sorted((_SOURCE / folder).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(_SOURCE).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def normalise(source: str) -> str:
    """Return ``source`` without comments, docstrings, annotations-only imports and formatting."""
    return ast.unparse(_stripped(source))


def _stripped(source: str) -> ast.Module:
    tree: ast.Module = _Stripper().visit(ast.parse(source))
    return tree


class _Stripper(ast.NodeTransformer):
    """Drops docstrings (and attribute docstrings) and blocks that only type checkers see."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)


def _path(module: str) -> Path | None:
    parts = module.split(".")[1:]
    base = _SOURCE.joinpath(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return _stripped(path.read_text(encoding="utf-8"))


@cache
def _normalised(module: str) -> str:
    return ast.unparse(_tree(module))


def imported_when_called(module: str) -> set[str]:
    """Return the libraries that the functions of a module import, which cost time only then.

    Raises:
        ModuleNotFoundError: the package has no such module.
    """
    functions = (node for node in ast.walk(_tree(module)) if isinstance(node, ast.FunctionDef))
    inside = (name for function in functions for name in _imports_in(function))
    return {name for name in inside if name.partition(".")[0] != PACKAGE}


@cache
def _imports(module: str) -> frozenset[str]:
    """Return the modules of this package that a module imports."""
    names = _imports_in(_tree(module), members=True)
    ours = (name for name in names if name.partition(".")[0] == PACKAGE)
    return frozenset(name for name in ours if _path(name) is not None)


def _imports_in(tree: ast.AST, *, members: bool = False) -> Iterator[str]:
    """Yield what import statements name; with ``members`` also ``a.b`` for ``from a import b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if members:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
