"""The stage ``select``: choose the trial with the highest accuracy on held-out images."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from distillery.core.settings import FrozenModel
from distillery.training.selected import SELECTED
from distillery.training.trial import ACCURACY, DIVERGED, METRICS

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

DETAILS = "details.parquet"
# Means of the same numbers in another order are equal.
_DECIMALS = 9


class Settings(FrozenModel):
    """Settings of the stage."""

    trials: tuple[dict[str, Any], ...]
    """What each trial has for every axis; the first is the method entry as it stands."""
    seeds: tuple[int, ...]
    """Seeds of each trial."""


def input_name(trial: int, seed: int) -> str:
    """Return the name under which the run of a trial, counted from 0, is an input."""
    return f"trial-{trial}-s{seed}"


def run(work: Workspace) -> None:
    """Write ``selected.json``, the number of the trial from 0, and ``details.parquet``.

    Columns of the details, which have a row for each run of a trial: ``trial``, ``settings`` (JSON,
    axis -> value), ``is_selected``, ``seed``, ``accuracy`` (in percent, missing if it failed),
    ``failure`` (why it did, else empty) and ``key``.
    """
    settings = Settings.model_validate(work.run.settings)
    rows = []
    for trial, values in enumerate(settings.trials):
        for seed in settings.seeds:
            tried = work.inputs[input_name(trial, seed)]
            metrics = tried.json(METRICS)
            rows.append(
                {
                    "trial": trial,
                    "settings": json.dumps(values),
                    "seed": seed,
                    "accuracy": metrics.get(ACCURACY),
                    "failure": metrics.get(DIVERGED, ""),
                    "key": tried.key,
                }
            )
    chosen = best_of(
        [
            [row["accuracy"] for row in rows if row["trial"] == trial]
            for trial in range(len(settings.trials))
        ]
    )
    work.write_json(SELECTED, {"trial": chosen})
    table = pa.Table.from_pylist([{**row, "is_selected": row["trial"] == chosen} for row in rows])
    # Without any accuracy the column would have no type.
    place = table.schema.get_field_index("accuracy")
    table = table.set_column(place, "accuracy", table["accuracy"].cast(pa.float64()))
    pq.write_table(table, work.out / DETAILS)


def best_of(accuracies: Sequence[Sequence[float | None]]) -> int:
    """Return the number of the trial with the highest mean; of equal ones that of the first.

    A trial of which a run failed (None) has no mean; the first one is selected if none has.
    """
    means = [*map(_mean, accuracies)]
    return means.index(max(means))


def _mean(accuracies: Sequence[float | None]) -> float:
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    if len(known) < len(accuracies):
        return -math.inf
    return round(math.fsum(known) / len(known), _DECIMALS)
