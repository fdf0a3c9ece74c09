import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_results import Study
from markdown_it import MarkdownIt

from distillery.reporting.page import build
from distillery.reporting.results.collected import Results
from distillery.reporting.tables import latex, standard, writing
from distillery.reporting.tables.model import Table

NASTY = r"<b>50 %</b> & _x_ ~^\{#1} $t$ | `c`"


@pytest.fixture
def nasty(make: Callable[..., Study], tmp_path: Path) -> Results:
    study = make(methods={"ce": "CE", "crd": NASTY}, pairs=2, timings=True)
    study.report["ablations"]["temperature"]["title"] = "100 % of_it & more"
    study.report["pairs"]["p0"]["teacher_arch"] = "resnet_50%"
    return Results.read(study.settings, study.publish(tmp_path))


def test_csv_reads_back_with_all_digits(study: Study, tmp_path: Path) -> None:
    table = standard.main(Results.read(study.settings, study.publish(tmp_path)))
    back = pd.read_csv(io.StringIO(writing.to_csv(table)), keep_default_na=False, na_values=[""])
    assert back["mean"].tolist() == table.data["mean"].tolist()
    assert back["runs"].tolist() == table.data["runs"].tolist()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_of_a_cell_is_a_formula(
    start: str, make: Callable[..., Study], tmp_path: Path
) -> None:
    """As spreadsheets would compute it: `=HYPERLINK(...)` sends what it likes to whom it likes."""
    title = f'{start}HYPERLINK("http://example.org")'
    study = make(methods={"ce": "CE", "crd": title}, pairs=1, seeds=1)
    table = standard.main(Results.read(study.settings, study.publish(tmp_path)))
    back = pd.read_csv(io.StringIO(writing.to_csv(table)), dtype=str, keep_default_na=False)
    named = [text for column in back for text in back[column] if "HYPERLINK" in text]
    assert named
    assert all(text.startswith(f"'{start}") for text in named)


def test_negative_numbers_stay_numbers() -> None:
    data = pd.DataFrame({"text": ["-0.5", "-x"], "number": [-1.0, 2.0]})
    table = Table("t", "", (("text",), ("number",)), (), data)
    assert writing.to_csv(table) == "text,number\n-0.5,-1.0\n'-x,2.0\n"


def test_markdown_has_one_cell_a_column_and_no_markup_of_names(nasty: Results) -> None:
    lines = writing.to_markdown(standard.main(nasty)).splitlines()
    rows = lines[: lines.index("")]
    for line in rows:
        assert line.replace(r"\|", "").count("|") == 4
    assert r"\<b\>50 %\</b\> \& \_x\_" in rows[-1]
    assert "**" in rows[-1]
    assert r"resnet\_50% → resnet20" in rows[0]


def test_latex_sets_the_references_apart_and_the_best_in_bold(study: Study, tmp_path: Path) -> None:
    table = standard.main(Results.read(study.settings, study.publish(tmp_path)))
    lines = writing.to_tabular(table).splitlines()
    assert any(line.startswith(r"\begin{tabular}{lS[") for line in lines)
    assert lines.count(r"\midrule") == 2
    assert lines[lines.index(r"\bottomrule") - 1].count(r"\bfseries ") == 2
    assert lines[lines.index(r"\midrule") + 2].startswith("CE & ")
    assert lines[lines.index(r"\midrule") + 3] == r"\midrule"


def test_latex_joins_columns_of_one_teacher(study: Study, tmp_path: Path) -> None:
    study.report["pairs"]["p1"]["teacher_arch"] = "resnet56"
    latex = writing.to_latex(standard.main(Results.read(study.settings, study.publish(tmp_path))))
    assert r"{Teacher} & \multicolumn{2}{c}{resnet56} \\" in latex


def test_latex_compiles(nasty: Results, make: Callable[..., Study], tmp_path: Path) -> None:
    compiler = shutil.which("tectonic") or shutil.which("pdflatex")
    if not compiler:
        pytest.skip("needs tectonic or pdflatex")
    empty = make(protocols=False, seeds=1)
    few = Results.read(empty.settings, empty.publish(tmp_path / "few"))
    written = [*build.all_tables(nasty).values(), *build.all_tables(few).values()]
    body = "\n\n".join(writing.to_latex(table) for table in written)
    document = (
        "\\documentclass{article}\\usepackage[utf8]{inputenc}\n"
        f"\\usepackage{{{','.join(latex.PACKAGES)}}}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    (tmp_path / "report.tex").write_text(document, encoding="utf-8")
    options = [] if "tectonic" in compiler else ["-halt-on-error", "-interaction=nonstopmode"]
    done = subprocess.run(
        [compiler, *options, "report.tex"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").is_file()


def test_markdown_shows_every_text_as_it_is(nasty: Results) -> None:
    """Read back by another program, cells and caption are what the table has."""
    table = replace(standard.main(nasty), caption="1. A *caption* #5 $x$", notes=("- a_note_",))
    parsed = MarkdownIt("commonmark").enable("table").parse(writing.to_markdown(table))
    texts = [token for token in parsed if token.type == "inline"]
    shown = ["".join(part.content for part in token.children or []) for token in texts]
    cells = [cell.text for row in table.rows for cell in row]
    heads = [table.joint.join(filter(None, levels)) for levels in table.header]
    assert shown[: len(heads)] == heads
    assert shown[len(heads) : len(heads) + len(cells)] == [" ".join(text.split()) for text in cells]
    assert shown[-1].startswith("1. A *caption* #5 $x$ - a_note_ The runs behind")
