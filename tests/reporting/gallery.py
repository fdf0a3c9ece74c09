"""Every figure of a report from made-up results of awkward shapes, and what is wrong with one.

``python tests/reporting/gallery.py FOLDER`` writes all of them, to be looked at.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from made_up_results import Study, make_study
from made_up_trials import tuned
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from published import read

from distillery.reporting.figures import layout
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.page import build
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry

NAMES = ("CE", "KD", "CRD", "In-batch contrast", "AECRD", "AFD + KD", "DKD", "RKD", "SP", "AT")
LONG = "Attention-based feature distillation with everything that was ever proposed for it"
TABLES = {"bank": {"options.negatives": [1024, 4096, 16384]}, "kind": {"options.a.b": ["x", "y"]}}


def methods(count: int, *, long: bool = False) -> dict[str, str]:
    """Return ids and titles of so many methods; ``ce``, ``kd`` and ``crd`` are among them."""
    titles = [*NAMES, *(f"Method {number}" for number in range(len(NAMES), count))][:count]
    ids = ["ce", "kd", "crd", *(f"m{number}" for number in range(3, count))][:count]
    return {
        id_: f"{title}: {LONG}" if long else title for id_, title in zip(ids, titles, strict=True)
    }


def with_gaps(study: Study) -> Study:
    """Leave out every third student, and all accuracies of one method."""
    kept = [row for n, row in enumerate(study.rows) if row["table"] != "main" or n % 3]
    for row in kept:
        if row["method"] == "crd" and row["table"] == "main":
            row["test_top1"] = math.nan
    return Study(study.report, kept, study.curves)


def flat(study: Study) -> Study:
    """Let all accuracies be 100: curves and points then lie at an end of their axis."""
    for row in study.rows:
        row["test_top1"] = 100.0
    for curve in study.curves:
        curve["test_top1"] = 100.0
    return study


SHAPES: dict[str, Callable[[], Study]] = {
    "one-pair-six-methods": lambda: make_study(pairs=1, methods=methods(6), ablations=TABLES),
    "one-method": lambda: make_study(pairs=1, methods={"ce": "CE"}, ablations={}),
    "missing-cells": lambda: with_gaps(make_study(pairs=3, methods=methods(5))),
    "long-names": lambda: make_study(pairs=2, methods=methods(5, long=True), ablations=TABLES),
}
SLOW: dict[str, Callable[[], Study]] = {
    "one-seed": lambda: make_study(pairs=2, seeds=1, ablations=TABLES),
    "one-epoch": lambda: make_study(pairs=1, epochs=1, ablations={}),
    "flat": lambda: flat(make_study(pairs=1, ablations={})),
    "thirteen-by-fifteen": lambda: make_study(
        pairs=13, methods=methods(15), ablations={"bank": TABLES["bank"]}
    ),
    "thirty-nine-methods": lambda: make_study(pairs=1, methods=methods(39), ablations={}),
    "fourteen-by-two": lambda: make_study(pairs=2, methods=methods(14), ablations=TABLES),
}


def with_long_pairs(study: Study) -> Study:
    """Give the pairs names as long as an ensemble on another data set has."""
    for pair in study.report["pairs"].values():
        pair["teacher_arch"] = f"tiny-imagenet: 3 {pair['teacher_arch']} + ShuffleV2"
        pair["student_arch"] = "MobileNetV2-with-a-wider-head"
    return study


def standard(study: Study, folder: Path) -> Iterator[ReportFigure]:
    """Yield the figures that every report has, and those of its ablations."""
    study.report["timings"] = True
    yield from build.all_figures(read(study, folder))


def sections(folder: Path) -> Iterator[tuple[str, Callable[[], list[ReportFigure]]]]:
    """Yield names and functions that draw the figures of each section, as its own tests do."""
    shapes = {
        "aecrd": lambda of: of.results_of(make_study(), folder / "aecrd"),
        "inter-class": lambda of: of.results_of(make_study(pairs=1), folder / "inter"),
        "inter-class-100": lambda of: of.results_of(
            make_study(pairs=1, methods=methods(15)), folder / "inter-100", 100
        ),
        "tsne": lambda of: of.results_of(make_study(pairs=1, methods=methods(6)), folder / "tsne"),
        "tsne-100": lambda of: of.results_of(make_study(pairs=1), folder / "tsne-100", 100),
        "attention": lambda of: of.results_of(
            make_study(pairs=2, methods=of.METHODS), folder / "attention"
        ),
        "computation": lambda of: of.read(
            of.measured(make_study(ablations=of.ABLATIONS)), folder / "cost"
        ),
        "deployment": lambda of: read(
            of.measured(make_study(pairs=1, methods=methods(6))), folder / "deploy"
        ),
        "attention-maps": lambda of: of.results_of(
            make_study(pairs=1, methods=methods(6)), folder / "maps"
        ),
    }
    for name, make in shapes.items():
        section = name.removesuffix("-100")
        file = "test_attention_section_maps" if section == "attention-maps" else None
        yield name, lambda name=section, file=file, make=make: _section(name, file, make)
    yield "tuning", lambda: _drawn("tuning", "tuning", tuned(read(make_study(), folder / "tuning")))
    for name in ("few-shot", "ensemble"):
        yield name, lambda name=name: _study(name, folder / name)
    for name in ("representation", "transfer"):
        yield name, lambda name=name: _metrics(name, folder / name)


def _section(name: str, file: str | None, make: Callable[[Any], Results]) -> list[ReportFigure]:
    tests = helpers(file or f"test_{name.replace('-', '_')}_section")
    return _drawn(name, tests.ENTRY, make(tests))


def _study(name: str, folder: Path) -> list[ReportFigure]:
    tests = helpers("test_study_section")
    return _drawn(name, "varied", read(tests.studied(name, methods=methods(12)), folder))


def _metrics(name: str, folder: Path) -> list[ReportFigure]:
    study, random = make_study(methods=methods(15)), np.random.default_rng(0)
    for row in study.rows:
        values = {metric: float(random.random()) for metric in registry.load(name).metrics}  # type: ignore[attr-defined]
        row |= {f"{name}/{metric}": value for metric, value in values.items()}
    return _drawn(name, name, read(study, folder))


def _drawn(name: str, entry: str, results: Results) -> list[ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return list(registry.load(name).figures(results, entry, styles))


def helpers(name: str) -> ModuleType:
    """Return the module of a section's tests, for the results that they make up."""
    path = Path(__file__).parent / "sections" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"gallery_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(drawn: ReportFigure) -> list[str]:
    """Return what is wrong with a figure: its size, and texts that are cut or overlap."""
    figure = drawn.figure
    found = [] if figure.get_figwidth() in (layout.COLUMN, layout.TEXT) else ["another width"]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    height = figure.get_figheight()
    if height > layout.PAGE + 0.6:
        found.append(f"{height:.1f} inches tall")
    texts = [(text, _extent(text, canvas)) for text in _texts(figure)]
    for text, box in texts:
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            found.append(f"cut: {text.get_text()!r}")
    for (one, first), (other, second) in itertools.combinations(texts, 2):
        if _slanted(one) and _slanted(other):
            continue
        overlap = Bbox.intersection(first, second)
        if overlap is not None and min(overlap.width, overlap.height) > 1.5:
            found.append(f"overlap: {one.get_text()!r} and {other.get_text()!r}")
    for panel in figure.axes:
        box = panel.get_window_extent(canvas.get_renderer())
        wide, tall = box.width / figure.dpi, box.height / figure.dpi
        if min(wide, tall) < 0.07 or max(wide, tall) < 0.5:
            found.append(f"a panel of {wide:.2f} by {tall:.2f} inches")
    for legend in figure.legends:
        room = sum(panel.bbox.width * panel.bbox.height for panel in figure.axes)
        box = legend.get_window_extent(canvas.get_renderer())
        if box.width * box.height > room:
            found.append("the legend is larger than what it explains")
    return found


def _texts(figure: Figure) -> Iterator[Text]:
    for panel in figure.axes:
        yield from _of_panel(panel)
    for legend in figure.legends:
        yield from legend.get_texts()
    yield from (text for text in figure.texts if text.get_text().strip())


def _of_panel(panel: Axes) -> Iterator[Text]:
    own = [panel.title, *panel.texts]
    if panel.axison:
        for axis in filter(lambda axis: axis.get_visible(), (panel.xaxis, panel.yaxis)):
            own += [axis.label, axis.offsetText]
            for tick in axis._update_ticks():
                own += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    yield from (text for text in own if text.get_visible() and text.get_text().strip())


def _extent(text: Text, canvas: FigureCanvasAgg) -> Bbox:
    """Return where a text is drawn; annotations without what they point at."""
    return Text.get_window_extent(text, canvas.get_renderer())


def _slanted(text: Text) -> bool:
    """Tell whether a text's box says little of where its letters are."""
    return text.get_rotation() % 90 != 0


if __name__ == "__main__":
    from distillery.reporting.figures.style import theme

    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with theme(), tempfile.TemporaryDirectory() as place:
        made: dict[str, Callable[[], list[ReportFigure]]] = {
            name: lambda name=name, make=make: list(standard(make(), Path(place) / name))
            for name, make in {**SHAPES, **SLOW}.items()
            if not sys.argv[2:] or name in sys.argv[2:]
        }
        made |= {n: f for n, f in sections(Path(place)) if not sys.argv[2:] or n in sys.argv[2:]}
        for name, draw in made.items():
            for figure in draw():
                figure.figure.savefig(target / f"{name}--{figure.name}.png", dpi=110)
                for problem in problems(figure):
                    print(f"{name} {figure.name}: {problem}")
