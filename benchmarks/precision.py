"""Half precision (bf16) beside single precision: a bare step of each architecture."""

from __future__ import annotations

from benchmarks.made_up import PRECISIONS
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn
from benchmarks.training_step import Bare, mean_seconds

ARCHITECTURES = ("resnet8", "resnet20", "resnet8x4", "ShuffleV1", "MobileNetV2")


def measure(quick: bool = False) -> list[Row]:
    """Return f32 time / bf16 time."""
    rows = []
    for arch in ARCHITECTURES:
        steps = {name: Bare(arch, value).step for name, value in PRECISIONS.items()}
        candidates = {
            name: lambda step=step: mean_seconds(step, warmup=1, timed=3)
            for name, step in steps.items()
        }
        times = in_turn(candidates, rounds=1 if quick else 3)
        note = f"step in f32 {1000 * times['f32'].min():.0f} ms"
        rows.append(ratio_row(f"f32 / bf16, {arch}", times["f32"], times["bf16"], note=note))
    return rows
