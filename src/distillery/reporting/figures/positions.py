"""Where the values of a setting lie on an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting.figures import panels
from distillery.reporting.formatting import setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A logarithmic axis pays when the largest value is so many times the smallest.
_LOG_FROM = 100
# Share of such an axis between two of its labels.
_APART = 0.08


@dataclass(frozen=True)
class Positions:
    """Where the variants lie on the x axis, and whether there is anything between them."""

    of: pd.Series
    are_continuous: bool


def arrange(panel: Axes, values: Mapping[Any, Any]) -> Positions:
    """Set up the x axis for a setting.

    Numbers over two decades or more get a logarithmic axis; what is no number, or has a zero beside
    such numbers, gets equal steps.

    Args:
        panel: where to draw.
        values: what the positions belong to -> value of the setting.
    """
    from matplotlib.ticker import MaxNLocator

    if _is_continuous([*values.values()]):
        if _spans_decades([*values.values()]):
            panels.log_axis(panel, values.values(), setting, _APART)
        else:
            panel.xaxis.set_major_locator(MaxNLocator(5))
        return Positions(pd.Series(values, dtype=float), True)
    texts = {key: setting(value) for key, value in values.items()}
    steps = {text: float(step) for step, text in enumerate(dict.fromkeys(texts.values()))}
    is_crowded = sum(map(len, steps)) > 45
    slant: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(list(steps.values()), list(steps), **(slant if is_crowded else {}))
    panel.set_xlim(-0.5, len(steps) - 0.5)
    return Positions(pd.Series(texts).map(steps), False)


def _is_continuous(values: Sequence[Any]) -> bool:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    return min(values) > 0 or not _spans_decades([value for value in values if value > 0])


def _spans_decades(numbers: Sequence[float]) -> bool:
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM
