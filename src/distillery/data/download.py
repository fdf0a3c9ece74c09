"""Downloads files of official data sets."""

from __future__ import annotations

import tempfile
from pathlib import Path

from distillery.core.errors import UserError


def fetch(url: str, target: Path, md5: str, advice: str) -> Path:
    """Download a file, which appears complete or not at all.

    Args:
        url: where it is published.
        target: where to put it.
        md5: its published checksum.
        advice: what to do without a network; ends the message of the error.

    Returns:
        ``target``.

    Raises:
        UserError: the file cannot be had, or is another one.
    """
    from torchvision.datasets.utils import download_url

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
        try:
            download_url(url, temporary, target.name, md5)
        # urllib, ssl and torchvision each raise errors of their own.
        except Exception as error:
            raise UserError(f"{target.name} cannot be downloaded ({error}); {advice}") from None
        (Path(temporary) / target.name).replace(target)
    return target
