"""The figure of the learning curves."""

from __future__ import annotations

from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import has_bars
from distillery.reporting.figures.style import ACCURACY, Styles
from distillery.reporting.results.collected import Results

# Share of the lowest accuracies that learning curves do not show.
_BEGINNING = 0.1


def learning_curves(results: Results, styles: Styles) -> ReportFigure:
    """Draw test accuracy over epochs, a panel for each pair."""
    from matplotlib.ticker import MaxNLocator

    has_bands = has_bars(results.methods)
    name, caption = (
        "learning-curves",
        "Test top-1 accuracy of the students over the epochs: mean over seeds"
        f"{', with a band of one standard deviation to either side' if has_bands else ''}. "
        "The lowest tenth of the values, from the beginning, lies below.",
    )
    curves = results.learning_curves()
    if curves.empty:
        return ReportFigure(name, caption, panels.blank("No learning curves were recorded."))
    figure, grid = panels.of_pairs(results, results.compared, (4.6, 3.0), (2.4, 2.1))
    for pair, panel in grid.items():
        of_pair = curves[curves["pair"] == pair]
        for method, rows in of_pair.groupby("method", sort=False):
            style = styles[str(method)]
            epochs, mean, std = rows["epoch"], rows["mean"], rows["std"]
            panel.plot(epochs, mean, color=style.colour, ls=style.dash, lw=1)
            if has_bands:
                band = {"color": style.colour, "alpha": 0.15, "linewidth": 0}
                panel.fill_between(epochs, mean - std, mean + std, **band)
        # The steep beginning would press the differences at the end together.
        panel.set_ylim(bottom=float(of_pair["mean"].quantile(_BEGINNING)))
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    panels.name_axes([*grid.values()], "Epoch", ACCURACY)
    labels = {label: styles[method] for method, label in results.methods.items()}
    panels.name_styles(figure, labels, marker=False)
    return ReportFigure(name, caption, figure)
