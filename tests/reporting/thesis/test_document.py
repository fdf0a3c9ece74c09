"""The report as a LaTeX document."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up_results import Study

from distillery.catalogue import appendix
from distillery.catalogue import methods as catalogue
from distillery.core.errors import UserError
from distillery.reporting import files
from distillery.reporting.figures.model import Caption
from distillery.reporting.settings import ReportSettings
from distillery.reporting.thesis import document

FIGURES = ("accuracy", "ablation-temperature", "size")
CAPTIONS = {
    "figures/accuracy.svg": Caption("Accuracy (%) of a_b."),
    "figures/ablation-temperature.svg": Caption("An ablation."),
    "figures/size.svg": Caption("A sphere.", is_illustration=True),
    "tables/main.csv": Caption("A table."),
}


@pytest.fixture
def report(study: Study) -> ReportSettings:
    return study.settings


@pytest.fixture
def folder(report: ReportSettings, tmp_path: Path) -> Path:
    """A folder with the names of a report's files."""
    for name in files.expected(report):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_every_table_and_every_figure_is_in_it_once(report: ReportSettings, folder: Path) -> None:
    document.write(report, [], CAPTIONS, "", folder)
    text = (folder / "thesis" / "results.tex").read_text()
    shown = re.findall(r"\\input\{\.\./tables/(.*)\}", text)
    tables = {file.stem for file in (folder / "tables").glob("*.tex") if ".tab" not in file.name}
    assert len(shown) == len(set(shown))
    assert set(shown) == tables
    assert re.findall(r"\\includegraphics\{(.*)\}", text) == list(FIGURES)
    # In the order of the report: the comparison, ablations, and at last what is no result.
    places = [text.index(part) for part in ("{Comparison}", "{Ablations}", "{Illustrations}")]
    assert places == sorted(places)
    assert text.index("{accuracy}") < text.index("tables/ranks")
    assert text.index("{ablation-temperature}") > places[1]
    assert text.index("{size}") > places[2]
    assert r"\caption{Accuracy (\%) of a\_b.}" in text


def test_it_loads_what_the_tables_say_that_they_need(report: ReportSettings, folder: Path) -> None:
    main = document.write(report, ["CE is 5 % worse."], CAPTIONS, "appendix", folder)
    text = main.read_text()
    for package in (*document.PACKAGES, "graphicx", "enumitem"):
        assert re.search(rf"\\usepackage.*\{{(.*,)?{package}(,.*)?\}}", text), package
    for part in re.findall(r"\\input\{(.*)\}", text):
        assert (main.parent / f"{part}.tex").is_file()
    assert (main.parent / "findings.tex").read_text().count(r"\item CE is 5 \% worse.") == 1
    named = {(folder / name).resolve() for name in ("thesis/methods.tex", "thesis/thesis.tex")}
    assert named <= {path.resolve() for path in main.parent.iterdir()}


def test_without_a_report_there_is_one_line(report: ReportSettings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="build the report first"):
        document.write(report, [], {}, "", tmp_path)


def test_the_appendix_names_source_weights_and_options() -> None:
    text = appendix.latex(catalogue.entries(["crd", "kd"]))
    assert text.count(r"\subsection{") == 2
    assert r"\item[\texttt{negatives}] \texttt{16384}" in text
    assert "Default weights: ce 1, kd 0, method 0.8." in text


NEEDS_TEX = pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX")


def compiled(main: Path) -> str:
    """Compile a document, twice, and return what LaTeX says in the end."""
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", main.name],
            cwd=main.parent,
            text=True,
            errors="replace",
            capture_output=True,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.slow
@NEEDS_TEX
def test_it_compiles(study: Study, tmp_path: Path) -> None:
    """With every method in the appendix, so that no docstring has a character without a font."""
    from distillery.reporting.page import build

    report, folder = study.settings, tmp_path / "reports"
    collected = study.publish(tmp_path / "data")
    captions = build.build(report, "0" * 16, collected, folder)
    methods = appendix.latex(catalogue.entries())
    main = document.write(report, ["A finding."], captions, methods, folder)
    assert "undefined references" not in compiled(main)


@pytest.mark.slow
@NEEDS_TEX
def test_a_section_may_have_many_tables_and_figures(study: Study, tmp_path: Path) -> None:
    """As forty methods that were tuned have: a figure each, and tables of many parts."""
    report = study.settings
    for name in files.expected(report):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    main = document.write(report, [], {}, "", tmp_path)
    floats = "\\begin{table}[htbp]\\rule{1cm}{20cm}\\end{table}\n" * 120
    (main.parent / document.RESULTS).write_text(f"\\section{{Many}}\n{floats}")
    compiled(main)
