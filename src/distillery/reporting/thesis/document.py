r"""Writes the document beside a report. Tables and figures are the report's own files.

Each part is a file of its own, so that a larger document can ``\input`` it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from distillery.core.errors import UserError
from distillery.core.files import write_atomically
from distillery.core.latex import escaped, prose
from distillery.reporting import files
from distillery.reporting.settings import ReportSettings
from distillery.reporting.tables.latex import PACKAGES

if TYPE_CHECKING:
    from distillery.reporting.figures.model import Caption

FOLDER = "thesis"
MAIN = "thesis.tex"
FINDINGS, RESULTS, METHODS = "findings.tex", "results.tex", "methods.tex"
_COMPARISON, _ABLATIONS, _ILLUSTRATIONS = "Comparison", "Ablations", "Illustrations"
_FIRST = ("main", "accuracy")

# Figures are made for this width of text, and are not scaled.
_DOCUMENT = r"""% Made by `distillery thesis`: pdflatex, twice. Tables and figures are the report's.
\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{textcomp}
\usepackage{graphicx,enumitem}
\usepackage[textwidth=175.5mm,textheight=245mm]{geometry}
\usepackage{%(packages)s}
% Floats stay in their sections.
\usepackage[section]{placeins}
\usepackage[hidelinks]{hyperref}
% A section of many tables and figures keeps more of them waiting than LaTeX allows for.
\extrafloats{500}
\maxdeadcycles=1000
\graphicspath{{../figures/}}
\setlength{\emergencystretch}{3em}
\title{%(title)s}
\author{}
\date{}
\begin{document}
\maketitle
%(description)s

\section{Findings}
\input{findings}

\input{results}

\clearpage
\appendix
\section{Methods}
\input{methods}
\end{document}
"""


def expected(report: ReportSettings) -> list[str]:
    """Return the files of the document, relative to the working directory."""
    return [f"{report.folder}/{FOLDER}/{name}" for name in (MAIN, FINDINGS, RESULTS, METHODS)]


def write(
    report: ReportSettings,
    found: Iterable[str],
    captions: Mapping[str, Caption],
    methods: str,
    folder: Path,
) -> Path:
    """Write the document and return its main file.

    Args:
        report: the report's settings.
        found: its findings, in sentences.
        captions: file of a figure or table -> its caption.
        methods: the appendix, as LaTeX.
        folder: the report's folder, which holds its tables and figures.

    Raises:
        UserError: the report has not been built.
    """
    for name in files.expected(report):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is not there: build the report first")
    parts = {
        MAIN: _main(report),
        FINDINGS: _findings(found),
        RESULTS: _results(report, _figures(captions)),
        METHODS: methods,
    }
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, text in parts.items():
        write_atomically(folder / FOLDER / name, text.encode())
    return folder / FOLDER / MAIN


def _main(report: ReportSettings) -> str:
    known = {
        "packages": ",".join(PACKAGES),
        "title": escaped(report.title),
        "description": prose(report.description),
    }
    text = _DOCUMENT
    for name, value in known.items():
        text = text.replace(f"%({name})s", value)
    return text


def _findings(found: Iterable[str]) -> str:
    """Return sentences as a list; LaTeX has no lists without items."""
    items = "\n".join(rf"\item {escaped(sentence)}" for sentence in found)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}\n" if items else "None.\n"


def _figures(captions: Mapping[str, Caption]) -> dict[str, Caption]:
    """Return the captions of figures alone, by name."""
    ours = files.figure_file("", "svg").partition(".")[0]
    return {_name(file): said for file, said in captions.items() if file.startswith(ours)}


def _results(report: ReportSettings, figures: Mapping[str, Caption]) -> str:
    """Return every table and figure, in sections, each figure behind the table of its name."""
    text, heading = ["% Every table and figure of the report."], ""
    tables = {_name(file) for file in files.expected(report) if file.endswith(".tex")}
    illustrations = [name for name, caption in figures.items() if caption.is_illustration]
    for name in _names(report):
        parts = [rf"\input{{../tables/{name}}}"] if name in tables else []
        if name in figures and not figures[name].is_illustration:
            parts.append(_figure(report, name, figures[name].text))
        if parts and _heading(report, name) != heading:
            heading = _heading(report, name)
            text.append(f"\\section{{{escaped(heading)}}}")
        text += parts
    if illustrations:
        text.append(f"\\section{{{_ILLUSTRATIONS}}}\nThey explain a method and show no result.")
        text += [_figure(report, name, figures[name].text) for name in illustrations]
    return "\n\n".join(text) + "\n"


def _figure(report: ReportSettings, name: str, caption: str) -> str:
    return "\n".join(
        [
            r"\begin{figure}[htbp]",
            r"\centering",
            rf"\includegraphics{{{name}}}",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{fig:{report.name}-{name}}}",
            r"\end{figure}",
        ]
    )


def _names(report: ReportSettings) -> list[str]:
    """Return the names of tables and figures: the comparison, ablations, then sections."""
    found = dict.fromkeys(_name(file) for file in files.expected(report) if "/" in file)
    del found[_name(files.RUNS)]
    headings = {name: _heading(report, name) for name in found}
    order = [*dict.fromkeys([_COMPARISON, _ABLATIONS, *headings.values()])]
    return sorted(found, key=lambda name: (order.index(headings[name]), name not in _FIRST))


def _heading(report: ReportSettings, name: str) -> str:
    for entry, settings in report.sections.items():
        shown = (*settings.tables, *settings.figures)
        if name in {files.section(entry, suffix) for suffix in shown}:
            return settings.title
    if name in map(files.ablation, report.ablations):
        return _ABLATIONS
    return _COMPARISON


def _name(file: str) -> str:
    """Return the name of a table or figure without folder and suffixes."""
    return file.rpartition("/")[2].partition(".")[0]
