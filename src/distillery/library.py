"""Finished runs and experiments in Python; ``import distillery`` has all of it, see docs/python.md.

``open`` gives a run, ``results`` a table of all networks of a params file.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.runs.artifact import Artifact, Finished
from distillery.steering.finished import HISTORY, metrics_of, open_finished

if TYPE_CHECKING:
    import pandas as pd

    from distillery.models.predictions import Predictions
    from distillery.serving.served import Served


class FinishedRun:
    """A finished run; what is asked of it is read from disk then, and checked.

    Attributes:
        artifact: its folder, opened.
    """

    def __init__(self, artifact: Artifact, data: Path) -> None:
        self.artifact = artifact
        self._data = data

    def __repr__(self) -> str:
        return f"<{self.artifact.manifest['stage']} {self.name}>"

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.artifact.path.name

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it was made with."""
        return self.artifact.settings

    @property
    def record(self) -> dict[str, Any]:
        """When, how long, on which machine and with which versions it was made."""
        return dict(self.artifact.manifest["record"])

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Its metrics."""
        return metrics_of(self.artifact)

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each epoch of a training."""
        import pandas as pd

        return pd.read_parquet(self.artifact.file(HISTORY))

    @cached_property
    def predictions(self) -> Predictions:
        """Labels (N,), logits (N, C) and embedding (N, D) of the test set, as arrays."""
        from distillery.models import predictions

        return predictions.read(self.artifact)

    @cached_property
    def network(self) -> Served:
        """The network with its preprocessing: call it with images, or take its ``module``."""
        from distillery.serving.served import of_run
        from distillery.steering.using import prepared_for

        return of_run(self.artifact, prepared_for(self.artifact, self._data))


def open(name: str, data: str | Path = "data") -> FinishedRun:
    """Open a finished run.

    Args:
        name: its name, a part of it, or the beginning of its key.
        data: the data folder.

    Raises:
        UserError: there is no such run, or there are several.
    """
    return FinishedRun(open_finished(name, Path(data)), Path(data))


def results(params: str | Path, data: str | Path = "data") -> pd.DataFrame:
    """Return the networks of an experiment, a row for each in the order of its tables.

    Columns are those of ``tables/runs.csv`` in its report: names, metrics, ``<protocol>/<metric>``,
    costs, and each setting by its dotted name. What has not been computed is missing, and so is
    what was made of inputs that have been made again since.

    Args:
        params: the params file.
        data: the data folder.

    Raises:
        UserError: the params file is wrong.
    """
    import pandas as pd

    from distillery.planning import loading
    from distillery.reporting.results.collect import tidy
    from distillery.reporting.results.settings import with_settings

    plan, finished = loading.load(Path(params), Path(data)), Finished(Path(data))
    missing = {run.location for run in plan.pending(Path(data))}
    inputs = {
        location: Artifact(finished.path(location))
        for row in plan.rows
        for location in (row.run, *row.evaluations.values())
        if location not in missing
    }
    return with_settings(pd.DataFrame([tidy(row, inputs) for row in plan.rows]))
