"""Snakemake's report and DVC's plots have the figures of the report, with its captions, offline."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow

LOADED = r"<(?:script|link|img)[^>]+(?:src|href)=.https?:"


def captions(checkout: Checkout) -> dict[str, str]:
    """Return the captions of the page, by figure."""
    page = (checkout.folder / "reports/index.html").read_text(encoding="utf-8")
    found = re.findall(r'<figcaption id="caption-([\w-]+)">(.*?)</figcaption>', page)
    return {name: html.unescape(text) for name, text in found}


def written(file: Path) -> str:
    """Return a page whose texts stand in scripts, as JSON of HTML."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    return html.unescape(re.sub(r"\s+", " ", text.replace(r"\n", " ")))


def test_snakemake_shows_every_figure_with_its_caption(finished: Checkout) -> None:
    finished.snakemake("--report", "figures.html")
    shown = written(finished.folder / "figures.html")
    known = captions(finished)
    assert {"accuracy", "differences", "ranks", "learning-curves", "size"} <= set(known)
    assert [name for name, caption in known.items() if caption not in shown] == []
    assert not re.search(LOADED, shown)


def test_dvc_shows_the_figures_with_their_captions(finished: Checkout) -> None:
    finished.run("dvc", "plots", "show", "--out", "made/plots")
    shown = (finished.folder / "made/plots/index.html").read_text(encoding="utf-8")
    assert shown.count("<img") == 5
    assert captions(finished)["accuracy"] in shown
    assert not re.search(LOADED, shown)
    assert "<script src" not in shown
