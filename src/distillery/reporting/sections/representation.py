"""Section of the protocol ``representation``: its numbers, and alignment beside uniformity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from distillery.reporting import files
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import draw_points, spread_of
from distillery.reporting.figures.style import Style, Styles
from distillery.reporting.results.collected import TEACHER, Results
from distillery.reporting.results.protocols import measured, of_pairs, points
from distillery.reporting.sections.base import MetricsSection

_TEACHER_STYLE = Style("black", "*", "-")


class Representation(MetricsSection):
    """All metrics of teachers and students, and alignment beside uniformity."""

    title = "Representation quality"
    caption = (
        "Embeddings of the test images, scaled to length one: mean squared distance within classes "
        "(alignment) and logarithm of the mean Gaussian kernel over pairs (uniformity); lower is "
        "closer, or more even. CKA, shared nearest neighbours and equal predictions (fidelity) "
        "compare with the teacher. Mean ± standard deviation over seeds."
    )
    metrics: ClassVar[Mapping[str, str]] = {
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

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield alignment beside uniformity, a panel for each pair."""
        networks = measured(of_pairs(results), entry)
        yield draw_points(
            results,
            files.section(entry),
            "Alignment of the embeddings of one class and uniformity of all, on the test set: "
            f"{spread_of(results)}. Lower is closer, or more even.",
            points(networks, ["pair", "method"], "alignment", "uniformity"),
            ("Alignment", "Uniformity"),
            {TEACHER: _TEACHER_STYLE, **styles},
            "No embeddings were measured.",
        )
