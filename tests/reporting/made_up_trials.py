"""Made-up trials, as the stage ``collect`` gathers them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pandas as pd

from distillery.reporting.results.collected import Results
from distillery.reporting.settings import SectionSettings

KD = [(4.0, 60.0), (2.0, 70.0), (100.0, None), (8.0, 66.0)]
CE = [(0.05, 51.0), (0.5, 41.0)]
LABELLED = {"ce": "training.lr", "kd": "options.temperature"}


def tuned(results: Results, kd: list[Any] = KD, ce: list[Any] = CE) -> Results:
    """Add trials with two seeds to results; None: the second seed diverged."""
    rows = []
    for method, found, selected in (("ce", ce, 0), ("kd", kd, 1)):
        for trial, (value, mean) in enumerate(found):
            for seed in (0, 1):
                failed = mean is None and seed == 1
                rows.append(
                    {
                        "pair": "p0",
                        "method": method,
                        "title": method.upper(),
                        "trial": trial,
                        "settings": json.dumps({LABELLED[method]: value}),
                        "is_selected": trial == selected,
                        "seed": seed,
                        "accuracy": None if failed else (mean or 99.0) + (1 if seed else -1),
                        "failure": "the loss is not finite" if failed else "",
                        "key": f"{method}-{trial}-{seed}",
                        "run": f"students/{method}-selection",
                    }
                )
    section = SectionSettings(
        module="tuning", title="Tuning", tables=("", "trials"), figures=("ce", "kd"), axes=()
    )
    report = results.report.model_copy(update={"sections": {"tuning": section}})
    return replace(results, report=report, found={"tuning": pd.DataFrame(rows)})
