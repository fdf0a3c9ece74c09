"""The settings of collected runs as columns."""

from __future__ import annotations

import json

import pandas as pd

from distillery.core.flattening import flattened

SETTINGS = "settings"


def with_settings(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with a column for each setting instead of one for all of them.

    Columns have dotted names (``training.lr``, ``weights.kd``, ``options.temperature``); one whose
    name is taken gets ``settings.`` before it. A run that lacks a setting has none; lists are JSON.

    Args:
        runs: with the settings of each as JSON in the column ``settings``; without: as they are.
    """
    if SETTINGS not in runs:
        return runs
    others = runs.drop(columns=SETTINGS)
    flat = [_plain(flattened(json.loads(text))) for text in runs[SETTINGS]]
    settings = pd.DataFrame(flat, index=runs.index)
    taken = {name: f"{SETTINGS}.{name}" for name in settings.columns if name in others.columns}
    return pd.concat([others, settings.rename(columns=taken)], axis=1)


def _plain(settings: dict[str, object]) -> dict[str, object]:
    """Return settings whose values fit the cells of a table."""
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in settings.items()
    }
