"""Made-up results in the shape that the stage ``collect`` publishes."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distillery.reporting.results.collected import Results
from distillery.reporting.settings import ReportSettings
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run

TITLES = {"ce": "CE", "kd": "KD", "crd": "CRD + KD"}


@dataclass
class Study:
    """An experiment's rows and the settings of its report; tests change them before publishing."""

    report: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[pd.DataFrame] = field(default_factory=list)

    @property
    def runs(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    @property
    def settings(self) -> ReportSettings:
        return ReportSettings.model_validate(self.report)

    @property
    def made(self) -> pd.DataFrame:
        """How the runs were made, as the stage ``collect`` says it."""
        training = {
            **{"epochs": 20, "batch_size": 64, "instances": None, "schedule": "steps", "lr": 0.05},
            **{"milestones": [12, 15], "gamma": 0.1, "warmup_epochs": 0, "momentum": 0.9},
            **{"nesterov": False, "weight_decay": 5e-4, "evaluate_every": 1},
        }
        shared = {
            "training": training,
            "compute": {"precision": "no", "processes": 1, "threads": 1, "compile": False},
            "augmentation": {"kind": "crop", "pad": 4, "flip": True},
        }
        rows = self.runs.drop_duplicates("run")
        return pd.DataFrame(
            {
                "run": row["run"],
                "settings": json.dumps({**shared, "arch": row["arch"], "seed": row["seed"]}),
                "started": f"2020-01-0{1 + number % 3}T00:00:00+00:00",
                "commit": "0123456789abcdef0123456789abcdef01234567",
                "dirty": False,
                "processor": "A processor",
                "device": "cpu",
                "versions": json.dumps({"python": "3.11.1", "torch": "2.9.0"}),
                "data": "made-up",
                "shape": "8 × 8 × 1",
                "classes": 10,
                "train": 100,
                "validation": 0,
                "test": 50,
            }
            for number, (_, row) in enumerate(rows.iterrows())
        )

    def publish(self, data: Path) -> Artifact:
        run = Run("collect", "evaluations", "made-up", {"rows": len(self.rows)}, {}, "0")

        def write(work: Workspace) -> None:
            self.runs.to_parquet(work.out / "runs.parquet", index=False)
            pd.concat(self.curves).to_parquet(work.out / "curves.parquet", index=False)
            self.made.to_parquet(work.out / "records.parquet", index=False)

        return Artifact(produce(data, run, write))


def make_study(
    *,
    pairs: int = 2,
    methods: dict[str, str] | None = None,
    seeds: int = 3,
    epochs: int = 20,
    ablations: dict[str, dict[str, list[Any]]] | None = None,
    protocols: bool = True,
    timings: bool = False,
) -> Study:
    random = np.random.default_rng(0)
    methods = TITLES if methods is None else methods
    ablations = {"temperature": {"options.temperature": [1, 4]}} if ablations is None else ablations
    study = Study(
        report={
            "folder": "reports",
            "name": "made-up",
            "title": "A made-up experiment",
            "description": "Numbers from a generator.",
            "timings": timings,
            "baseline": "ce",
            "pairs": {
                f"p{pair}": {
                    "teacher": f"t{pair}",
                    "teacher_arch": f"resnet{56 + pair}",
                    "student_arch": f"resnet{20 + pair}",
                    "teacher_parameters": 860_000,
                    "student_parameters": 278_000,
                }
                for pair in range(pairs)
            },
            "ablations": {
                name: {"title": f"Effect of {name}", "axes": list(axes)}
                for name, axes in ablations.items()
            },
            "entries": {
                name: {
                    "title": title,
                    "method": name,
                    "source": "Somebody 2020; what else is from elsewhere",
                    "weights": {"ce": 1.0, "kd": 0.0, "method": 0.8},
                    "differs": {"options.negatives": 64} if name == "crd" else {},
                }
                for name, title in methods.items()
            },
            "params": "params/made-up.yaml",
            "sections": {},
            "claims": [],
            "published": {"note": "Nothing like it was published.", "numbers": []},
        }
    )

    def add(accuracy: float, folder: str, slug: str, **row: Any) -> None:
        key = f"{len(study.rows):016x}"
        location = f"{folder}/{slug}-{key}"
        last = float(accuracy + random.normal(0, 0.3))
        curve = last - 40 * np.exp(-np.arange(1, epochs + 1) / epochs * 6)
        curve[:-1] += random.normal(0, 0.4, epochs - 1)
        study.curves.append(
            pd.DataFrame(
                {
                    "phase": "train",
                    "epoch": range(1, epochs + 1),
                    "lr": 0.1,
                    "loss": 1.0,
                    "test_top1": curve,
                    "run": location,
                }
            )
        )
        study.rows.append(
            {
                "variant": "{}",
                "classifies": True,
                **row,
                "run": location,
                "teacher_key": row.get("teacher_key", key),
                "key": key,
                "test_top1": float(curve[-1]),
                "loss": 1.0,
                "epochs": epochs,
                "best_test_top1": float(curve.max()),
                "best_epoch": int(curve.argmax()) + 1,
                **(
                    {
                        "classification/top1": float(curve[-1]),
                        "classification/nll": float(random.uniform(0.9, 1.3)),
                        "classification/agreement": float(random.uniform(60, 80)),
                    }
                    if protocols
                    else {}
                ),
                "seconds": float(random.uniform(1000, 8000)),
                "images_per_second": float(random.uniform(2000, 9000)),
                "peak_memory_mb": float(random.uniform(900, 3000)),
                "device": "A Fast Device",
                "adopted": "",
            }
        )

    teacher_keys = []
    for pair in study.report["pairs"].values():
        teacher_keys.append(f"{len(study.rows):016x}")
        arch = pair["teacher_arch"]
        add(
            75.0,
            "teachers",
            f"data-{arch}-s0",
            table="teachers",
            pair="",
            method="",
            title=f"{pair['teacher']} ({arch})",
            seed=0,
            arch=arch,
        )
    for index, (name, pair) in enumerate(study.report["pairs"].items()):
        for number, (method, title) in enumerate(methods.items()):
            for seed in range(seeds):
                add(
                    69.0 + index + number * 4 / max(1, len(methods) - 1),
                    "students",
                    f"data-{pair['student_arch']}-{method}-s{seed}",
                    table="main",
                    pair=name,
                    method=method,
                    title=title,
                    seed=seed,
                    arch=pair["student_arch"],
                    teacher_key=teacher_keys[index],
                )
    for name, axes in ablations.items():
        for step, combination in enumerate(itertools.product(*axes.values())):
            for seed in range(seeds):
                add(
                    71.0 + step * 0.3,
                    "students",
                    f"data-resnet20-crd-s{seed}",
                    table=name,
                    pair="p0",
                    method="crd",
                    title=methods.get("crd", "CRD"),
                    variant=json.dumps(dict(zip(axes, combination, strict=True)), sort_keys=True),
                    seed=seed,
                    arch="resnet20",
                    teacher_key=teacher_keys[0],
                )
    return study


def with_teachers(results: Results, details: pd.DataFrame) -> pd.DataFrame:
    """Add the column that says which teacher networks were compared with."""
    known = results.runs[["run", "teacher_key"]].drop_duplicates()
    return details.merge(known, on="run")
