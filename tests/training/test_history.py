"""What is kept of a run's epochs."""

from __future__ import annotations

import torch

from distillery.training.checkpoint import TrainingState
from distillery.training.history import diagnostics_table, history_table, summarise

HISTORY = [
    {"phase": "pretrain", "epoch": 1, "loss": 9.0, "method_x": 3.0},
    {"phase": "train", "epoch": 1, "loss": 3.0, "train_top1": 20.0, "test_top1": 40.0},
    {"phase": "train", "epoch": 2, "loss": 2.0, "train_top1": 30.0},
    {"phase": "train", "epoch": 3, "loss": 1.0, "train_top1": 60.0, "test_top1": 35.0},
]


def test_metrics_are_those_of_the_last_epoch_with_the_best_beside_them() -> None:
    assert summarise(HISTORY) == {
        "loss": 1.0,
        "train_top1": 60.0,
        "test_top1": 35.0,
        "epochs": 3,
        "best_test_top1": 40.0,
        "best_epoch": 1,
    }


def test_a_row_has_every_column_of_every_phase() -> None:
    table = history_table(TrainingState(history=HISTORY))
    columns = ["phase", "epoch", "loss", "method_x", "train_top1", "test_top1"]
    assert table.column_names == columns
    assert table["test_top1"].to_pylist() == [None, 40.0, None, 35.0]
    assert table["method_x"].to_pylist() == [3.0, None, None, None]


def test_an_entry_of_the_diagnostics_is_a_row() -> None:
    logged = {"one": torch.tensor(5.0), "two": torch.tensor([[1.0, 2.0]]), "three": torch.ones(2)}
    state = TrainingState(history=HISTORY[:2], diagnostics=[{}, logged])
    assert diagnostics_table(state).to_pylist() == [
        {"epoch": 1, "name": "one", "row": -1, "column": -1, "value": 5.0},
        {"epoch": 1, "name": "two", "row": 0, "column": 0, "value": 1.0},
        {"epoch": 1, "name": "two", "row": 0, "column": 1, "value": 2.0},
        {"epoch": 1, "name": "three", "row": 0, "column": -1, "value": 1.0},
        {"epoch": 1, "name": "three", "row": 1, "column": -1, "value": 1.0},
    ]
