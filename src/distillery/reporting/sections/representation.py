"""Section of the protocol ``representation``: its numbers, and alignment beside uniformity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from distillery.reporting import files
from distillery.reporting.drawing import Drawing, Style, add_legend, blank, name_axes
from distillery.reporting.pair_panels import MOST_BARS, draw_point, pair_panels, point_keys
from distillery.reporting.protocol_metrics import measured, of_pairs, pairs_of, points
from distillery.reporting.protocol_tables import metrics_table
from distillery.reporting.results import TEACHER, Results, records
from distillery.reporting.table import Table

TITLE = "Representation quality"
TABLES = ("",)
FIGURES = ("",)

_COLUMNS = {
    "alignment": "Alignment",
    "uniformity": "Uniformity",
    "uniformity_between": "Uniformity between classes",
    "knn_accuracy": "k-NN accuracy (%)",
    "teacher_alignment": "Alignment with teacher",
    "teacher_cka": "CKA with teacher",
    "teacher_neighbours": "Teacher’s neighbours (%)",
    "fidelity": "Fidelity (%)",
    "ece": "ECE (%)",
}
_TEACHER_LOOK = Style("black", "*", "-")


def tables(results: Results, entry: str) -> list[Table]:
    """Return all metrics of teachers and students."""
    caption = (
        "Embeddings of the test images, scaled to length one: mean squared distance within classes "
        "(alignment) and logarithm of the mean Gaussian kernel over pairs (uniformity); lower is "
        "closer, or more even. CKA, shared nearest neighbours and equal predictions (fidelity) "
        "compare with the teacher. Mean ± standard deviation over seeds."
    )
    return [metrics_table(results, entry, caption, _COLUMNS)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield alignment beside uniformity, a panel for each pair."""
    has_bars = len(results.methods) <= MOST_BARS
    name = files.section(entry, "")
    caption = (
        "Alignment of the embeddings of one class and uniformity of all, on the test set: mean "
        f"{'and standard deviation ' if has_bars else ''}over seeds. Lower is closer, or more even."
    )
    networks = measured(of_pairs(results), entry)
    found = points(networks, ["pair", "method"], "alignment", "uniformity")
    pairs = pairs_of(results, found)
    if not pairs:
        yield Drawing(name, caption, blank("No embeddings were measured."))
        return
    shown = {TEACHER: _TEACHER_LOOK, **looks}
    figure, grid = pair_panels(results, pairs, (3.6, 2.8), (2.3, 2.1))
    for pair, panel in grid.items():
        for row in records(found[found["pair"] == pair]):
            draw_point(panel, row, shown[row.method], has_bars=has_bars)
    name_axes([*grid.values()], "Alignment", "Uniformity")
    labels = {TEACHER: "Teacher", **results.labels}
    add_legend(figure, point_keys(labels, shown, set(found["method"])))
    yield Drawing(name, caption, figure)
