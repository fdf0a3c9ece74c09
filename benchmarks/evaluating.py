"""Evaluation during training as a share of an epoch: 50,000 training and 10,000 test images."""

from __future__ import annotations

from benchmarks.made_up import BATCH, IMAGES, PAIRS, PRECISIONS
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn
from benchmarks.training_step import Ours


def measure(quick: bool = False) -> list[Row]:
    """Return the percentage that an evaluation after every epoch takes of KD's time."""
    rows = []
    for precision in ("f32",) if quick else PRECISIONS:
        for pair, networks in PAIRS.items():
            ours = Ours(networks, "kd", PRECISIONS[precision], test_images=1000, timed=5)
            parts = {"step": ours, "image": ours.evaluation}
            times = in_turn(parts, rounds=1 if quick else 2)
            training = times["step"] * IMAGES / BATCH
            testing = times["image"] * IMAGES / 5
            row = ratio_row(
                f"evaluation, {pair}, {precision}",
                100 * testing,
                training + testing,
                5.0,
                "forward alone, a third of a step's work",
                at_most=True,
            )
            rows.append(row | {"unit": "%"})
    return rows
