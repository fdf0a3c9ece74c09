"""Finds the modules of a folder by file name, without importing them.

Methods, models, data sources and protocols are discovered this way: adding one is adding a file,
and no static import ties the rest of the code to it.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from distillery.core.errors import unknown_name


def module_names(package: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Return the names that the modules of ``package`` stand for (``a_b.py`` is ``a-b``)."""
    found = importlib.import_module(package)
    return sorted(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(found.__path__)
        if not module.ispkg and module.name not in leave_out
    )


def module_of(package: str, kind: str, name: str, leave_out: tuple[str, ...] = ()) -> str:
    """Return the dotted module name behind ``name``.

    Raises:
        UserError: there is no such module; the message names the nearest one.
    """
    names = module_names(package, leave_out)
    if name not in names:
        raise unknown_name(kind, name, names)
    return f"{package}.{name.replace('-', '_')}"


def import_one(package: str, kind: str, name: str, leave_out: tuple[str, ...] = ()) -> ModuleType:
    """Import the module behind ``name``."""
    return importlib.import_module(module_of(package, kind, name, leave_out))
