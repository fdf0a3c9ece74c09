"""Finds what the modules of a folder declare, without importing them.

A module declares names as the keys of a dict that it writes out at its top. Its source is read, not
run: names of architectures are known without torch, and no import ties the code to a module.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from importlib.util import find_spec

from distillery.core.errors import UnknownName


@cache
def declared(package: str, table: str) -> dict[str, str]:
    """Return name -> dotted name of the module that declares it, sorted by name.

    Args:
        package: dotted name of the folder.
        table: name of the dict.

    Raises:
        TypeError: two modules declare the same name, or a dict is not written out.
    """
    found: dict[str, str] = {}
    folder = importlib.import_module(package)
    for info in pkgutil.iter_modules(folder.__path__, f"{package}."):
        for name in _keys(info.name, table):
            if name in found:
                raise TypeError(f"{info.name} and {found[name]} both define {name}")
            found[name] = info.name
    return dict(sorted(found.items()))


def module_of(package: str, table: str, kind: str, name: str) -> str:
    """Return the dotted name of the module that declares ``name``; see ``declared``.

    Raises:
        UnknownName: none does; the message calls it an unknown ``kind``.
    """
    modules = declared(package, table)
    if name not in modules:
        raise UnknownName(kind, name, modules)
    return modules[name]


def _keys(module: str, table: str) -> list[str]:
    """Return the keys of a module's dict; none if it has no such dict."""
    spec = find_spec(module)
    source = getattr(spec.loader, "get_source", lambda _: None)(module) if spec else None
    for statement in ast.parse(source or "").body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if name == table:
                return _literal_keys(module, table, value)
    return []


def _literal_keys(module: str, table: str, value: ast.expr | None) -> list[str]:
    match value:
        case ast.Dict(keys=[_, *_] as keys) if all(
            isinstance(key, ast.Constant) and isinstance(key.value, str) for key in keys
        ):
            return [str(ast.literal_eval(key)) for key in keys if key]
    raise TypeError(f"{table} in {module} must be a dict written out with its names as strings")
