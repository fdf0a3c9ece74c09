"""Lets the site hold what its pages link to outside of docs/: params files, the README, sources.

Pages are read in the repository as well, so their links are relative there. Here such a file
becomes a part of the site, below ``repository/``, and links are turned to it. A link to a file that
does not exist is a warning, which ends a strict build.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[2]
_COPIES = "repository"
_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)")
_LOG = logging.getLogger("mkdocs.hooks.repository_links")


def on_files(files: Files, config: Any) -> Files:
    """Add all files outside of docs/ that pages lead to, also by way of each other."""
    waiting = [file for file in files if file.src_uri.endswith(".md")]
    while waiting:
        page = waiting.pop()
        for target in _targets(page.src_uri, page.content_string):
            place = _place(target)
            if target.startswith("docs/") or files.get_file_from_path(place):
                continue
            if not (_ROOT / target).is_file():
                _LOG.warning("%s links to %s, which is no file", page.src_uri, target)
                continue
            # Text that browsers would offer to save is shown as a page of its own.
            copy = File.generated(config, place, abs_src_path=str(_ROOT / target))
            files.append(copy)
            if target.endswith(".md"):
                waiting.append(copy)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn a page's links to the places that their files have in the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(here)

    def turned(found: re.Match[str]) -> str:
        target = _place(_resolved(here, found[2]))
        return found[1] + posixpath.relpath(target, folder or ".")

    return _LINK.sub(turned, markdown)


def _targets(page: str, text: str) -> set[str]:
    return {_resolved(page, found[2]) for found in _LINK.finditer(text)}


def _resolved(page: str, link: str) -> str:
    """Return the path in the repository that a page of the site links to."""
    inside = page.removeprefix(f"{_COPIES}/")
    origin = inside if inside != page else f"docs/{page}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def _place(target: str) -> str:
    """Return where a file of the repository lies in the site."""
    inside = target.removeprefix("docs/")
    return inside if inside != target else f"{_COPIES}/{target}"
