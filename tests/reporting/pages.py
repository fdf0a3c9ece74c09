"""Pages of made-up results, and the browser that opens them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_up_results import Study
from playwright.sync_api import Browser, BrowserContext
from published import read

from distillery.reporting import files
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.findings.all import findings
from distillery.reporting.page import build, html
from distillery.reporting.results.collected import Results

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
NEEDS_BROWSER = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def write(study: Study, folder: Path) -> Results:
    """Write ``index.html``, with empty drawings, into a folder; return what it is about."""
    results = read(study, folder)
    names = [Path(name) for name in files.expected(study.settings) if name.endswith(".svg")]
    drawings = [(ReportFigure(name.stem, "A caption.", None), "<svg></svg>") for name in names]  # type: ignore[arg-type]
    tables, found = build.all_tables(results), findings(results)
    text = html.render(results, found, tables, drawings, key="0" * 16, collected="1" * 16)
    (folder / "index.html").write_text(text, encoding="utf-8")
    return results


def desktop(browser: Browser) -> BrowserContext:
    """Return a window without a network, with the patience that a busy machine needs."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(120_000)
    return context
