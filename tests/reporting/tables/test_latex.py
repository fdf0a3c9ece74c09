"""The LaTeX is whole: what begins ends, rows have their columns, and numbers fit their format."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_results import Study
from published import read

from distillery.core.latex import escaped
from distillery.reporting.page import build
from distillery.reporting.tables import latex
from distillery.reporting.tables.latex import to_latex, to_tabular
from distillery.reporting.tables.model import Cell, Table


def table(rows: list[list[str]], labels: int = 1, **more: object) -> Table:
    header = tuple((f"Head {number}",) for number in range(len(rows[0])))
    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    return Table("made", "A caption. And more.", header, cells, pd.DataFrame(), labels, **more)  # type: ignore[arg-type]


def check(text: str) -> None:
    """Check what a compiler would stop at: environments, braces, and columns of each row."""
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    bare = re.sub(r"%.*", "", re.sub(r"\\[\\{}%$&#_]", "", text))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for body in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        head, *lines = body.splitlines()
        columns = len(re.sub(r">\{[^{}]*\}|\[[^]]*\]|(?<=p)\{[^{}]*\}", "", head).strip("{}"))
        for line in lines:
            if line.endswith(r"\\"):
                spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                ampersands = len(re.findall(r"(?<!\\)&", line))
                assert ampersands + 1 + sum(spans) - len(spans) == columns, line


def test_every_table_of_a_report_is_whole(make: Callable[..., Study], tmp_path: Path) -> None:
    nasty = r"<b>50 %</b> & _x_ ~^\{#1} $t$ | `c`"
    study = make(methods={"ce": "CE", "crd": nasty}, pairs=7, timings=True)
    study.report["claims"] = [{"better": "crd", "worse": "ce", "text": None}]
    for written in build.all_tables(read(study, tmp_path)).values():
        for text in (to_latex(written), to_tabular(written)):
            check(text)
        assert re.search(r"\\begin\{(table|sidewaystable)\}", to_latex(written))
        assert rf"\label{{tab:made-up-{written.name}}}" in to_latex(written)
        assert r"\caption" not in to_tabular(written)
        assert r"\begin{table" not in to_tabular(written)


def test_numbers_are_aligned_and_what_is_none_is_in_braces() -> None:
    text = to_tabular(
        table([["a", "71.25 ± 0.31", "−1.5"], ["b", "9.10", "+12.5"], ["c", "–", "–"]])
    )
    check(text)
    assert "lS[table-format=2.2(2)]S[table-format=+2.1]" in text
    assert r"a & 71.25 \pm 0.31 & -1.5 \\" in text
    assert r"c & {--} & {--} \\" in text


def test_a_column_with_other_texts_is_no_column_of_numbers() -> None:
    text = to_tabular(table([["a", "1.2 s"], ["b", "3.0 min"]]))
    assert r"\begin{tabular}{lr}" in text


def test_bold_cells_stay_numbers(study: Study, tmp_path: Path) -> None:
    text = to_latex(build.all_tables(read(study, tmp_path))["main"])
    assert re.search(r"\\bfseries \d\d\.\d\d \\pm \d\.\d\d", text)
    assert "detect-weight=true" in text


def test_notes_stand_below_in_a_threeparttable() -> None:
    noted = to_latex(replace(table([["a", "1"]]), notes=("Bold: the best.",)))
    check(noted)
    assert noted.index(r"\end{tabular}") < noted.index(r"\item Bold: the best.")
    assert "threeparttable" not in to_latex(table([["a", "1"]])).partition("\n")[2]
    assert r"\caption[A caption.]{A caption. And more.}" in noted


@pytest.mark.parametrize(
    ("columns", "kind", "parts"), [(3, "table", 1), (8, "sidewaystable", 1), (20, "table", 4)]
)
def test_a_wide_table_lies_on_its_side_or_is_divided(columns: int, kind: str, parts: int) -> None:
    text = to_latex(table([["method", *["12.34 ± 0.56"] * columns]] * 3))
    check(text)
    assert text.count(rf"\begin{{{kind}}}") == parts
    assert text.count(r"\ContinuedFloat") == parts - 1
    assert text.count(r"\label") == 1
    assert text.count("method") == 3 * parts
    assert text.count("12.34") == 3 * columns


def test_a_long_table_is_divided_and_keeps_its_rule() -> None:
    text = to_latex(table([[f"row {n}", "1.5"] for n in range(100)], references=2))
    check(text)
    assert text.count(r"\begin{table}") == 3
    assert len(re.findall(r"row \d+ &", text)) == 100
    # One below each header, and one below the references.
    assert text.count(r"\midrule") == 4


def test_long_text_is_broken_into_lines() -> None:
    text = to_tabular(table([["a", "word " * 30], ["b", "x"]], labels=2))
    check(text)
    assert r"p{0." in text


def test_headings_may_be_alike() -> None:
    twice = replace(table([["a", "1", "2"]]), header=(("M",), ("Same",), ("Same",)))
    check(to_latex(twice))


def test_special_characters_are_printed() -> None:
    assert escaped("50 % & a_b → ± ≥ “x” $") == (
        r"50 \% \& a\_b $\rightarrow$ $\pm$ $\geq$ ``x'' \$"
    )


def test_the_packages_are_named() -> None:
    assert to_latex(table([["a", "1"]])).startswith(f"% Needs {', '.join(latex.PACKAGES)}")
