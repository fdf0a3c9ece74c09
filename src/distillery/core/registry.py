"""Finds things by the names of a folder's modules, without importing them.

Methods, protocols and sections of the report are discovered this way: adding one is adding a file,
and no static import ties the rest of the code to it. (Where a file stands for several names, as
with models and data sources, they are the keys of a dict that it declares.)
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from distillery.core.errors import UnknownName

_Base = TypeVar("_Base")


def module_names(package: str, leave_out: tuple[str, ...] = (), kind: str = "") -> list[str]:
    """Return the names that the modules of ``package`` stand for (``a_b.py`` is ``a-b``).

    Args:
        package: dotted name of the folder.
        leave_out: modules that stand for nothing.
        kind: what they stand for. A folder counts as well if it has a module of this name, as
            ``aecrd/method.py``.
    """
    return sorted(
        name.replace("_", "-")
        for name, is_folder in listing(package)
        if name not in leave_out and (not is_folder or _has_module(package, name, kind))
    )


def module_of(package: str, kind: str, name: str, leave_out: tuple[str, ...] = ()) -> str:
    """Return the dotted module name behind ``name``; for the arguments see ``module_names``.

    Raises:
        UnknownName: there is no such module; the message names the nearest one.
    """
    names = module_names(package, leave_out, kind)
    if name not in names:
        raise UnknownName(kind, name, names)
    stem = name.replace("-", "_")
    return f"{package}.{stem}.{kind}" if _has_module(package, stem, kind) else f"{package}.{stem}"


def import_one(package: str, kind: str, name: str, leave_out: tuple[str, ...] = ()) -> ModuleType:
    """Import the module behind ``name``; for the arguments see ``module_names``."""
    return importlib.import_module(module_of(package, kind, name, leave_out))


def load_class(
    package: str, kind: str, name: str, base: type[_Base], leave_out: tuple[str, ...] = ()
) -> type[_Base]:
    """Return the one subclass of ``base`` that the module behind ``name`` defines.

    Raises:
        TypeError: the module defines none, or several.
    """
    module = import_one(package, kind, name, leave_out)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise TypeError(
            f"{module.__name__} must define one {base.__name__} class, not {len(classes)}"
        )
    return classes[0]


@cache
def listing(package: str) -> list[tuple[str, bool]]:
    """Return the names of the modules and folders in ``package``, and whether each is a folder.

    It is looked up once: a plan asks for it thousands of times.
    """
    found = importlib.import_module(package)
    return [(module.name, module.ispkg) for module in pkgutil.iter_modules(found.__path__)]


@cache
def _has_module(package: str, folder: str, module: str) -> bool:
    """Tell whether a folder of ``package`` has a module, without importing anything of it."""
    paths = importlib.import_module(package).__path__
    return any(Path(path, folder, f"{module}.py").is_file() for path in paths)
