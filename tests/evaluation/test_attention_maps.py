"""Maps, the choice of images and the similarity of maps against loops; then the whole protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from project import Project
from protocol_runs import details_of, run_protocol

from distillery.data.info import DataSetInfo
from distillery.data.prepared import load
from distillery.evaluation.attention_maps import (
    AttentionMaps,
    choose_images,
    choose_sample,
    mean_cosine,
    spatial_attention,
)
from distillery.runs.artifact import Artifact

Options = AttentionMaps.Options
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_the_similarity_is_that_of_a_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    own, other = random.random((2, 5, 3, 4)).astype(np.float32)
    own[2] = 0
    expected = 0.0
    for first, second in zip(own, other, strict=True):
        lengths = float((first**2).sum() ** 0.5 * (second**2).sum() ** 0.5)
        expected += float((first * second).sum()) / lengths / 5 if lengths else 0
    assert mean_cosine(own, other) == pytest.approx(expected, rel=1e-5)
    assert mean_cosine(other, other) == pytest.approx(1)
    assert mean_cosine(3 * own, 2 * other) == pytest.approx(mean_cosine(own, other))


def test_a_map_is_the_enlarged_mean_of_squares() -> None:
    feature = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    same = spatial_attention(feature, 4, 4)
    for y in range(4):
        for x in range(4):
            assert torch.allclose(same[:, y, x], (feature[:, :, y, x] ** 2).sum(1) / 5)
    large = spatial_attention(feature, 16, 16)
    assert large.shape == (2, 16, 16)
    assert large.min() >= 0
    assert large.max() <= same.max() + 1e-6
    # Places of a 4 x 4 map lie in the middle of 4 x 4 pixels: the third of them is an eighth of the
    # way to the next place, the second one is still at the border.
    row = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([7 / 8, 1 / 8, 0.0, 0.0])
    for y in range(2):
        for x in range(2):
            expected = torch.einsum("r,brc,c->b", row[y], same, row[x])
            torch.testing.assert_close(large[:, 1 + y, 1 + x], expected)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 10), SEEDS)
def test_shows_one_image_of_each_class(labels: list[int], count: int, seed: int) -> None:
    options = Options(images=count, seed=seed)
    chosen = choose_images(np.array(labels), options)
    shown = np.array(labels)[chosen].tolist()
    assert shown == sorted(set(shown))
    assert len(shown) == min(count, len(set(labels)))
    assert np.array_equal(chosen, choose_images(np.array(labels), options))


def test_other_seeds_show_other_images() -> None:
    labels = np.arange(1000) % 10
    draws = {tuple(choose_images(labels, Options(seed=seed)).tolist()) for seed in range(5)}
    assert len(draws) == 5


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_sample_has_distinct_increasing_places(count: int, size: int) -> None:
    sample = choose_sample(count, Options(sample=size))
    assert len(sample) == min(count, size)
    assert (np.diff(sample) > 0).all()
    assert 0 <= sample[0] <= sample[-1] < count


def measure(
    data: Path, prepared: str, network: str, teacher: str, **options: Any
) -> tuple[dict[str, float], pd.DataFrame]:
    inputs = {"prepared": prepared, "network": network, "teacher": teacher}
    artifact = run_protocol(data, "attention-maps", inputs, **options)
    return artifact.json("metrics.json"), details_of(artifact)


def test_student_and_teacher_see_the_same_images(shared_project: Project) -> None:
    planned = shared_project.plan({"seeds": [1]}, name="other-seed")
    rows = {row.table: row for row in planned.rows}
    for row in rows.values():
        shared_project.make(planned, planned.runs[row.run])
    teacher, student = rows["teachers"].run, rows["main"].run
    prepared = planned.runs[student].inputs["prepared"]
    own, shown = measure(shared_project.data, prepared, student, teacher, images=4, sample=50)
    taught, of_teacher = measure(shared_project.data, prepared, teacher, teacher, images=4)
    assert taught == {"map_cosine": pytest.approx(1)}
    assert 0 < own["map_cosine"] < 1
    assert shown["position"].tolist() == of_teacher["position"].tolist()
    assert shown["label"].is_unique
    assert not np.allclose(np.stack([*shown["map"]]), np.stack([*of_teacher["map"]]))
    test = load(Artifact(shared_project.data / prepared), "test")
    info = DataSetInfo.load(Artifact(shared_project.data / prepared))
    for _, row in shown.iterrows():
        shape = row["height"], row["width"], row["channels"]
        assert shape == info.shape
        pixels = np.frombuffer(row["image"], dtype=np.uint8).reshape(shape)
        assert np.array_equal(pixels, test.images[row["position"]].numpy())
        assert row["label"] == test.labels[row["position"]]
        assert (row["class"], row["predicted_class"]) == (
            info.classes[row["label"]],
            info.classes[row["predicted"]],
        )
        assert len(row["map"]) == row["height"] * row["width"]
        assert min(row["map"]) >= 0
