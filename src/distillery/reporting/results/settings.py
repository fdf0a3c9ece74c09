"""The settings of collected runs as columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from distillery.core.flattening import flattened


def with_settings(runs: pd.DataFrame, settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return runs with a column for each setting.

    Columns have dotted names (``training.lr``, ``weights.kd``, ``options.temperature``); one whose
    name is taken gets ``settings.`` before it. A run that lacks a setting has none; lists are JSON.

    Args:
        runs: with their locations in the column ``run``.
        settings: location of a run -> its settings, as far as they are known.
    """
    known = {run: _plain(flattened(nested)) for run, nested in settings.items()}
    columns = pd.DataFrame([known.get(run, {}) for run in runs["run"]], index=runs.index)
    taken = {name: f"settings.{name}" for name in columns if name in runs}
    return pd.concat([runs, columns.rename(columns=taken)], axis=1)


def _plain(settings: dict[str, object]) -> dict[str, object]:
    """Return settings whose values fit the cells of a table."""
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in settings.items()
    }
