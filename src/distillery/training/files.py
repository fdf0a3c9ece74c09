"""Weights among the raw files, found and known again by their checksum."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from distillery.core.errors import UserError
from distillery.core.files import checksum
from distillery.data.files import RawFiles
from distillery.data.leakage import leakage_warning
from distillery.data.settings import PrepareSettings

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


def located(work: Workspace, file: str, sha256: str) -> Path:
    """Return the path of a raw file with this checksum, and warn if it has seen test images.

    Raises:
        UserError: it is not there, or another one.
    """
    with RawFiles.opened(work.raw, work.scratch) as raw:
        path = raw.locate([file])
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    digest = checksum(path)
    if digest != sha256:
        raise UserError(f"{path}: sha256 is {digest}, not {sha256} as the params say")
    source = PrepareSettings.model_validate(work.inputs["prepared"].settings).source
    warning = leakage_warning(source, path.name)
    if warning:
        warnings.warn(warning, stacklevel=2)
    return path
