import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_results import Study

from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure, save
from distillery.reporting.figures.style import theme
from distillery.reporting.page import build, html
from distillery.reporting.results.collected import Results

VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: Counter[str] = Counter()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def render(tmp_path: Path) -> Callable[[Study], str]:
    """Return a function that renders a study's page with empty figures."""

    def rendered(study: Study) -> str:
        results = Results.read(study.settings, study.publish(tmp_path / "data"))
        names = [name for name in files.expected(study.settings) if name.endswith(".svg")]
        drawings = [
            (ReportFigure(Path(name).stem, "A caption.", None), "<svg></svg>") for name in names
        ]
        written = build.all_tables(results)
        return html.render(results, [], written, drawings, key="0" * 16, collected="1" * 16)

    return rendered


def test_the_page_is_well_formed_and_loads_nothing(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(timings=True)
    build.build(study.settings, "0" * 16, study.publish(tmp_path / "data"), tmp_path / "reports")
    text = (tmp_path / "reports/index.html").read_text(encoding="utf-8")
    parsed = Page(text)
    assert not re.search(r"https?:|src=|@import|url\((?!#)", text)
    assert parsed.tags["svg"] == 7
    assert parsed.tags["caption"] == parsed.tags["table"] == 12
    assert [name for name, count in Counter(parsed.ids).items() if count > 1] == []
    inside = {link[1:] for link in parsed.links if link.startswith("#")}
    runs = {link for link in inside if link.startswith("run-")}
    assert inside - runs <= set(parsed.ids)
    # Scripts make the table of runs, and open one.
    data = json.loads(re.findall(r'id="runs-data">(.*?)</script>', text, re.DOTALL)[0])
    assert {key.removeprefix("run-") for key in runs} <= set(data["columns"][-1]["texts"])
    assert set(data["columns"][-1]["texts"]) == set(study.runs["key"])


def test_names_are_text(make: Callable[..., Study], render: Callable[[Study], str]) -> None:
    study = make(methods={"ce": "CE", "crd": "<b>&_% \"x'"}, seeds=1)
    study.report.update(title="<script>alert(1)</script>", description="a < b & c")
    text = render(study)
    Page(text)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;_%" in text
    assert "<script>alert" not in text
    assert "a &lt; b &amp; c" in text


def test_scripts_in_names_reach_no_figure(make: Callable[..., Study], tmp_path: Path) -> None:
    """Figures are part of the page as they are drawn, so that their texts are escaped there."""
    script = "</text></svg><script>alert(1)</script>"
    study = make(methods={"ce": "CE", "crd": script}, pairs=1, seeds=1)
    build.build(study.settings, "0" * 16, study.publish(tmp_path / "data"), tmp_path / "reports")
    shown = [*(tmp_path / "reports").rglob("*.svg"), tmp_path / "reports" / "index.html"]
    assert len(shown) > 1
    for file in shown:
        text = file.read_text(encoding="utf-8")
        assert "<script>alert" not in text
        assert file.suffix == ".svg" or "&lt;script&gt;alert(1)" in text
    latex = (tmp_path / "reports" / "tables" / "main.tex").read_text(encoding="utf-8")
    assert "alert(1)" in latex
    assert "<script>" not in latex


def test_sections_without_content_are_left_out(
    make: Callable[..., Study], render: Callable[[Study], str]
) -> None:
    text = render(make(pairs=1, seeds=1, ablations={}, protocols=False))
    parsed = Page(text)
    assert {"results", "curves", "teachers", "runs"} <= set(parsed.ids)
    assert not {"ablation-temperature", "evaluation", "cost"} & set(parsed.ids)
    assert "There is one seed" in text
    assert "±" not in text


def test_adopted_runs_are_marked(study: Study, render: Callable[[Study], str]) -> None:
    for row in study.rows[:2]:
        row["adopted"] = "adopted, checked with 1 of 2"
    text = render(study)
    assert "2 runs made by earlier code and adopted" in text
    data = json.loads(re.findall(r'id="runs-data">(.*?)</script>', text, re.DOTALL)[0])
    adopted = data["columns"][data["heads"].index("Adopted")]
    marked = adopted["texts"].index("adopted, checked with 1 of 2")
    assert adopted["index"].count(marked) == 2


def test_the_page_says_that_the_last_epoch_counts(
    study: Study, render: Callable[[Study], str]
) -> None:
    text = render(study)
    assert "reported at the <strong>last</strong> epoch" in text
    assert "earlier code" not in text


def test_pictures_inside_figures_may_be_shown(make: Callable[..., Study], tmp_path: Path) -> None:
    """Heat maps are pictures inside their SVG, which the page's policy has to allow."""

    (tmp_path / "figures").mkdir()
    with theme():
        figure, (panel,) = panels.grid(1, 2)
        panel.imshow([[0.0, 1.0], [1.0, 0.0]])
        save(ReportFigure("heat", "A heat map.", figure), tmp_path)
    svg = (tmp_path / files.figure_file("heat", "svg")).read_text(encoding="utf-8")
    shown = html.inlined(svg, ReportFigure("heat", "A heat map.", None))
    source = re.search(r'xlink:href="(\w+:)', shown)
    assert source
    study = make(pairs=1, seeds=1)
    results = Results.read(study.settings, study.publish(tmp_path / "data"))
    names = [name for name in files.expected(study.settings) if name.endswith(".svg")]
    drawings = [(ReportFigure(Path(name).stem, "A caption.", None), shown) for name in names]
    written = build.all_tables(results)
    text = html.render(results, [], written, drawings, key="0" * 16, collected="1" * 16)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert f"img-src {source[1]}" in policy[1]
