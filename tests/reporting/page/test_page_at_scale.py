"""The page of ten thousand runs beside that of a thousand: its size, and what a reader waits for.

``pytest -m slow -s`` shows the numbers; docs/report.md has those of one measurement.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
from gallery import methods
from made_up_results import make_study
from pages import NEEDS_BROWSER, desktop, write
from playwright.sync_api import Browser

ROUNDS = 2
# Milliseconds from the first byte until something is seen; until the list of runs can be used;
# until rows are drawn after a search, without the pause in which more letters may come; until they
# are drawn after a click on a heading; until a run is open.
MEASURE = """async () => {
  const entry = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const status = document.querySelector("#all-runs [role=status]");
  const input = document.querySelector("#all-runs input");
  const changed = async (act, waited) => {
    const before = status.textContent, start = performance.now();
    act();
    while (status.textContent === before) await new Promise((go) => setTimeout(go));
    return performance.now() - start - waited;
  };
  const search = (text) => changed(() => {
    input.value = text;
    input.dispatchEvent(new Event("input"));
  }, 60);
  const first = await search("resnet57 kd"), next = await search("crd");
  let start = performance.now();
  document.querySelector("#table-runs th:nth-child(6) button").click();
  const sort = performance.now() - start;
  start = performance.now();
  location.hash = document.querySelector("#table-runs tbody a").hash;
  while (!document.querySelector("dialog[open]")) await new Promise((go) => setTimeout(go));
  const open = performance.now() - start;
  return { paint, ready: entry.domContentLoadedEventEnd, first, next, sort, open };
}"""

pytestmark = [pytest.mark.slow, NEEDS_BROWSER]


class Made(NamedTuple):
    """A page: where it is, and how many runs it has."""

    path: Path
    runs: int


def make(folder: Path, seeds: int) -> Made:
    study = make_study(pairs=13, methods=methods(15), seeds=seeds, epochs=60, timings=True)
    results = write(study, folder)
    return Made(folder / "index.html", results.runs["key"].nunique())


def measured(browser: Browser, made: Made) -> dict[str, float]:
    context = desktop(browser)
    page = context.new_page()
    page.goto(made.path.as_uri())
    found: dict[str, float] = page.evaluate(MEASURE)
    context.close()
    return found


def test_ten_thousand_runs_are_usable(browser: Browser, tmp_path: Path) -> None:
    pages = {}
    for seeds in (5, 51):
        folder = tmp_path / str(seeds)
        folder.mkdir()
        pages[seeds] = make(folder, seeds)
    small, large = pages.values()
    assert small.runs < 1_100 < 9_900 < large.runs
    # In turn, so that both meet the same load.
    rounds = [[measured(browser, made) for made in (small, large)] for _ in range(ROUNDS)]
    few, many = (
        {name: median(turn[place][name] for turn in rounds) for name in rounds[0][0]}
        for place in (0, 1)
    )
    sizes = [made.path.stat().st_size / 1e6 for made in (small, large)]
    for made, size, times in zip((small, large), sizes, (few, many), strict=True):
        told = ", ".join(f"{name} {time:.0f} ms" for name, time in times.items())
        print(f"{made.runs} runs: {size:.1f} MB; {told}")
    assert sizes[1] < 10
    # No more than in proportion to the runs, with what a busy machine adds.
    for name in few:
        assert many[name] < 15 * few[name] + 200, name
    assert many["paint"] < 5 * few["paint"] + 200
