"""Names of networks that are defined elsewhere, and what is known of them without torch.

``timm/resnet18`` and ``torchvision/mobilenet_v3_small`` are those of a library;
``models/mynet.py:MyNet`` and ``mypackage.nets:MyNet`` are one's own, by a file below the working
folder or by a module that Python finds.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from distillery.core.errors import UserError

_LIBRARIES = ("timm", "torchvision")
_PACKAGE = "distillery.models.libraries"


def defined_elsewhere(arch: str) -> str | None:
    """Return the module that builds a network which is defined elsewhere; None for any other."""
    if ":" in arch:
        return f"{_PACKAGE}.own"
    library = library_of(arch)
    return f"{_PACKAGE}.{library}_network" if library else None


def library_of(arch: str) -> str | None:
    """Return the library that a name begins with; None if it begins with none."""
    library, slash, _ = arch.partition("/")
    return library if slash and library in _LIBRARIES and ":" not in arch else None


def short(arch: str) -> str:
    """Return an architecture's name for use in the names of folders."""
    if ":" in arch:
        arch = arch.rpartition(":")[2]
    return arch.replace("/", "-")


def code_of(arch: str) -> tuple[Path, ...]:
    """Return the files that define an own network: its file, or the sources of its package.

    Raises:
        UserError: there are none.
    """
    place = arch.rpartition(":")[0]
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise UserError(f"model '{arch}': no file {place} in {Path.cwd()}")
        return (Path(place),)
    try:
        spec = find_spec(place)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise UserError(f"model '{arch}': Python finds no module {place} (or write FILE.py:CLASS)")
    package = place.partition(".")[0]
    whole = find_spec(package)
    folders = list(whole.submodule_search_locations or ()) if whole else []
    return tuple(sorted(f for each in folders for f in Path(each).rglob("*.py"))) or (
        Path(spec.origin),
    )


def source_of(arch: str) -> str | None:
    """Return the SHA-256 of the code that defines an own network; None for any other.

    Raises:
        UserError: there is no such code.
    """
    if ":" not in arch:
        return None
    return _digest(tuple((file, file.stat().st_mtime_ns) for file in code_of(arch)))


@cache
def _digest(files: tuple[tuple[Path, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, _ in files:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
