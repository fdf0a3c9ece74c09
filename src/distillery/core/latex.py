"""Text as LaTeX: what is printed is what was written."""

from __future__ import annotations

import re
import textwrap

SYMBOLS = {
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "²": r"\textsuperscript{2}",
    "°": r"\textdegree{}",
    "…": r"\dots{}",
    "–": "--",
    "’": "'",
    "“": "``",
    "”": "''",
    "\u202f": r"\,",
}
"""What is not in every font, or means something else there, and how it is printed."""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "#$%&_{}"},
    **SYMBOLS,
}
# Code is broken after these, since it has no other places.
_BREAKABLE = re.compile(r"(?<=[./:,])(?=\w)|(?<=\\_)(?=\w)")


def escaped(text: str) -> str:
    """Return a text in one line as LaTeX that prints it."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def code(text: str) -> str:
    """Return a name or a command in the font of typewriters, with places to break it."""
    broken = _BREAKABLE.sub(lambda _: r"\allowbreak{}", escaped(text))
    return rf"\texttt{{{broken}}}"


def prose(text: str) -> str:
    """Return a docstring: paragraphs, lists of lines with ``*``, indented formulas, code."""
    return "\n\n".join(_block(block) for block in re.split(r"\n[ \t]*\n", text.strip("\n")))


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        shown = (code(line) for line in textwrap.dedent(block).splitlines())
        return "\\begin{quote}\\raggedright\n" + "\\\\\n".join(shown) + "\n\\end{quote}"
    if lines[0].startswith("* "):
        items = re.split(r"^\* ", block, flags=re.MULTILINE)[1:]
        listed = "\n".join(rf"\item {_inline(item.strip())}" for item in items)
        return f"\\begin{{itemize}}\n{listed}\n\\end{{itemize}}"
    # Docstrings announce a formula by two colons.
    return _inline(re.sub(r"\s*::\s*$", ":", block))


def _inline(text: str) -> str:
    """Escape a text and set what is between backticks as code."""
    parts = re.split(r"`+([^`]+)`+", text)
    return "".join(
        code(part) if place % 2 else _with_spaces(part) for place, part in enumerate(parts)
    )


def _with_spaces(text: str) -> str:
    """Escape a part of a line, and keep the space at either end."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return f"{before}{escaped(text)}{after}" if text.strip() else before
