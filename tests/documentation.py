"""The commands and links on the pages of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_SHELLS = ("bash", "sh", "console")
# A block that begins with one of them is typed, other blocks without a language are shown.
_PROGRAMS = ("uv", "pip", "distillery", "snakemake", "dvc", "python", "git", "cp", "cd", ".ci/run")
_INLINE = re.compile(
    r"`((?:uv run [^`\n]+|(?:distillery|snakemake|dvc|python -m) [\w.\-][^`\n]*))`"
)
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


class Command(NamedTuple):
    """A command on a page, as words."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands() -> list[Command]:
    """Return every command of all pages, each once a page."""
    return list(dict.fromkeys(found for page in PAGES for found in _commands(page)))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield file and heading of every link of a page that leads to no other server."""
    for found in _LINK.finditer(_CODE.sub("", prose(page))):
        yield found[1], found[2] or ""


def headings(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    return {_slug(found) for found in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _commands(page: Path) -> Iterator[Command]:
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    blocks = [found[2] for found in _FENCE.finditer(text) if _is_typed(found[1], found[2])]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    for line in [*lines, *_INLINE.findall(prose(page))]:
        for part in line.split("&&"):
            words = tuple(shlex.split(part.partition(" > ")[0], comments=True))
            # Options alone, or the end of a sentence, are no command.
            if words and "=" not in words[0]:
                yield Command(name, _program(words))


def _is_typed(language: str, block: str) -> bool:
    return language in _SHELLS or (not language and block.split()[:1][0] in _PROGRAMS)


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command without what starts it: `uv run`, and uv's options."""
    if words[:2] != ("uv", "run"):
        return words
    rest = words[2:]
    while rest and rest[0] in ("--group", "--extra"):
        rest = rest[2:]
    return rest


def _slug(heading: str) -> str:
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[\s]+", "-", plain)
