"""Networks of one's own: a class in a file, ``models/mynet.py:MyNet``, or in a module.

The class takes ``num_classes`` and ``in_channels``, and ``image_size`` if it has such an argument.
A subclass of ``Classifier`` is taken as it is. Any other module is traced.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from torch import nn

from distillery.core.errors import DistilleryError, UserError
from distillery.models.base import Classifier
from distillery.models.libraries.traced import TracedClassifier
from distillery.models.naming import source_of

_REFERENCE = 256


def build(arch: str, *, num_classes: int, in_channels: int, image_size: int) -> Classifier:
    """Return a new network.

    Raises:
        UserError: there is no such class, or it fails.
    """
    made_by = _class(arch)
    known = inspect.signature(made_by).parameters
    options: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
    if "image_size" in known:
        options["image_size"] = image_size
    missing = [name for name in options if name not in known and not _takes_any(known)]
    if missing:
        raise UserError(
            f"model '{arch}': {made_by.__name__} takes no {' and no '.join(missing)} (it is made "
            "by num_classes and in_channels)"
        )
    try:
        network = made_by(**options)
    except DistilleryError:
        raise
    # It is the user's code, which may fail in any way.
    except Exception as error:
        raise UserError(f"model '{arch}': {_said(error)}, when it is made with {options}") from None
    if isinstance(network, Classifier):
        return network
    return TracedClassifier(
        network,
        arch,
        num_classes=num_classes,
        in_channels=in_channels,
        reference=image_size if "image_size" in options else _REFERENCE,
    )


def _class(arch: str) -> type[nn.Module]:
    place, _, name = arch.rpartition(":")
    try:
        module = _file(place, source_of(arch)) if place.endswith(".py") else _module(place)
    except DistilleryError:
        raise
    except Exception as error:
        raise UserError(f"model '{arch}': {place} cannot be imported: {_said(error)}") from None
    found = getattr(module, name, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        allowed = [
            each
            for each, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
        ]
        raise UserError(
            f"model '{arch}': {place} has no torch.nn.Module of this name "
            f"(allowed: {', '.join(allowed) or 'none is there'})"
        )
    return found


def _file(place: str, source: str | None) -> Any:
    """Import a file under a name that its content decides, so that a changed one is another."""
    name = f"distillery_own_{Path(place).stem}_{source}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _module(place: str) -> Any:
    return importlib.import_module(place)


def _takes_any(parameters: Any) -> bool:
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
