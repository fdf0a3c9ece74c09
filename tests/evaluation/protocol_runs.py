"""Runs of protocols, on networks that are made up of their predictions or on trained ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from made_up_data import made_up_info

from distillery.data.info import INFO, DataSetInfo
from distillery.evaluation import evaluate
from distillery.evaluation.base import DETAILS, METRICS
from distillery.evaluation.evaluate import Settings
from distillery.models import predictions
from distillery.models.predictions import Predictions
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run

_CODE = "c"


def drawn(
    images: int = 200, classes: int = 5, dim: int = 16, seed: int = 0, spread: float = 3.0
) -> Predictions:
    """Return embeddings in one cloud a class, and logits that depend linearly on them."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = spread * random.standard_normal((classes, dim))
    embedding = (centres[labels] + random.standard_normal((images, dim))).astype(np.float32)
    logits = (embedding @ centres.T / dim).astype(np.float32)
    return Predictions(labels, logits, embedding)


def run_protocol(data: Path, protocol: str, inputs: Mapping[str, str], **options: Any) -> Artifact:
    """Run a protocol on inputs that are there: name -> location."""
    settings = Settings(protocol=protocol, options=options).model_dump(mode="json")
    run = Run("evaluate", "evaluations", "test", settings, inputs, _CODE)
    return Artifact(produce(data, run, evaluate.run))


def run_made_up(
    data: Path, protocol: str, own: Predictions, teacher: Predictions, **options: Any
) -> Artifact:
    """Run a protocol on made-up networks.

    Equal predictions are one run, as in a teacher's own row.
    """

    def made(name: str, compute: Callable[[Workspace], None]) -> str:
        run = Run("made", "made", name, {"name": name}, {}, _CODE)
        produce(data, run, compute)
        return run.location

    def prepare(work: Workspace) -> None:
        work.write_json(INFO, _info(own).model_dump(mode="json"))

    network = made("network", lambda work: predictions.write(work.out, own))
    taught = network
    if teacher is not own:
        taught = made("teacher", lambda work: predictions.write(work.out, teacher))
    inputs = {"prepared": made("prepared", prepare), "network": network, "teacher": taught}
    return run_protocol(data, protocol, inputs, **options)


def measure(
    data: Path, protocol: str, own: Predictions, teacher: Predictions, **options: Any
) -> tuple[dict[str, float], pd.DataFrame | None]:
    """Run a protocol on made-up networks; return its metrics and its details if it has any."""
    artifact = run_made_up(data, protocol, own, teacher, **options)
    metrics: dict[str, float] = artifact.json(METRICS)
    return metrics, details_of(artifact) if DETAILS in artifact.files else None


def details_of(artifact: Artifact) -> pd.DataFrame:
    """Return what a protocol found beside its metrics."""
    return pd.read_parquet(artifact.file(DETAILS))


def _info(told: Predictions) -> DataSetInfo:
    return made_up_info(
        classes=tuple(f"class {number}" for number in range(told.logits.shape[1])),
        shape=(1, 1, 1),
        mean=(0.0,),
        std=(1.0,),
        counts={"train": 0, "test": len(told.labels)},
    )
