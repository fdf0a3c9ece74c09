"""Section of the protocol ``transfer``: probes of the frozen networks on another data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from distillery.reporting import files
from distillery.reporting.figures.comparison import compare
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections.base import MetricsSection


class Transfer(MetricsSection):
    """Both accuracies of all networks, and a comparison of the methods by the linear probe."""

    title = "Transfer of the representation"
    caption = (
        "Top-1 accuracy on the test part of the probed data set, of a linear classifier and of the "
        "nearest neighbours on the frozen networks’ embeddings. Mean ± standard deviation over "
        "seeds of the students."
    )
    metrics: ClassVar[Mapping[str, str]] = {
        "probe_top1": "Linear probe (%)",
        "knn_top1": "k-NN (%)",
    }

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield the accuracy of the linear classifier, a panel for each pair."""
        caption = (
            "Top-1 accuracy of a linear classifier on the frozen embedding, on the probed data "
            "set: mean and standard deviation over seeds of the students, and single runs. The "
            "dotted line is the baseline, the dashed line the teacher."
        )
        metric, axis = f"{entry}/probe_top1", self.metrics["probe_top1"]
        name, empty = files.section(entry), "No transfer was measured."
        yield compare(results, name, caption, metric, axis, styles, empty)
